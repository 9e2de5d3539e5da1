//! The program and its keystores: what it makes, what it shows, and what it says when a password is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        let keys = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["signer", "accounts"] {
            let made = keys.make(name);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        keys
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn make(&self, name: &str) -> Output {
        let (keystore, password) =
            (self.path(&format!("{name}.json")), self.path(&format!("{name}.password")));
        self.run(&[
            "keystore",
            "new",
            "--if-missing",
            "--keystore",
            keystore.to_str().unwrap(),
            "--password-file",
            password.to_str().unwrap(),
        ])
    }

    /// Runs the program with these keystores; no chain and no database is there.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_settlement"));
        command.args(args).env_clear().current_dir(self.folder.path());
        for (key, name) in [("SIGNER", "signer"), ("ACCOUNT", "accounts")] {
            command.env(format!("BUSBAR_CHAIN__{key}_KEYSTORE_FILE"), self.path(&format!("{name}.json")));
            command.env(format!("BUSBAR_CHAIN__{key}_PASSWORD_FILE"), self.path(&format!("{name}.password")));
        }
        command.env("BUSBAR_CONFIG", concat!(env!("CARGO_MANIFEST_DIR"), "/../config/busbar.toml"));
        command.output().unwrap()
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn addresses_are_shown_and_keys_never() {
    let keys = Keys::new();
    let before = files(keys.folder.path());
    assert_eq!(before.len(), 4, "two keystores, two passwords and nothing else");
    assert!(keys.make("signer").status.success(), "what is there is left alone");
    let shown = keys.run(&["account", "custodial", "--count", "3"]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let text = String::from_utf8(shown.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    for (index, line) in lines.iter().enumerate() {
        let (shown, address) = line.split_once(" 0x").unwrap();
        assert_eq!((shown, address.len()), (index.to_string().as_str(), 40), "no more than an address");
    }
    let from_second = keys.run(&["account", "custodial", "--first", "1", "--count", "1"]);
    assert_eq!(String::from_utf8(from_second.stdout).unwrap().trim_end(), lines[1]);
    let signer = String::from_utf8(keys.run(&["account", "signer"]).stdout).unwrap();
    assert_eq!(signer.trim_end().len(), 42);
    assert_eq!(files(keys.folder.path()), before);
}

#[test]
fn a_wrong_password_ends_it_with_clear_words_and_nothing_changed() {
    let keys = Keys::new();
    std::fs::write(keys.path("signer.password"), "not the one it was made with").unwrap();
    std::fs::write(keys.path("accounts.password"), "nor this one for the seed").unwrap();
    let before = files(keys.folder.path());
    for args in [&["run"][..], &["deploy"], &["reconcile"], &["account", "signer"], &["account", "custodial"]]
    {
        let refused = keys.run(args);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("does not open with the password in") && said.contains(".password"), "{said}");
        assert!(refused.stdout.is_empty(), "{args:?}");
        assert_eq!(files(keys.folder.path()), before, "{args:?}");
    }
    std::fs::remove_file(keys.path("signer.json")).unwrap();
    let refused = keys.run(&["run"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("signer.json") && !keys.path("signer.json").exists(),
        "no new key in its place: {said}"
    );
}

#[test]
fn check_config_names_the_key_to_mend() {
    let keys = Keys::new();
    for (variable, value, named) in [
        ("BUSBAR_CHAIN__RPC_URL", "nowhere", "rpc_url"),
        ("BUSBAR_CHAIN__CONFIRMATIONS", "0", "confirmations"),
        ("BUSBAR_CHAIN__CURRENCY_DECIMALS", "19", "currency_decimals"),
        ("BUSBAR_CHAIN__SIGNER_KEY_FILE", "x", "signer_key_file"),
        ("BUSBAR_CHAIN__LOWEST_MAX_FEE_GWEI", "501", "lowest_max_fee_gwei"),
        ("BUSBAR_SETTLEMENT__WITHDRAWAL_DELAY_S", "0", "withdrawal_delay_s"),
        ("BUSBAR_SETTLEMENT__CURRENCY_ADDRESS", "0x12", "currency_address"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_settlement"));
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/busbar.toml");
        command
            .env_clear()
            .env("BUSBAR_CONFIG", config)
            .arg("--check-config")
            .current_dir(keys.folder.path());
        assert!(command.output().unwrap().status.success(), "without it, the configuration can be used");
        let refused = command.env(variable, value).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{variable}: {said}");
        assert!(said.contains(named), "{variable}: {said}");
    }
}

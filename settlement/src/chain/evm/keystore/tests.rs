use super::super::{CustodialAccounts, SignerKey};
use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

struct Files {
    _folder: tempfile::TempDir,
    keystore: PathBuf,
    password: PathBuf,
}

fn files(password: &str) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let (keystore, password_file) = (folder.path().join("signer.json"), folder.path().join("password"));
    write(&password_file, password);
    Files { _folder: folder, keystore, password: password_file }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn made(files: &Files) -> Result<Address, KeyError> {
    let mut key = [0; 32];
    key[31] = 1;
    create(&NewKeystore { path: &files.keystore, password_file: &files.password, key, entropy: [5; 32] })
}

#[test]
fn opens_with_its_password_and_no_other() {
    let files = files("correct horse battery\n");
    let address = made(&files).unwrap();
    assert_eq!(address.to_string(), "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf");
    assert_eq!(SignerKey::from_keystore(&files.keystore, &files.password).unwrap().address(), address);
    let text = std::fs::read_to_string(&files.keystore).unwrap();
    assert!(!text.contains(&format!("{}1", "0".repeat(63))), "the key is readable");
    assert_eq!(std::fs::metadata(&files.keystore).unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::write(&files.password, "correct horse batterz").unwrap();
    let refused = SignerKey::from_keystore(&files.keystore, &files.password).unwrap_err().to_string();
    assert!(refused.contains("does not open with the password in"), "{refused}");
    let refused = CustodialAccounts::from_keystore(&files.keystore, &files.password).err().unwrap();
    assert!(refused.to_string().contains("does not open"), "{refused}");
}

#[test]
fn opens_what_another_wallet_wrote() {
    // The PBKDF2 test vector of the Web3 secret storage definition.
    let files = files("testpassword");
    let text = r#"{"crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46", "kdf": "pbkdf2",
        "kdfparams": {"c": 262144, "dklen": 32, "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3}"#;
    std::fs::write(&files.keystore, text).unwrap();
    let key = SignerKey::from_keystore(&files.keystore, &files.password).unwrap();
    assert_eq!(key.address().to_string(), "0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b");
}

#[test]
fn what_is_no_keystore_is_refused_without_a_panic() {
    let files = files("correct horse battery");
    made(&files).unwrap();
    let whole = std::fs::read_to_string(&files.keystore).unwrap();
    let spoilt = [
        "{}".to_owned(),
        whole.replace("\"dklen\":32", "\"dklen\":8"),
        whole.replace("\"n\":8192", "\"n\":1073741824"),
        whole.replace("\"n\":8192", "\"n\":8191"),
        whole.replace("\"version\":3", "\"version\":1"),
        whole[..whole.len() / 2].to_owned(),
    ];
    for text in spoilt {
        assert_ne!(text, whole, "nothing was spoilt");
        std::fs::write(&files.keystore, &text).unwrap();
        let refused = SignerKey::from_keystore(&files.keystore, &files.password).unwrap_err().to_string();
        assert!(refused.contains("keystore"), "{text}: {refused}");
    }
}

#[test]
fn what_is_no_key_to_import_is_refused_with_its_file() {
    let files = files("correct horse battery");
    let plain = files.keystore.with_extension("hex");
    for text in ["zz".to_owned(), "ab".repeat(31), "ab".repeat(33)] {
        write(&plain, &text);
        let refused = read_plain(&plain).unwrap_err().to_string();
        assert!(refused.contains("64 hex digits") && refused.contains("signer.hex"), "{refused}");
    }
    write(&plain, &format!("0x{}\n", "00".repeat(32)));
    let key = read_plain(&plain).unwrap();
    let new = NewKeystore { path: &files.keystore, password_file: &files.password, key, entropy: [5; 32] };
    assert!(create(&new).is_err(), "zero is no private key");
    assert!(!files.keystore.exists());
}

#[test]
fn a_short_password_and_an_existing_file_are_refused() {
    let weak = files("short");
    assert!(made(&weak).unwrap_err().to_string().contains("12 characters"));
    assert!(!weak.keystore.exists());
    let files = files("correct horse battery");
    made(&files).unwrap();
    assert!(made(&files).unwrap_err().to_string().contains("never overwritten"));
}

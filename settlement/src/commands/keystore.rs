//! `settlement keystore`: makes encrypted keystores.

use std::path::PathBuf;

use rand::Rng;
use settlement::chain::evm::keystore::{self, NewKeystore};

/// Makes encrypted keystores (Web3 secret storage, version 3) for `[chain] signer_keystore_file` and
/// `account_keystore_file`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeystoreCommand {
    /// Makes a new key. Keep a copy of the keystore: nothing else holds the key.
    New {
        #[command(flatten)]
        files: Files,
        /// Leaves a keystore that is there as it is, and makes the password too if there is none.
        #[arg(long)]
        if_missing: bool,
    },
    /// Encrypts a key that a file holds as 64 hex digits. Remove that file afterwards.
    Import {
        /// The file with the plain key.
        #[arg(long)]
        key_file: PathBuf,
        #[command(flatten)]
        files: Files,
    },
}

/// Where the keystore goes, and its password.
#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// The keystore to make; an existing file is left alone.
    #[arg(long)]
    keystore: PathBuf,
    /// Holds the password, at least 12 characters.
    #[arg(long)]
    password_file: PathBuf,
}

/// Makes the keystore and prints the key's address.
pub(crate) fn run(command: &KeystoreCommand) -> anyhow::Result<()> {
    let random = || {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        bytes
    };
    let (files, key) = match command {
        KeystoreCommand::New { files, if_missing: true } => {
            keystore::ensure(&files.keystore, &files.password_file, random)?;
            return crate::print(&format!("{} is there\n", files.keystore.display()));
        }
        KeystoreCommand::New { files, if_missing: false } => (files, random()),
        KeystoreCommand::Import { key_file, files } => (files, keystore::read_plain(key_file)?),
    };
    let Files { keystore, password_file } = files;
    let address = keystore::create(&NewKeystore { path: keystore, password_file, key, entropy: random() })?;
    crate::print(&format!("{address} is in {}\n", keystore.display()))
}

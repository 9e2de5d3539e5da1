//! Keys: the settlement account's, and the master seed of the custodial accounts.
//!
//! Each is in an encrypted keystore, and only there.

use std::path::Path;

use coins_bip32::Bip32Error;
use coins_bip32::prelude::Parent;
use coins_bip32::xkeys::XPriv;
use ethers::signers::{LocalWallet, Signer};
use service::secret::{Secret, SecretError};

use crate::chain::Address;

/// The standard path of accounts on this kind of chain (BIP-44), less the index.
const ACCOUNTS_PATH: &str = "m/44'/60'/0'/0";

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error(transparent)]
    File(#[from] SecretError),
    /// Its content.
    #[error("{path} does not hold {what}: write 64 hex digits, for example from `openssl rand -hex 32`")]
    Content {
        /// Which file.
        path: String,
        /// What it should hold.
        what: &'static str,
    },
    /// An encrypted keystore.
    #[error("the keystore {path} {problem}")]
    Keystore {
        /// Which file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A seed gives no key at an index; there is one such in 2^127.
    #[error("no key can be derived at index {index}: use another index")]
    Derivation {
        /// The index.
        index: u32,
    },
}

/// The key of the settlement account.
#[derive(Debug, Clone)]
pub struct SignerKey(LocalWallet);

impl SignerKey {
    /// Opens an encrypted keystore with the password that a file holds.
    ///
    /// # Errors
    /// [`KeyError`] if either file cannot be used, or the password is wrong.
    pub fn from_keystore(path: &Path, password_file: &Path) -> Result<Self, KeyError> {
        super::keystore::open(path, password_file).map(Self)
    }

    /// Opens a keystore; at the first start, makes it and its password from `random`, which must be
    /// random and secret.
    ///
    /// # Errors
    /// [`KeyError`] if it can be neither opened nor made.
    pub fn open_or_create(
        path: &Path,
        password_file: &Path,
        random: impl FnMut() -> [u8; 32],
    ) -> Result<Self, KeyError> {
        super::keystore::ensure(path, password_file, random)?;
        Self::from_keystore(path, password_file)
    }

    /// The account that the key signs for.
    #[must_use]
    pub fn address(&self) -> Address {
        Address(self.0.address().0)
    }

    pub(super) fn wallet(&self, chain_id: u64) -> LocalWallet {
        self.0.clone().with_chain_id(chain_id)
    }
}

/// The master seed from which the platform derives an account for each member that brings none.
#[derive(Clone)]
pub struct CustodialAccounts(XPriv);

impl CustodialAccounts {
    /// Opens an encrypted keystore, whose key is the seed, with the password that a file holds.
    ///
    /// # Errors
    /// [`KeyError`] if either file cannot be used, or the password is wrong.
    pub fn from_keystore(path: &Path, password_file: &Path) -> Result<Self, KeyError> {
        let seed: [u8; 32] = super::keystore::open(path, password_file)?.signer().to_bytes().into();
        Self::of_seed(&seed).ok_or_else(|| content(path, "a seed"))
    }

    /// Opens a keystore; at the first start, makes it and its password from `random`, which must be
    /// random and secret.
    ///
    /// # Errors
    /// [`KeyError`] if it can be neither opened nor made.
    pub fn open_or_create(
        path: &Path,
        password_file: &Path,
        random: impl FnMut() -> [u8; 32],
    ) -> Result<Self, KeyError> {
        super::keystore::ensure(path, password_file, random)?;
        Self::from_keystore(path, password_file)
    }

    fn of_seed(seed: &[u8]) -> Option<Self> {
        XPriv::root_from_seed(seed, None).and_then(|root| root.derive_path(ACCOUNTS_PATH)).ok().map(Self)
    }

    /// The address at an index. An index is given once and never changes its owner.
    ///
    /// # Errors
    /// [`KeyError::Derivation`] if there is no key at this index.
    pub fn address(&self, index: u32) -> Result<Address, KeyError> {
        let failed = |_: Bip32Error| KeyError::Derivation { index };
        let key = self.0.derive_child(index).map_err(failed)?;
        let signing: &coins_bip32::ecdsa::SigningKey = key.as_ref();
        Ok(Address(ethers::utils::secret_key_to_address(signing).0))
    }
}

pub(super) fn seed_bytes(secret: &Secret) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = secret.expose().trim();
    hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), &mut bytes).ok().map(|()| bytes)
}

pub(super) fn content(path: &Path, what: &'static str) -> KeyError {
    KeyError::Content { path: path.display().to_string(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_those_that_any_wallet_derives() {
        // The BIP-39 seed of "test test test test test test test test test test test junk", whose accounts every
        // development tool knows.
        let seed = "9dfc3c64c2f8bede1533b6a79f8570e5943e0b8fd1cf77107adf7b72cef42185d564a3aee24cab43f80e3c4538087d70fc824eabbad596a23c97b6ee8322ccc0";
        let accounts = CustodialAccounts::of_seed(&hex::decode(seed).unwrap()).unwrap();
        for (index, address) in [
            (0, "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"),
            (1, "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"),
            (9, "0xa0ee7a142d267c1f36714e4a8f75612f20a79720"),
        ] {
            assert_eq!(accounts.address(index).unwrap().to_string(), address);
        }
    }

    #[test]
    fn a_keystore_made_at_the_first_start_gives_the_same_accounts_at_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let (keystore, password) =
            (folder.path().join("secrets/seed.json"), folder.path().join("secrets/password"));
        let mut byte = 6;
        let mut random = || {
            byte += 1;
            [byte; 32]
        };
        let first = CustodialAccounts::open_or_create(&keystore, &password, &mut random).unwrap();
        let again = CustodialAccounts::open_or_create(&keystore, &password, &mut random).unwrap();
        assert_eq!(first.address(3).unwrap(), again.address(3).unwrap());
        assert_ne!(first.address(0).unwrap(), first.address(1).unwrap());
        // Neither the key nor anything that gives it away is in plain sight.
        for file in [&keystore, &password] {
            let text = std::fs::read_to_string(file).unwrap();
            assert!(!text.contains(&hex::encode([8; 32])), "{}", file.display());
        }
        std::fs::write(&password, "another password altogether").unwrap();
        let refused = CustodialAccounts::open_or_create(&keystore, &password, &mut random).err().unwrap();
        assert!(refused.to_string().contains("does not open"), "{refused}");
    }
}

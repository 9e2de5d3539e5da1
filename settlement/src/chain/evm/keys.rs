//! Keys: the settlement account's, and the master seed of the custodial accounts.
//!
//! Each is in an encrypted keystore, or in a file of 64 hex digits readable by its owner only.

use std::path::Path;

use coins_bip32::Bip32Error;
use coins_bip32::prelude::Parent;
use coins_bip32::xkeys::XPriv;
use ethers::signers::{LocalWallet, Signer};
use service::secret::{self, Secret, SecretError};

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
    /// Reads the key.
    ///
    /// # Errors
    /// [`KeyError`] if the file is missing or holds no key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::parse(path, &secret::read(path)?)
    }

    /// Opens an encrypted keystore with the password that a file holds.
    ///
    /// # Errors
    /// [`KeyError`] if either file cannot be used, or the password is wrong.
    pub fn from_keystore(path: &Path, password_file: &Path) -> Result<Self, KeyError> {
        super::keystore::open(path, password_file).map(Self)
    }

    /// Reads the key, or makes the file from `entropy`, which must be random and secret.
    ///
    /// # Errors
    /// [`KeyError`] if the file can be neither read nor made.
    pub fn read_or_create(path: &Path, entropy: &[u8; 32]) -> Result<Self, KeyError> {
        Self::parse(path, &secret::read_or_create(path, || hex::encode(entropy))?)
    }

    fn parse(path: &Path, secret: &Secret) -> Result<Self, KeyError> {
        let wallet = seed_bytes(secret).and_then(|bytes| LocalWallet::from_bytes(&bytes).ok());
        wallet.map(Self).ok_or_else(|| content(path, "a private key"))
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
    /// Reads the seed.
    ///
    /// # Errors
    /// [`KeyError`] if the file is missing or holds no seed.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::parse(path, &secret::read(path)?)
    }

    /// Opens an encrypted keystore, whose key is the seed, with the password that a file holds.
    ///
    /// # Errors
    /// [`KeyError`] if either file cannot be used, or the password is wrong.
    pub fn from_keystore(path: &Path, password_file: &Path) -> Result<Self, KeyError> {
        let seed: [u8; 32] = super::keystore::open(path, password_file)?.signer().to_bytes().into();
        Self::of_seed(&seed).ok_or_else(|| content(path, "a seed"))
    }

    /// Reads the seed, or makes the file from `entropy`, which must be random and secret.
    ///
    /// # Errors
    /// [`KeyError`] if the file can be neither read nor made.
    pub fn read_or_create(path: &Path, entropy: &[u8; 32]) -> Result<Self, KeyError> {
        Self::parse(path, &secret::read_or_create(path, || hex::encode(entropy))?)
    }

    fn parse(path: &Path, secret: &Secret) -> Result<Self, KeyError> {
        seed_bytes(secret).and_then(|seed| Self::of_seed(&seed)).ok_or_else(|| content(path, "a seed"))
    }

    fn of_seed(seed: &[u8; 32]) -> Option<Self> {
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
    fn the_address_of_a_key_is_the_well_known_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mut one = [0; 32];
        one[31] = 1;
        let key = SignerKey::read_or_create(&path, &one).unwrap();
        assert_eq!(key.address().to_string(), "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf");
        assert_eq!(SignerKey::read(&path).unwrap().address(), key.address());
    }

    #[test]
    fn an_index_always_gives_the_same_account() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = CustodialAccounts::read_or_create(&folder.path().join("seed"), &[7; 32]).unwrap();
        let first = accounts.address(0).unwrap();
        assert_eq!(first, accounts.address(0).unwrap());
        assert_ne!(first, accounts.address(1).unwrap());
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "zz").unwrap();
        let error = SignerKey::read(&path).unwrap_err().to_string();
        assert!(error.contains("64 hex digits") && error.contains("key"), "{error}");
        std::fs::write(&path, "00".repeat(32)).unwrap();
        assert!(SignerKey::read(&path).is_err());
    }
}

//! Keys in encrypted files: Web3 secret storage, version 3, as other wallets read and write it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ethers::core::rand::SeedableRng;
use ethers::core::rand::rngs::StdRng;
use ethers::signers::{LocalWallet, Signer, WalletError};
use serde::Deserialize;
use service::secret;

use super::keys::{self, KeyError};
use crate::chain::Address;

/// A password guards the key if the file is stolen, so it must not be guessed soon.
const MIN_PASSWORD_CHARS: usize = 12;
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// What deriving a key may ask for: 2^20 is four times what the slowest wallets write.
const MAX_SCRYPT_N: u64 = 1 << 20;
const MAX_SCRYPT_R: u64 = 16;
const MAX_SCRYPT_P: u64 = 16;
const MAX_PBKDF2_ROUNDS: u64 = 10_000_000;

/// A keystore to make.
#[derive(Debug)]
pub struct NewKeystore<'a> {
    /// Where it goes.
    pub path: &'a Path,
    /// The file that holds its password.
    pub password_file: &'a Path,
    /// The key.
    pub key: [u8; 32],
    /// Random: the salt and the initialisation vector are made from it.
    pub entropy: [u8; 32],
}

/// Makes a keystore, readable by this user only, and returns the address of its key.
///
/// # Errors
/// [`KeyError`] if the file exists, the password is short, the key is none or nothing can be written.
pub fn create(new: &NewKeystore<'_>) -> Result<Address, KeyError> {
    let NewKeystore { path, password_file, key, entropy } = new;
    let problem = |problem: String| KeyError::Keystore { path: path.display().to_string(), problem };
    if path.exists() {
        return Err(problem("exists already: a keystore is never overwritten".to_owned()));
    }
    let password = secret::read(password_file)?;
    if password.expose().chars().count() < MIN_PASSWORD_CHARS {
        return Err(problem(format!("needs a password of at least {MIN_PASSWORD_CHARS} characters")));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| problem("is no file name".to_owned()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let io = |error: std::io::Error| problem(format!("cannot be written: {error}"));
    std::fs::create_dir_all(folder).map_err(io)?;
    // The file appears whole, and private from its first moment, or not at all.
    let partial = format!("{name}.partial");
    let mut random = StdRng::from_seed(*entropy);
    let (wallet, _) =
        LocalWallet::encrypt_keystore(folder, &mut random, key, password.expose(), Some(&partial))
            .map_err(|error| problem(format!("cannot be made: {error}")))?;
    let partial = folder.join(partial);
    std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
    std::fs::rename(&partial, path).map_err(io)?;
    Ok(Address(wallet.address().0))
}

/// Makes a keystore with a new key unless there is one, and its password unless there is one: both from
/// `random`, which must be random and secret, and readable by this user only.
///
/// # Errors
/// [`KeyError`] as [`create`].
pub fn ensure(
    path: &Path,
    password_file: &Path,
    mut random: impl FnMut() -> [u8; 32],
) -> Result<(), KeyError> {
    secret::read_or_create(password_file, || hex::encode(random()))?;
    if path.exists() {
        return Ok(());
    }
    create(&NewKeystore { path, password_file, key: random(), entropy: random() }).map(drop)
}

/// Reads a key that a file holds as 64 hex digits.
///
/// # Errors
/// [`KeyError`] if the file is missing or holds no key.
pub fn read_plain(path: &Path) -> Result<[u8; 32], KeyError> {
    keys::seed_bytes(&secret::read(path)?).ok_or_else(|| keys::content(path, "a private key"))
}

/// Decrypts a keystore with the password that a file holds.
pub(super) fn open(path: &Path, password_file: &Path) -> Result<LocalWallet, KeyError> {
    let problem = |problem: String| KeyError::Keystore { path: path.display().to_string(), problem };
    require_usable(path).map_err(problem)?;
    let password = secret::read(password_file)?;
    LocalWallet::decrypt_keystore(path, password.expose()).map_err(|error| match error {
        // The library says which check failed only in words.
        WalletError::EthKeystoreError(error) if error.to_string().to_lowercase().contains("mac") => {
            problem(format!("does not open with the password in {}", password_file.display()))
        }
        error => problem(format!("cannot be used: {error}")),
    })
}

#[derive(Deserialize)]
struct Shape {
    version: u64,
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    ciphertext: String,
    cipherparams: CipherParams,
    kdfparams: KdfParams,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
struct KdfParams {
    dklen: u64,
    n: Option<u64>,
    r: Option<u64>,
    p: Option<u64>,
    c: Option<u64>,
}

/// The library that decrypts trusts the file's lengths and its price; this does not.
fn require_usable(path: &Path) -> Result<(), String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err("is too large for a keystore".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let Shape { version, crypto } = serde_json::from_str(&text)
        .map_err(|error| format!("is no keystore of version 3 (Web3 secret storage): {error}"))?;
    let KdfParams { dklen, n, r, p, c } = crypto.kdfparams;
    let is_fair = match (n, r, p, c) {
        (Some(n), Some(r), Some(p), None) => {
            n.is_power_of_two()
                && (2..=MAX_SCRYPT_N).contains(&n)
                && (1..=MAX_SCRYPT_R).contains(&r)
                && (1..=MAX_SCRYPT_P).contains(&p)
        }
        (None, None, None, Some(c)) => (1..=MAX_PBKDF2_ROUNDS).contains(&c),
        _ => false,
    };
    let is_whole = version == 3
        && crypto.cipher == "aes-128-ctr"
        && crypto.ciphertext.len() == 64
        && crypto.cipherparams.iv.len() == 32
        && dklen == 32;
    if is_fair && is_whole { Ok(()) } else { Err("is no keystore that this program can open".to_owned()) }
}

#[cfg(test)]
mod tests;

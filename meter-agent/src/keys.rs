//! The agent's signing key: made once, kept in a file only the agent can read.

use std::path::{Path, PathBuf};

use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::elliptic_curve::Generate;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rand::CryptoRng;
use service::secret::{self, SecretError};
use sha2::{Digest, Sha256};

/// The signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file can be neither read nor made.
    #[error(transparent)]
    File(#[from] SecretError),
    /// The file holds no P-256 key.
    #[error("{path} does not hold a P-256 key in PKCS#8 PEM form; to make a new one, move it away")]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// A key cannot be written in its standard form.
    #[error("the key cannot be encoded: {0}")]
    Encode(String),
}

/// Reads the key at `path`, or makes one there at the first start.
///
/// # Errors
/// [`KeyError`] with what to mend.
pub fn load_or_create(path: &Path, rng: &mut impl CryptoRng) -> Result<SigningKey, KeyError> {
    let fresh = SigningKey::generate_from_rng(rng)
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| KeyError::Encode(error.to_string()))?;
    let pem = secret::read_or_create(path, || fresh.to_string())?;
    SigningKey::from_pkcs8_pem(pem.expose()).map_err(|_| KeyError::NotAKey { path: path.to_owned() })
}

/// What an operator and the platform know of an agent's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The point, SEC1 uncompressed: 65 bytes.
    pub sec1: Vec<u8>,
    /// The SHA-256 of those bytes, hexadecimal: what the operator compares and approves.
    pub fingerprint: String,
}

/// The public half of a signing key.
#[must_use]
pub fn public_key(key: &SigningKey) -> PublicKey {
    public_half(key.verifying_key())
}

/// What is known of a key by its public half.
#[must_use]
pub fn public_half(key: &VerifyingKey) -> PublicKey {
    let sec1 = key.to_sec1_point(false).as_bytes().to_vec();
    let fingerprint = hex::encode(Sha256::digest(&sec1));
    PublicKey { sec1, fingerprint }
}

/// The public half in PEM form, as verifiers of other makers take it.
///
/// # Errors
/// [`KeyError::Encode`] if it cannot be written so.
pub fn public_key_pem(key: &VerifyingKey) -> Result<String, KeyError> {
    let pem = key.to_public_key_pem(LineEnding::LF).map_err(|error| KeyError::Encode(error.to_string()))?;
    Ok(format!("{}\n", pem.trim_end()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.pem");
        let first = load_or_create(&path, &mut StdRng::seed_from_u64(1)).unwrap();
        let second = load_or_create(&path, &mut StdRng::seed_from_u64(2)).unwrap();
        assert_eq!(public_key(&first), public_key(&second));
        let public = public_key(&first);
        assert_eq!((public.sec1.len(), public.fingerprint.len()), (65, 64));
        assert!(public_key_pem(first.verifying_key()).unwrap().starts_with("-----BEGIN PUBLIC KEY"));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.pem");
        let mut rng = StdRng::seed_from_u64(1);
        load_or_create(&path, &mut rng).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            load_or_create(&path, &mut rng),
            Err(KeyError::File(SecretError::Open { mode: 0o640, .. }))
        ));
        std::fs::write(&path, "not a key").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(load_or_create(&path, &mut rng), Err(KeyError::NotAKey { .. })));
    }
}

//! Signing and verifying, over the exact bytes between the bars.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{MAX_RECORD_BYTES, OcmfError, Record, RecordHash, write};

const HEADER: &str = "OCMF";
const ALGORITHM: &str = "ECDSA-secp256r1-SHA256";

/// Prints and signs a record. The signature is deterministic (RFC 6979), so that the same record has
/// the same bytes.
#[must_use]
pub fn sign(record: &Record, key: &SigningKey) -> String {
    let payload = write::payload(record);
    let signature: DerSignature = key.sign(payload.as_bytes());
    let hex = hex::encode_upper(signature.as_bytes());
    format!(r#"{HEADER}|{payload}|{{"SA":"{ALGORITHM}","SD":"{hex}"}}"#)
}

/// Checks that a record was signed with the key that belongs to `key`.
///
/// The library is that of the TLS connections: it verifies several times as many a second as the one that
/// makes keys and signs, and ingest spends most of its time here.
///
/// # Errors
/// [`OcmfError`] if it is no record, names another algorithm, or the signature does not fit.
pub fn verify(text: &str, key: &VerifyingKey) -> Result<(), OcmfError> {
    let (payload, signature) = parts(text)?;
    let signature: SignaturePart = serde_json::from_str(signature)
        .map_err(|error| OcmfError::Json { part: "signature", reason: error.to_string() })?;
    if signature.algorithm != ALGORITHM {
        return Err(OcmfError::Field { field: "SA", reason: format!("it must be {ALGORITHM}") });
    }
    let der = hex::decode(signature.data).map_err(|_| OcmfError::Signature)?;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.to_sec1_point(false));
    key.verify(payload.as_bytes(), &der).map_err(|_| OcmfError::Signature)
}

/// The SHA-256 of a record's bytes, by which records are compared and chained.
#[must_use]
pub fn sha256(text: &str) -> RecordHash {
    sha256_of(text.as_bytes())
}

/// The SHA-256 of bytes that may not even be text.
#[must_use]
pub fn sha256_of(bytes: &[u8]) -> RecordHash {
    Sha256::digest(bytes).into()
}

/// The payload and the signature part of a record.
pub(super) fn parts(text: &str) -> Result<(&str, &str), OcmfError> {
    if text.len() > MAX_RECORD_BYTES {
        return Err(OcmfError::TooLarge { bytes: text.len() });
    }
    let mut parts = text.split('|');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(HEADER), Some(payload), Some(signature), None) => Ok((payload, signature)),
        _ => Err(OcmfError::Format),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignaturePart<'a> {
    #[serde(rename = "SA")]
    algorithm: &'a str,
    #[serde(rename = "SD")]
    data: &'a str,
}

//! What agents say beside their records: `{header}|{payload}|{signature}`, the signature an ECDSA P-256 one in DER and hex,
//! over everything before the second bar. Headers begin otherwise than a record's and differ from each other, so that
//! none can ever be taken for another.

use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};

/// Why a text is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbelieved {
    /// It is too large, or does not have its three parts.
    Format,
    /// The key does not verify it.
    Signature,
}

/// Whether a message is meant as a text with a header.
#[must_use]
pub fn has_header(message: &[u8], header: &str) -> bool {
    message.strip_prefix(header.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'|'))
}

/// Signs a payload, which must hold no bar: it would end it too early.
#[must_use]
pub fn sign(header: &str, payload: &str, key: &SigningKey) -> String {
    let signed = format!("{header}|{payload}");
    let signature: DerSignature = key.sign(signed.as_bytes());
    format!("{signed}|{}", hex::encode(signature.as_bytes()))
}

/// The payload of a text of at most `max_bytes` that must be signed with the key that belongs to `key`.
///
/// # Errors
/// [`Unbelieved`] with why not.
pub fn verify<'a>(
    text: &'a [u8],
    header: &str,
    max_bytes: usize,
    key: &VerifyingKey,
) -> Result<&'a str, Unbelieved> {
    let text =
        Some(text).filter(|text| text.len() <= max_bytes).and_then(|text| std::str::from_utf8(text).ok());
    let (signed, signature) = text.and_then(|text| text.rsplit_once('|')).ok_or(Unbelieved::Format)?;
    let payload = signed.strip_prefix(header).and_then(|rest| rest.strip_prefix('|'));
    let payload = payload.filter(|payload| !payload.contains('|')).ok_or(Unbelieved::Format)?;
    let der = hex::decode(signature).map_err(|_| Unbelieved::Signature)?;
    let signature = DerSignature::from_bytes(&der).map_err(|_| Unbelieved::Signature)?;
    key.verify(signed.as_bytes(), &signature).map_err(|_| Unbelieved::Signature)?;
    Ok(payload)
}

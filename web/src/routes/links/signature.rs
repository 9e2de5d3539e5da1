//! Who signed a message: EIP-191 (`personal_sign`), as every wallet does it.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use receipt::Address;
use receipt::merkle::keccak256;

const SIGNATURE_BYTES: usize = 65;
/// What wallets add to the recovery id.
const RECOVERY_OFFSET: u8 = 27;

/// A text is not a signature, or not a valid one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSignature {
    /// It is not 65 bytes in hex.
    #[error("the signature is not 0x and 130 hex digits")]
    Format,
    /// It is longer than a key's: several owners signed, or a contract has a format of its own.
    #[error(
        "the signature has {bytes} bytes, as a smart-contract wallet such as a Safe makes them (EIP-1271); such a wallet \
         cannot be linked, since only its contract could say who signed: link an address with a key of its own, for \
         instance an owner's, and move what is paid out there on to the wallet"
    )]
    Contract {
        /// Its length.
        bytes: usize,
    },
    /// Its parts are out of range, or it is the second of the two forms that every signature has.
    #[error("the signature is not one that a wallet makes")]
    Value,
}

/// The address whose key signed `message`.
///
/// # Errors
/// [`InvalidSignature`] if there is none.
pub(crate) fn signer(message: &str, signature: &str) -> Result<Address, InvalidSignature> {
    let digits = signature.strip_prefix("0x").ok_or(InvalidSignature::Format)?;
    let bytes = hex::decode(digits).map_err(|_| InvalidSignature::Format)?;
    if bytes.len() > SIGNATURE_BYTES {
        return Err(InvalidSignature::Contract { bytes: bytes.len() });
    }
    let bytes: [u8; SIGNATURE_BYTES] = bytes.try_into().map_err(|_| InvalidSignature::Format)?;
    let [parts @ .., recovery] = bytes;
    let invalid = |_| InvalidSignature::Value;
    let signature = Signature::from_slice(&parts).map_err(invalid)?;
    // Of the two forms of a signature the chain itself takes only the one with the low s (EIP-2).
    if signature.normalize_s().is_some() {
        return Err(InvalidSignature::Value);
    }
    let recovery = recovery.checked_sub(RECOVERY_OFFSET).unwrap_or(recovery);
    let recovery = RecoveryId::from_byte(recovery).filter(|id| !id.is_x_reduced());
    let recovery = recovery.ok_or(InvalidSignature::Value)?;
    let key = VerifyingKey::recover_from_prehash(&digest(message), &signature, recovery).map_err(invalid)?;
    Ok(address(&key))
}

/// What a wallet signs in place of the message, so that it can never be a transaction.
fn digest(message: &str) -> [u8; 32] {
    let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
    keccak256(&[prefix.as_bytes(), message.as_bytes()])
}

/// The account of a public key: the last 20 bytes of its hash.
fn address(key: &VerifyingKey) -> Address {
    let point = key.to_encoded_point(false);
    let hash = keccak256(&[point.as_bytes().get(1..).unwrap_or_default()]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    Address(address)
}

#[cfg(test)]
pub(crate) mod tests {
    use k256::ecdsa::SigningKey;

    use super::*;

    /// Signs as a wallet does.
    pub(crate) fn sign(key: &[u8; 32], message: &str) -> (Address, String) {
        let key = SigningKey::from_slice(key).unwrap();
        let (signature, recovery) = key.sign_prehash_recoverable(&digest(message)).unwrap();
        let text = format!("0x{}{:02x}", hex::encode(signature.to_bytes()), recovery.to_byte() + 27);
        (address(key.verifying_key()), text)
    }

    #[test]
    fn the_example_of_another_implementation_is_recovered() {
        // From the documentation of eth-account: `Account.sign_message(encode_defunct(text="I♥SF"), key)`.
        let signature = "0xe6ca9bba58c88611fad66a6ce8f996908195593807c4b38bd528d2cff09d4eb33e5bfbbf4d3e39b1a2fd816a7680c19ebebaf3a141b239934ad43cb33fcec8ce1c";
        let signed_by = signer("I♥SF", signature).unwrap();
        assert_eq!(signed_by.to_string(), "0x5ce9454909639d2d17a3f753ce7d93fa0b9ab12e");
        // With the recovery id as some hardware wallets write it.
        let plain = format!("{}01", &signature[..130]);
        assert_eq!(signer("I♥SF", &plain), Ok(signed_by));
        assert_ne!(signer("I♥SG", signature), Ok(signed_by));
    }

    #[test]
    fn what_no_wallet_makes_is_refused() {
        let (account, signature) = sign(&[7; 32], "hello");
        assert_eq!(signer("hello", &signature), Ok(account));
        let order = k256::elliptic_curve::bigint::Encoding::to_be_bytes(
            &<k256::Secp256k1 as k256::elliptic_curve::Curve>::ORDER,
        );
        assert_eq!(order.len(), 32);
        let bytes = hex::decode(&signature[2..]).unwrap();
        let high_s = {
            let s = k256::U256::from_be_slice(&bytes[32..64]);
            let other = <k256::Secp256k1 as k256::elliptic_curve::Curve>::ORDER.wrapping_sub(&s);
            let other = k256::elliptic_curve::bigint::Encoding::to_be_bytes(&other);
            format!("0x{}{}{:02x}", hex::encode(&bytes[..32]), hex::encode(other), bytes[64] ^ 7)
        };
        for (bad, expected) in [
            (signature[2..].to_owned(), InvalidSignature::Format),
            (signature[..130].to_owned(), InvalidSignature::Format),
            (format!("{signature}0"), InvalidSignature::Format),
            (format!("{signature}{}", &signature[2..]), InvalidSignature::Contract { bytes: 130 }),
            (format!("0x{}", "00".repeat(65)), InvalidSignature::Value),
            (format!("{}1f", &signature[..130]), InvalidSignature::Value),
            (high_s, InvalidSignature::Value),
        ] {
            assert_eq!(signer("hello", &bad), Err(expected), "{bad}");
        }
    }
}

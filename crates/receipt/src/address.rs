//! Addresses and transaction hashes, in lower-case hex as the database keeps them.

use std::fmt;
use std::str::FromStr;

/// A text is not an address or a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}: write 0x and {digits} hex digits")]
pub struct InvalidHex {
    /// What was expected.
    pub what: &'static str,
    /// How many digits it has.
    pub digits: usize,
    /// The refused text, shortened.
    pub text: String,
}

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $type:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub [u8; $bytes]);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{}", hex::encode(self.0))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $type {
            type Err = InvalidHex;

            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                let mut bytes = [0; $bytes];
                let digits = text.strip_prefix("0x").unwrap_or_default();
                hex::decode_to_slice(digits, &mut bytes).map(|()| Self(bytes)).map_err(|_| InvalidHex {
                    what: $what,
                    digits: $bytes * 2,
                    text: text.chars().take(80).collect(),
                })
            }
        }
    };
}

hex_bytes!(
    /// An account or a contract on the chain.
    Address, 20, "an address"
);
hex_bytes!(
    /// The hash of a signed transaction.
    TxHash, 32, "a transaction hash"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_either_case_and_writes_lower_case() {
        let address: Address = "0x00000000000000000000000000000000000A11cE".parse().unwrap();
        assert_eq!(address.to_string(), "0x00000000000000000000000000000000000a11ce");
        for bad in ["", "0x", "0xa11ce", "00000000000000000000000000000000000a11ce"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}

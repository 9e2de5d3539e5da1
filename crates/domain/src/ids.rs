//! Identifiers: one type each, so that a member can never be passed where a site is meant.

use std::fmt;

/// The longest identifier accepted, in bytes.
pub const MAX_ID_BYTES: usize = 64;

/// A text is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not valid: use 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.'")]
pub struct InvalidId {
    /// Which kind of identifier was expected.
    pub kind: &'static str,
    /// The refused text, shortened.
    pub text: String,
}

fn validated(kind: &'static str, text: &str) -> Result<String, InvalidId> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !text.is_empty() && text.len() <= MAX_ID_BYTES && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(InvalidId { kind, text: text.chars().take(MAX_ID_BYTES).collect() })
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// [`InvalidId`] unless it is 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                validated($kind, text).map(Self)
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $type {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
    };
}

text_id!(
    /// An energy community: the unit of sharding, of leadership and of privacy.
    CommunityId, "community id"
);
text_id!(
    /// A member of a community, who owns sites and an account.
    MemberId, "member id"
);
text_id!(
    /// A connection point with one revenue meter.
    SiteId, "site id"
);
text_id!(
    /// A part of the network; the network fee depends on the zones that energy leaves and enters.
    ZoneId, "zone id"
);
text_id!(
    /// A meter whose cumulative registers are read.
    MeterId, "meter id"
);
text_id!(
    /// A meter agent, the process that reads and signs.
    AgentId, "agent id"
);
text_id!(
    /// An account of the ledger: a member's, or one of the community's own.
    AccountId, "account id"
);
text_id!(
    /// The id a client gives a command before its first try, so that a retry is recognised.
    ClientId, "client id"
);

impl Default for ZoneId {
    /// The zone of a site of which nothing else is known.
    fn default() -> Self {
        Self("main".to_owned())
    }
}

impl AccountId {
    /// The account against which residual energy is imported and exported at tariffs.
    #[must_use]
    pub fn grid() -> Self {
        Self("grid".to_owned())
    }

    /// The account that receives the network fee.
    #[must_use]
    pub fn network() -> Self {
        Self("network".to_owned())
    }

    /// The account that receives the platform fee.
    #[must_use]
    pub fn platform() -> Self {
        Self("platform".to_owned())
    }

    /// The account that covers a debtor's shortfall until it tops up.
    #[must_use]
    pub fn reserve() -> Self {
        Self("reserve".to_owned())
    }

    /// The account of a member: `member:` is implied, so a member may not be named like one of the
    /// community's own accounts.
    ///
    /// # Errors
    /// [`InvalidId`] if the member's id is `grid`, `network`, `platform` or `reserve`.
    pub fn of_member(member: &MemberId) -> Result<Self, InvalidId> {
        match member.as_str() {
            "grid" | "network" | "platform" | "reserve" => {
                Err(InvalidId { kind: "member id", text: member.to_string() })
            }
            id => Ok(Self(id.to_owned())),
        }
    }
}

/// An order's number in its community, given when the command is stored; later is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub i64);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a settlement batch, known to the contract, which refuses it a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_alphabet_and_nothing_else() {
        assert!(SiteId::new("site-001").is_ok());
        for bad in ["", " ", "a b", "ä", "a/b", "+", &"x".repeat(65)] {
            assert!(SiteId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_member_cannot_be_named_like_a_community_account() {
        let grid = MemberId::new("grid").unwrap();
        assert!(AccountId::of_member(&grid).is_err());
    }
}

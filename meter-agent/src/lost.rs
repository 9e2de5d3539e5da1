//! An agent's word that it does not have some numbers of a meter any more: its outbox was damaged, and what stood
//! there was delivered long ago or is lost. Without it the records behind the gap could never be acknowledged.
//!
//! `BUSBAR-LOST-1|{payload}|{signature}` (see [`crate::signed_text`]). It is delivered in the place of the
//! last number of the gap, and kept until ingest has acknowledged that one.

use domain::ids::{AgentId, CommunityId, MeterId};
use p256::ecdsa::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::signed_text;

const HEADER: &str = "BUSBAR-LOST-1";
const MAX_BYTES: usize = 2_048;
/// The most numbers that one statement is about; a larger gap has several.
pub const MAX_NUMBERS: i64 = 10_000;

/// An agent's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The community.
    pub community_id: CommunityId,
    /// The agent.
    pub agent_id: AgentId,
    /// What it does not have.
    pub gap: Gap,
}

/// Numbers of a meter and epoch, from `first` to `last`, without a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The meter.
    pub meter_id: MeterId,
    /// Its epoch.
    pub epoch: i32,
    /// The first number.
    pub first: i64,
    /// The last number.
    pub last: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    community_id: String,
    agent_id: String,
    meter_id: String,
    epoch: i32,
    first_seq: i64,
    last_seq: i64,
}

/// Whether a message on the topic of readings is meant as such a statement.
#[must_use]
pub fn is_statement(message: &[u8]) -> bool {
    signed_text::has_header(message, HEADER)
}

/// Writes and signs a statement.
#[must_use]
pub fn sign(lost: &Lost, key: &SigningKey) -> String {
    let wire = Wire {
        community_id: lost.community_id.to_string(),
        agent_id: lost.agent_id.to_string(),
        meter_id: lost.gap.meter_id.to_string(),
        epoch: lost.gap.epoch,
        first_seq: lost.gap.first,
        last_seq: lost.gap.last,
    };
    // Numbers and ids can always be written, and no id holds a bar.
    signed_text::sign(HEADER, &serde_json::to_string(&wire).unwrap_or_default(), key)
}

/// Reads a statement that must be signed with the key that belongs to `key`; `None` if it is not.
#[must_use]
pub fn verify(message: &[u8], key: &VerifyingKey) -> Option<Lost> {
    let payload = signed_text::verify(message, HEADER, MAX_BYTES, key).ok()?;
    let wire: Wire = serde_json::from_str(payload).ok()?;
    let count = wire.last_seq.checked_sub(wire.first_seq)?.checked_add(1)?;
    let is_sound = wire.epoch >= 1 && wire.first_seq >= 1 && (1..=MAX_NUMBERS).contains(&count);
    is_sound.then_some(())?;
    Some(Lost {
        community_id: CommunityId::new(&wire.community_id).ok()?,
        agent_id: AgentId::new(&wire.agent_id).ok()?,
        gap: Gap {
            meter_id: MeterId::new(&wire.meter_id).ok()?,
            epoch: wire.epoch,
            first: wire.first_seq,
            last: wire.last_seq,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_slice(&[byte; 32]).unwrap()
    }

    fn lost(first: i64, last: i64) -> Lost {
        Lost {
            community_id: CommunityId::new("demo").unwrap(),
            agent_id: AgentId::new("agent-1").unwrap(),
            gap: Gap { meter_id: MeterId::new("m").unwrap(), epoch: 3, first, last },
        }
    }

    #[test]
    fn f45_a_statement_round_trips_and_others_are_refused() {
        let (good, key_1) = (lost(4, 9), key(1));
        let text = sign(&good, &key_1);
        let read = |text: &str| verify(text.as_bytes(), key_1.verifying_key());
        assert!(is_statement(text.as_bytes()));
        assert_eq!(read(&text), Some(good.clone()));
        assert_eq!(read(&sign(&good, &key(2))), None);
        assert_eq!(read(&text.replace("\"last_seq\":9", "\"last_seq\":8")), None);
        for bad in [lost(0, 3), lost(5, 4), lost(1, MAX_NUMBERS + 1), lost(i64::MIN, i64::MAX)] {
            assert_eq!(read(&sign(&bad, &key_1)), None, "{bad:?}");
        }
        assert_eq!(read("BUSBAR-LOST-1|"), None);
    }
}

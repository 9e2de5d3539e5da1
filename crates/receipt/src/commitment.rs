//! What the chain is told about statements: batch ids and salted leaves, never an energy.
//!
//! Both start with the chain id, the contract and the community, so that neither can be used on
//! another chain, another contract or for another community.

use chrono::{DateTime, Utc};
use domain::ids::{AccountId, BatchId, CommunityId};

use crate::address::Address;
use crate::merkle::{self, Hash, keccak256};
use crate::statement::{Nano, Statement};

/// Where and for whom a commitment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The EIP-155 chain id.
    pub chain_id: u64,
    /// The credit contract.
    pub credit: Address,
    /// The community.
    pub community_id: CommunityId,
}

/// A slot at one revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRevision {
    /// The slot's start.
    pub start: DateTime<Utc>,
    /// The slot's end, which belongs to the next slot.
    pub end: DateTime<Utc>,
    /// Which correction; 0 is the first pricing.
    pub revision: i32,
}

impl Domain {
    /// The id of the batch that settles a slot at a revision. Known before the first try, so that a
    /// retry is refused by the contract.
    #[must_use]
    pub fn batch_id(&self, slot_start: DateTime<Utc>, revision: i32) -> BatchId {
        let mut words = self.words("busbar/batch/v1");
        words.signed(slot_start.timestamp()).signed(i64::from(revision));
        BatchId(keccak256(&[&words.0]))
    }

    /// The leaf of a statement: every figure of it in a 32-byte word of its own, whose it is and where
    /// that account lives on the chain, and the salt, which keeps figures from being guessed. Hashed
    /// twice, as the contract's `verifyReceipt` asks.
    #[must_use]
    pub fn leaf(
        &self,
        slot: &SlotRevision,
        account_id: &AccountId,
        chain_address: &Address,
        statement: &Statement,
        salt: &[u8; 32],
    ) -> Hash {
        let mut words = self.words("busbar/statement/v2");
        words.signed(slot.start.timestamp()).signed(slot.end.timestamp());
        words.signed(i64::from(slot.revision));
        words.text(account_id.as_str()).address(chain_address);
        let s = statement;
        words.signed(s.import_wh).signed(s.export_wh);
        // Not known is another statement than zero.
        words.signed(i64::from(s.production_wh.is_some())).signed(s.production_wh.unwrap_or(0));
        words.signed(i64::from(s.substituted));
        words.signed(s.traded_bought_wh).money(s.traded_bought_nano);
        words.signed(s.traded_sold_wh).money(s.traded_sold_nano);
        words.signed(s.closing_bought_wh).money(s.closing_bought_nano);
        words.signed(s.closing_sold_wh).money(s.closing_sold_nano);
        words.signed(s.preferred_bought_wh).money(s.preferred_bought_nano);
        words.signed(s.preferred_sold_wh).money(s.preferred_sold_nano);
        words.signed(s.residual_import_wh).signed(s.residual_export_wh).money(s.residual_nano);
        words.signed(s.curtailed_wh).signed(s.over_limit_wh);
        words.money(s.network_fee_nano).money(s.platform_fee_nano);
        words.money(s.net_nano).money(s.base_nano).word(*salt);
        merkle::leaf(&words.0)
    }

    fn words(&self, tag: &str) -> Words {
        let mut words = Words(Vec::with_capacity(36 * 32));
        words.text(tag);
        let mut chain_id = [0; 32];
        chain_id[24..].copy_from_slice(&self.chain_id.to_be_bytes());
        words.word(chain_id).address(&self.credit).text(self.community_id.as_str());
        words
    }
}

/// 32-byte words, as the ABI encodes static values, so that a contract can build the same bytes.
struct Words(Vec<u8>);

impl Words {
    fn word(&mut self, word: [u8; 32]) -> &mut Self {
        self.0.extend_from_slice(&word);
        self
    }

    fn address(&mut self, address: &Address) -> &mut Self {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&address.0);
        self.word(word)
    }

    fn signed(&mut self, value: i64) -> &mut Self {
        let mut word = if value < 0 { [0xff; 32] } else { [0; 32] };
        word[24..].copy_from_slice(&value.to_be_bytes());
        self.word(word)
    }

    fn money(&mut self, amount: Nano) -> &mut Self {
        self.signed(amount.0)
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.word(keccak256(&[text.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn domain() -> Domain {
        Domain { chain_id: 1, credit: Address([7; 20]), community_id: CommunityId::new("demo").unwrap() }
    }

    #[test]
    fn each_part_of_the_domain_changes_the_batch_id() {
        let slot = DateTime::UNIX_EPOCH;
        let other_community = CommunityId::new("other").unwrap();
        let ids: HashSet<[u8; 32]> = [
            domain().batch_id(slot, 0),
            domain().batch_id(slot, 1),
            domain().batch_id(slot + chrono::TimeDelta::seconds(10), 0),
            Domain { chain_id: 2, ..domain() }.batch_id(slot, 0),
            Domain { credit: Address([8; 20]), ..domain() }.batch_id(slot, 0),
            Domain { community_id: other_community, ..domain() }.batch_id(slot, 0),
        ]
        .map(|id| id.0)
        .into();
        assert_eq!(ids.len(), 6);
    }
}

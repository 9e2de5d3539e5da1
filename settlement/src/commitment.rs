//! What the chain is told about statements: batch ids and salted leaves, never an energy.
//!
//! Both start with the chain id, the contract and the community, so that neither can be used on
//! another chain, another contract or for another community.

use chrono::{DateTime, Utc};
use domain::ids::{BatchId, CommunityId};
use domain::units::Energy;
use store::statements::StatementRow;

use crate::chain::Address;
use crate::merkle::{self, Hash, keccak256};

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

impl Domain {
    /// The id of the batch that settles a slot at a revision. Known before the first try, so that a
    /// retry is refused by the contract.
    #[must_use]
    pub fn batch_id(&self, slot_start: DateTime<Utc>, revision: i32) -> BatchId {
        let mut words = self.words("busbar/batch/v1");
        words.signed(slot_start.timestamp()).signed(i64::from(revision));
        BatchId(keccak256(&[&words.0]))
    }

    /// The leaf of a statement: every figure of it in a 32-byte word of its own, and the salt, which
    /// keeps figures from being guessed. Hashed twice, as the contract's `verifyReceipt` asks.
    #[must_use]
    pub fn leaf(&self, slot_start: DateTime<Utc>, revision: i32, statement: &StatementRow) -> Hash {
        let mut words = self.words("busbar/statement/v1");
        words.signed(slot_start.timestamp()).signed(i64::from(revision));
        words.text(statement.account_id.as_str());
        let metered = &statement.metered;
        words.signed(metered.import.wh()).signed(metered.export.wh());
        // Not known is another statement than zero.
        words.signed(i64::from(metered.production.is_some()));
        words.signed(metered.production.map_or(0, Energy::wh));
        words.signed(i64::from(statement.substituted));
        words.signed(statement.traded_bought.wh()).signed(statement.traded_bought_money.nano());
        words.signed(statement.traded_sold.wh()).signed(statement.traded_sold_money.nano());
        words.signed(statement.closing_bought.wh()).signed(statement.closing_bought_money.nano());
        words.signed(statement.closing_sold.wh()).signed(statement.closing_sold_money.nano());
        words.signed(statement.residual_import.wh()).signed(statement.residual_export.wh());
        words.signed(statement.residual_money.nano());
        words.signed(statement.network_fee.nano()).signed(statement.platform_fee.nano());
        words.signed(statement.net.nano()).signed(statement.base.nano());
        words.word(statement.salt);
        merkle::leaf(&words.0)
    }

    fn words(&self, tag: &str) -> Words {
        let mut words = Words(Vec::with_capacity(32 * 32));
        words.text(tag);
        let mut chain_id = [0; 32];
        chain_id[24..].copy_from_slice(&self.chain_id.to_be_bytes());
        let mut credit = [0; 32];
        credit[12..].copy_from_slice(&self.credit.0);
        words.word(chain_id).word(credit).text(self.community_id.as_str());
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

    fn signed(&mut self, value: i64) -> &mut Self {
        let mut word = if value < 0 { [0xff; 32] } else { [0; 32] };
        word[24..].copy_from_slice(&value.to_be_bytes());
        self.word(word)
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.word(keccak256(&[text.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::Statement;
    use domain::ids::AccountId;
    use domain::units::Money;
    use std::collections::HashSet;

    fn domain() -> Domain {
        Domain { chain_id: 1, credit: Address([7; 20]), community_id: CommunityId::new("demo").unwrap() }
    }

    fn row() -> StatementRow {
        crate::rows::statement_row(Statement::empty(AccountId::grid()), [9; 32])
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

    #[test]
    fn each_figure_of_a_statement_changes_its_leaf() {
        let changes: [fn(&mut StatementRow); 9] = [
            |_| {},
            |s| s.salt[0] ^= 1,
            |s| s.net = Money::from_nano(-1),
            |s| s.base = Money::from_nano(1),
            |s| s.metered.import = Energy::from_wh(1),
            |s| s.metered.production = Some(Energy::ZERO),
            |s| s.substituted = true,
            |s| s.closing_sold = Energy::from_wh(1),
            |s| s.account_id = AccountId::network(),
        ];
        let leaves: HashSet<Hash> = changes
            .iter()
            .map(|change| {
                let mut statement = row();
                change(&mut statement);
                domain().leaf(DateTime::UNIX_EPOCH, 0, &statement)
            })
            .collect();
        assert_eq!(leaves.len(), changes.len());
    }
}

//! The receipt's file format, and what can be said of a receipt without asking the chain.

use chrono::{DateTime, Timelike, Utc};
use domain::ids::{AccountId, CommunityId};
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::commitment::{Domain, SlotRevision};
use crate::merkle::{self, Hash, Tree};
use crate::statement::Statement;

/// The version of the file format, and of the leaf's encoding.
pub const VERSION: u32 = 2;
/// A tree of this depth has more leaves than any batch.
const MAX_PROOF: usize = 64;

/// A member's proof of what a slot was settled with: a statement, the salt of its leaf, and the way
/// from the leaf to the root that the contract keeps for the batch. Hex is lower case with `0x`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Of the file's format; 2.
    pub version: u32,
    /// The EIP-155 chain id.
    pub chain_id: u64,
    /// The credit contract's address.
    pub contract: String,
    /// The community.
    pub community_id: String,
    /// The slot's start, in whole seconds.
    pub slot_start: DateTime<Utc>,
    /// The slot's end, in whole seconds; it belongs to the next slot.
    pub slot_end: DateTime<Utc>,
    /// Which correction of the slot; 0 is the first pricing.
    pub revision: i32,
    /// The batch's id, 32 bytes.
    pub batch_id: String,
    /// The account.
    pub account_id: String,
    /// Where the account lived on the chain when the slot was priced.
    pub chain_address: String,
    /// The figures.
    pub statement: Statement,
    /// The salt of the leaf, 32 bytes.
    pub salt: String,
    /// The leaf of the statement, 32 bytes.
    pub leaf: String,
    /// The siblings from the leaf up to the root, 32 bytes each.
    pub proof: Vec<String>,
}

/// What the chain must say of a receipt that is consistent in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The credit contract.
    pub contract: Address,
    /// The chain that it is on.
    pub chain_id: u64,
    /// The batch's id.
    pub batch_id: Hash,
    /// The leaf, computed from the statement.
    pub leaf: Hash,
    /// The proof.
    pub proof: Vec<Hash>,
    /// The root that the proof leads to.
    pub root: Hash,
}

/// A receipt is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReceipt {
    /// It is no receipt of this version.
    #[error("this is no receipt: {0}")]
    Format(String),
    /// A field is not written as a receipt writes it.
    #[error("{field} is not written as a receipt writes it: the file was changed")]
    Field {
        /// Which field.
        field: &'static str,
    },
    /// The version is another.
    #[error("the receipt has version {0}, but only version {VERSION} can be checked")]
    Version(u32),
    /// The money does not add up.
    #[error("the statement's parts add up to {sum_nano} nano-currency, but its net says {net_nano}")]
    Sum {
        /// The sum.
        sum_nano: i64,
        /// What the statement says.
        net_nano: i64,
    },
    /// The batch id belongs to another slot, revision, community, contract or chain.
    #[error("batch_id is not that of this slot, revision, community, contract and chain")]
    BatchId,
    /// The leaf is not the statement's.
    #[error("leaf is not the hash of the statement, its account, its slot and its salt")]
    Leaf,
}

impl Receipt {
    /// Reads a file. What a receipt would write otherwise is refused, be it the case of a hex digit.
    ///
    /// # Errors
    /// [`InvalidReceipt::Format`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidReceipt> {
        let format = |error: serde_json::Error| InvalidReceipt::Format(error.to_string());
        let written: serde_json::Value = serde_json::from_str(text).map_err(format)?;
        let receipt: Self = serde_json::from_str(text).map_err(format)?;
        if serde_json::to_value(&receipt).map_err(format)? != written {
            return Err(InvalidReceipt::Format("it is not written as receipts are: it was changed".into()));
        }
        Ok(receipt)
    }

    /// The receipt of an account, from all leaves of its batch; `None` if its own is not among them.
    #[must_use]
    pub fn new(
        domain: &Domain,
        slot: &SlotRevision,
        (account_id, chain_address): (&AccountId, &Address),
        (statement, salt): (Statement, &[u8; 32]),
        tree: &Tree,
    ) -> Option<Self> {
        let leaf = domain.leaf(slot, account_id, chain_address, &statement, salt);
        Some(Self {
            version: VERSION,
            chain_id: domain.chain_id,
            contract: domain.credit.to_string(),
            community_id: domain.community_id.to_string(),
            slot_start: slot.start,
            slot_end: slot.end,
            revision: slot.revision,
            batch_id: hex32(&domain.batch_id(slot.start, slot.revision).0),
            account_id: account_id.to_string(),
            chain_address: chain_address.to_string(),
            statement,
            salt: hex32(salt),
            leaf: hex32(&leaf),
            proof: tree.proof(&leaf)?.iter().map(hex32).collect(),
        })
    }

    /// Checks what needs no chain: the leaf and the batch id follow from the figures, the money adds
    /// up. What is left to ask of the chain is returned.
    ///
    /// # Errors
    /// [`InvalidReceipt`] with what does not fit.
    pub fn check(&self) -> Result<Checked, InvalidReceipt> {
        if self.version != VERSION {
            return Err(InvalidReceipt::Version(self.version));
        }
        let (domain, slot) = (self.domain()?, self.slot()?);
        let account = AccountId::new(&self.account_id).map_err(|_| field("account_id"))?;
        let address = address(&self.chain_address).ok_or(field("chain_address"))?;
        let salt = bytes32(&self.salt).ok_or(field("salt"))?;
        let sum = self.statement.sum().map_err(|_| field("statement"))?;
        if sum != self.statement.net_nano {
            return Err(InvalidReceipt::Sum { sum_nano: sum.0, net_nano: self.statement.net_nano.0 });
        }
        let batch_id = domain.batch_id(slot.start, slot.revision).0;
        if self.batch_id != hex32(&batch_id) {
            return Err(InvalidReceipt::BatchId);
        }
        let leaf = domain.leaf(&slot, &account, &address, &self.statement, &salt);
        if self.leaf != hex32(&leaf) {
            return Err(InvalidReceipt::Leaf);
        }
        if self.proof.len() > MAX_PROOF {
            return Err(field("proof"));
        }
        let proof: Option<Vec<Hash>> = self.proof.iter().map(|sibling| bytes32(sibling)).collect();
        let proof = proof.ok_or(field("proof"))?;
        let root = merkle::root_of(&leaf, &proof);
        Ok(Checked { contract: domain.credit, chain_id: self.chain_id, batch_id, leaf, proof, root })
    }

    fn domain(&self) -> Result<Domain, InvalidReceipt> {
        Ok(Domain {
            chain_id: self.chain_id,
            credit: address(&self.contract).ok_or(field("contract"))?,
            community_id: CommunityId::new(&self.community_id).map_err(|_| field("community_id"))?,
        })
    }

    fn slot(&self) -> Result<SlotRevision, InvalidReceipt> {
        // The leaf holds whole seconds: a fraction would be a change that no hash shows.
        let whole = |time: DateTime<Utc>, name| {
            if time.nanosecond() == 0 { Ok(time) } else { Err(field(name)) }
        };
        Ok(SlotRevision {
            start: whole(self.slot_start, "slot_start")?,
            end: whole(self.slot_end, "slot_end")?,
            revision: self.revision,
        })
    }
}

fn field(field: &'static str) -> InvalidReceipt {
    InvalidReceipt::Field { field }
}

/// 32 bytes as `0x` and lower-case hex digits.
#[must_use]
pub fn hex32(bytes: &Hash) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Reads what [`hex32`] writes, and nothing else.
fn bytes32(text: &str) -> Option<Hash> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    (hex32(&bytes) == text).then_some(bytes)
}

/// Reads an address in lower case, and nothing else.
fn address(text: &str) -> Option<Address> {
    text.parse().ok().filter(|address: &Address| address.to_string() == text)
}

#[cfg(test)]
mod tests;

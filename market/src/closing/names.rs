//! Which members buyers name, and which of the sellers are they.
//!
//! Names are hashed while the sites are read, as long as they are at hand. From then on hashes are compared; the
//! texts are read again, from all over the memory, only where two hashes are the same.

use std::hash::BuildHasher;

use domain::ids::MemberId;
use domain::units::Overflow;
use hashbrown::{DefaultHashBuilder, HashTable};

/// The members that buyers name, numbered, and the hashes of the sellers' members.
#[derive(Default)]
pub(super) struct Names<'a> {
    hasher: DefaultHashBuilder,
    named: HashTable<Named<'a>>,
    /// The numbers of the members that the buyers name, one buyer after the other.
    partners: Vec<u32>,
    /// Of each seller, in the order of the sites, as long as anybody is named.
    sellers: Vec<u64>,
}

struct Named<'a> {
    hash: u64,
    member: &'a MemberId,
    number: u32,
}

impl<'a> Names<'a> {
    /// Numbers the members that a buyer names. Returns from where and up to where their numbers are.
    pub(super) fn name(&mut self, members: &'a [MemberId]) -> Result<(u32, u32), Overflow> {
        let from = number(self.partners.len())?;
        for member in members {
            let hash = self.hasher.hash_one(member);
            let next = number(self.named.len())?;
            let is_same = |named: &Named<'_>| named.hash == hash && named.member == member;
            let entry = self.named.entry(hash, is_same, |named| named.hash);
            self.partners.push(entry.or_insert(Named { hash, member, number: next }).get().number);
        }
        Ok((from, number(self.partners.len())?))
    }

    /// Notes the members of further sellers.
    pub(super) fn note_sellers<'b>(&mut self, members: impl Iterator<Item = &'b MemberId>) {
        let Self { hasher, sellers, .. } = self;
        sellers.extend(members.map(|member| hasher.hash_one(member)));
    }

    /// Whether any member is named.
    pub(super) fn is_any(&self) -> bool {
        !self.named.is_empty()
    }

    /// How many members are named.
    pub(super) fn count(&self) -> usize {
        self.named.len()
    }

    /// The numbers of the members that a buyer names.
    pub(super) fn partners(&self, from: u32, to: u32) -> &[u32] {
        &self.partners[from as usize..to as usize]
    }

    /// The number of the member of a seller, if a buyer names it: of the seller at a place among the sellers.
    pub(super) fn number_of<'b>(&self, seller: usize, member: impl Fn() -> &'b MemberId) -> Option<u32> {
        let hash = *self.sellers.get(seller)?;
        self.named
            .find(hash, |named| named.hash == hash && named.member == member())
            .map(|named| named.number)
    }
}

fn number(count: usize) -> Result<u32, Overflow> {
    u32::try_from(count).map_err(|_| Overflow { unit: "partners", operation: "numbering" })
}

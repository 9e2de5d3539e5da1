//! The free credits of the members who bid in a batch, kept up to date within it.

use std::collections::HashMap;

use domain::ids::MemberId;
use domain::units::{Money, Overflow};

/// Free credits at the start of the batch, less what the batch has used.
#[derive(Debug, Default)]
pub(super) struct Credits(HashMap<MemberId, Money>);

impl Credits {
    pub(super) fn new(free: HashMap<MemberId, Money>) -> Self {
        Self(free)
    }

    /// What a member may still spend; nothing if the member was not looked up.
    pub(super) fn free(&self, member: &MemberId) -> Money {
        self.0.get(member).copied().unwrap_or_default()
    }

    /// Takes what a command used, less what it set free.
    pub(super) fn settle(&mut self, member: &MemberId, freed: Money, used: Money) -> Result<(), Overflow> {
        if let Some(free) = self.0.get_mut(member) {
            *free = free.checked_add(freed)?.checked_sub(used)?;
        }
        Ok(())
    }
}

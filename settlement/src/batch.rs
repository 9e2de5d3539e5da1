//! What becomes of a batch, and of the transaction that carries it: pure decisions.
//!
//! `prepared -> signed -> broadcast -> final`, or `void` at once if it has nothing to move. Only
//! finality confirms: a mined transaction can be taken back by a reorganisation, so it is watched
//! until it is deep enough. A batch whose transaction reverted goes back to `prepared`, unless the
//! contract knows the batch id: then it was settled before.

pub mod chunks;

use chrono::TimeDelta;
use store::batches::BatchStatus;

use crate::chain::TxStatus;

/// What moves a batch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its transaction was signed and stored.
    Sign,
    /// Its transaction was handed to a node.
    Send,
    /// Its transaction is final and succeeded, or the contract knows its id.
    Finish,
    /// Its transaction is final and failed, and the contract does not know its id.
    Fail,
}

/// A step that a batch in that state cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a batch that is {state:?} cannot {step:?}: another process may have moved it, read it again")]
pub struct IllegalStep {
    /// The batch's state.
    pub state: BatchStatus,
    /// The refused step.
    pub step: Step,
}

/// The status after a step.
///
/// # Errors
/// [`IllegalStep`] if the step does not lead on from there.
pub const fn after(state: BatchStatus, step: Step) -> Result<BatchStatus, IllegalStep> {
    use BatchStatus::{Broadcast, Final, Prepared, Signed};
    match (state, step) {
        (Prepared, Step::Sign) => Ok(Signed),
        (Signed, Step::Send) => Ok(Broadcast),
        // A crash may lie between handing the bytes to a node and writing that down.
        (Signed | Broadcast, Step::Finish) => Ok(Final),
        (Signed | Broadcast, Step::Fail) => Ok(Prepared),
        (state, step) => Err(IllegalStep { state, step }),
    }
}

/// When a transaction counts as final, and when it is offered a higher fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Blocks that must stand on a transaction, its own included, for it to be final; at least 1.
    pub confirmations: u64,
    /// How long a transaction may wait to be mined before it is replaced at a higher fee.
    pub replace_after: TimeDelta,
}

/// What to do about a transaction that was handed to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing yet.
    Wait,
    /// Hand the same bytes to the node again: it has dropped them, or never had them.
    Resend,
    /// Sign again with the same nonce and a higher fee.
    Replace,
    /// It is final and succeeded.
    Finish,
    /// It is final and failed: ask the contract whether the batch was settled all the same.
    Fail,
}

/// Decides from one observation; `waited` is the time since the latest attempt was signed.
#[must_use]
pub fn decide(status: &TxStatus, waited: TimeDelta, policy: &Policy) -> Action {
    match status {
        TxStatus::Mined { confirmations, .. } if *confirmations < policy.confirmations => Action::Wait,
        TxStatus::Mined { succeeded: true, .. } => Action::Finish,
        TxStatus::Mined { succeeded: false, .. } => Action::Fail,
        TxStatus::Unknown => Action::Resend,
        TxStatus::Pending if waited >= policy.replace_after => Action::Replace,
        TxStatus::Pending => Action::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { confirmations: 3, replace_after: TimeDelta::seconds(60) };

    fn mined(confirmations: u64, succeeded: bool) -> TxStatus {
        TxStatus::Mined { block_number: 7, confirmations, succeeded, gas_used: 21_000 }
    }

    #[test]
    fn only_depth_confirms() {
        let soon = TimeDelta::zero();
        assert_eq!(decide(&mined(2, true), soon, &POLICY), Action::Wait);
        assert_eq!(decide(&mined(2, false), soon, &POLICY), Action::Wait);
        assert_eq!(decide(&mined(3, true), soon, &POLICY), Action::Finish);
        assert_eq!(decide(&mined(3, false), soon, &POLICY), Action::Fail);
    }

    #[test]
    fn dropped_is_resent_and_stuck_is_replaced() {
        assert_eq!(decide(&TxStatus::Unknown, TimeDelta::seconds(999), &POLICY), Action::Resend);
        assert_eq!(decide(&TxStatus::Pending, TimeDelta::seconds(59), &POLICY), Action::Wait);
        assert_eq!(decide(&TxStatus::Pending, TimeDelta::seconds(60), &POLICY), Action::Replace);
    }

    #[test]
    fn the_states_lead_on_in_one_direction_only() {
        use BatchStatus::{Broadcast, Final, Prepared, Signed, Void};
        assert_eq!(after(Prepared, Step::Sign), Ok(Signed));
        assert_eq!(after(Signed, Step::Send), Ok(Broadcast));
        assert_eq!(after(Broadcast, Step::Finish), Ok(Final));
        assert_eq!(after(Broadcast, Step::Fail), Ok(Prepared));
        for state in [Final, Void] {
            for step in [Step::Sign, Step::Send, Step::Finish, Step::Fail] {
                assert!(after(state, step).is_err());
            }
        }
        assert!(after(Signed, Step::Sign).is_err() && after(Prepared, Step::Finish).is_err());
    }
}

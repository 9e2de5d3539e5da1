//! Why a record is not stored.

use chrono::{DateTime, Utc};

use crate::ocmf::OcmfError;

/// Why a record was quarantined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not a record.
    #[error("not a record: {0}")]
    NotARecord(OcmfError),
    /// It names another community or agent than the topic it came on.
    #[error("it names agent {agent} of {community}, but came on another's topic")]
    WrongTopic {
        /// The community it names.
        community: String,
        /// The agent it names.
        agent: String,
    },
    /// No such agent is enrolled.
    #[error("no such agent is enrolled")]
    UnknownAgent,
    /// The agent's key was revoked.
    #[error("the agent's key is revoked")]
    Revoked,
    /// The agent's key does not verify it.
    #[error("{0}")]
    Signature(OcmfError),
    /// The meter is another agent's.
    #[error("meter {meter} belongs to another agent")]
    NotItsMeter {
        /// The meter.
        meter: String,
    },
    /// Its boundary is none of the community's.
    #[error("{slot_end} is not a slot boundary of the community")]
    NotABoundary {
        /// What it says.
        slot_end: DateTime<Utc>,
    },
    /// Its boundary is in the future.
    #[error("its boundary {slot_end} is in the future: check the agent's clock")]
    Future {
        /// What it says.
        slot_end: DateTime<Utc>,
    },
    /// It was not read at its boundary.
    #[error("it was read at {read_at}, which is not within the slot after its boundary")]
    NotReadThen {
        /// What it says.
        read_at: DateTime<Utc>,
    },
    /// Its place in the sequence is taken by other bytes.
    #[error("its sequence number is taken by another record: two agents with one key, or a restored backup")]
    Fork,
    /// It does not name the record before it.
    #[error("it does not follow the stored record before it (the hash differs)")]
    Unchained,
    /// Its boundary does not fit between those beside it in the sequence.
    #[error("its boundary is not after that of the record before it, or not before that of the next")]
    OutOfOrder,
    /// A register fell within the epoch.
    #[error("a register is below that of the record before it, or above that of the next, in one epoch")]
    RegisterFell,
}

impl Refusal {
    /// Whether the record certainly comes from the meter's agent, so that it fills its place in the
    /// sequence although it is not stored.
    #[must_use]
    pub const fn origin_is_proven(&self) -> bool {
        match self {
            Self::NotARecord(_)
            | Self::WrongTopic { .. }
            | Self::UnknownAgent
            | Self::Revoked
            | Self::Signature(_)
            | Self::NotItsMeter { .. } => false,
            Self::NotABoundary { .. }
            | Self::Future { .. }
            | Self::NotReadThen { .. }
            | Self::Fork
            | Self::Unchained
            | Self::OutOfOrder
            | Self::RegisterFell => true,
        }
    }
}

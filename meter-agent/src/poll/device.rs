//! What is polled, and in whose name it is signed.

use chrono::{DateTime, SubsecRound, Utc};
use domain::ids::{AgentId, CommunityId, MeterId};
use domain::reading::{Reading, Registers};
use p256::ecdsa::SigningKey;

use crate::continuity::Continuity;
use crate::ocmf::{self, Record, TimeStatus};
use crate::outbox::Position;
use crate::source::{MeterSource, Sample};

/// A meter, and what it is read with.
pub struct PolledDevice {
    /// The meter.
    pub meter_id: MeterId,
    /// The template, as `id@version`.
    pub template: String,
    /// Whether not being reachable is normal, at night.
    pub sleeps_at_night: bool,
    /// What it is read with.
    pub source: Box<dyn MeterSource>,
    /// Judges whether its registers follow on.
    pub(super) continuity: Continuity,
    /// Whether the last boundary was missed: such devices are read after the others of their endpoint,
    /// so that a dead unit does not starve them.
    pub(super) failed_before: bool,
}

impl PolledDevice {
    /// A device that has not been read yet.
    #[must_use]
    pub fn new(meter_id: MeterId, template: String, source: Box<dyn MeterSource>) -> Self {
        Self {
            meter_id,
            template,
            sleeps_at_night: false,
            source,
            continuity: Continuity::default(),
            failed_before: false,
        }
    }
}

impl std::fmt::Debug for PolledDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolledDevice").field("meter_id", &self.meter_id).finish_non_exhaustive()
    }
}

/// The devices of one endpoint, read in turn.
#[derive(Debug, Default)]
pub struct Group {
    /// The devices.
    pub devices: Vec<PolledDevice>,
}

/// Signs in the name of an agent.
pub struct Signer {
    /// The agent's key.
    pub key: SigningKey,
    /// The community.
    pub community_id: CommunityId,
    /// The agent.
    pub agent_id: AgentId,
    /// Changes with every start of the agent.
    pub boot_id: String,
    /// How the agent's clock is kept, if nobody is asked at each boundary.
    pub time_status: TimeStatus,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("agent_id", &self.agent_id).finish_non_exhaustive()
    }
}

/// A sample that is to be signed for a boundary.
#[derive(Debug, Clone)]
pub(super) struct Unsigned {
    pub(super) meter_id: MeterId,
    pub(super) template: String,
    pub(super) slot_end: DateTime<Utc>,
    pub(super) registers: Registers,
    pub(super) sample: Sample,
    pub(super) time_status: TimeStatus,
}

impl Signer {
    /// The signed record of a sample at its place in the sequence.
    pub(super) fn sign(&self, unsigned: &Unsigned, position: &Position) -> String {
        let record = Record {
            community_id: self.community_id.clone(),
            agent_id: self.agent_id.clone(),
            reading: Reading {
                meter_id: unsigned.meter_id.clone(),
                epoch: position.epoch,
                seq: position.seq,
                slot_end: unsigned.slot_end,
                // The record carries milliseconds.
                read_at: unsigned.sample.read_at.trunc_subsecs(3),
                registers: unsigned.registers,
                power: unsigned.sample.power(),
            },
            previous: position.previous,
            boot_id: self.boot_id.clone(),
            time_status: unsigned.time_status,
            template: unsigned.template.clone(),
            device: unsigned.sample.device.clone(),
            quality: unsigned.sample.quality.clone(),
            resolution_mwh: unsigned.sample.resolution_mwh,
            raw: unsigned.sample.raw.clone(),
        };
        ocmf::sign(&record, &self.key)
    }
}

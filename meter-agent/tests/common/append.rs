//! Records in an outbox, as a poller would have stored them.
#![allow(dead_code)] // each test uses its part

use chrono::{DateTime, Utc};
use domain::ids::{AgentId, MeterId};
use meter_agent::ocmf;
use meter_agent::outbox::{Draft, Outbox, OutboxError, Position};

use super::community::{key, record};

/// One boundary of all meters in an outbox.
///
/// # Errors
/// The outbox's.
pub(crate) fn append(
    outbox: &Outbox,
    agent: &AgentId,
    meters: &[MeterId],
    number: i64,
    slot_end: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let registers = record(number, [0; 32]).reading.registers;
    let drafts: Vec<Draft> = meters
        .iter()
        .map(|meter_id| Draft {
            meter_id: meter_id.clone(),
            slot_end,
            registers,
            offset_mwh: [0; 2],
            serial: None,
            new_epoch: false,
        })
        .collect();
    let sign = |index: usize, position: &Position| {
        let mut record = record(position.seq, position.previous);
        record.agent_id = agent.clone();
        record.reading.meter_id = meters[index].clone();
        (record.reading.slot_end, record.reading.read_at) = (slot_end, slot_end);
        (record.reading.epoch, record.reading.registers) = (position.epoch, registers);
        ocmf::sign(&record, &key())
    };
    outbox.append(&drafts, sign).map(drop)
}

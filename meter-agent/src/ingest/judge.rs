//! What each message is worth, by itself: pure, and the part that costs time.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AgentId, CommunityId};
use domain::slot::{Slot, SlotLength};
use store::agents::Status;
use store::readings::{LostNumbers, NewReading, Quarantined, SequenceKey};

use super::directory::Known;
use super::{Message, Outcome, Refusal};
use crate::continuity::production::{BEGINS_ANEW, IMPLAUSIBLE};
use crate::lost::{self, Lost};
use crate::ocmf::{self, OcmfError, ParsedRecord, RecordHash};
use crate::wire::{parse_enrolment_topic, parse_health_topic, parse_readings_topic};

/// How far an agent's clock may be ahead of ours.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);
/// More threads than one batch is worth.
const MAX_THREADS: usize = 8;
/// Fewer messages are not worth a thread of their own.
const LEAST_PART: usize = 32;
/// What is kept of a message that is too large for a record.
const KEPT_BYTES: usize = 16 * 1024;

/// A message whose topic names an agent.
#[derive(Debug, Clone)]
pub(super) struct Addressed {
    pub(super) community: CommunityId,
    pub(super) agent: AgentId,
    pub(super) payload: Vec<u8>,
}

/// A record that is good as far as it can be judged by itself.
#[derive(Debug, Clone)]
pub(super) struct Good {
    pub(super) agent: AgentId,
    pub(super) previous: RecordHash,
    pub(super) reading: NewReading,
    /// Flags that an operator should see.
    pub(super) flags: Vec<String>,
}

impl Good {
    pub(super) fn key(&self) -> SequenceKey {
        let reading = &self.reading.reading;
        SequenceKey { meter_id: reading.meter_id.clone(), epoch: reading.epoch, seq: reading.seq }
    }

    /// The same record as one that is to be kept aside.
    pub(super) fn quarantined(&self, refusal: &Refusal) -> Quarantined {
        Quarantined {
            agent_id: self.agent.to_string(),
            reason: refusal.to_string(),
            record: self.reading.record.clone().into_bytes(),
            record_sha256: self.reading.record_sha256,
            position: Some(self.key()),
        }
    }
}

/// A batch of one community, judged.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) good: Vec<Good>,
    pub(super) quarantined: Vec<(AgentId, Quarantined)>,
    /// Numbers that agents say they have no more.
    pub(super) lost: Vec<(AgentId, LostNumbers)>,
    pub(super) held: usize,
}

/// Sorts messages by the community that their topic names.
pub(super) fn by_community(
    messages: &[Message],
    outcome: &mut Outcome,
) -> BTreeMap<CommunityId, Vec<Addressed>> {
    let mut sorted: BTreeMap<CommunityId, Vec<Addressed>> = BTreeMap::new();
    for message in messages {
        match parse_readings_topic(&message.topic) {
            Some((community, agent)) => {
                let payload = message.payload.clone();
                sorted.entry(community.clone()).or_default().push(Addressed { community, agent, payload });
            }
            None if parse_enrolment_topic(&message.topic).is_some() => {}
            None if parse_health_topic(&message.topic).is_some() => {}
            None => outcome.held += 1,
        }
    }
    sorted
}

/// Judges a batch on as many threads as there are cores, since verifying signatures is what takes the time.
///
/// # Errors
/// If a thread panicked.
pub(super) async fn in_parallel(
    known: Arc<Known>,
    mut messages: Vec<Addressed>,
    now: DateTime<Utc>,
) -> Result<Judged, tokio::task::JoinError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let part = messages.len().div_ceil(threads).max(LEAST_PART);
    let mut running = Vec::with_capacity(threads);
    while !messages.is_empty() {
        let rest = messages.split_off(part.min(messages.len()));
        let (known, messages) = (known.clone(), std::mem::replace(&mut messages, rest));
        running.push(tokio::task::spawn_blocking(move || judge(&known, messages, now)));
    }
    let mut judged = Judged::default();
    for part in running {
        let part = part.await?;
        judged.good.extend(part.good);
        judged.quarantined.extend(part.quarantined);
        judged.lost.extend(part.lost);
        judged.held += part.held;
    }
    Ok(judged)
}

/// Judges each message by itself.
fn judge(known: &Known, messages: Vec<Addressed>, now: DateTime<Utc>) -> Judged {
    let mut judged = Judged::default();
    for message in messages {
        if lost::is_statement(&message.payload) {
            match lost_numbers(known, &message) {
                Some(lost) => judged.lost.push((message.agent, lost)),
                None => judged.held += 1,
            }
            continue;
        }
        match one(known, &message, now) {
            Ok(Some(good)) => judged.good.push(good),
            Ok(None) => judged.held += 1,
            Err((refusal, position)) => {
                let quarantined = Quarantined {
                    agent_id: message.agent.to_string(),
                    reason: refusal.to_string().replace('\0', ""),
                    record_sha256: ocmf::sha256_of(&message.payload),
                    record: message.payload.into_iter().take(KEPT_BYTES).collect(),
                    position: position.filter(|_| refusal.origin_is_proven()),
                };
                judged.quarantined.push((message.agent, quarantined));
            }
        }
    }
    judged
}

/// What an approved agent says that it has no more of its own meter's numbers.
fn lost_numbers(known: &Known, message: &Addressed) -> Option<LostNumbers> {
    let Some((Status::Approved, Some(key))) = known.agents.get(&message.agent) else { return None };
    let lost = lost::verify(&message.payload, key);
    let is_its_own = |lost: &Lost| {
        (&lost.community_id, &lost.agent_id) == (&message.community, &message.agent)
            && known.meters.get(&lost.gap.meter_id) == Some(&message.agent)
    };
    let Some(lost) = lost.filter(is_its_own) else {
        tracing::warn!(community = %message.community, agent = %message.agent,
            "a statement about lost records is not its agent's, or not about its meter");
        return None;
    };
    Some(LostNumbers {
        agent_id: message.agent.to_string(),
        meter_id: lost.gap.meter_id,
        epoch: lost.gap.epoch,
        first: lost.gap.first,
        last: lost.gap.last,
        statement: message.payload.clone(),
    })
}

type Refused = (Refusal, Option<SequenceKey>);

/// A good record, `None` for one that waits for an enrolment, or why it is refused.
fn one(known: &Known, message: &Addressed, now: DateTime<Utc>) -> Result<Option<Good>, Refused> {
    let unproven = |refusal| (refusal, None);
    let text = std::str::from_utf8(&message.payload)
        .map_err(|_| unproven(Refusal::NotARecord(OcmfError::Format)))?;
    let parsed = ocmf::parse(text).map_err(|error| unproven(Refusal::NotARecord(error)))?;
    if (&parsed.community_id, &parsed.agent_id) != (&message.community, &message.agent) {
        let (community, agent) = (parsed.community_id.to_string(), parsed.agent_id.to_string());
        return Err(unproven(Refusal::WrongTopic { community, agent }));
    }
    let key = match known.agents.get(&message.agent) {
        None => return Err(unproven(Refusal::UnknownAgent)),
        Some((Status::Revoked, _)) => return Err(unproven(Refusal::Revoked)),
        Some((Status::Pending, _)) => return Ok(None),
        Some((Status::Approved, key)) => {
            key.as_ref().ok_or_else(|| unproven(Refusal::Signature(OcmfError::Signature)))?
        }
    };
    ocmf::verify(text, key).map_err(|error| unproven(Refusal::Signature(error)))?;
    let meter_id = &parsed.reading.meter_id;
    match known.meters.get(meter_id) {
        None => return Ok(None),
        Some(agent) if *agent != message.agent => {
            return Err(unproven(Refusal::NotItsMeter { meter: meter_id.to_string() }));
        }
        Some(_) => {}
    }
    for flag in parsed.quality.iter().filter(|flag| is_event(flag)) {
        tracing::warn!(%meter_id, slot_end = %parsed.reading.slot_end, %flag, "a meter wants to be looked at");
    }
    let good = Good {
        agent: message.agent.clone(),
        previous: parsed.previous,
        reading: NewReading {
            record: text.to_owned(),
            record_sha256: ocmf::sha256(text),
            reading: parsed.reading.clone(),
        },
        flags: parsed.quality.iter().filter(|flag| is_event(flag)).cloned().collect(),
    };
    match time_is_wrong(&parsed, known.slot_length, now) {
        Some(refusal) => Err((refusal, Some(good.key()))),
        None => Ok(Some(good)),
    }
}

/// Flags that an operator should see; others only say that a momentary value is missing.
fn is_event(flag: &str) -> bool {
    flag.starts_with("new_epoch_")
        || matches!(flag, "register_rolled_over" | "phase_sum_differs" | IMPLAUSIBLE | BEGINS_ANEW)
}

/// Whether the times of a record cannot be right.
fn time_is_wrong(parsed: &ParsedRecord, slot_length: SlotLength, now: DateTime<Utc>) -> Option<Refusal> {
    let (slot_end, read_at) = (parsed.reading.slot_end, parsed.reading.read_at);
    if Slot::starting_at(slot_end, slot_length).is_err() {
        return Some(Refusal::NotABoundary { slot_end });
    }
    if slot_end > now + CLOCK_SKEW {
        return Some(Refusal::Future { slot_end });
    }
    if read_at < slot_end || read_at - slot_end > slot_length.delta() {
        return Some(Refusal::NotReadThen { read_at });
    }
    None
}

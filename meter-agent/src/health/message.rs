//! The health message: what it says, how it is written and signed, and how it is read again.
//!
//! `BUSBAR-HEALTH-1|{payload}|{signature}`: see [`crate::signed_text`].

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::ids::{AgentId, CommunityId, MeterId};
use p256::ecdsa::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::board::{AgentState, DeviceState, Event, State};
use crate::ocmf::TimeStatus;
use crate::signed_text::{self, Unbelieved};

const HEADER: &str = "BUSBAR-HEALTH-1";
/// The most bytes of a message.
const MAX_BYTES: usize = 48 * 1024;
/// The most devices in a message; further ones have messages of their own.
pub(super) const MAX_DEVICES: usize = 32;
/// The most events in a message.
pub(super) const MAX_EVENTS: usize = 16;
const MAX_CLASSES: usize = 8;
const MAX_DAYS: usize = 2;
const MAX_NAME: usize = 40;
const MAX_WORDS: usize = 200;
/// How far an agent's clock may be ahead of the reader's.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The community.
    pub community_id: CommunityId,
    /// The agent that says it.
    pub agent_id: AgentId,
    /// When, by its clock; to the millisecond.
    pub at: DateTime<Utc>,
    /// How the agent is.
    pub agent: AgentState,
    /// How devices are.
    pub devices: Vec<Said>,
    /// What happened lately.
    pub events: Vec<Event>,
}

/// What a message says of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its meter.
    pub meter_id: MeterId,
    /// How it is.
    pub state: State,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// The stable name of what is wrong.
    pub class: Option<String>,
    /// When it was last read.
    pub last_success_at: Option<DateTime<Utc>>,
    /// How often each class of error occurred since the agent's start; the eight most frequent.
    pub errors: BTreeMap<String, i64>,
    /// Today and yesterday (UTC): boundaries that the agent stored, of those that were due.
    pub days: Vec<DayOf>,
}

/// How complete a day is at the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayOf {
    /// The UTC day.
    pub day: NaiveDate,
    /// Boundaries that the agent stored.
    pub stored: u32,
    /// Boundaries that were due since its first record of the device.
    pub due: u32,
}

impl Said {
    /// What is to be said of a device.
    #[must_use]
    pub fn new(meter_id: MeterId, device: &DeviceState, days: Vec<DayOf>) -> Self {
        let mut errors: Vec<(&str, u64)> =
            device.errors.iter().map(|(class, count)| (*class, *count)).collect();
        errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let counted =
            |(class, count): (&str, u64)| (class.to_owned(), i64::try_from(count).unwrap_or(i64::MAX));
        Self {
            meter_id,
            state: device.state,
            since: device.since,
            class: device.class.map(str::to_owned),
            last_success_at: device.last_success_at,
            errors: errors.into_iter().take(MAX_CLASSES).map(counted).collect(),
            days,
        }
    }
}

/// A text is no health message of its agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHealth {
    /// It is larger than any, or does not have its three parts.
    #[error("not a health message: it must read {HEADER}|payload|signature, in at most {MAX_BYTES} bytes")]
    Format,
    /// The agent's key does not verify it.
    #[error("the signature does not fit the health message and the agent's key")]
    Signature,
    /// The payload is not the JSON it should be.
    #[error("the health message is not valid: {0}")]
    Json(String),
    /// A field has a value that it cannot have.
    #[error("the health message's {0}")]
    Field(&'static str),
}

/// Writes and signs a message.
#[must_use]
pub fn sign(health: &Health, key: &SigningKey) -> String {
    // A structure of numbers and plain texts can always be written. A bar inside would end it too early.
    let payload = serde_json::to_string(&Wire::from(health)).unwrap_or_default().replace('|', "/");
    signed_text::sign(HEADER, &payload, key)
}

/// Reads a message that must be signed with the key that belongs to `key`, at most a minute in the future.
///
/// # Errors
/// [`InvalidHealth`] with what is wrong.
pub fn verify(text: &[u8], key: &VerifyingKey, now: DateTime<Utc>) -> Result<Health, InvalidHealth> {
    let payload = signed_text::verify(text, HEADER, MAX_BYTES, key).map_err(|why| match why {
        Unbelieved::Format => InvalidHealth::Format,
        Unbelieved::Signature => InvalidHealth::Signature,
    })?;
    let wire: Wire = serde_json::from_str(payload).map_err(|error| InvalidHealth::Json(error.to_string()))?;
    let health = Health::try_from(wire)?;
    if health.at > now + CLOCK_SKEW {
        return Err(InvalidHealth::Field("time is in the future: check the agent's clock"));
    }
    Ok(health)
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    community_id: String,
    agent_id: String,
    at_ms: i64,
    outbox_records: Option<i64>,
    outbox_oldest_at_ms: Option<i64>,
    certificate_days: Option<i32>,
    clock: TimeStatus,
    devices: Vec<WireDevice>,
    events: Vec<WireEvent>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDevice {
    meter_id: String,
    state: String,
    since_ms: Option<i64>,
    class: Option<String>,
    last_success_at_ms: Option<i64>,
    errors: BTreeMap<String, i64>,
    days: Vec<DayOf>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEvent {
    meter_id: Option<String>,
    kind: String,
    at_ms: i64,
    since_ms: Option<i64>,
    words: String,
}

fn ms(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

impl From<&Health> for Wire {
    fn from(health: &Health) -> Self {
        let agent = &health.agent;
        Self {
            community_id: health.community_id.to_string(),
            agent_id: health.agent_id.to_string(),
            at_ms: ms(health.at),
            outbox_records: agent.outbox_records.and_then(|records| i64::try_from(records).ok()),
            outbox_oldest_at_ms: agent.outbox_oldest_at.map(ms),
            certificate_days: agent.certificate_days.and_then(|days| i32::try_from(days).ok()),
            clock: agent.clock,
            devices: health.devices.iter().take(MAX_DEVICES).map(WireDevice::from).collect(),
            events: health.events.iter().take(MAX_EVENTS).map(WireEvent::from).collect(),
        }
    }
}

impl From<&Said> for WireDevice {
    fn from(said: &Said) -> Self {
        Self {
            meter_id: said.meter_id.to_string(),
            state: said.state.as_str().to_owned(),
            since_ms: said.since.map(ms),
            class: said.class.clone(),
            last_success_at_ms: said.last_success_at.map(ms),
            errors: said.errors.clone(),
            days: said.days.iter().take(MAX_DAYS).copied().collect(),
        }
    }
}

impl From<&Event> for WireEvent {
    fn from(event: &Event) -> Self {
        Self {
            meter_id: event.meter_id.as_ref().map(ToString::to_string),
            kind: event.kind.clone(),
            at_ms: ms(event.at),
            since_ms: event.since.map(ms),
            words: event.words.clone(),
        }
    }
}

fn time(ms: i64) -> Result<DateTime<Utc>, InvalidHealth> {
    DateTime::from_timestamp_millis(ms)
        .filter(|time| (1970..=9999).contains(&chrono::Datelike::year(time)))
        .ok_or(InvalidHealth::Field("time is out of range"))
}

fn name(text: String) -> Result<String, InvalidHealth> {
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain && (1..=MAX_NAME).contains(&text.len()) {
        Ok(text)
    } else {
        Err(InvalidHealth::Field("names of kinds and classes must be 1 to 40 of a-z, 0-9 and '_'"))
    }
}

fn meter(text: &str) -> Result<MeterId, InvalidHealth> {
    MeterId::new(text).map_err(|_| InvalidHealth::Field("meter id is none"))
}

impl TryFrom<Wire> for Health {
    type Error = InvalidHealth;

    fn try_from(wire: Wire) -> Result<Self, InvalidHealth> {
        if wire.devices.len() > MAX_DEVICES || wire.events.len() > MAX_EVENTS {
            return Err(InvalidHealth::Field("lists are too long"));
        }
        let outbox_records = wire.outbox_records.map(u64::try_from).transpose();
        Ok(Self {
            community_id: CommunityId::new(&wire.community_id)
                .map_err(|_| InvalidHealth::Field("community id is none"))?,
            agent_id: AgentId::new(&wire.agent_id).map_err(|_| InvalidHealth::Field("agent id is none"))?,
            at: time(wire.at_ms)?,
            agent: AgentState {
                outbox_records: outbox_records
                    .map_err(|_| InvalidHealth::Field("outbox_records is negative"))?,
                outbox_oldest_at: wire.outbox_oldest_at_ms.map(time).transpose()?,
                certificate_days: wire.certificate_days.map(i64::from),
                clock: wire.clock,
            },
            devices: wire.devices.into_iter().map(Said::try_from).collect::<Result<_, _>>()?,
            events: wire.events.into_iter().map(Event::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<WireDevice> for Said {
    type Error = InvalidHealth;

    fn try_from(wire: WireDevice) -> Result<Self, InvalidHealth> {
        if wire.errors.len() > MAX_CLASSES || wire.errors.values().any(|count| *count < 0) {
            return Err(InvalidHealth::Field("errors are too many, or negative"));
        }
        if wire.days.len() > MAX_DAYS {
            return Err(InvalidHealth::Field("days are too many"));
        }
        let errors = wire.errors.into_iter().map(|(class, count)| Ok((name(class)?, count)));
        let state = State::ALL.into_iter().find(|state| state.as_str() == wire.state);
        Ok(Self {
            meter_id: meter(&wire.meter_id)?,
            state: state.ok_or(InvalidHealth::Field("state is none that a device has"))?,
            since: wire.since_ms.map(time).transpose()?,
            class: wire.class.map(name).transpose()?,
            last_success_at: wire.last_success_at_ms.map(time).transpose()?,
            errors: errors.collect::<Result<_, InvalidHealth>>()?,
            days: wire.days,
        })
    }
}

impl TryFrom<WireEvent> for Event {
    type Error = InvalidHealth;

    fn try_from(wire: WireEvent) -> Result<Self, InvalidHealth> {
        Ok(Self {
            meter_id: wire.meter_id.as_deref().map(meter).transpose()?,
            kind: name(wire.kind)?,
            at: time(wire.at_ms)?,
            since: wire.since_ms.map(time).transpose()?,
            words: wire.words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::DerSignature;
    use p256::ecdsa::signature::Signer;

    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_slice(&[byte; 32]).unwrap()
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_500, 0).unwrap()
    }

    fn health() -> Health {
        let meter_id = MeterId::new("meter-7").unwrap();
        Health {
            community_id: CommunityId::new("demo").unwrap(),
            agent_id: AgentId::new("agent-1").unwrap(),
            at: now(),
            agent: AgentState {
                outbox_records: Some(3),
                outbox_oldest_at: Some(now()),
                certificate_days: Some(-2),
                clock: TimeStatus::Unsynchronised,
            },
            devices: vec![Said {
                meter_id: meter_id.clone(),
                state: State::Failing,
                since: Some(now()),
                class: Some("timeout".to_owned()),
                last_success_at: None,
                errors: BTreeMap::from([("timeout".to_owned(), 2)]),
                days: vec![DayOf { day: now().date_naive(), stored: 3, due: 4 }; MAX_DAYS],
            }],
            events: vec![Event {
                meter_id: Some(meter_id),
                kind: "device_unreachable".to_owned(),
                at: now(),
                since: None,
                words: "no answer".to_owned(),
            }],
        }
    }

    fn resigned(from: &str, to: &str) -> String {
        let text = sign(&health(), &key(1));
        let (signed, _) = text.rsplit_once('|').unwrap();
        let changed = signed.replace(from, to);
        assert_ne!(signed, changed);
        let signature: DerSignature = key(1).sign(changed.as_bytes());
        format!("{changed}|{}", hex::encode(signature.as_bytes()))
    }

    #[test]
    fn what_is_signed_is_what_is_read() {
        let text = sign(&health(), &key(1));
        assert_eq!(verify(text.as_bytes(), key(1).verifying_key(), now()).unwrap(), health());
    }

    #[test]
    fn f47_what_is_not_the_agents_or_not_now_is_refused() {
        let text = sign(&health(), &key(1));
        let check = |text: &str| verify(text.as_bytes(), key(1).verifying_key(), now()).unwrap_err();
        assert_eq!(check(&text.replace("no answer", "all well")), InvalidHealth::Signature);
        let other = verify(text.as_bytes(), key(2).verifying_key(), now()).unwrap_err();
        assert_eq!(other, InvalidHealth::Signature);
        let early = verify(text.as_bytes(), key(1).verifying_key(), now() - TimeDelta::minutes(2));
        assert!(matches!(early, Err(InvalidHealth::Field(_))));
        assert_eq!(check(&text.replace(HEADER, "OCMF")), InvalidHealth::Format);
        assert_eq!(check(""), InvalidHealth::Format);
    }

    #[test]
    fn values_that_cannot_be_are_refused_although_they_are_signed() {
        for (from, to) in [
            ("\"failing\"", "\"fine\""),
            ("device_unreachable", "Device Gone"),
            ("\"outbox_records\":3", "\"outbox_records\":-3"),
            ("\"timeout\":2", "\"timeout\":-2"),
            ("meter-7", "meter 7"),
            ("\"clock\"", "\"more\":1,\"clock\""),
            ("1795000500000", "99999999999999999"),
        ] {
            let error = verify(resigned(from, to).as_bytes(), key(1).verifying_key(), now()).unwrap_err();
            assert!(matches!(error, InvalidHealth::Field(_) | InvalidHealth::Json(_)), "{to}: {error}");
        }
    }

    #[test]
    fn the_largest_message_is_small_enough() {
        let mut health = health();
        let classes = (0..MAX_CLASSES).map(|n| (format!("class_of_error_{n}"), i64::from(i32::MAX)));
        health.devices[0].errors = classes.collect();
        health.devices = vec![health.devices[0].clone(); MAX_DEVICES];
        let longest = MeterId::new(&"m".repeat(64)).unwrap();
        health.devices.iter_mut().for_each(|said| said.meter_id = longest.clone());
        health.events[0].words = "\u{1f50b}".repeat(MAX_WORDS);
        health.events = vec![health.events[0].clone(); MAX_EVENTS];
        let text = sign(&health, &key(1));
        assert!(verify(text.as_bytes(), key(1).verifying_key(), now()).is_ok(), "{}", text.len());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = verify(&text, key(1).verifying_key(), now());
        }

        #[test]
        fn words_of_any_kind_survive_or_are_cleaned(words in ".{0,300}") {
            let mut health = health();
            health.events[0].words = words;
            let text = sign(&health, &key(1));
            let read = verify(text.as_bytes(), key(1).verifying_key(), now()).unwrap();
            prop_assert!(read.events[0].words.chars().count() <= MAX_WORDS);
            prop_assert!(!read.events[0].words.contains(['\0', '|']));
        }
    }
}

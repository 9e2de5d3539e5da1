//! What is known of each device, and what happened to it: fed by the poller, read by the reporter.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::MeterId;
use tokio::sync::Notify;

use crate::ocmf::TimeStatus;
use crate::poll::{CLOCK_WENT_BACK, Failure, Outcome};

/// Events remembered; older ones make room.
const MAX_EVENTS: usize = 64;
/// An event is told for this long, and at least so often.
const TOLD_FOR: TimeDelta = TimeDelta::hours(24);
const TOLD_AT_LEAST: u32 = 3;
const MAX_WORDS: usize = 200;

/// A class of failure that is the agent's own and no device's: told once for all devices.
struct AgentsOwn {
    class: &'static str,
    begins: &'static str,
    ends: &'static str,
    ended: &'static str,
}

const AGENTS_OWN: [AgentsOwn; 2] = [
    AgentsOwn {
        class: "outbox",
        begins: "outbox_failed",
        ends: "outbox_back",
        ended: "records are stored in the outbox again",
    },
    AgentsOwn {
        class: CLOCK_WENT_BACK,
        begins: "clock_went_back",
        ends: "clock_caught_up",
        ended: "the clock is past the last stored boundary: records are stored again",
    },
];

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It was not asked yet.
    #[default]
    Unread,
    /// Its last boundary was read.
    Ok,
    /// Its last boundary was not read.
    Failing,
    /// It was read, but its registers are held back.
    Doubted,
    /// It is an inverter that sleeps, which is no alarm.
    Asleep,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Unread, Self::Ok, Self::Failing, Self::Doubted, Self::Asleep];

    /// `unread`, `ok`, `failing`, `doubted` or `asleep`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Doubted => "doubted",
            Self::Asleep => "asleep",
        }
    }

    fn of(class: &str) -> Self {
        match class {
            "asleep" => Self::Asleep,
            "register_fell" | "register_jumped" | "register_stuck" | "meter_exchanged" => Self::Doubted,
            _ => Self::Failing,
        }
    }
}

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceState {
    /// How it is.
    pub state: State,
    /// Since which boundary.
    pub since: Option<DateTime<Utc>>,
    /// The stable name of what is wrong, while something is.
    pub class: Option<&'static str>,
    /// When it was last read and its registers could be stored.
    pub last_success_at: Option<DateTime<Utc>>,
    /// How often each class of error occurred since the start.
    pub errors: BTreeMap<&'static str, u64>,
}

/// Something that happened to a device, or to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The device's meter; `None` for the agent itself.
    pub meter_id: Option<MeterId>,
    /// The stable name of what happened.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Of an end: when it had begun.
    pub since: Option<DateTime<Utc>>,
    /// What an operator is told; at most 200 characters.
    pub words: String,
}

/// How the agent itself is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AgentState {
    /// How many records wait in the outbox.
    pub outbox_records: Option<u64>,
    /// The boundary of the oldest of them.
    pub outbox_oldest_at: Option<DateTime<Utc>>,
    /// For how many whole days the TLS certificate is still valid; `None` without one.
    pub certificate_days: Option<i64>,
    /// How the clock is kept.
    pub clock: TimeStatus,
}

#[derive(Debug, Clone)]
struct Remembered {
    event: Event,
    told: u32,
}

#[derive(Debug, Default)]
struct Inner {
    devices: BTreeMap<MeterId, DeviceState>,
    events: VecDeque<Remembered>,
    /// Since when what fails is the agent itself, for each of [`AGENTS_OWN`].
    failing_since: [Option<DateTime<Utc>>; AGENTS_OWN.len()],
}

/// Shared by the poller, which notes, and the reporter, which tells.
#[derive(Debug, Default)]
pub struct Board {
    inner: Mutex<Inner>,
    changed: Notify,
}

impl Board {
    /// A board of devices that were not asked yet.
    #[must_use]
    pub fn new(meters: impl IntoIterator<Item = MeterId>) -> Self {
        let devices = meters.into_iter().map(|meter| (meter, DeviceState::default())).collect();
        Self { inner: Mutex::new(Inner { devices, ..Inner::default() }), changed: Notify::new() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere cannot leave it half changed in a way that matters.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a boundary brought for every device.
    pub fn note(&self, slot_end: DateTime<Utc>, outcome: &Outcome, now: DateTime<Utc>) {
        let failures: BTreeMap<&MeterId, &Failure> =
            outcome.failures.iter().map(|failure| (&failure.meter_id, failure)).collect();
        let mut inner = self.inner();
        let Inner { devices, events, failing_since } = &mut *inner;
        for (meter_id, device) in devices.iter_mut() {
            let happened = match failures.get(meter_id) {
                None => device.succeed(slot_end, now),
                Some(failure) => device.fail(slot_end, failure),
            };
            if let Some((kind, since, words)) = happened {
                remember(
                    events,
                    Event { meter_id: Some(meter_id.clone()), kind, at: slot_end, since, words },
                );
            }
        }
        for (own, failing_since) in AGENTS_OWN.iter().zip(failing_since) {
            let failure = outcome.failures.iter().find(|failure| failure.class == own.class);
            match (failure, *failing_since) {
                (Some(failure), None) => {
                    *failing_since = Some(slot_end);
                    remember(events, agent_event(own.begins, slot_end, None, &failure.reason));
                }
                (None, Some(since)) if outcome.stored > 0 => {
                    *failing_since = None;
                    remember(events, agent_event(own.ends, slot_end, Some(since), own.ended));
                }
                _ => {}
            }
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Notes something that happened to the agent itself.
    pub fn note_event(&self, kind: &str, at: DateTime<Utc>, since: Option<DateTime<Utc>>, words: &str) {
        remember(&mut self.inner().events, agent_event(kind, at, since, words));
        self.changed.notify_one();
    }

    /// Notes something that happened to a device beside its boundaries.
    pub fn note_device_event(&self, meter_id: &MeterId, kind: &str, at: DateTime<Utc>, words: &str) {
        let event = Event { meter_id: Some(meter_id.clone()), ..agent_event(kind, at, None, words) };
        remember(&mut self.inner().events, event);
        self.changed.notify_one();
    }

    /// Waits until something was noted.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is known of each device.
    #[must_use]
    pub fn devices(&self) -> BTreeMap<MeterId, DeviceState> {
        self.inner().devices.clone()
    }

    /// What is to be told, oldest first, without counting it as told.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.inner().events.iter().map(|remembered| remembered.event.clone()).collect()
    }

    /// Counts `told` as told once more; what was told for a day is forgotten.
    pub fn told(&self, told: &[Event], now: DateTime<Utc>) {
        let mut inner = self.inner();
        for remembered in inner.events.iter_mut().filter(|remembered| told.contains(&remembered.event)) {
            remembered.told += 1;
        }
        inner
            .events
            .retain(|remembered| remembered.told < TOLD_AT_LEAST || now - remembered.event.at < TOLD_FOR);
    }
}

fn agent_event(kind: &str, at: DateTime<Utc>, since: Option<DateTime<Utc>>, words: &str) -> Event {
    Event { meter_id: None, kind: kind.to_owned(), at, since, words: shortened(words) }
}

fn shortened(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}

fn remember(events: &mut VecDeque<Remembered>, event: Event) {
    if events.len() >= MAX_EVENTS {
        events.pop_front();
    }
    events.push_back(Remembered { event, told: 0 });
}

/// A kind, since when, and words.
type Happened = (String, Option<DateTime<Utc>>, String);

impl DeviceState {
    fn succeed(&mut self, slot_end: DateTime<Utc>, now: DateTime<Utc>) -> Option<Happened> {
        let before = (self.state, self.since);
        if self.state != State::Ok {
            (self.state, self.since) = (State::Ok, Some(slot_end));
        }
        (self.class, self.last_success_at) = (None, Some(now));
        match before {
            (State::Failing | State::Doubted, since) => {
                Some(("device_back".to_owned(), since, "its registers are read and stored again".to_owned()))
            }
            _ => None,
        }
    }

    fn fail(&mut self, slot_end: DateTime<Utc>, failure: &Failure) -> Option<Happened> {
        *self.errors.entry(failure.class).or_insert(0) += 1;
        let before = (self.state, self.class.map(kind));
        let state = State::of(failure.class);
        // What fails in one way and then in another has failed since the first.
        let goes_on = matches!(self.state, State::Failing | State::Doubted) && state != State::Asleep;
        if !goes_on && self.state != state {
            self.since = Some(slot_end);
        }
        (self.state, self.class) = (state, Some(failure.class));
        let now = (state, Some(kind(failure.class)));
        let is_agents = AGENTS_OWN.iter().any(|own| own.class == failure.class);
        let silent = state == State::Asleep || is_agents || before == now;
        (!silent).then(|| (kind(failure.class).to_owned(), None, shortened(&failure.reason)))
    }
}

/// The event that a class of error is.
fn kind(class: &'static str) -> &'static str {
    match class {
        "connect" | "timeout" | "broken" | "late" | "stale" | "offline" | "exception_failed"
        | "exception_busy" => "device_unreachable",
        "register_fell" | "register_jumped" | "register_stuck" | "meter_exchanged" => class,
        _ => "device_faulty",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter() -> MeterId {
        MeterId::new("m").unwrap()
    }

    fn at(slot: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(15 * slot)
    }

    fn note(board: &Board, slot: i64, class: Option<&'static str>) {
        let failures = class
            .map(|class| Failure { meter_id: meter(), class, reason: format!("{class}\0 happened") })
            .into_iter()
            .collect();
        let outcome = Outcome { stored: usize::from(class.is_none()), failures, ..Outcome::default() };
        board.note(at(slot), &outcome, at(slot) + TimeDelta::seconds(1));
    }

    fn kinds(board: &Board) -> Vec<String> {
        board.events().into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn a_device_that_goes_and_comes_back_is_two_events() {
        let board = Board::new([meter()]);
        for (slot, class) in
            [None, Some("timeout"), Some("connect"), Some("timeout"), None, None].iter().enumerate()
        {
            note(&board, i64::try_from(slot).unwrap(), *class);
        }
        assert_eq!(kinds(&board), ["device_unreachable", "device_back"]);
        let back = board.events().pop().unwrap();
        assert_eq!((back.at, back.since), (at(4), Some(at(1))));
        let device = board.devices().remove(&meter()).unwrap();
        assert_eq!((device.state, device.class, device.since), (State::Ok, None, Some(at(4))));
        assert_eq!(device.errors, BTreeMap::from([("timeout", 2), ("connect", 1)]));
        assert_eq!(device.last_success_at, Some(at(5) + TimeDelta::seconds(1)));
        assert_eq!(board.events()[0].words, "timeout happened");
    }

    #[test]
    fn another_kind_of_trouble_is_another_event_and_sleep_is_none() {
        let board = Board::new([meter()]);
        for (slot, class) in ["asleep", "timeout", "decode", "register_fell"].iter().enumerate() {
            note(&board, i64::try_from(slot).unwrap(), Some(class));
        }
        assert_eq!(kinds(&board), ["device_unreachable", "device_faulty", "register_fell"]);
        let device = board.devices().remove(&meter()).unwrap();
        assert_eq!((device.state, device.since), (State::Doubted, Some(at(1))));
        note(&board, 4, Some("asleep"));
        note(&board, 5, None);
        assert_eq!(kinds(&board).len(), 3);
    }

    #[test]
    fn f44_an_outbox_that_fails_is_one_event_of_the_agent() {
        let board = Board::new([meter()]);
        for (slot, class) in [Some("outbox"), Some("outbox"), None].iter().enumerate() {
            note(&board, i64::try_from(slot).unwrap(), *class);
        }
        assert_eq!(kinds(&board), ["outbox_failed", "device_back", "outbox_back"].map(str::to_owned));
        assert_eq!(board.events()[0].meter_id, None);
    }

    #[test]
    fn f37_a_clock_that_went_back_is_one_event_of_the_agent_and_no_device_is_well() {
        let board = Board::new([meter()]);
        note(&board, 0, Some(CLOCK_WENT_BACK));
        note(&board, 1, Some(CLOCK_WENT_BACK));
        assert_eq!(board.devices()[&meter()].state, State::Failing);
        note(&board, 2, None);
        assert_eq!(kinds(&board), ["clock_went_back", "device_back", "clock_caught_up"]);
        assert_eq!(board.events()[0].meter_id, None);
    }

    #[test]
    fn events_are_told_for_a_day_and_bounded() {
        let board = Board::new([]);
        board.note_event("clock_unsynchronised", at(0), None, "no time server");
        let told = board.events();
        for _ in 0..TOLD_AT_LEAST {
            board.told(&told, at(0));
        }
        assert_eq!(board.events().len(), 1);
        board.told(&told, at(0) + TOLD_FOR);
        assert!(board.events().is_empty());
        for number in 0..200 {
            board.note_event("x", at(number), None, "");
        }
        assert_eq!((board.events().len(), board.events()[0].at), (MAX_EVENTS, at(136)));
    }
}

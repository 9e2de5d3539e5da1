//! The last events of all communities, numbered, so that a client that was away gets what it missed.
//!
//! Hints come from the database; here they become events with a number, are kept for a while and given to the
//! clients that follow. A number says which run of the server gave it: after a restart a client is told to look at
//! everything again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use store::notify::{Event, Kind};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

/// How many events are kept, and how many a slow client may fall behind.
pub(crate) const EVENTS_KEPT: usize = 1_024;
/// The depth of a slot's book changes with every order: at most one event a slot in this time.
const DEPTH_EVERY: Duration = Duration::from_millis(200);
/// How many slots may wait for their depth event; with more, the event comes at once.
const MAX_DUE: usize = 1_000;

/// An event as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Counts the events of this run of the server from 1.
    pub(crate) number: u64,
    /// The event's name.
    pub(crate) kind: &'static str,
    /// In which community; empty if in all, when hints were missed.
    pub(crate) community_id: String,
    /// To which slot, if one.
    pub(crate) slot_start: Option<DateTime<Utc>>,
}

/// The journal.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    /// When the server was started, in milliseconds since 1970: the first part of every event's id.
    run: i64,
    kept: Arc<Mutex<Kept>>,
    sender: broadcast::Sender<Entry>,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    entries: VecDeque<Entry>,
}

/// What a client has missed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// These events of all communities; none if it has seen the last one.
    Events(Vec<Entry>),
    /// More than is kept, or nobody knows what.
    Unknown,
}

impl Journal {
    /// An empty journal of a server that was started at `started_at`.
    pub(crate) fn new(started_at: DateTime<Utc>) -> Self {
        let sender = broadcast::channel(EVENTS_KEPT).0;
        Self { run: started_at.timestamp_millis(), kept: Arc::default(), sender }
    }

    /// The id of an event, as clients send it back.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// Follows what comes from now on, and tells what a client missed that has last seen `last_event_id`.
    pub(crate) fn follow(&self, last_event_id: Option<&str>) -> (broadcast::Receiver<Entry>, Missed) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: no event can come between what is kept and what is received.
        let receiver = self.sender.subscribe();
        let Some(id) = last_event_id else { return (receiver, Missed::Events(vec![])) };
        let seen = id.split_once('-').and_then(|(run, number)| {
            let number: u64 = number.parse().ok()?;
            (run == self.run.to_string() && number <= kept.last).then_some(number)
        });
        let first_kept = kept.entries.front().map_or(kept.last + 1, |entry| entry.number);
        let missed = match seen {
            Some(number) if number + 1 >= first_kept => {
                Missed::Events(kept.entries.iter().filter(|entry| entry.number > number).cloned().collect())
            }
            _ => Missed::Unknown,
        };
        (receiver, missed)
    }

    /// Writes hints into the journal until there are no more.
    pub(crate) async fn write(self, mut hints: broadcast::Receiver<Event>) {
        let mut due: HashMap<(String, Option<DateTime<Utc>>), Instant> = HashMap::new();
        loop {
            let next = due.values().min().copied();
            tokio::select! {
                hint = hints.recv() => match hint {
                    Ok(event) => self.take(event, &mut due),
                    Err(RecvError::Lagged(_)) => self.add("resync", String::new(), None),
                    Err(RecvError::Closed) => return,
                },
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    let now = Instant::now();
                    for ((community, slot), _) in due.extract_if(|_, at| *at <= now) {
                        self.add("depth", community, slot);
                    }
                }
            }
        }
    }

    fn take(&self, event: Event, due: &mut HashMap<(String, Option<DateTime<Utc>>), Instant>) {
        let Some(kind) = shown(event.kind) else { return };
        if matches!(event.kind, Kind::Order | Kind::Slot) {
            let slot = (event.community_id.clone(), event.slot_start);
            if due.len() < MAX_DUE {
                due.entry(slot).or_insert_with(|| Instant::now() + DEPTH_EVERY);
            } else {
                self.add("depth", slot.0, slot.1);
            }
        }
        self.add(kind, event.community_id, event.slot_start);
    }

    pub(super) fn add(&self, kind: &'static str, community_id: String, slot_start: Option<DateTime<Utc>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let entry = Entry { number: kept.last, kind, community_id, slot_start };
        if kept.entries.len() >= EVENTS_KEPT {
            kept.entries.pop_front();
        }
        kept.entries.push_back(entry.clone());
        // Nobody may be following.
        let _ = self.sender.send(entry);
    }
}

/// The name of an event that clients see; commands and deposits are between the services.
const fn shown(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Slot => Some("slot"),
        Kind::Trade => Some("trade"),
        Kind::Reading => Some("reading"),
        Kind::Batch => Some("batch"),
        Kind::Order => Some("order"),
        Kind::Forecast => Some("forecast"),
        Kind::Settings => Some("settings"),
        Kind::Command | Kind::Deposit => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        Journal::new(DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_client_that_was_away_gets_what_it_missed() {
        let journal = journal();
        for kind in ["slot", "order", "trade"] {
            journal.add(kind, "demo".to_owned(), None);
        }
        let missed = |id: &str| journal.follow(Some(id)).1;
        let Missed::Events(events) = missed(&journal.id(1)) else { panic!("the events are kept") };
        assert_eq!(events.iter().map(|entry| entry.kind).collect::<Vec<_>>(), ["order", "trade"]);
        assert_eq!(missed(&journal.id(3)), Missed::Events(vec![]));
        for unknown in [journal.id(4), "1-1".to_owned(), "x".to_owned(), String::new()] {
            assert_eq!(missed(&unknown), Missed::Unknown, "{unknown}");
        }
        assert_eq!(journal.follow(None).1, Missed::Events(vec![]));
    }

    #[test]
    fn what_is_no_longer_kept_is_unknown() {
        let journal = journal();
        for _ in 0..EVENTS_KEPT + 5 {
            journal.add("slot", "demo".to_owned(), None);
        }
        assert_eq!(journal.follow(Some(&journal.id(4))).1, Missed::Unknown);
        let Missed::Events(events) = journal.follow(Some(&journal.id(5))).1 else { panic!("all are kept") };
        assert_eq!(events.len(), EVENTS_KEPT);
    }

    #[tokio::test]
    async fn the_depth_of_a_slot_is_told_once_for_many_orders() {
        let (hints, receiver) = broadcast::channel(64);
        let journal = journal();
        let (mut events, _) = journal.follow(None);
        let writer = tokio::spawn(journal.write(receiver));
        let order = Event { kind: Kind::Order, community_id: "demo".to_owned(), slot_start: None };
        for _ in 0..10 {
            hints.send(order.clone()).unwrap();
        }
        let mut kinds = vec![];
        for _ in 0..11 {
            kinds.push(events.recv().await.unwrap().kind);
        }
        assert_eq!(kinds.iter().filter(|kind| **kind == "depth").count(), 1);
        assert_eq!(kinds.last(), Some(&"depth"));
        writer.abort();
    }
}

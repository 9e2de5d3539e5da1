//! The newest message of each topic that a device of ours publishes on.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use domain::time::Clock;
use tokio::sync::watch;

/// The largest payload that is kept; devices send a few hundred bytes.
const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// A message of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub payload: Vec<u8>,
    /// When it arrived here; devices' own clocks are not believed.
    pub arrived_at: DateTime<Utc>,
}

/// Shared by the connection that fills it and the devices that read it.
#[derive(Debug)]
pub struct Hub {
    clock: Clock,
    topics: BTreeSet<String>,
    /// Those of `topics` that tell a state, which holds until another comes.
    states: BTreeSet<String>,
    newest: Mutex<HashMap<String, Message>>,
    changes: watch::Sender<()>,
}

impl Hub {
    /// A hub for `topics`; messages on others are dropped, so that it cannot grow.
    #[must_use]
    pub fn new(clock: Clock, topics: BTreeSet<String>) -> Self {
        let states = BTreeSet::new();
        Self { clock, topics, states, newest: Mutex::default(), changes: watch::Sender::new(()) }
    }

    /// The same hub, which also keeps the `states` that devices' last wills tell; those count even if the
    /// broker kept them from earlier.
    #[must_use]
    pub fn with_states(mut self, states: BTreeSet<String>) -> Self {
        self.topics.extend(states.iter().cloned());
        self.states = states;
        self
    }

    /// The topics it keeps.
    #[must_use]
    pub const fn topics(&self) -> &BTreeSet<String> {
        &self.topics
    }

    /// Takes a message. One that the broker kept from earlier (`retained`) is dropped: nobody knows
    /// when it was true.
    pub fn accept(&self, topic: &str, payload: &[u8], retained: bool) {
        let too_old = retained && !self.states.contains(topic);
        if too_old || payload.len() > MAX_PAYLOAD_BYTES || !self.topics.contains(topic) {
            return;
        }
        let message = Message { payload: payload.to_vec(), arrived_at: self.clock.now() };
        // A panic elsewhere cannot leave the map half changed.
        let mut newest = self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        newest.insert(topic.to_owned(), message);
        drop(newest);
        self.changes.send_replace(());
    }

    /// The newest message on a topic.
    #[must_use]
    pub fn newest(&self, topic: &str) -> Option<Message> {
        self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(topic).cloned()
    }

    /// Wakes whenever a message was taken.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

//! Which records were sent and wait for ingest's acknowledgement; pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::ids::MeterId;
use tokio::time::Instant;

use crate::outbox::{Pending, Sequence};
use crate::wire::Acknowledgement;

/// A record waits at most this many times its first waiting time before it is sent again.
const MOST_PATIENCE: u32 = 16;

/// How much is sent ahead of acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimits {
    /// How many of the oldest records may be on their way.
    pub oldest: usize,
    /// How many of the newest, beside them.
    pub newest: usize,
    /// How long a record waits for its acknowledgement before it is sent again; doubles each time.
    pub resend_after: Duration,
    /// How many of the oldest may be sent a second, so that a backlog of days does not drown the others'
    /// live data.
    pub drain_per_s: u32,
}

/// Meter, epoch and number of a record.
pub type Key = (MeterId, i32, i64);

/// The records on their way. Sequences that get no answer are told apart, so that they take the places of no
/// others: their meter may not be enrolled, or a record before them be lost.
#[derive(Debug)]
pub struct Window {
    limits: WindowLimits,
    on_their_way: BTreeMap<Key, Sent>,
    /// Sequences of which a record had to be sent again, until something of them is acknowledged.
    unanswered: BTreeSet<Sequence>,
    /// When the backlog's allowance was counted last, and what is left of it in thousandths of a record.
    allowance: Option<(Instant, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    due_again: Instant,
    wait: Duration,
}

impl Window {
    /// An empty window.
    #[must_use]
    pub const fn new(limits: WindowLimits) -> Self {
        Self { limits, on_their_way: BTreeMap::new(), unanswered: BTreeSet::new(), allowance: None }
    }

    /// Its limits.
    #[must_use]
    pub const fn limits(&self) -> WindowLimits {
        self.limits
    }

    /// What a record is known by.
    #[must_use]
    pub fn key(record: &Pending) -> Key {
        record.key()
    }

    /// Whether a record is to be sent now.
    #[must_use]
    pub fn is_due(&self, record: &Pending, now: Instant) -> bool {
        self.on_their_way.get(&Self::key(record)).is_none_or(|sent| sent.due_again <= now)
    }

    /// Whether one more record of the backlog may be sent now; counts it if so. At most a second's worth
    /// is saved up.
    pub fn may_drain(&mut self, now: Instant) -> bool {
        const RECORD: u64 = 1_000;
        let most = u64::from(self.limits.drain_per_s) * RECORD;
        let (since, left) = self.allowance.unwrap_or((now, most));
        let passed_ms = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
        let left =
            left.saturating_add(passed_ms.saturating_mul(u64::from(self.limits.drain_per_s))).min(most);
        let may = left >= RECORD;
        self.allowance = Some((now.max(since), if may { left - RECORD } else { left }));
        may
    }

    /// The sequences that get no answer.
    #[must_use]
    pub const fn unanswered(&self) -> &BTreeSet<Sequence> {
        &self.unanswered
    }

    /// Notes that of the unanswered sequences only those of `waiting` have records left.
    pub fn still_waiting(&mut self, waiting: &[Pending]) {
        let left: BTreeSet<Sequence> =
            waiting.iter().map(|record| (record.meter_id.clone(), record.epoch)).collect();
        self.unanswered.retain(|sequence| left.contains(sequence));
    }

    /// Notes that a record was sent.
    pub fn sent(&mut self, key: Key, now: Instant) {
        let most = self.limits.resend_after * MOST_PATIENCE;
        let before = self.on_their_way.get(&key);
        let wait = before.map_or(self.limits.resend_after, |sent| (sent.wait * 2).min(most));
        if before.is_some() {
            self.unanswered.insert((key.0.clone(), key.1));
        }
        self.on_their_way.insert(key, Sent { due_again: now + wait, wait });
    }

    /// Notes that records are stored. When that ends a silence, the rest of the sequence is due at once: it was sent
    /// to nobody.
    pub fn acknowledge(&mut self, ack: &Acknowledgement) {
        let sequence = (ack.meter_id.clone(), ack.epoch);
        let key = |seq: i64| (ack.meter_id.clone(), ack.epoch, seq);
        let on_their_way: Vec<Key> =
            self.on_their_way.range(key(i64::MIN)..=key(i64::MAX)).map(|(key, _)| key.clone()).collect();
        let covered = |key: &Key| key.2 <= ack.stored_through_seq;
        let ends_silence = on_their_way.iter().any(covered) && self.unanswered.remove(&sequence);
        for key in on_their_way.into_iter().filter(|key| ends_silence || covered(key)) {
            self.on_their_way.remove(&key);
        }
    }

    /// Forgets what was sent, after the connection was lost: all of it is due again.
    pub fn forget(&mut self) {
        self.on_their_way.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: i64) -> Pending {
        Pending { meter_id: MeterId::new("a").unwrap(), epoch: 1, seq, record: String::new() }
    }

    fn window() -> Window {
        Window::new(WindowLimits {
            oldest: 4,
            newest: 2,
            resend_after: Duration::from_secs(1),
            drain_per_s: 5,
        })
    }

    #[test]
    fn a_record_is_sent_again_later_and_later_until_it_is_acknowledged() {
        let mut window = window();
        let start = Instant::now();
        let due =
            |window: &Window, after_s: u64| window.is_due(&record(1), start + Duration::from_secs(after_s));
        assert!(due(&window, 0));
        window.sent(Window::key(&record(1)), start);
        assert_eq!([due(&window, 0), due(&window, 1)], [false, true]);
        window.sent(Window::key(&record(1)), start + Duration::from_secs(1));
        assert_eq!([due(&window, 2), due(&window, 3)], [false, true]);
        for _ in 0..20 {
            window.sent(Window::key(&record(1)), start);
        }
        assert_eq!([due(&window, 15), due(&window, 16)], [false, true]);
    }

    #[test]
    fn an_acknowledgement_covers_everything_up_to_its_number() {
        let mut window = window();
        let now = Instant::now();
        for seq in 1..=3 {
            window.sent(Window::key(&record(seq)), now);
        }
        let meter_id = MeterId::new("a").unwrap();
        window.acknowledge(&Acknowledgement { meter_id, epoch: 1, stored_through_seq: 2 });
        let due: Vec<_> = (1..=3).map(|seq| window.is_due(&record(seq), now)).collect();
        assert_eq!(due, [true, true, false]);
        window.forget();
        assert!(window.is_due(&record(3), now));
    }

    #[test]
    fn a_sequence_without_an_answer_is_known_until_something_of_it_is_acknowledged() {
        let mut window = window();
        let now = Instant::now();
        let ack = |stored_through_seq| Acknowledgement {
            meter_id: MeterId::new("a").unwrap(),
            epoch: 1,
            stored_through_seq,
        };
        for seq in [3, 4, 3] {
            window.sent(Window::key(&record(seq)), now);
        }
        let unanswered = BTreeSet::from([(MeterId::new("a").unwrap(), 1)]);
        assert_eq!(*window.unanswered(), unanswered);
        window.acknowledge(&ack(2)); // what was known before is no answer
        window.forget();
        assert_eq!(*window.unanswered(), unanswered, "another connection is no answer either");
        window.sent(Window::key(&record(3)), now);
        window.sent(Window::key(&record(4)), now);
        window.acknowledge(&ack(3));
        assert!(window.unanswered().is_empty() && window.is_due(&record(4), now));
        window.sent(Window::key(&record(4)), now);
        window.sent(Window::key(&record(4)), now);
        window.still_waiting(&[]);
        assert!(window.unanswered().is_empty());
    }

    #[test]
    fn f39_a_backlog_drains_at_its_rate() {
        let mut window = window();
        let start = Instant::now();
        let sent = |window: &mut Window, at: Instant| (0..100).filter(|_| window.may_drain(at)).count();
        assert_eq!(sent(&mut window, start), 5);
        assert_eq!(sent(&mut window, start), 0);
        assert_eq!(sent(&mut window, start + Duration::from_millis(400)), 2);
        assert_eq!(sent(&mut window, start + Duration::from_secs(60)), 5);
    }
}

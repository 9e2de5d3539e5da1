//! How long an endpoint that fails is left alone.
//!
//! One failure is tried again at once: devices drop connections for many reasons. From the second in a row
//! on no connection is opened for a time that doubles, up to half a minute, so that a dead endpoint costs
//! the units behind it no connection each, and a device that is starting is not hammered. Agents spread
//! their tries by a seed that they are given.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use service::lifecycle::Backoff;
use tokio::time::Instant;

const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Short beside a slot, so that a boundary is seldom missed for it.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Connections in a row that were opened and never answered anything: the endpoint is half open. One unit
/// that is dead is asked less often than that before another answers.
const SILENT_CONNECTIONS: u32 = 5;

/// What the failures of one endpoint cost it.
#[derive(Debug)]
pub(super) struct Patience {
    backoff: Backoff,
    rng: StdRng,
    failures: u32,
    silent: u32,
    not_before: Option<Instant>,
    is_off: bool,
}

impl Patience {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            rng: StdRng::seed_from_u64(seed),
            failures: 0,
            silent: 0,
            not_before: None,
            is_off: false,
        }
    }

    /// No failure costs anything.
    pub(super) fn none() -> Self {
        Self { is_off: true, ..Self::new(0) }
    }

    /// For how long no connection may be opened yet; `None` if it may.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.not_before.and_then(|time| time.checked_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// The endpoint answered, if only with an exception.
    pub(super) fn answered(&mut self) {
        (self.failures, self.silent, self.not_before) = (0, 0, None);
        self.backoff.reset();
    }

    /// A connection was refused, was cut, or could not be opened in time.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures > 1 && !self.is_off {
            let wait = self.backoff.after_failure().mul_f64(self.rng.random_range(0.5..1.5));
            self.not_before = Some(now + wait.min(LONGEST_WAIT));
        }
    }

    /// A connection was opened and a request not answered properly.
    pub(super) fn silent(&mut self, now: Instant) {
        self.silent = self.silent.saturating_add(1);
        if self.silent >= SILENT_CONNECTIONS {
            self.failures = self.failures.max(1);
            self.failed(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits after each of `count` failures, one right after the other's end.
    fn waits(seed: u64, count: usize, fail: fn(&mut Patience, Instant)) -> Vec<Duration> {
        let (mut patience, mut now) = (Patience::new(seed), Instant::now());
        (0..count)
            .map(|_| {
                fail(&mut patience, now);
                let wait = patience.wait(now).unwrap_or_default();
                now += wait;
                assert_eq!(patience.wait(now), None);
                wait
            })
            .collect()
    }

    #[test]
    fn f06_waits_double_from_the_second_failure_on_and_are_spread_and_bounded() {
        let waits_of = |seed| waits(seed, 12, Patience::failed);
        let one = waits_of(1);
        assert_eq!(one[0], Duration::ZERO);
        for (index, wait) in one.iter().enumerate().skip(1) {
            let doubled = FIRST_WAIT.mul_f64(2_f64.powi(i32::try_from(index - 1).unwrap())).min(LONGEST_WAIT);
            assert!(
                *wait >= doubled / 2 && *wait <= (doubled * 3 / 2).min(LONGEST_WAIT),
                "{index}: {wait:?}"
            );
        }
        assert_eq!(one, waits_of(1));
        assert_ne!(one, waits_of(2));
    }

    #[test]
    fn f06_an_answer_ends_the_waiting_and_silence_alone_takes_long_to_begin_it() {
        let mut patience = Patience::new(1);
        let now = Instant::now();
        patience.failed(now);
        patience.failed(now);
        assert!(patience.wait(now).is_some());
        patience.answered();
        assert_eq!(patience.wait(now), None);
        let silent = waits(1, 7, Patience::silent);
        assert!(silent[..4].iter().all(Duration::is_zero) && silent[4..].iter().all(|wait| !wait.is_zero()));
    }
}

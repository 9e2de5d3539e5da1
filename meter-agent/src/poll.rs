//! Reading every device at every slot boundary.
//!
//! Endpoints are read at the same time, the units of one endpoint in turn. What cannot be read in time
//! is not stored for that boundary: registers are cumulative, so the next boundary closes the gap.

mod boundary;
mod device;
mod probe;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::slot::{Slot, SlotLength};
use domain::time::Clock;
use futures_util::stream::{FuturesUnordered, StreamExt};
use service::lifecycle::Shutdown;
use tokio::sync::Notify;

pub use boundary::{CLOCK_WENT_BACK, Failure, Outcome};
pub use device::{Group, PolledDevice, Signer};

use crate::health::{Board, ClockState};
use crate::outbox::Outbox;

/// How often the clock is looked at while nothing is due, so that a step of it is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How long after a stop devices may still answer.
const LAST_READS: Duration = Duration::from_secs(3);

const FIRST_AGAIN: Duration = Duration::from_secs(1);
const QUARTER_HOUR_S: i64 = 900;
const MAX_POWER_W: i64 = 1_000_000;

/// When devices are read, and what for.
#[derive(Debug, Clone, Copy)]
pub struct PollTiming {
    /// The community's slot length.
    pub slot_length: SlotLength,
    /// How long after a boundary its registers may still be read.
    pub tolerance: TimeDelta,
    /// The most a connection can carry, in W: registers that rise faster are not believed.
    pub max_power_w: i64,
    /// How long a device that failed is left alone before it is asked again for the same boundary; doubles each time.
    pub ask_again: Duration,
}

impl PollTiming {
    /// The defaults. Tolerance: a tenth of a slot, but at least two seconds. Power: a megawatt; more in slots
    /// below a quarter-hour, which in a demonstration carry the energy of one.
    #[must_use]
    pub fn new(slot_length: SlotLength) -> Self {
        let tolerance = (slot_length.delta() / 10).max(TimeDelta::seconds(2));
        let hurried = (QUARTER_HOUR_S / slot_length.delta().num_seconds().max(1)).max(1);
        Self { slot_length, tolerance, max_power_w: MAX_POWER_W * hurried, ask_again: FIRST_AGAIN }
    }
}

/// Reads all devices of an agent.
pub struct Poller {
    timing: PollTiming,
    groups: Vec<Group>,
    outbox: Arc<Outbox>,
    signer: Arc<Signer>,
    clock: Clock,
    /// Told whenever something was stored.
    stored: Arc<Notify>,
    /// Told what each boundary brought.
    board: Option<Arc<Board>>,
    /// Tells how the clock is kept; the signer's own word if nobody does.
    clock_state: Option<ClockState>,
}

impl Poller {
    /// A poller of `groups`, one an endpoint.
    #[must_use]
    pub fn new(
        timing: PollTiming,
        groups: Vec<Group>,
        outbox: Arc<Outbox>,
        signer: Arc<Signer>,
        clock: Clock,
        stored: Arc<Notify>,
    ) -> Self {
        Self { timing, groups, outbox, signer, clock, stored, board: None, clock_state: None }
    }

    /// The same poller, which notes on `board` what each boundary brought.
    #[must_use]
    pub fn noting(mut self, board: Arc<Board>) -> Self {
        self.board = Some(board);
        self
    }

    /// The same poller, which writes into each record what `clock_state` says at its boundary.
    #[must_use]
    pub fn with_clock_state(mut self, clock_state: ClockState) -> Self {
        self.clock_state = Some(clock_state);
        self
    }

    /// Reads every device for the boundary `slot_end` and stores what was read in time.
    pub async fn tick(&mut self, slot_end: DateTime<Utc>) -> Outcome {
        let (timing, clock) = (self.timing, &self.clock);
        let (outbox, signer, stored) = (&self.outbox, &self.signer, &self.stored);
        let time_status = self.clock_state.as_ref().map_or(signer.time_status, |state| state());
        let mut reads: FuturesUnordered<_> = self
            .groups
            .iter_mut()
            .map(|group| async move {
                let outcome =
                    boundary::read_group(group, slot_end, timing, clock, outbox, signer, time_status).await;
                if outcome.stored > 0 {
                    stored.notify_one();
                }
                outcome
            })
            .collect();
        let mut total = Outcome::default();
        while let Some(outcome) = reads.next().await {
            total.add(outcome);
        }
        drop(reads);
        total.log(slot_end);
        if let Some(board) = &self.board {
            board.note(slot_end, &total, self.clock.now());
        }
        total
    }

    /// Reads at every boundary until the service stops.
    pub async fn run(&mut self, shutdown: &Shutdown) {
        let mut last = None;
        while !shutdown.is_stopping() {
            let now = self.clock.now();
            let slot = Slot::containing(now, self.timing.slot_length);
            let in_time = now - slot.start() <= self.timing.tolerance;
            if in_time && last != Some(slot.start()) {
                last = Some(slot.start());
                tokio::select! {
                    _ = self.tick(slot.start()) => {}
                    // What is being read may be stored still; devices that fail are not waited for.
                    () = stopped_for(shutdown, LAST_READS) => {}
                }
                continue;
            }
            let wait = (slot.end() - now).to_std().unwrap_or_default().min(LONGEST_SLEEP);
            shutdown.sleep(wait).await;
        }
    }
}

/// Waits for the stop, and then for a moment.
async fn stopped_for(shutdown: &Shutdown, moment: Duration) {
    shutdown.stopped().await;
    tokio::time::sleep(moment).await;
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("groups", &self.groups).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

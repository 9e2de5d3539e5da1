//! Keeping a limit for as long as the agent runs: the device is told again before its time is half over.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::MeterId;
use domain::time::Clock;
use service::lifecycle::Shutdown;

use super::{CurtailError, Curtailer, Limit};
use crate::health::Board;

/// The revert times that a kept limit may have, in seconds.
pub const REVERT_RANGE_S: std::ops::RangeInclusive<u16> = 30..=65_534;

/// Keeps one device's limit.
#[derive(Debug)]
pub struct Keeper {
    meter_id: MeterId,
    curtailer: Curtailer,
    limit: Limit,
    board: Arc<Board>,
    clock: Clock,
    has_failed: bool,
}

impl Keeper {
    /// Keeps `limit` at the device of a meter; what goes wrong is an event on `board`.
    #[must_use]
    pub const fn new(
        meter_id: MeterId,
        curtailer: Curtailer,
        limit: Limit,
        board: Arc<Board>,
        clock: Clock,
    ) -> Self {
        Self { meter_id, curtailer, limit, board, clock, has_failed: false }
    }

    /// How often the device is told again: three times before it would end the limit, so that one loss on
    /// the way does not end it.
    #[must_use]
    pub fn every(&self) -> Duration {
        Duration::from_secs(u64::from(self.limit.revert_s)) / 3
    }

    /// Tells the device once.
    ///
    /// # Errors
    /// [`CurtailError`]; the device ends its limit by itself if that goes on.
    pub async fn tick(&mut self) -> Result<(), CurtailError> {
        let result = self.curtailer.limit(self.limit).await;
        match (&result, self.has_failed) {
            (Err(error), false) => {
                tracing::warn!(meter_id = %self.meter_id, %error, "the power is not limited");
                self.note("curtailment_failed", &error.to_string());
            }
            (Ok(()), true) => self.note("curtailment_restored", "the limit of its power counts again"),
            _ => {}
        }
        self.has_failed = result.is_err();
        result
    }

    fn note(&self, kind: &str, words: &str) {
        self.board.note_device_event(&self.meter_id, kind, self.clock.now(), words);
    }

    /// Keeps the limit until the service stops; the device then ends it by itself.
    pub async fn run(mut self, shutdown: Shutdown) {
        let every = self.every();
        loop {
            // A failure is an event already, and the next try comes in time.
            let _ = self.tick().await;
            if !shutdown.sleep(every).await {
                return;
            }
        }
    }
}

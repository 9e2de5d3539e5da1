//! Watches a community settle: a line a slot, until enough have settled or somebody stops it.

use std::io::Write;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use service::lifecycle::Shutdown;
use store::PgPool;
use store::settled::{self, SettledSlot};

use crate::lines;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Follows a community's settled slots.
#[derive(Debug)]
pub struct Report {
    pool: PgPool,
    community: CommunityId,
    cursor: DateTime<Utc>,
    /// First settlements seen, corrections not counted.
    settled: u32,
}

impl Report {
    /// Starts with what settles after `since`.
    #[must_use]
    pub fn new(pool: PgPool, community: CommunityId, since: DateTime<Utc>) -> Self {
        Self { pool, community, cursor: since, settled: 0 }
    }

    /// Goes on with the same database on another connection.
    pub fn reconnect(&mut self, pool: PgPool) {
        self.pool = pool;
    }

    /// Prints a line for each slot that has settled since the last look, but only one for those of a pause. Returns how many slots have settled
    /// since the start; a correction is printed, not counted.
    ///
    /// # Errors
    /// When the database does not answer or nobody reads the output.
    pub async fn look(&mut self) -> anyhow::Result<u32> {
        let news = settled::since(&self.pool, &self.community, self.cursor).await?;
        let mut out = std::io::stdout().lock();
        for alike in news.chunk_by(|one, next| lines::is_silent(one) && lines::is_silent(next)) {
            if let [first, _, .., last] = alike {
                writeln!(out, "{}", lines::silent_line(first, last, alike.len()))?;
            } else {
                for slot in alike {
                    writeln!(out, "{}", lines::line(slot))?;
                }
            }
        }
        for slot in &news {
            self.cursor = slot.final_at;
            self.settled += u32::from(is_first(slot));
        }
        out.flush()?;
        Ok(self.settled)
    }

    /// Prints lines until `enough` slots have settled (`None`: for ever) or a stop is asked for.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub async fn follow(&mut self, enough: Option<u32>, shutdown: &Shutdown) -> anyhow::Result<()> {
        loop {
            let settled = self.look().await?;
            if enough.is_some_and(|enough| settled >= enough) || !shutdown.sleep(LOOK_EVERY).await {
                return Ok(());
            }
        }
    }
}

fn is_first(slot: &SettledSlot) -> bool {
    slot.revision == 0
}

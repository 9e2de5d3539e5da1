//! Compares the ledger with the chain after every batch, account by account, while the demonstration runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use service::lifecycle::Shutdown;
use settlement::context::{Context, Settling};
use settlement::reconcile::{Report, reconcile};
use store::settled;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A block may hold what the ledger learns a moment later: a difference counts once it stays.
const MAX_LOOKS: u32 = 20;
/// The most differences that are kept for the summary; all are printed.
const MAX_KEPT: usize = 100;

/// What the comparisons have found so far.
#[derive(Debug, Clone, Default)]
pub struct Comparisons(Arc<Mutex<Found>>);

/// So many comparisons, and the differences they named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// How many batches were followed by a comparison of every account.
    pub batches_reconciled: i64,
    /// What differed, an account a line.
    pub differences: Vec<String>,
}

impl Comparisons {
    /// What was found so far.
    #[must_use]
    pub fn found(&self) -> Found {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a comparison that is over, and prints what differs.
    fn note(&self, report: &Report) {
        let mut found = self.lock();
        found.batches_reconciled += 1;
        for difference in &report.differences {
            eprintln!("fault: {difference}");
            tracing::error!(%difference, "the chain differs from the ledger");
            if found.differences.len() < MAX_KEPT {
                found.differences.push(difference.to_string());
            }
        }
    }

    /// Compares after every batch that becomes final, until told to stop. A node or database that is away is tried
    /// again.
    ///
    /// # Errors
    /// None: what fails is logged and tried again.
    pub async fn follow(self, context: Context, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut compared = None;
        loop {
            match self.after_next(&context, &mut compared, &shutdown).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "cannot compare with the chain yet")
                }
            }
            if !shutdown.sleep(LOOK_EVERY).await {
                return Ok(());
            }
        }
    }

    async fn after_next(
        &self,
        context: &Context,
        compared: &mut Option<chrono::DateTime<chrono::Utc>>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let last = settled::last_final_at(&context.pool, &context.community_id).await?;
        if last.is_none() || last == *compared {
            return Ok(());
        }
        let settling = Settling::of(context.clone()).await?;
        let mut report = reconcile(&settling).await?;
        for _ in 1..MAX_LOOKS {
            if report.is_equal() || !shutdown.sleep(LOOK_EVERY).await {
                break;
            }
            report = reconcile(&settling).await?;
        }
        // With the next batch on its way already, that one's comparison tells.
        if report.is_equal() || !report.in_flight {
            self.note(&report);
            *compared = last;
        }
        Ok(())
    }
}

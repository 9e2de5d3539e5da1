//! NOTIFY as a hint to look, LISTEN with reconnect. Whoever listens also polls: a lost hint costs a
//! poll interval and nothing else.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use sqlx::{PgExecutor, PgPool};
use tokio::sync::broadcast;

use crate::StoreError;

const CHANNEL: &str = "busbar";
/// How many hints a slow listener may fall behind before it is told to look at everything.
pub const HINTS_KEPT: usize = 1_024;
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// What happened, so that a listener can look at the right rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A slot changed its status.
    Slot,
    /// Commands were submitted to the market.
    Command,
    /// Orders changed.
    Order,
    /// Trades were made.
    Trade,
    /// Readings were stored.
    Reading,
    /// A batch changed its status.
    Batch,
    /// Forecasts of a site, or of all, were made anew.
    Forecast,
    /// How a site's autopilot is set, a standing order, a grid limit or a network fee changed.
    Settings,
    /// Deposits were requested or became final.
    Deposit,
}

/// A hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// In which community.
    pub community_id: String,
    /// To which slot, if one.
    pub slot_start: Option<DateTime<Utc>>,
}

impl Event {
    /// Makes a hint.
    #[must_use]
    pub fn new(kind: Kind, community: &CommunityId, slot_start: Option<DateTime<Utc>>) -> Self {
        Self { kind, community_id: community.to_string(), slot_start }
    }
}

/// Sends a hint; inside a transaction it goes out with the commit, or never.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn send(db: impl PgExecutor<'_>, event: &Event) -> Result<(), StoreError> {
    let payload = serde_json::to_string(event).map_err(crate::error::corrupt)?;
    sqlx::query!("SELECT pg_notify($1, $2)", CHANNEL, payload).execute(db).await?;
    Ok(())
}

/// Sends several hints with one statement, as [`send`] does.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn send_all(db: impl PgExecutor<'_>, events: &[Event]) -> Result<(), StoreError> {
    let payloads: Result<Vec<String>, _> = events.iter().map(serde_json::to_string).collect();
    let payloads = payloads.map_err(crate::error::corrupt)?;
    sqlx::query!("SELECT pg_notify($1, t.payload) FROM UNNEST($2::text[]) AS t(payload)", CHANNEL, &payloads)
        .execute(db)
        .await?;
    Ok(())
}

/// Passes hints on to `listeners` until this future is dropped; reconnects when the connection
/// breaks, and never ends by itself.
pub async fn pump(pool: PgPool, listeners: broadcast::Sender<Event>) {
    loop {
        if let Err(error) = pump_once(&pool, &listeners).await {
            tracing::warn!(%error, "listening for hints was interrupted; polling goes on meanwhile");
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

async fn pump_once(pool: &PgPool, listeners: &broadcast::Sender<Event>) -> Result<(), StoreError> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    while let Some(notification) = listener.try_recv().await? {
        match serde_json::from_str::<Event>(notification.payload()) {
            // No listener at the moment is not an error: hints are not kept for later ones.
            Ok(event) => drop(listeners.send(event)),
            Err(error) => tracing::debug!(%error, "a hint that is not ours"),
        }
    }
    Ok(())
}

/// Waits for the next hint that `wanted` accepts, or until `poll` has passed. Missed hints end the
/// wait too, since any of them may have been wanted.
pub async fn wait(hints: &mut broadcast::Receiver<Event>, poll: Duration, wanted: impl Fn(&Event) -> bool) {
    let hint = async {
        loop {
            match hints.recv().await {
                Ok(event) if wanted(&event) => return,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The pump is gone: only polling is left.
                Err(broadcast::error::RecvError::Closed) => std::future::pending::<()>().await,
            }
        }
    };
    let _ = tokio::time::timeout(poll, hint).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_hint_reaches_a_listener_at_commit(pool: PgPool) {
        let (sender, mut hints) = broadcast::channel(HINTS_KEPT);
        let pump = tokio::spawn(pump(pool.clone(), sender));
        let event = Event::new(Kind::Slot, &CommunityId::new("demo").unwrap(), None);
        // The pump may not listen yet: the first hints may be lost, as in life.
        let received = loop {
            let mut tx = pool.begin().await.unwrap();
            send(&mut *tx, &event).await.unwrap();
            tx.commit().await.unwrap();
            if let Ok(received) = tokio::time::timeout(Duration::from_millis(100), hints.recv()).await {
                break received.unwrap();
            }
        };
        assert_eq!(received, event);
        pump.abort();
    }

    #[tokio::test]
    async fn waiting_ends_with_the_poll_when_no_hint_comes() {
        let (_sender, mut hints) = broadcast::channel(1);
        wait(&mut hints, Duration::from_millis(1), |_| true).await;
    }
}

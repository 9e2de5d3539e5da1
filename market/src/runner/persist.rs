//! Storing one batch, whole or not at all.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use store::notify::{self, Event, Kind};
use store::orders::OrderRow;
use store::{PgPool, keys, orders, trades};

use super::batch::Changes;

/// How many rows one statement inserts.
const ROWS_A_STATEMENT: usize = 5_000;

/// Stores what a batch decided, its orders and its trades in one transaction.
///
/// The sequence, the trade numbers and the commands' own status are each checked by the database, so
/// a process that has lost its leadership without noticing cannot store anything here.
pub(super) async fn store(
    pool: &PgPool,
    community: &CommunityId,
    changes: Changes,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    keys::check_by_index(&mut tx).await?;
    let recorded = orders::record_decisions(&mut *tx, community, &changes.decisions, now).await?;
    anyhow::ensure!(
        usize::try_from(recorded)? == changes.decisions.len(),
        "another process decided commands of community {community}: this one no longer leads"
    );
    let rows: Vec<OrderRow> = changes.orders.into_values().collect();
    for rows in rows.chunks(ROWS_A_STATEMENT) {
        orders::upsert_all(&mut *tx, community, rows).await?;
    }
    for rows in changes.trades.chunks(ROWS_A_STATEMENT) {
        trades::insert_all(&mut *tx, community, rows).await?;
    }
    let order_slots: BTreeSet<_> = rows.iter().map(|row| row.slot_start).collect();
    let trade_slots: BTreeSet<_> = changes.trades.iter().map(|trade| trade.slot_start).collect();
    let of = |kind, slot| Event::new(kind, community, slot);
    let mut hints: Vec<Event> = order_slots.into_iter().map(|slot| of(Kind::Order, Some(slot))).collect();
    hints.extend(trade_slots.into_iter().map(|slot| of(Kind::Trade, Some(slot))));
    if hints.is_empty() {
        // All were refused: whoever waits for the decisions looks all the same.
        hints.push(of(Kind::Order, None));
    }
    notify::send_all(&mut *tx, &hints).await?;
    tx.commit().await?;
    Ok(())
}

//! Accepted commands again: to rebuild a book, and to check a slot's stored trades against what the
//! commands lead to.

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use domain::trade::Trade;
use store::communities::{self, Community};
use store::trades::TradeRow;
use store::{PgPool, orders, trades};

use super::slot_book::{Effects, SlotBook};
use super::{Members, REPLAY_PAGE};
use crate::terms;

/// A slot whose commands lead to exactly the trades that are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// How many commands were accepted for the slot.
    pub commands: usize,
    /// How many trades they led to.
    pub trades: usize,
    /// The trades' records, a line each, as compared.
    pub records: String,
}

/// A slot cannot be replayed, or differs.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The database holds no such community.
    #[error("there is no community {0}: name one of those that are enrolled")]
    UnknownCommunity(CommunityId),
    /// The community has no such slot.
    #[error(
        "community {community} has no slot that starts at {slot_start}: slots are aligned to the UTC hour"
    )]
    UnknownSlot {
        /// Which community.
        community: CommunityId,
        /// Which start.
        slot_start: DateTime<Utc>,
    },
    /// The commands lead to other trades than those stored.
    #[error("trade {number} of the slot differs: the commands lead to `{replayed}`, stored is `{stored}`")]
    Differs {
        /// The first trade that differs, counted from 1.
        number: usize,
        /// What the commands lead to; empty if to fewer trades.
        replayed: String,
        /// What is stored; empty if there are fewer.
        stored: String,
    },
    /// The rows cannot be read, or a command that was accepted is refused now.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl From<store::StoreError> for ReplayError {
    fn from(error: store::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// Replays a slot from its accepted commands and compares the trades with the stored ones, byte for byte.
/// Reads only.
///
/// # Errors
/// [`ReplayError::Differs`] with the first trade that differs; otherwise why the slot cannot be replayed.
pub async fn check_slot(
    pool: &PgPool,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Replayed, ReplayError> {
    let unknown = || ReplayError::UnknownCommunity(community.clone());
    let community = communities::find(pool, community).await?.ok_or_else(unknown)?;
    let id = &community.community_id;
    if store::slots::find(pool, id, slot_start).await?.is_none() {
        return Err(ReplayError::UnknownSlot { community: id.clone(), slot_start });
    }
    let (mut commands, mut replayed) = (0, Vec::new());
    rebuild(pool, &community, &mut Members::default(), slot_start, |seq, effects| {
        commands += 1;
        replayed.extend(effects.trades.iter().map(|trade| record(seq, trade)));
    })
    .await?;
    let rows = trades::of_slot(pool, id, slot_start).await?;
    let stored: Vec<String> =
        rows.iter().map(|row: &TradeRow| record(row.accepted_seq, &row.trade)).collect();
    compare(&replayed, &stored)?;
    Ok(Replayed { commands, trades: stored.len(), records: stored.concat() })
}

/// Rebuilds a slot's book from its accepted commands, in their sequence, and tells of each what followed.
pub(super) async fn rebuild(
    pool: &PgPool,
    community: &Community,
    members: &mut Members,
    slot_start: DateTime<Utc>,
    mut tell: impl FnMut(i64, Effects),
) -> anyhow::Result<SlotBook> {
    let id = &community.community_id;
    let loaded = terms::of_slot(pool, community, slot_start, &members.zones).await?;
    let mut book = SlotBook::new(slot_start, loaded.terms);
    let mut last_seq = 0;
    loop {
        let page = orders::accepted_of_slot(pool, id, slot_start, last_seq, REPLAY_PAGE).await?;
        for command in &page {
            last_seq = command.accepted_seq.unwrap_or(last_seq);
            tell(last_seq, book.replay(command, last_seq, members)?);
        }
        if i64::try_from(page.len())? < REPLAY_PAGE {
            return Ok(book);
        }
    }
}

fn compare(replayed: &[String], stored: &[String]) -> Result<(), ReplayError> {
    let at = |list: &[String], place: usize| list.get(place).map_or("", |line| line.trim_end()).to_owned();
    let differs = |place: &usize| replayed.get(*place) != stored.get(*place);
    match (0..replayed.len().max(stored.len())).find(differs) {
        None => Ok(()),
        Some(place) => Err(ReplayError::Differs {
            number: place + 1,
            replayed: at(replayed, place),
            stored: at(stored, place),
        }),
    }
}

/// A trade as one line that holds everything but its number and its time, which the commands do not decide.
fn record(seq: i64, trade: &Trade) -> String {
    let Trade { bid_id, offer_id, buyer, buyer_site, seller, seller_site, energy, price } = trade;
    format!(
        "{seq},{},{},{buyer},{buyer_site},{seller},{seller_site},{},{}\n",
        bid_id.0,
        offer_id.0,
        energy.wh(),
        price.micro_per_kwh()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let lines = |list: &[&str]| list.iter().map(|line| format!("{line}\n")).collect::<Vec<_>>();
        assert!(compare(&lines(&["a", "b"]), &lines(&["a", "b"])).is_ok());
        let named = |replayed: &[&str], stored: &[&str]| {
            compare(&lines(replayed), &lines(stored)).unwrap_err().to_string()
        };
        assert!(named(&["a", "b"], &["a", "c"]).starts_with("trade 2 of the slot differs"));
        assert!(named(&["a"], &["a", "c"]).contains("lead to ``, stored is `c`"));
        assert!(named(&["a", "b"], &["a"]).contains("lead to `b`, stored is ``"));
    }
}

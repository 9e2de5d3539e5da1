//! Following deposits and withdrawals from the chain's events into the ledger.
//!
//! A member may deposit from a wallet of its own, and is paid out by the contract: the settler sends
//! neither, so only the events tell. They are read in stretches of blocks that are deep enough to
//! count, each stored with the hash of its last block. If that hash is another later, the chain was
//! reorganised all the same (or started over): what came after the last block that still stands is
//! taken back and read again. It can be begun again at any block.

use store::StoreError;
use store::movements::{self, Followed};
use store::notify::{self, Event, Kind};

use crate::context::{Context, Settling};
use crate::error::{SettleError, out_of_range};

/// How many blocks are asked for at once; many nodes refuse more than some thousands.
const MAX_STRETCH: i64 = 1_000;

/// Follows the next stretch, if there is one. Returns whether anything was stored.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails; the next call goes on from the rows.
pub async fn next_stretch(settling: &Settling) -> Result<bool, SettleError> {
    let Settling { context, domain, .. } = settling;
    let (pool, community, chain) = (&context.pool, &context.community_id, &context.chain);
    let head = i64::try_from(chain.head().await?.number).map_err(|_| out_of_range("a block number"))?;
    let too_young = i64::try_from(context.policy.watch.confirmations).unwrap_or(i64::MAX) - 1;
    let deep = head.saturating_sub(too_young);
    let followed = movements::followed(pool, community).await?;
    let from = match followed.first() {
        // A node that lags, or a chain that has just started over: wait until it is as far.
        Some(last) if last.block_number >= deep => return Ok(false),
        Some(last) if hash(context, last.block_number).await? != Some(last.block_hash) => {
            return rewind(context, &followed).await.map(|()| true);
        }
        Some(last) => last.block_number + 1,
        None => movements::first_block(pool, community).await?,
    };
    if from > deep {
        return Ok(false);
    }
    let to = deep.min(from + MAX_STRETCH - 1);
    // The same hash before and after: the events are those of the chain that the hash stands for.
    let Some(block_hash) = hash(context, to).await? else { return Ok(false) };
    let found = chain.movements(&domain.credit, number(from)?, number(to)?).await?;
    if hash(context, to).await? != Some(block_hash) {
        return Ok(false);
    }
    let base_units_per_unit = chain.scale().base_units_per_unit();
    let mut tx = pool.begin().await.map_err(StoreError::from)?;
    let end = Followed { block_number: to, block_hash };
    let booked = movements::store(&mut tx, community, &found, base_units_per_unit, &end).await?;
    if booked > 0 {
        notify::send(&mut *tx, &Event::new(Kind::Deposit, community, None)).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    if booked > 0 {
        tracing::info!(%community, booked, from, to, "booked deposits and withdrawals of others");
    }
    Ok(booked > 0 || to < deep)
}

/// Takes back what came after the last block that still stands.
async fn rewind(context: &Context, followed: &[Followed]) -> Result<(), SettleError> {
    let mut stands = None;
    for block in followed {
        if hash(context, block.block_number).await? == Some(block.block_hash) {
            stands = Some(block.block_number);
            break;
        }
    }
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    let taken_back = movements::rewind(&mut tx, &context.community_id, stands).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::warn!(
        community = %context.community_id, ?stands, taken_back,
        "the chain was reorganised below what counted as final; its events are followed again from there"
    );
    Ok(())
}

async fn hash(context: &Context, block_number: i64) -> Result<Option<[u8; 32]>, SettleError> {
    Ok(context.chain.block_hash(number(block_number)?).await?)
}

fn number(block_number: i64) -> Result<u64, SettleError> {
    u64::try_from(block_number).map_err(|_| out_of_range("a block number"))
}

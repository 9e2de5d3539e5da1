//! Following deposits and withdrawals from the chain's events into the ledger.
//!
//! A member may deposit from a wallet of its own, and is paid out by the contract: the settler sends
//! neither, so only the events tell. They are read in stretches of blocks that are deep enough to
//! count, each stored with the hash of its last block. If that hash is another later, the chain was
//! reorganised all the same (or started over): what came after the last block that still stands is
//! taken back and read again. It can be begun again at any block.

use store::StoreError;
use store::movements::{self, Followed, Movement};
use store::notify::{self, Event, Kind};

use crate::chain::Address;
use crate::context::{Context, Settling};
use crate::error::{SettleError, out_of_range};

/// How many blocks are asked for at once; many nodes refuse more than some thousands. Fewer, if the node
/// does not answer for so many: somebody may have filled them with deposits.
const STRETCHES: [i64; 3] = [1_000, 50, 1];

/// What became of a look at the chain's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// There is nothing new.
    None,
    /// Something was booked, or there is more to read: look again at once.
    Stored,
    /// The chain is another than it was, so that it may have forgotten transactions too.
    Rewound,
}

/// Follows the next stretch, if there is one; credits that lay at an address before it became an account's
/// are booked first.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails; the next call goes on from the rows.
pub async fn next_stretch(settling: &Settling) -> Result<Stretch, SettleError> {
    let context = &settling.context;
    let (pool, community, chain) = (&context.pool, &context.community_id, &context.chain);
    if movements::has_claimable(pool, community).await? {
        return claim(context).await.map(|()| Stretch::Stored);
    }
    let head = i64::try_from(chain.head().await?.number).map_err(|_| out_of_range("a block number"))?;
    let too_young = i64::try_from(context.policy.watch.confirmations).unwrap_or(i64::MAX) - 1;
    let deep = head.saturating_sub(too_young);
    let followed = movements::followed(pool, community).await?;
    let from = match followed.first() {
        Some(last) => {
            // A node that lags has what is remembered as far as it is; a chain that started over, or lost its newest
            // blocks for good, does not.
            let shared = followed.iter().find(|block| block.block_number <= deep);
            let Some(shared) = shared else { return Ok(Stretch::None) };
            if hash(context, shared.block_number).await? != Some(shared.block_hash) {
                return rewind(context, &followed).await.map(|()| Stretch::Rewound);
            }
            last.block_number + 1
        }
        None => movements::first_block(pool, community).await?,
    };
    if from > deep {
        return Ok(Stretch::None);
    }
    let Some((end, found)) = read(context, &settling.domain.credit, from, deep).await? else {
        return Ok(Stretch::None);
    };
    let to = end.block_number;
    let base_units_per_unit = chain.scale().base_units_per_unit();
    let mut tx = pool.begin().await.map_err(StoreError::from)?;
    let booked = movements::store(&mut tx, community, &found, base_units_per_unit, &end).await?;
    if booked > 0 {
        notify::send(&mut *tx, &Event::new(Kind::Deposit, community, None)).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    if booked > 0 {
        tracing::info!(%community, booked, from, to, "booked deposits and withdrawals of others");
    }
    Ok(if booked > 0 || to < deep { Stretch::Stored } else { Stretch::None })
}

/// The events from a block on, as far as the node tells at once, with the last block they are of; `None`
/// if the chain changed meanwhile.
///
/// # Errors
/// [`SettleError`] if the chain does not answer, however little is asked for.
pub(crate) async fn read(
    context: &Context,
    credit: &Address,
    from: i64,
    deep: i64,
) -> Result<Option<(Followed, Vec<Movement>)>, SettleError> {
    let mut refused = None;
    for stretch in STRETCHES {
        let to = deep.min(from + stretch - 1);
        // The same hash before and after: the events are those of the chain that the hash stands for.
        let Some(block_hash) = hash(context, to).await? else { return Ok(None) };
        match context.chain.movements(credit, number(from)?, number(to)?).await {
            Ok(found) => {
                let same = hash(context, to).await? == Some(block_hash);
                return Ok(same.then_some((Followed { block_number: to, block_hash }, found)));
            }
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(None), |error| Err(error.into()))
}

/// Books what came to addresses before they were enrolled or linked.
async fn claim(context: &Context) -> Result<(), SettleError> {
    let community = &context.community_id;
    let base_units_per_unit = context.chain.scale().base_units_per_unit();
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    let accounts = movements::claim(&mut tx, community, base_units_per_unit).await?;
    notify::send(&mut *tx, &Event::new(Kind::Deposit, community, None)).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(%community, accounts, "booked credits that had come before their address was an account's");
    Ok(())
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

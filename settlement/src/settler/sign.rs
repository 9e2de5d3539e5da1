//! Signing the next prepared batch: what it can move, and the transaction that moves it.

use std::collections::{BTreeMap, HashMap};

use domain::ids::AccountId;
use domain::units::Money;
use store::StoreError;
use store::batches::{self, BatchRow, BatchStatus};
use store::ledger::Balance;
use store::notify::{self, Event, Kind};
use store::transactions::Purpose;
use store::{PgConnection, ledger, moves};

use super::chunks::{self, Empty};
use super::recover::{self, Unknown};
use super::way::{self, Way};
use crate::batch::{Step, after};
use crate::chain::{Address, ChainError, Position};
use crate::context::Settling;
use crate::error::SettleError;
use crate::finish::advance;
use crate::netting::{self, NettingError, Positions};
use crate::outgoing::{Outgoing, sign_all};

/// Signs the prepared batch of the earliest slot, unless one is on its way or none is prepared.
pub(super) async fn next_batch(settling: &Settling) -> Result<bool, SettleError> {
    let (pool, community) = (&settling.context.pool, &settling.context.community_id);
    // Credits of an account that changed its address are not yet where this batch would look for them.
    if let Some(batch) = batches::in_flight(pool, community).await? {
        return chunks::go_on(settling, &batch).await;
    }
    if moves::hold_batches(pool, community).await? {
        return Ok(false);
    }
    let Some(batch) = batches::next_prepared(pool, community).await? else { return Ok(false) };
    let mut balances = ledger::balances(pool, community).await?;
    let has_failed = store::batches::chunks::has_failed(pool, community, &batch.batch_id).await?;
    let mut proposal = propose(settling, &batch, &balances).await?;
    if proposal.way.is_err() || has_failed {
        // Credits may have been paid out that the ledger does not know of yet.
        cap_at_chain(settling, &mut balances).await?;
        proposal = propose(settling, &batch, &balances).await?;
    }
    let way = match proposal.way {
        Err(error) if error.is_refused_as("BatchInProgress") => {
            return Ok(recover::next(settling).await? == Unknown::Ending);
        }
        way => way?,
    };
    // What a debtor has paid in may be on its way.
    if proposal.is_short && ledger::deposits_signed(pool, community).await? > 0 {
        return Ok(false);
    }
    if proposal.is_short {
        tracing::warn!(slot = %batch.slot_start, "an account owes more than it holds; the rest is carried on");
    }
    let first_nonce = settling.context.chain.mined_nonce(1).await?;
    let fees = settling.context.fees().await?;
    let settled = proposal.settled;
    let (outgoing, chunks) = match way {
        Way::OneCall { call, gas_limit } => {
            (vec![Outgoing { purpose: Purpose::Settle(batch.batch_id), call, gas_limit }], Vec::new())
        }
        Way::Chunks(chunks) => {
            let empty = Empty::by_ledger(&balances);
            (chunks::beginning(settling, &batch, &chunks, &empty)?, chunks)
        }
    };

    let mut tx = pool.begin().await.map_err(StoreError::from)?;
    mark_signed(&mut tx, settling, &batch, &settled).await?;
    chunks::store_chunks(&mut tx, settling, &batch, &chunks).await?;
    let nonce = sign_all(&mut tx, &settling.context, first_nonce, fees, &outgoing).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(slot = %batch.slot_start, nonce, positions = settled.len(), chunks = chunks.len(), "signed a batch");
    Ok(true)
}

/// What a batch would move, and how.
struct Proposal {
    settled: Positions,
    /// Whether it moves less than is owed.
    is_short: bool,
    /// How it is sent, or why the contract would not take it.
    way: Result<Way, ChainError>,
}

async fn propose(
    settling: &Settling,
    batch: &BatchRow,
    balances: &[Balance],
) -> Result<Proposal, SettleError> {
    let (settled, is_short) = capped(settling, batch, balances).await?;
    let way = way::choose(settling, batch, positions(balances, &settled)?).await?;
    Ok(Proposal { settled, is_short, way })
}

/// What the batch can move, from what it owes, what earlier ones left open, and what everybody holds;
/// and whether that is less than it should.
async fn capped(
    settling: &Settling,
    batch: &BatchRow,
    balances: &[Balance],
) -> Result<(Positions, bool), SettleError> {
    let (pool, community) = (&settling.context.pool, &settling.context.community_id);
    let owed: Positions = batches::owed(pool, community, &batch.batch_id).await?.into_iter().collect();
    let carried: Positions = batches::carried(pool, community).await?.into_iter().collect();
    let holdings: BTreeMap<AccountId, Money> =
        balances.iter().map(|b| (b.account_id.clone(), b.balance)).collect();
    let wrong = |source: NettingError| SettleError::Netting { slot: batch.slot_start.to_rfc3339(), source };
    let targets = netting::targets(&owed, &carried).map_err(wrong)?;
    let settled = netting::cap(&targets, &holdings, &AccountId::reserve()).map_err(wrong)?;
    let is_short = settled != targets;
    // What the token cannot express stays open, as any other part that is not settled.
    let settled = netting::quantise(&settled, settling.context.chain.scale().quantum()).map_err(wrong)?;
    Ok((settled, is_short))
}

/// Lowers balances to what the chain says, in whole nano-currency units: less cannot be moved.
async fn cap_at_chain(settling: &Settling, balances: &mut [Balance]) -> Result<(), SettleError> {
    let addresses = balances.iter().map(|b| b.chain_address.parse()).collect::<Result<Vec<Address>, _>>()?;
    let on_chain = settling.context.chain.balances(&settling.domain.credit, &addresses).await?;
    let scale = settling.context.chain.scale();
    for (balance, base_units) in balances.iter_mut().zip(on_chain) {
        let held = scale.whole_nano(base_units).map_err(|e| SettleError::Inconsistent(e.to_string()))?;
        balance.balance = balance.balance.min(held);
    }
    Ok(())
}

/// The positions as the contract takes them: by address, ascending.
fn positions(balances: &[Balance], settled: &Positions) -> Result<Vec<Position>, SettleError> {
    let addresses: HashMap<&AccountId, &str> =
        balances.iter().map(|b| (&b.account_id, b.chain_address.as_str())).collect();
    let mut positions = Vec::with_capacity(settled.len());
    for (account, amount) in settled {
        let address = addresses.get(account).ok_or_else(|| {
            SettleError::Inconsistent(format!(
                "account {account} has no address on the chain: enrol it first"
            ))
        })?;
        positions.push(Position { account: address.parse()?, amount: *amount });
    }
    positions.sort_unstable();
    Ok(positions)
}

async fn mark_signed(
    tx: &mut PgConnection,
    settling: &Settling,
    batch: &BatchRow,
    settled: &Positions,
) -> Result<(), SettleError> {
    let context = &settling.context;
    let (community, now) = (&context.community_id, context.clock.now());
    let next: BatchStatus = after(batch.status, Step::Sign)?;
    let signed = batches::advance(&mut *tx, community, &batch.batch_id, batch.status, next, now).await?;
    advance(signed, "batch")?;
    let settled: Vec<_> = settled.iter().map(|(account, amount)| (account.clone(), *amount)).collect();
    batches::set_settled(&mut *tx, community, &batch.batch_id, &settled).await?;
    Ok(notify::send(tx, &Event::new(Kind::Batch, community, Some(batch.slot_start))).await?)
}

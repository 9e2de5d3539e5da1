//! Signing the next prepared batch: what it can move, and the transaction that moves it.

use std::collections::{BTreeMap, HashMap};

use domain::ids::{AccountId, BatchId};
use domain::units::Money;
use store::StoreError;
use store::batches::{self, BatchRow, BatchStatus};
use store::ledger::Balance;
use store::notify::{self, Event, Kind};
use store::transactions::Purpose;
use store::{PgConnection, ledger};

use crate::batch::{Step, after};
use crate::chain::{Address, Call, ChainError, Position};
use crate::context::Settling;
use crate::error::{SettleError, out_of_range};
use crate::finish::advance;
use crate::gas;
use crate::netting::{self, NettingError, Positions};
use crate::outgoing::{Outgoing, sign_all};

/// Signs the prepared batch of the earliest slot, unless one is on its way or none is prepared.
pub(super) async fn next_batch(settling: &Settling) -> Result<bool, SettleError> {
    let (pool, community) = (&settling.context.pool, &settling.context.community_id);
    if batches::in_flight(pool, community).await?.is_some() {
        return Ok(false);
    }
    let Some(batch) = batches::next_prepared(pool, community).await? else { return Ok(false) };
    let mut balances = ledger::balances(pool, community).await?;
    let mut proposal = propose(settling, &batch, &balances).await?;
    if proposal.refusal.is_some() {
        // Credits may have been paid out that the ledger does not know of yet.
        cap_at_chain(settling, &mut balances).await?;
        proposal = propose(settling, &batch, &balances).await?;
    }
    if let Some(error) = proposal.refusal {
        return Err(error.into());
    }
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
    let (purpose, call, gas_limit) = (Purpose::Settle(batch.batch_id), proposal.call, proposal.gas_limit);

    let mut tx = pool.begin().await.map_err(StoreError::from)?;
    mark_signed(&mut tx, settling, &batch, &settled).await?;
    let outgoing = [Outgoing { purpose, call, gas_limit }];
    let nonce = sign_all(&mut tx, &settling.context, first_nonce, fees, &outgoing).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(slot = %batch.slot_start, nonce, positions = settled.len(), "signed a batch");
    Ok(true)
}

/// What a batch would move, and whether the contract would take it.
struct Proposal {
    settled: Positions,
    /// Whether it moves less than is owed.
    is_short: bool,
    call: Call,
    gas_limit: u64,
    refusal: Option<ChainError>,
}

async fn propose(
    settling: &Settling,
    batch: &BatchRow,
    balances: &[Balance],
) -> Result<Proposal, SettleError> {
    let (settled, is_short) = capped(settling, batch, balances).await?;
    let call = settle_call(settling, batch, balances, &settled)?;
    let (gas_limit, refusal) = match gas_limit(settling, &batch.batch_id, &call, settled.len()).await {
        Ok(gas_limit) => (gas_limit, None),
        Err(error @ ChainError::WouldRevert { .. }) => (0, Some(error)),
        Err(error) => return Err(error.into()),
    };
    Ok(Proposal { settled, is_short, call, gas_limit, refusal })
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

fn settle_call(
    settling: &Settling,
    batch: &BatchRow,
    balances: &[Balance],
    settled: &Positions,
) -> Result<Call, SettleError> {
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
    let seconds = |s: i64| u64::try_from(s).map_err(|_| out_of_range("a slot's time"));
    let from = batch.slot_start.timestamp();
    Ok(Call::Settle {
        credit: settling.domain.credit,
        batch_id: batch.batch_id,
        slot_from_s: seconds(from)?,
        slot_to_s: seconds(from + i64::from(settling.slot_length.seconds()))?,
        statement_root: batch.statement_root,
        positions,
    })
}

/// What the call may use. A contract that would refuse it is not sent anything, with one exception:
/// if it knows the batch already (the database was set back), the transaction that is refused for it
/// is what the ledger's entries point to.
async fn gas_limit(
    settling: &Settling,
    batch_id: &BatchId,
    call: &Call,
    positions: usize,
) -> Result<u64, ChainError> {
    let chain = &settling.context.chain;
    match chain.estimate_gas(call).await {
        Err(ChainError::WouldRevert { reason }) => {
            if chain.settled_root(&settling.domain.credit, batch_id).await?.is_some() {
                Ok(gas::of_refused_settlement(positions))
            } else {
                Err(ChainError::WouldRevert { reason })
            }
        }
        estimate => estimate.map(gas::with_margin),
    }
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

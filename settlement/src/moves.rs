//! Moving credits between two addresses of one account, after its member linked an address of its own.
//!
//! Members cannot transfer credits, so the settler does: a batch of two positions that sum to zero,
//! between two batches of slots. In the ledger nothing moves, for the account stays the same. The
//! account lives at the new address from the moment the move is signed; until the move is final, no
//! batch of a slot is signed. What comes to the old address later is moved on in the same way, but from a
//! least amount on, once an hour, and no batch waits for it: anybody can send it.

use domain::ids::BatchId;
use domain::units::Money;
use receipt::merkle::{self, keccak256};
use store::StoreError;
use store::moves::{self, AccountMove, MoveEnd};
use store::notify::{self, Event, Kind};
use store::transactions::Purpose;
use store::{PgConnection, batches, ledger};

use crate::chain::{Call, Position};
use crate::context::{Context, Settling};
use crate::error::{SettleError, out_of_range};
use crate::finish::{advance, knows_batch};
use crate::gas;
use crate::outgoing::{Outgoing, sign_all};

/// What came to an address that its account has left is moved on from this much: anybody can send a trifle there, and
/// the settler pays for the move. Less stays until more comes; in the ledger it is the account's all the same.
const LEAST_LEFTOVER: Money = Money::from_nano(10_000_000);

/// Takes up the next move that was asked for, if nothing it could disturb is on its way. Returns
/// whether anything changed.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails; nothing is half done.
pub(crate) async fn sign_next(settling: &Settling) -> Result<bool, SettleError> {
    let (pool, community) = (&settling.context.pool, &settling.context.community_id);
    let Some(moved) = moves::next(pool, community, settling.context.clock.now()).await? else {
        return Ok(false);
    };
    // A slot is priced and settled for one address: what is priced is settled first, and so is what was
    // paid in for the old address.
    if batches::in_flight(pool, community).await?.is_some()
        || ledger::deposits_signed(pool, community).await? > 0
        || (!moved.has_left && batches::next_prepared(pool, community).await?.is_some())
    {
        return Ok(false);
    }
    let chain = &settling.context.chain;
    let held = chain.balances(&settling.domain.credit, &[moved.from]).await?;
    let held = held.first().copied().unwrap_or_default();
    let amount = chain.scale().whole_nano(held).map_err(|e| SettleError::Inconsistent(e.to_string()))?;
    if amount.is_zero() || (moved.is_leftover && amount < LEAST_LEFTOVER) {
        return without_credits(settling, &moved).await.map(|()| true);
    }
    sign(settling, &moved, amount).await.map(|()| true)
}

/// There is nothing to move, or too little: the account changes its address and that is all.
async fn without_credits(settling: &Settling, moved: &AccountMove) -> Result<(), SettleError> {
    let context = &settling.context;
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    let end = if leave(&mut tx, context, moved).await? { MoveEnd::Void } else { MoveEnd::Refused };
    moves::end(&mut tx, &context.community_id, moved.move_id, end, context.clock.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(account = %moved.account_id, from = %moved.from, to = %moved.to, ?end, "no credits to move on");
    Ok(())
}

/// Lets the account live at the new address, unless it does. `false` if it may not.
async fn leave(tx: &mut PgConnection, context: &Context, moved: &AccountMove) -> Result<bool, SettleError> {
    let (community, now) = (&context.community_id, context.clock.now());
    Ok(moved.has_left || moves::change_address(tx, community, moved, now).await?)
}

async fn sign(settling: &Settling, moved: &AccountMove, amount: Money) -> Result<(), SettleError> {
    let context = &settling.context;
    let (community, now) = (&context.community_id, context.clock.now());
    let call = call(settling, moved, amount)?;
    let gas_limit = gas::with_margin(context.chain.estimate_gas(&call).await?);
    let (first_nonce, fees) = (context.chain.mined_nonce(1).await?, context.fees().await?);
    let outgoing = [Outgoing { purpose: Purpose::Move(moved.move_id), call, gas_limit }];

    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    if leave(&mut tx, context, moved).await? {
        advance(moves::mark_signed(&mut *tx, community, moved, amount).await?, "move of an account")?;
        sign_all(&mut tx, context, first_nonce, fees, &outgoing).await?;
    } else {
        moves::end(&mut tx, community, moved.move_id, MoveEnd::Refused, now).await?;
    }
    notify::send(&mut *tx, &Event::new(Kind::Deposit, community, None)).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(account = %moved.account_id, from = %moved.from, to = %moved.to, %amount, "moving credits");
    Ok(())
}

fn call(settling: &Settling, moved: &AccountMove, amount: Money) -> Result<Call, SettleError> {
    let owed = amount.checked_neg().map_err(|_| out_of_range("an amount to move"))?;
    let mut positions =
        vec![Position { account: moved.from, amount: owed }, Position { account: moved.to, amount }];
    positions.sort_unstable();
    let batch_id = batch_id(settling, moved);
    let now_s =
        u64::try_from(settling.context.clock.now().timestamp()).map_err(|_| out_of_range("the time"))?;
    Ok(Call::Settle {
        credit: settling.domain.credit,
        batch_id,
        slot_from_s: now_s,
        slot_to_s: now_s + 1,
        // There is no statement: the root is a leaf that says whose batch it is, and proves nothing else.
        statement_root: merkle::leaf(&batch_id.0),
        positions,
    })
}

/// The id of a move's batch: known before the first try, so that the contract takes it once. It names
/// what the chain shows anyway, and no member.
fn batch_id(settling: &Settling, moved: &AccountMove) -> BatchId {
    let domain = &settling.domain;
    BatchId(keccak256(&[
        b"busbar/move/v1",
        &domain.chain_id.to_be_bytes(),
        &domain.credit.0,
        &keccak256(&[domain.community_id.as_str().as_bytes()]),
        &moved.move_id.to_be_bytes(),
        &moved.from.0,
        &moved.to.0,
    ]))
}

/// Whether the contract knows a signed move, though its transaction did not succeed: then another one
/// with the same effect did.
pub(crate) async fn is_done(context: &Context, move_id: i64) -> Result<bool, SettleError> {
    let settling = Settling::of(context.clone()).await?;
    let Some(moved) = moves::signed(&context.pool, &context.community_id, move_id).await? else {
        return Ok(false);
    };
    let id = batch_id(&settling, &moved);
    knows_batch(context, &id).await
}

/// Ends a move whose transaction has ended, or asks for it again if it `failed`.
pub(crate) async fn end(
    tx: &mut PgConnection,
    context: &Context,
    move_id: i64,
    succeeded: bool,
) -> Result<(), SettleError> {
    let community = &context.community_id;
    if succeeded {
        moves::end(&mut *tx, community, move_id, MoveEnd::Final, context.clock.now()).await?;
    } else {
        moves::reset(&mut *tx, community, move_id).await?;
    }
    Ok(notify::send(tx, &Event::new(Kind::Deposit, community, None)).await?)
}

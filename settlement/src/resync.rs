//! Telling a chain again what it has forgotten: a development chain that was restarted empty, a deep
//! reorganisation, a node that dropped its pool.

use std::time::Duration;

use store::transactions;

use crate::chain::ChainError;
use crate::context::Context;
use crate::error::{SettleError, out_of_range};

/// How many transactions are sent before waiting until they are mined; nodes bound what they queue
/// for one sender.
const CHUNK: i64 = 256;
const POLL: Duration = Duration::from_millis(250);
/// Two minutes a chunk.
const MAX_POLLS: u32 = 480;

/// Broadcasts the stored bytes of every transaction of the sender that the chain has not mined, in
/// the order of nonces. Returns how many. Harmless when nothing was forgotten: what a node has
/// already it ignores.
///
/// # Errors
/// [`SettleError::Chain`] if the node is away or does not mine what it was told; call it again.
pub async fn resync(context: &Context) -> Result<u64, SettleError> {
    let sender = context.chain.sender().to_string();
    let mined = mined_nonce(context).await?;
    let Some(last) = transactions::last_nonce(&context.pool, &sender).await? else { return Ok(0) };
    let (mut next, mut sent) = (mined, 0_u64);
    while next <= last {
        let chunk = transactions::replay(&context.pool, &sender, next, CHUNK).await?;
        let Some((last_of_chunk, _)) = chunk.last() else { break };
        if next > mined {
            until_mined(context, next).await?;
        }
        next = last_of_chunk + 1;
        for (_, raw) in &chunk {
            match context.chain.broadcast(raw).await {
                Ok(()) => sent += 1,
                // It was mined meanwhile, or its nonce was: what became of it is asked by its hash.
                Err(ChainError::NonceTooLow) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    if sent > 0 {
        tracing::info!(sent, from_nonce = mined, "sent stored transactions that the chain had not mined");
    }
    Ok(sent)
}

async fn until_mined(context: &Context, nonce: i64) -> Result<(), SettleError> {
    for _ in 0..MAX_POLLS {
        if mined_nonce(context).await? >= nonce {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(ChainError::Unavailable {
        node: "the chain".to_owned(),
        reason: format!("it does not mine the transaction before nonce {nonce}"),
    }
    .into())
}

async fn mined_nonce(context: &Context) -> Result<i64, SettleError> {
    i64::try_from(context.chain.mined_nonce(1).await?).map_err(|_| out_of_range("a nonce"))
}

//! A chain behind which the settler is killed: at one chosen point, before or after one of its calls to
//! the node, it never gets to run again.
//!
//! Whatever the settler does between two calls is a commit at most, so that "before a call" is also
//! "after the commit before it". The chain behind stays, as a real one does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use domain::ids::BatchId;
use rand::SeedableRng;
use rand::rngs::StdRng;
use settlement::chain::fake::FakeChain;
use settlement::chain::{
    Address, BatchState, BlockRef, Call, Chain, ChainError, CodeMatch, Fees, Movement, Position, SignedTx,
    TokenScale, TxHash, TxStatus, UnsignedTx,
};
use settlement::settler::{Settler, Tick};
use tokio::sync::Notify;

use super::World;

/// How many random runs of a kind there are in the tests of every day.
const SEEDS: u64 = 2;
/// So many ask for every point there is.
pub const ALL: u64 = 20;
/// No run takes more turns of the settler than this.
pub const MAX_TURNS: u32 = 2_000;

/// How many runs are asked for.
#[allow(clippy::disallowed_methods)] // a longer run is asked for from outside
pub fn seeds() -> u64 {
    std::env::var("BUSBAR_FAULT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS)
}

/// One settler that gets as far as a point, or rests before it. Returns how many it passed and whether
/// everything is done.
pub async fn settle(world: &World, chain: &FakeChain, last_point: u64) -> (u64, bool) {
    let crashing = CrashingChain::new(chain.clone(), last_point);
    let mut settling = world.settling().await;
    settling.context.chain = Arc::new(crashing.clone());
    let mut settler = Settler::new(settling, StdRng::from_seed([3; 32]));
    let work = async {
        for _ in 0..MAX_TURNS {
            match settler.tick().await {
                Ok(Tick::Progress) => {}
                Ok(Tick::Idle) if !settler.waits_for_lower_fees() => return true,
                // What the chain does next is for the caller.
                Ok(_) | Err(_) => return false,
            }
        }
        panic!("the settler never rests");
    };
    let done = tokio::select! {
        biased;
        done = work => done,
        () = crashing.crashed() => false,
    };
    (crashing.passed(), done)
}

/// A chain on which the settler gets past so many points and no further.
#[derive(Clone)]
pub struct CrashingChain {
    pub inner: FakeChain,
    /// Where it ends, as a value; the first point is 0.
    last_point: u64,
    passed: Arc<AtomicU64>,
    crashed: Arc<Notify>,
}

impl CrashingChain {
    pub fn new(inner: FakeChain, last_point: u64) -> Self {
        Self { inner, last_point, passed: Arc::default(), crashed: Arc::default() }
    }

    /// How many points were passed.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// Ends when the settler has come to its last point.
    pub async fn crashed(&self) {
        self.crashed.notified().await;
    }

    async fn point(&self) {
        if self.passed.fetch_add(1, Ordering::SeqCst) >= self.last_point {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// A call with a point before and a point after it.
macro_rules! call {
    ($self:ident . $name:ident ( $($argument:expr),* )) => {{
        $self.point().await;
        let answer = $self.inner.$name($($argument),*).await;
        $self.point().await;
        answer
    }};
}

#[async_trait]
impl Chain for CrashingChain {
    fn chain_id(&self) -> u64 {
        self.inner.chain_id()
    }

    fn scale(&self) -> TokenScale {
        self.inner.scale()
    }

    fn sender(&self) -> Address {
        self.inner.sender()
    }

    fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, ChainError> {
        self.inner.sign(tx)
    }

    fn sign_replacement(&self, raw: &[u8], fees: Fees) -> Result<SignedTx, ChainError> {
        self.inner.sign_replacement(raw, fees)
    }

    fn contract_address(&self, nonce: u64) -> Address {
        self.inner.contract_address(nonce)
    }

    async fn check(&self) -> Result<(), ChainError> {
        call!(self.check())
    }

    async fn head(&self) -> Result<BlockRef, ChainError> {
        call!(self.head())
    }

    async fn mined_nonce(&self, confirmations: u64) -> Result<u64, ChainError> {
        call!(self.mined_nonce(confirmations))
    }

    async fn base_fee_wei(&self) -> Result<u128, ChainError> {
        call!(self.base_fee_wei())
    }

    async fn block_gas_limit(&self) -> Result<u64, ChainError> {
        call!(self.block_gas_limit())
    }

    async fn fees(&self) -> Result<Fees, ChainError> {
        call!(self.fees())
    }

    async fn estimate_gas(&self, of: &Call) -> Result<u64, ChainError> {
        call!(self.estimate_gas(of))
    }

    async fn broadcast(&self, raw: &[u8]) -> Result<(), ChainError> {
        call!(self.broadcast(raw))
    }

    async fn status(&self, hash: &TxHash) -> Result<TxStatus, ChainError> {
        call!(self.status(hash))
    }

    async fn own_transaction(&self, hash: &TxHash) -> Result<Option<SignedTx>, ChainError> {
        call!(self.own_transaction(hash))
    }

    async fn has_code(&self, address: &Address) -> Result<bool, ChainError> {
        call!(self.has_code(address))
    }

    async fn settled_root(
        &self,
        credit: &Address,
        batch_id: &BatchId,
    ) -> Result<Option<[u8; 32]>, ChainError> {
        call!(self.settled_root(credit, batch_id))
    }

    async fn batch_state(
        &self,
        credit: &Address,
        batch_id: &BatchId,
        confirmations: u64,
    ) -> Result<BatchState, ChainError> {
        call!(self.batch_state(credit, batch_id, confirmations))
    }

    async fn pushed_chunks(
        &self,
        credit: &Address,
        batch_id: &BatchId,
    ) -> Result<Vec<Vec<Position>>, ChainError> {
        call!(self.pushed_chunks(credit, batch_id))
    }

    async fn credit_code(&self, address: &Address) -> Result<CodeMatch, ChainError> {
        call!(self.credit_code(address))
    }

    async fn decimals(&self, token: &Address) -> Result<u8, ChainError> {
        call!(self.decimals(token))
    }

    async fn currency_of(&self, credit: &Address) -> Result<Address, ChainError> {
        call!(self.currency_of(credit))
    }

    async fn withdrawal_delay_s(&self, credit: &Address) -> Result<u64, ChainError> {
        call!(self.withdrawal_delay_s(credit))
    }

    async fn block_hash(&self, number: u64) -> Result<Option<[u8; 32]>, ChainError> {
        call!(self.block_hash(number))
    }

    async fn movements(&self, credit: &Address, from: u64, to: u64) -> Result<Vec<Movement>, ChainError> {
        call!(self.movements(credit, from, to))
    }

    async fn deep_balances(
        &self,
        credit: &Address,
        accounts: &[Address],
        confirmations: u64,
    ) -> Result<Vec<u128>, ChainError> {
        call!(self.deep_balances(credit, accounts, confirmations))
    }
}

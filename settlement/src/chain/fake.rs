//! A chain in memory that misbehaves on request: drops, delays, reverts, reorganises, forgets all.
//!
//! It keeps the contracts' state and refuses what they refuse, a batch id a second time above all, so
//! that a settler tested against it is tested against the rules and not against a list of answers.
//! Clones share one chain, as several processes share a node.

mod chunked;
mod node;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use domain::units::Money;

use super::{Address, Call, ChainError, Movement, MovementKind, TokenScale, TxHash, UnsignedTx};
use receipt::merkle::keccak256;
use state::State;

/// The chain id of every fake chain.
pub const CHAIN_ID: u64 = 31_337;
const GAS_USED: u64 = 100_000;
const MAX_BLOCK_TRANSACTIONS: usize = 256;

/// A fake chain with one sender.
#[derive(Debug, Clone)]
pub struct FakeChain {
    world: Arc<Mutex<World>>,
    sender: Address,
}

#[derive(Debug, Default)]
struct World {
    /// What every signed transaction ever seen says; a node reads that from the bytes.
    signed: HashMap<TxHash, UnsignedTx>,
    mempool: BTreeMap<u64, TxHash>,
    blocks: Vec<Block>,
    state: State,
    faults: Faults,
    broadcasts: u64,
    /// Counts the blocks ever mined, so that a block in the place of another has another hash.
    mined: u64,
}

#[derive(Debug)]
struct Block {
    transactions: Vec<(TxHash, bool)>,
    movements: Vec<Movement>,
    before: State,
    hash: [u8; 32],
}

/// What goes wrong from now on.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The node does not answer.
    pub away: bool,
    /// So many transactions are accepted and then forgotten.
    pub drop_next: u32,
    /// So many transactions revert when they are mined.
    pub revert_next: u32,
    /// Transactions that offer less stay pending, in wei a unit of gas.
    pub lowest_fee_wei: u128,
    /// Whether the node refuses such transactions instead of keeping them.
    pub refuses_cheap: bool,
    /// Whether a block is mined at each broadcast.
    pub mine_at_once: bool,
    /// The node names a nonce that is wrong by so many: lower, as one that lags behind does, or higher.
    pub nonce_error: i64,
    /// Every call but those that deploy is refused, as a paused contract does.
    pub paused: bool,
    /// The sender cannot pay for gas: the node takes no transaction.
    pub penniless: bool,
    /// Something else stands where the credit contract should.
    pub other_code: bool,
    /// How much gas a block holds; 0 stands for thirty million.
    pub block_gas_limit: u64,
}

impl FakeChain {
    /// An empty chain.
    #[must_use]
    pub fn new(sender: Address) -> Self {
        Self { world: Arc::default(), sender }
    }

    /// An empty chain whose currency token is so fine.
    #[must_use]
    pub fn with_scale(sender: Address, scale: TokenScale) -> Self {
        let chain = Self::new(sender);
        chain.world().state.scale = scale;
        chain
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn node(&self) -> Result<MutexGuard<'_, World>, ChainError> {
        let world = self.world();
        if world.faults.away {
            return Err(ChainError::Unavailable { node: "fake".into(), reason: "away".into() });
        }
        Ok(world)
    }

    /// Sets what goes wrong.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.world().faults);
    }

    /// Mines a block of what waits, in the order of nonces.
    pub fn mine(&self) {
        self.world().mine(self.sender);
    }

    /// Mines a block of no more than so many of what waits.
    pub fn mine_some(&self, most: usize) {
        self.world().mine_at_most(self.sender, most);
    }

    /// Mines a block in which a stranger calls the contract.
    ///
    /// # Errors
    /// The contract's refusal.
    pub fn call_elsewhere(&self, call: &Call) -> Result<(), String> {
        let mut world = self.world();
        let before = world.state.clone();
        world.state.apply(Address([0x99; 20]), 0, call)?;
        world.seal(before, Vec::new(), Vec::new());
        Ok(())
    }

    /// Takes the newest `depth` blocks back; their transactions wait again unless `forget` is set.
    pub fn reorganise(&self, depth: usize, forget: bool) {
        let mut world = self.world();
        for _ in 0..depth {
            let Some(block) = world.blocks.pop() else { return };
            world.state = block.before;
            for (hash, _) in block.transactions {
                let nonce = world.signed.get(&hash).map(|tx| tx.nonce);
                if let (Some(nonce), false) = (nonce, forget) {
                    world.mempool.insert(nonce, hash);
                }
            }
        }
    }

    /// Mines a block in which somebody else deposits for an account, or a member asks to be paid out, is
    /// paid or takes its request back.
    ///
    /// # Errors
    /// What the contract would say if an account that holds less is paid out.
    pub fn move_elsewhere(&self, kind: MovementKind, account: Address, amount: Money) -> Result<(), String> {
        let mut world = self.world();
        let before = world.state.clone();
        world.state.move_elsewhere(kind, &account, amount)?;
        let tx_hash = TxHash(keccak256(&[b"elsewhere", &world.mined.to_be_bytes()]));
        world.seal(before, vec![(tx_hash, true)], vec![(kind, account, amount, tx_hash)]);
        Ok(())
    }

    /// Puts a contract of somebody else's at an address, such as a currency token.
    pub fn place_contract(&self, address: Address) {
        self.world().state.contracts.insert(address);
    }

    /// Forgets what waits to be mined.
    pub fn clear_mempool(&self) {
        self.world().mempool.clear();
    }

    /// Starts over with an empty chain, as a development chain does when it is restarted.
    pub fn restart_empty(&self) {
        let mut world = self.world();
        world.mempool.clear();
        world.blocks.clear();
        let scale = world.state.scale;
        world.state = State::default();
        world.state.scale = scale;
    }

    /// Spends the sender's next nonce elsewhere, as somebody else with its key could.
    pub fn spend_nonce_elsewhere(&self) {
        let mut world = self.world();
        let nonce = world.state.nonce;
        world.mempool.remove(&nonce);
        world.state.nonce += 1;
    }

    /// How many blocks there are.
    #[must_use]
    pub fn height(&self) -> usize {
        self.world().blocks.len()
    }

    /// How many broadcasts the node has taken.
    #[must_use]
    pub fn broadcasts(&self) -> u64 {
        self.world().broadcasts
    }

    /// How many batches the contract has settled.
    #[must_use]
    pub fn settled_batches(&self) -> usize {
        self.world().state.settled.len()
    }

    /// The credits of an account.
    #[must_use]
    pub fn credits(&self, account: &Address) -> Money {
        self.world().state.credits.get(account).copied().unwrap_or_default()
    }
}

impl World {
    fn mine(&mut self, sender: Address) {
        self.mine_at_most(sender, MAX_BLOCK_TRANSACTIONS);
    }

    fn mine_at_most(&mut self, sender: Address, most: usize) {
        let before = self.state.clone();
        let (mut transactions, mut moved) = (Vec::new(), Vec::new());
        while transactions.len() < most {
            let Some((hash, tx)) = self.next_minable() else { break };
            self.mempool.remove(&tx.nonce);
            let reverts = self.faults.revert_next > 0;
            self.faults.revert_next = self.faults.revert_next.saturating_sub(1);
            let reverts = reverts || (self.faults.paused && tx.call.is_settlement());
            let succeeded = !reverts && self.state.apply(sender, tx.nonce, &tx.call).is_ok();
            self.state.nonce += 1;
            transactions.push((hash, succeeded));
            if let (true, Call::DepositFor { account, amount, .. }) = (succeeded, &tx.call) {
                moved.push((MovementKind::Deposit, *account, *amount, hash));
            }
        }
        self.seal(before, transactions, moved);
    }

    fn seal(
        &mut self,
        before: State,
        transactions: Vec<(TxHash, bool)>,
        moved: Vec<(MovementKind, Address, Money, TxHash)>,
    ) {
        self.mined += 1;
        let number = self.blocks.len() as u64 + 1;
        let hash = keccak256(&[&number.to_be_bytes(), &self.mined.to_be_bytes()]);
        let scale = self.state.scale;
        let movement = |(log_index, (kind, address, amount, tx_hash))| Movement {
            block_number: i64::try_from(number).unwrap_or(i64::MAX),
            log_index,
            kind,
            address,
            base_units: scale.to_base_units(amount).unwrap_or_default().unsigned_abs(),
            tx_hash,
        };
        let movements = (0..).zip(moved).map(movement).collect();
        self.blocks.push(Block { transactions, movements, before, hash });
    }

    fn next_minable(&self) -> Option<(TxHash, UnsignedTx)> {
        let hash = self.mempool.get(&self.state.nonce)?;
        let tx = self.signed.get(hash)?;
        (tx.fees.max_fee_per_gas_wei >= self.faults.lowest_fee_wei).then(|| (*hash, tx.clone()))
    }

    /// The state after the newest block that has `confirmations` blocks on it, its own included.
    fn deep(&self, confirmations: u64) -> &State {
        let too_young = usize::try_from(confirmations.saturating_sub(1)).unwrap_or(usize::MAX);
        let newest = self.blocks.len().saturating_sub(too_young);
        self.blocks.get(newest).map_or(&self.state, |block| &block.before)
    }

    fn find(&self, hash: &TxHash) -> Option<(usize, bool)> {
        self.blocks.iter().enumerate().find_map(|(height, block)| {
            block.transactions.iter().find(|(other, _)| other == hash).map(|(_, ok)| (height, *ok))
        })
    }

    fn take(&mut self, hash: TxHash) -> Result<(), ChainError> {
        let tx = self.signed.get(&hash).cloned().ok_or_else(|| rejected("these bytes are not signed"))?;
        if tx.nonce < self.state.nonce {
            return if self.find(&hash).is_some() { Ok(()) } else { Err(ChainError::NonceTooLow) };
        }
        if let Some(waiting) = self.mempool.get(&tx.nonce).and_then(|other| self.signed.get(other))
            && *waiting != tx
            && tx.fees < waiting.fees.bumped()
        {
            return Err(ChainError::Underpriced { reason: "replacement underpriced".into() });
        }
        if self.faults.refuses_cheap && tx.fees.max_fee_per_gas_wei < self.faults.lowest_fee_wei {
            return Err(ChainError::Underpriced {
                reason: "max fee per gas less than block base fee".into(),
            });
        }
        self.broadcasts += 1;
        if self.faults.drop_next > 0 {
            self.faults.drop_next -= 1;
        } else {
            self.mempool.insert(tx.nonce, hash);
        }
        Ok(())
    }
}

fn rejected(reason: &str) -> ChainError {
    ChainError::Rejected { reason: reason.to_owned() }
}

fn hash_of(raw: &[u8]) -> Result<TxHash, ChainError> {
    raw.try_into().map(TxHash).map_err(|_| rejected("these bytes are no transaction"))
}

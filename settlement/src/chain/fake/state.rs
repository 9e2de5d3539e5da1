//! What the contracts of a fake chain hold, and what they refuse.

use std::collections::{HashMap, HashSet};

use domain::ids::BatchId;
use domain::units::Money;

use super::chunked::OpenBatch;
use crate::chain::{Address, Call, ChunkCall, MovementKind, Position, TokenScale};
use receipt::merkle::keccak256;

/// The state after a block; cloned for each, so that blocks can be taken back.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) nonce: u64,
    pub(super) contracts: HashSet<Address>,
    pub(super) credits: HashMap<Address, Money>,
    /// The statement root of each batch, by contract.
    pub(super) settled: HashMap<(Address, BatchId), [u8; 32]>,
    pub(super) scale: TokenScale,
    /// The currency of each credit contract.
    pub(super) wrapped: HashMap<Address, Address>,
    /// The withdrawal delay of each credit contract, in seconds.
    pub(super) delays: HashMap<Address, u64>,
    currency: HashMap<Address, Money>,
    /// The batch in progress in chunks.
    pub(super) open: Option<OpenBatch>,
    approved: bool,
    roles: HashSet<(u64, Address)>,
    settler_role: Option<u64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            nonce: 0,
            contracts: HashSet::new(),
            credits: HashMap::new(),
            settled: HashMap::new(),
            scale: TokenScale::ETHER,
            wrapped: HashMap::new(),
            delays: HashMap::new(),
            currency: HashMap::new(),
            open: None,
            approved: false,
            roles: HashSet::new(),
            settler_role: None,
        }
    }
}

impl State {
    pub(super) fn contract_address(sender: &Address, nonce: u64) -> Address {
        let hash = keccak256(&[b"contract", &sender.0, &nonce.to_be_bytes()]);
        let mut address = [0; 20];
        address.copy_from_slice(&hash[12..]);
        Address(address)
    }

    /// Does what a transaction of `sender` says, or nothing and says why not.
    pub(super) fn apply(&mut self, sender: Address, nonce: u64, call: &Call) -> Result<(), String> {
        match call {
            Call::DeployCurrency { .. } => {
                self.contracts.insert(Self::contract_address(&sender, nonce));
            }
            Call::DeployCredit(settings) => {
                let address = Self::contract_address(&sender, nonce);
                self.contracts.insert(address);
                self.wrapped.insert(address, settings.currency);
                self.delays.insert(address, settings.withdrawal_delay_s);
            }
            Call::DeployAuthority { administrator } => {
                self.contracts.insert(Self::contract_address(&sender, nonce));
                self.roles.insert((0, *administrator));
            }
            Call::LabelRole { authority, .. } => self.administrate(authority, sender)?,
            Call::AllowFunctions { authority, functions, role, .. } => {
                self.administrate(authority, sender)?;
                if functions.contains(&"settle") {
                    self.settler_role = Some(*role);
                }
            }
            Call::GrantRole { authority, role, holder } => {
                self.administrate(authority, sender)?;
                self.roles.insert((*role, *holder));
            }
            Call::RenounceRole { role, holder, .. } => {
                self.roles.remove(&(*role, *holder));
            }
            Call::HandOver { currency, .. } => self.require_contract(currency)?,
            Call::Mint { currency, to, amount } => {
                self.require_contract(currency)?;
                add(&mut self.currency, to, *amount)?;
            }
            Call::ApproveAll { currency, .. } => {
                self.require_contract(currency)?;
                self.approved = true;
            }
            Call::DepositFor { credit, account, amount } => self.deposit(sender, credit, account, *amount)?,
            Call::Settle { credit, batch_id, statement_root, positions, .. } => {
                self.authorise(sender, credit)?;
                self.require_new(credit, batch_id)?;
                self.settle(positions)?;
                self.settled.insert((*credit, *batch_id), *statement_root);
            }
            Call::Nothing { .. } => {}
            Call::ReleaseChunk(chunk) => {
                self.require_contract(&chunk.credit)?;
                self.release(chunk)?;
            }
            Call::OpenBatch { credit, .. }
            | Call::FinaliseBatch { credit, .. }
            | Call::AbandonBatch { credit, .. }
            | Call::PushChunk(ChunkCall { credit, .. }) => {
                self.authorise(sender, credit)?;
                self.chunked(call)?;
            }
        }
        Ok(())
    }

    fn administrate(&self, authority: &Address, sender: Address) -> Result<(), String> {
        self.require_contract(authority)?;
        self.roles
            .contains(&(0, sender))
            .then_some(())
            .ok_or_else(|| "AccessManagerUnauthorizedAccount".into())
    }

    fn require_contract(&self, address: &Address) -> Result<(), String> {
        self.contracts.contains(address).then_some(()).ok_or_else(|| format!("no contract at {address}"))
    }

    fn deposit(
        &mut self,
        sender: Address,
        credit: &Address,
        account: &Address,
        amount: Money,
    ) -> Result<(), String> {
        self.require_contract(credit)?;
        let has = self.currency.get(&sender).copied().unwrap_or_default();
        if !self.approved || has < amount {
            return Err("ERC20InsufficientBalance".into());
        }
        add(&mut self.currency, &sender, amount.checked_neg().map_err(|e| e.to_string())?)?;
        add(&mut self.credits, account, amount)
    }

    /// What somebody else's transaction does to an account's credits.
    pub(super) fn move_elsewhere(
        &mut self,
        kind: MovementKind,
        account: &Address,
        amount: Money,
    ) -> Result<(), String> {
        let signed = match kind {
            MovementKind::Deposit => amount,
            MovementKind::Withdrawal => amount.checked_neg().map_err(|error| error.to_string())?,
            // What is asked for stays in the balance until it is paid.
            MovementKind::WithdrawalRequested { .. } | MovementKind::WithdrawalCancelled => Money::ZERO,
        };
        add(&mut self.credits, account, signed)
    }

    fn authorise(&self, sender: Address, credit: &Address) -> Result<(), String> {
        self.require_contract(credit)?;
        let may = self.settler_role.is_some_and(|role| self.roles.contains(&(role, sender)));
        may.then_some(()).ok_or_else(|| "AccessManagedUnauthorized".into())
    }

    pub(super) fn require_new(&self, credit: &Address, batch_id: &BatchId) -> Result<(), String> {
        if self.open.is_some() {
            return Err("BatchInProgress".into());
        }
        if self.settled.contains_key(&(*credit, *batch_id)) {
            return Err("BatchAlreadySettled".into());
        }
        Ok(())
    }

    fn settle(&mut self, positions: &[Position]) -> Result<(), String> {
        require_ascending(positions)?;
        let sum = Money::checked_sum(positions.iter().map(|p| p.amount)).map_err(|e| e.to_string())?;
        if !sum.is_zero() {
            return Err("PositionsNotBalanced".into());
        }
        let mut credits = self.credits.clone();
        for position in positions {
            self.scale.to_base_units(position.amount).map_err(|error| error.to_string())?;
            add(&mut credits, &position.account, position.amount)?;
        }
        self.credits = credits;
        Ok(())
    }
}

pub(super) fn require_ascending(positions: &[Position]) -> Result<(), String> {
    if positions.windows(2).any(|pair| pair[0].account >= pair[1].account) {
        return Err("PositionsNotAscending".into());
    }
    Ok(())
}

pub(super) fn add(
    balances: &mut HashMap<Address, Money>,
    account: &Address,
    amount: Money,
) -> Result<(), String> {
    let balance = balances.entry(*account).or_default();
    let after = balance.checked_add(amount).map_err(|error| error.to_string())?;
    if after.is_negative() {
        return Err(format!("InsufficientCredit({account})"));
    }
    *balance = after;
    Ok(())
}

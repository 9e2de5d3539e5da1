//! What every step of settling one community works with.

pub mod check;

use std::sync::Arc;

use domain::ids::CommunityId;
use domain::slot::SlotLength;
use domain::time::Clock;
use store::PgPool;
use store::communities::Community;

use crate::batch::Policy;
use crate::chain::{Address, Chain, Fees};
use crate::error::SettleError;
use receipt::Domain;

/// How transactions are sent and watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendPolicy {
    /// When a transaction is final, and when it is replaced.
    pub watch: Policy,
    /// The most that is offered a unit of gas, in wei.
    pub fee_cap_wei: u128,
    /// How much of a block's gas one transaction of a batch may ask for; a batch that needs more goes in
    /// chunks.
    pub batch_gas_share_percent: u8,
    /// The currency token that the contract must wrap, if one is configured: nothing is sent to a
    /// contract that wraps another.
    pub currency: Option<Address>,
}

/// The database, the chain and the clock, and how to use them.
#[derive(Clone)]
pub struct Context {
    /// The database.
    pub pool: PgPool,
    /// The chain.
    pub chain: Arc<dyn Chain>,
    /// The clock.
    pub clock: Clock,
    /// The community.
    pub community_id: CommunityId,
    /// How transactions are sent and watched.
    pub policy: SendPolicy,
}

impl Context {
    /// The fees to offer now, never above the cap.
    ///
    /// # Errors
    /// [`SettleError::TooDear`] if the chain asks more than the cap, [`SettleError::Chain`] if the node
    /// does not answer.
    pub async fn fees(&self) -> Result<Fees, SettleError> {
        let (base_fee_wei, cap_wei) = (self.chain.base_fee_wei().await?, self.policy.fee_cap_wei);
        if base_fee_wei > cap_wei {
            return Err(SettleError::TooDear { base_fee_wei, cap_wei });
        }
        let fees = self.chain.fees().await?;
        let max_fee_per_gas_wei = fees.max_fee_per_gas_wei.min(cap_wei);
        let priority_fee_per_gas_wei = fees.priority_fee_per_gas_wei.min(max_fee_per_gas_wei);
        Ok(Fees { max_fee_per_gas_wei, priority_fee_per_gas_wei })
    }

    /// The community's row.
    ///
    /// # Errors
    /// [`SettleError::Inconsistent`] if there is none.
    pub async fn community(&self) -> Result<Community, SettleError> {
        let found = store::communities::find(&self.pool, &self.community_id).await?;
        found.ok_or_else(|| SettleError::Inconsistent(format!("there is no community {}", self.community_id)))
    }
}

/// A community that can settle: its contract is known, and on the chain that is connected.
#[derive(Clone)]
pub struct Settling {
    /// Database, chain and clock.
    pub context: Context,
    /// What its commitments start with.
    pub domain: Domain,
    /// How long its slots are.
    pub slot_length: SlotLength,
}

impl Settling {
    /// Takes the contract from the community's row.
    ///
    /// # Errors
    /// [`SettleError::NotDeployed`] without one, [`SettleError::WrongContract`] on another chain.
    pub async fn of(context: Context) -> Result<Self, SettleError> {
        let community = context.community().await?;
        let Some(contract) = community.contract else {
            return Err(SettleError::NotDeployed { community: context.community_id.to_string() });
        };
        let chain_id = context.chain.chain_id();
        if i64::try_from(chain_id) != Ok(contract.chain_id) {
            return Err(SettleError::WrongContract(format!(
                "community {} settles on chain {}, but [chain] chain_id says {chain_id}",
                context.community_id, contract.chain_id
            )));
        }
        let credit: Address = contract.credit_address.parse()?;
        let domain = Domain { chain_id, credit, community_id: context.community_id.clone() };
        Ok(Self { context, domain, slot_length: community.slot_length })
    }
}

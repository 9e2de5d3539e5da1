//! Settles the slots of one community: prices what was metered, and brings one batch at a time to
//! the chain.

mod price;
mod sign;

use rand::rngs::StdRng;

use crate::context::Settling;
use crate::error::SettleError;
use crate::pump::{self, Pumped};
use crate::{deposits, follow, resync, token};

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// Something moved on; tick again at once.
    Progress,
    /// A transaction is on its way; tick again after a while.
    Waiting,
    /// There is nothing to do until a slot is metered or a deposit requested.
    Idle,
}

/// The settler of one community. It holds nothing that a new one does not read from the rows.
pub struct Settler {
    settling: Settling,
    salts: StdRng,
    connected: bool,
}

impl Settler {
    /// A settler; `salts` makes the salts of statements' leaves, which nobody may foretell.
    #[must_use]
    pub fn new(settling: Settling, salts: StdRng) -> Self {
        Self { settling, salts, connected: false }
    }

    /// Takes the next step there is. Pricing goes on while the chain is away, and what is priced is
    /// settled while a slot cannot be priced.
    ///
    /// # Errors
    /// [`SettleError`] if a step fails and no other can be taken; nothing is half done, and the next
    /// tick tries again.
    pub async fn tick(&mut self) -> Result<Tick, SettleError> {
        let priced = price::next_slot(&self.settling, &mut self.salts).await;
        if matches!(priced, Ok(true)) {
            return Ok(Tick::Progress);
        }
        self.connect().await?;
        let pumped = pump::turn(&self.settling.context).await?;
        if pumped == Pumped::Moved
            || deposits::sign_requested(&self.settling).await?
            || sign::next_batch(&self.settling).await?
        {
            return Ok(Tick::Progress);
        }
        let followed = follow::next_stretch(&self.settling).await;
        priced?;
        if followed? {
            return Ok(Tick::Progress);
        }
        Ok(if pumped == Pumped::Waiting { Tick::Waiting } else { Tick::Idle })
    }

    /// Once, and again after it failed: the right chain, nothing forgotten by it, the contract there.
    async fn connect(&mut self) -> Result<(), SettleError> {
        if self.connected {
            return Ok(());
        }
        let Settling { context, domain, .. } = &self.settling;
        context.chain.check().await?;
        resync::resync(context).await?;
        if !context.chain.has_code(&domain.credit).await? {
            return Err(SettleError::NoContract {
                address: domain.credit.to_string(),
                chain_id: domain.chain_id,
            });
        }
        token::check(context, &domain.credit).await?;
        self.connected = true;
        Ok(())
    }
}

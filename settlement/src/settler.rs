//! Settles the slots of one community: prices what was metered, and brings one batch at a time to
//! the chain.

pub mod ceiling;
mod chunks;
pub(crate) mod forgotten;
mod price;
mod recover;
mod sign;
mod way;

use rand::rngs::StdRng;

use crate::context::{Settling, check};
use crate::error::SettleError;
use crate::follow::{self, Stretch};
use crate::pump::{self, Pumped};
use crate::resync::{self, Resynced};
use crate::{deposits, moves};
use ceiling::Ceiling;
use recover::Unknown;

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// Something moved on; tick again at once.
    Progress,
    /// A transaction is on its way, or the chain is being told what it has forgotten; tick again after a while.
    Waiting,
    /// There is nothing to do until a slot is metered or a deposit requested.
    Idle,
}

/// The settler of one community. It holds nothing that a new one does not read from the rows.
pub struct Settler {
    settling: Settling,
    salts: StdRng,
    ceiling: Ceiling,
    connected: bool,
    /// Whether the contract is known to be the community's: before, none of its events is believed.
    is_checked: bool,
    /// Whether the chain was seen without a used nonce, and the contract without a batch in progress, that the
    /// rows do not know, and nothing has failed since.
    is_clear: bool,
}

impl Settler {
    /// A settler; `salts` makes the salts of statements' leaves, which nobody may foretell.
    #[must_use]
    pub fn new(settling: Settling, salts: StdRng) -> Self {
        Self {
            settling,
            salts,
            ceiling: Ceiling::default(),
            connected: false,
            is_checked: false,
            is_clear: false,
        }
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
        let sent = self.send().await;
        if matches!(sent, Ok(Tick::Progress)) {
            return sent;
        }
        // Whatever keeps transactions from being signed or sent, such as a pause or an empty purse: the market must
        // know of every withdrawal that is asked for.
        let followed = if self.is_checked { self.follow().await } else { Ok(false) };
        if matches!(followed, Ok(true)) {
            return Ok(Tick::Progress);
        }
        let tick = sent?;
        priced?;
        followed.map(|_| tick)
    }

    /// Moves transactions on, and signs the next.
    async fn send(&mut self) -> Result<Tick, SettleError> {
        if !self.connect().await? {
            return Ok(Tick::Waiting);
        }
        let pumped = pump::turn(&self.settling.context, &mut self.ceiling).await?;
        if pumped == Pumped::Moved || self.sign(pumped).await? {
            return Ok(Tick::Progress);
        }
        Ok(if pumped == Pumped::Waiting { Tick::Waiting } else { Tick::Idle })
    }

    /// Reads the next events. If the chain is another than before, it is told what it has forgotten, and is looked at
    /// as a new one.
    async fn follow(&mut self) -> Result<bool, SettleError> {
        let stretch = follow::next_stretch(&self.settling).await?;
        if stretch == Stretch::Rewound {
            (self.connected, self.is_clear) = (false, false);
        }
        Ok(stretch != Stretch::None)
    }

    /// Signs what there is to sign, unless the chain is dearer than the configuration allows.
    async fn sign(&mut self, pumped: Pumped) -> Result<bool, SettleError> {
        let context = &self.settling.context;
        if !self.ceiling.may_try(context.clock.now()) {
            return Ok(false);
        }
        let signed = self.sign_next().await;
        match signed {
            Ok(signed) => {
                // With nothing on its way and nothing to sign there is nothing to wait for.
                if signed || pumped == Pumped::Idle {
                    self.ceiling.affordable(&self.settling.context).await?;
                }
                Ok(signed)
            }
            Err(error @ SettleError::TooDear { .. }) => {
                self.ceiling.too_dear(&self.settling.context, &error.to_string()).await.map(|()| false)
            }
            Err(error) => {
                self.is_clear = false;
                Err(error)
            }
        }
    }

    async fn sign_next(&mut self) -> Result<bool, SettleError> {
        if !self.is_clear {
            match recover::next(&self.settling).await? {
                Unknown::None => self.is_clear = true,
                Unknown::Ending => return Ok(true),
                Unknown::Waits => return Ok(false),
            }
        }
        Ok(deposits::sign_requested(&self.settling).await?
            || moves::sign_next(&self.settling).await?
            || sign::next_batch(&self.settling).await?)
    }

    /// Whether it waits for the chain to become cheaper.
    #[must_use]
    pub const fn waits_for_lower_fees(&self) -> bool {
        self.ceiling.is_waiting()
    }

    /// Once, and again after it failed: the right chain, nothing forgotten by it, the contract there. `false` if
    /// the chain has to be told more of what it has forgotten than it takes at once.
    async fn connect(&mut self) -> Result<bool, SettleError> {
        if self.connected {
            return Ok(true);
        }
        self.settling.context.chain.check().await?;
        let told = resync::resync(&self.settling.context).await;
        if matches!(told, Ok(Resynced::Partly)) {
            return Ok(false);
        }
        check::contract(&self.settling).await?;
        self.is_checked = true;
        told?;
        // Said by a settler before this one; if it is still so, this one says it again.
        store::waits::end(&self.settling.context.pool, &self.settling.context.community_id).await?;
        self.connected = true;
        Ok(true)
    }
}

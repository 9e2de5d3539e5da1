//! Clearing one slot from a file of orders, for comparison and research: `market clear`.

mod call;
mod continuous;
mod error;
mod fees;
mod file;
mod table;

use domain::fees::NetworkFees;
use domain::order::Side;
use domain::standing::Preference;
use domain::tariff::Tariff;
use domain::units::{Energy, Price};

pub use error::ClearError;
pub use fees::{Conditions, read_fees};
pub use file::{ListedOrder, read};

/// How the orders of a file are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The continuous double auction, in the order of the file.
    ContinuousDoubleAuction,
    /// One call auction.
    CallAuction,
    /// The continuous double auction, then one call auction of what still rests.
    ContinuousThenCall,
}

impl Mechanism {
    /// `cda`, `call` or `cda+call`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContinuousDoubleAuction => "cda",
            Self::CallAuction => "call",
            Self::ContinuousThenCall => "cda+call",
        }
    }
}

/// What a mechanism made of the orders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cleared {
    /// How much changed hands, in Wh.
    pub volume_wh: i128,
    /// What the buyers would have paid at most, less what the sellers would have taken at least, in
    /// nano-currency: the gains from trade. Fees and premiums are no part of it.
    pub welfare_nano: i128,
    /// The uniform price, or the mean of the trades' prices by energy, rounded down; in
    /// micro-currency per kWh. `None` if nothing traded.
    pub price_micro_per_kwh: Option<i128>,
    /// The trades; in a call auction, the orders that were served.
    pub trades: usize,
    /// Who took from whom; `None` where no order has an attribute, nothing pays a fee and nobody asked.
    pub taken: Option<Taken>,
}

/// Who took from whom, and what that cost on top of the price.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// What buyers paid to the network, in nano-currency.
    pub network_fee_nano: i128,
    /// How much of what was bought is what its buyer asked for, in Wh.
    pub preferred_wh: i128,
    /// What buyers paid to sellers for that on top of the price, in nano-currency.
    pub premium_nano: i128,
    /// Each taking.
    pub takings: Vec<Taking>,
}

/// A taking of one order from another, both by their places in the file, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taking {
    /// The bid.
    pub bid: usize,
    /// The offer.
    pub offer: usize,
    /// How much.
    pub energy: Energy,
    /// At what price.
    pub price: Price,
    /// What each kWh pays to the network.
    pub network_fee: Price,
    /// What each kWh pays to the seller on top of the price; `None` if this is not what the buyer asked for.
    pub premium: Option<Price>,
}

/// Clears `orders` under `conditions`.
///
/// # Errors
/// [`ClearError`] if an order asks for what the mechanism does not trade, a bid is above its bound, the energies do
/// not add up, or the book refuses an order.
pub fn clear(
    orders: &[ListedOrder],
    mechanism: Mechanism,
    conditions: &Conditions,
) -> Result<Cleared, ClearError> {
    let (tariff, fees) = conditions.of(orders)?;
    let slot = Slot { orders, tariff, fees, plain: *conditions == Conditions::default() && plain(orders) };
    if conditions.retail.is_some() {
        slot.check_bounds()?;
    }
    let mut sums = Sums::default();
    let all: Vec<Part> = (0..).zip(orders).map(|(place, order)| (place, order.energy)).collect();
    match mechanism {
        Mechanism::CallAuction => call::run(&slot, &all, &mut sums)?,
        Mechanism::ContinuousDoubleAuction => drop(continuous::run(&slot, &mut sums)?),
        Mechanism::ContinuousThenCall => {
            let resting = continuous::run(&slot, &mut sums)?;
            call::run(&slot, &resting, &mut sums)?;
        }
    }
    let Sums { volume_wh, welfare_nano, paid_nano, trades, taken } = sums;
    let price_micro_per_kwh = (volume_wh > 0).then(|| paid_nano.div_euclid(volume_wh.max(1)));
    let taken = (!slot.plain).then_some(taken);
    Ok(Cleared { volume_wh, welfare_nano, price_micro_per_kwh, trades, taken })
}

/// Whether no order has an attribute.
fn plain(orders: &[ListedOrder]) -> bool {
    let first = orders.first().map(|order| &order.zone);
    orders.iter().all(|order| {
        !order.green && *order.wish.preference() == Preference::Any && Some(&order.zone) == first
    })
}

/// An order's place, and what of it takes part.
type Part = (usize, Energy);

/// What is cleared.
struct Slot<'a> {
    orders: &'a [ListedOrder],
    tariff: Tariff,
    fees: NetworkFees,
    /// Whether it is all the same who takes from whom.
    plain: bool,
}

impl Slot<'_> {
    /// The number of an order's zone.
    fn zone(&self, place: usize) -> usize {
        // The fees were made for the zones of these orders.
        self.fees.number(&self.orders[place].zone).unwrap_or(0)
    }

    fn check_bounds(&self) -> Result<(), ClearError> {
        for (place, order) in self.orders.iter().enumerate().filter(|(_, order)| order.side == Side::Bid) {
            let bound = self.fees.highest_limit(&self.tariff, self.zone(place))?;
            if order.limit > bound {
                return Err(ClearError::AboveRetail { name: order.name.clone(), bound });
            }
        }
        Ok(())
    }
}

/// What has been cleared so far.
#[derive(Debug, Default)]
struct Sums {
    volume_wh: i128,
    welfare_nano: i128,
    paid_nano: i128,
    trades: usize,
    taken: Taken,
}

impl Sums {
    fn take(&mut self, taking: Taking) {
        let taken = &mut self.taken;
        taken.network_fee_nano += worth(taking.network_fee, taking.energy);
        if let Some(premium) = taking.premium {
            taken.preferred_wh += i128::from(taking.energy.wh());
            taken.premium_nano += worth(premium, taking.energy);
        }
        taken.takings.push(taking);
    }
}

/// What an energy is worth at a price, in nano-currency.
fn worth(price: Price, energy: Energy) -> i128 {
    i128::from(price.micro_per_kwh()) * i128::from(energy.wh())
}

#[cfg(test)]
mod tests;

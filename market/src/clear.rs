//! Clearing one slot from a file of orders, for comparison and research: `market clear`.

mod file;

use std::collections::HashMap;
use std::path::PathBuf;

use domain::ids::OrderId;
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Overflow, Price};

use crate::auction::{self, AuctionOrder};
use crate::book::{Book, BookError, BookOrder, Event, Owner, Resting};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleared {
    /// How much changed hands, in Wh.
    pub volume_wh: i128,
    /// What the buyers would have paid at most, less what the sellers would have taken at least, in
    /// nano-currency: the gains from trade.
    pub welfare_nano: i128,
    /// The uniform price, or the mean of the trades' prices by energy, rounded down; in
    /// micro-currency per kWh. `None` if nothing traded.
    pub price_micro_per_kwh: Option<i128>,
    /// The trades; in a call auction, the orders that were served.
    pub trades: usize,
}

/// A file of orders cannot be cleared.
#[derive(Debug, thiserror::Error)]
pub enum ClearError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// The columns are not those expected.
    #[error("{path}: the first line must name the columns side,id,member,energy_wh,price_micro_per_kwh")]
    Header {
        /// Which file.
        path: PathBuf,
    },
    /// A line cannot be used.
    #[error("{path}:{line}: {message}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong and what is expected.
        message: String,
    },
    /// The energies do not add up.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The book refused an order.
    #[error("order {id}: {source}")]
    Book {
        /// Its place in the file, from 1.
        id: i64,
        /// Why.
        source: BookError,
    },
}

/// Clears `orders`.
///
/// # Errors
/// [`ClearError`] if the energies do not add up or the book refuses an order.
pub fn clear(orders: &[ListedOrder], mechanism: Mechanism) -> Result<Cleared, ClearError> {
    let mut sums = Sums::default();
    match mechanism {
        Mechanism::CallAuction => call(orders, &mut sums)?,
        Mechanism::ContinuousDoubleAuction => drop(continuous(orders, &mut sums)?),
        Mechanism::ContinuousThenCall => {
            let resting = continuous(orders, &mut sums)?;
            call(&resting, &mut sums)?;
        }
    }
    let Sums { volume_wh, welfare_nano, paid_nano, trades } = sums;
    let price_micro_per_kwh = (volume_wh > 0).then(|| paid_nano.div_euclid(volume_wh.max(1)));
    Ok(Cleared { volume_wh, welfare_nano, price_micro_per_kwh, trades })
}

/// What has been cleared so far.
#[derive(Debug, Default)]
struct Sums {
    volume_wh: i128,
    welfare_nano: i128,
    paid_nano: i128,
    trades: usize,
}

fn call(orders: &[ListedOrder], sums: &mut Sums) -> Result<(), ClearError> {
    let list: Vec<AuctionOrder> = orders
        .iter()
        .map(|o| AuctionOrder { id: o.id, side: o.side, energy: o.energy, limit: o.limit })
        .collect();
    let clearing = auction::clear(&list)?;
    let Some(price) = clearing.price else { return Ok(()) };
    sums.volume_wh += i128::from(clearing.volume.wh());
    sums.paid_nano += worth(price, clearing.volume);
    sums.trades += clearing.fills.len();
    for fill in &clearing.fills {
        let order = &orders[fill.index];
        let value = worth(order.limit, fill.energy);
        sums.welfare_nano += if order.side == Side::Bid { value } else { -value };
    }
    Ok(())
}

/// Lets the orders arrive one after the other. Returns what rests at the end, with what is left of it.
fn continuous(orders: &[ListedOrder], sums: &mut Sums) -> Result<Vec<ListedOrder>, ClearError> {
    let mut owners = HashMap::new();
    let mut book = Book::new();
    let mut events = Vec::new();
    for (number, order) in (1_i64..).zip(orders) {
        let next = Owner(u32::try_from(owners.len()).unwrap_or(u32::MAX));
        let book_order = BookOrder {
            // The book counts by place, so that whatever numbers the file uses cannot collide.
            order_id: OrderId(number),
            owner: *owners.entry(order.member.as_str()).or_insert(next),
            side: order.side,
            energy: order.energy,
            limit: order.limit,
            time_in_force: TimeInForce::GoodTillGate,
        };
        events.clear();
        book.submit(&book_order, &mut events).map_err(|source| ClearError::Book { id: number, source })?;
        for event in &events {
            let Event::Traded { resting, energy, price, .. } = *event else { continue };
            let Some(resting) = listed(orders, resting) else { continue };
            let (bid, offer) = if order.side == Side::Bid { (order, resting) } else { (resting, order) };
            sums.trades += 1;
            sums.volume_wh += i128::from(energy.wh());
            sums.welfare_nano += worth(bid.limit, energy) - worth(offer.limit, energy);
            sums.paid_nano += worth(price, energy);
        }
    }
    let left = |resting: &Resting| {
        let order = listed(orders, resting.order_id)?;
        Some(ListedOrder { energy: resting.open, ..order.clone() })
    };
    Ok(book.resting().iter().filter_map(left).collect())
}

/// The order that the book knows by its place.
fn listed(orders: &[ListedOrder], id: OrderId) -> Option<&ListedOrder> {
    usize::try_from(id.0 - 1).ok().and_then(|at| orders.get(at))
}

/// What an energy is worth at a price, in nano-currency.
fn worth(price: Price, energy: Energy) -> i128 {
    i128::from(price.micro_per_kwh()) * i128::from(energy.wh())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: i64, member: &str, side: Side, wh: i64, micro: i64) -> ListedOrder {
        let (energy, limit) = (Energy::from_wh(wh), Price::from_micro_per_kwh(micro));
        ListedOrder { id: OrderId(id), member: member.to_owned(), side, energy, limit }
    }

    #[test]
    fn a_call_reaches_gains_that_random_arrival_misses() {
        let orders = [
            order(1, "a", Side::Bid, 10, 300),
            order(2, "b", Side::Offer, 10, 250),
            order(3, "c", Side::Bid, 10, 200),
            order(4, "d", Side::Offer, 10, 100),
        ];
        let call = clear(&orders, Mechanism::CallAuction).unwrap();
        let continuous = clear(&orders, Mechanism::ContinuousDoubleAuction).unwrap();
        assert_eq!((call.volume_wh, call.welfare_nano, call.price_micro_per_kwh), (10, 2_000, Some(225)));
        assert_eq!((continuous.volume_wh, continuous.welfare_nano, continuous.trades), (20, 1_500, 2));
        assert_eq!(continuous.price_micro_per_kwh, Some(250));
    }

    #[test]
    fn nothing_to_clear_has_no_price() {
        assert_eq!(clear(&[], Mechanism::CallAuction).unwrap(), Cleared::default());
        let own = [order(1, "a", Side::Bid, 5, 9), order(2, "a", Side::Offer, 5, 9)];
        assert_eq!(clear(&own, Mechanism::ContinuousDoubleAuction).unwrap(), Cleared::default());
    }
}

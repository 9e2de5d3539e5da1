//! The orders of a call by side, each with the place of its limit from the side's best to its worst.

use domain::order::Side;
use domain::units::{Energy, Overflow, Price};

/// An order of one side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranked {
    /// The place of its limit among all limits, the best first.
    pub(super) rank: u64,
    /// How much, above zero.
    pub(crate) energy_wh: i64,
    /// Its place in the list that was given.
    pub(crate) place: u32,
    /// What whoever gave it wants to find again.
    pub(crate) tag: u32,
}

impl Ranked {
    /// Its place in the list that was given.
    pub(crate) const fn index(&self) -> usize {
        self.place as usize
    }

    /// Whether another order of the same side has the same limit.
    pub(crate) const fn is_level_with(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

/// The orders of both sides, each in the order in which they were given.
#[derive(Debug)]
pub(crate) struct Sides {
    orders: [Vec<Ranked>; 2],
}

impl Sides {
    /// Room for `count` orders.
    ///
    /// # Errors
    /// [`Overflow`] if there are more than 32 bits can number.
    pub(crate) fn with_capacity(count: usize) -> Result<Self, Overflow> {
        let too_many = |_| Overflow { unit: "orders of one call", operation: "numbering" };
        u32::try_from(count).map_err(too_many)?;
        // Where neither side is much the larger this is enough.
        let half = count / 2 + count / 16;
        Ok(Self { orders: [(); 2].map(|()| Vec::with_capacity(half)) })
    }

    /// Adds an order that has some energy.
    pub(crate) fn push(&mut self, side: Side, limit: Price, (energy_wh, place, tag): (i64, u32, u32)) {
        // No branch on the side: it is as good as random, so it would be mispredicted half of the time.
        self.orders[slot(side)].push(Ranked { rank: rank(limit, side), energy_wh, place, tag });
    }

    /// The orders of a side.
    pub(crate) fn of(&self, side: Side) -> &[Ranked] {
        &self.orders[slot(side)]
    }

    /// All orders, as the place of the limit from the lowest and the energy in Wh.
    pub(super) fn by_limit(&self) -> impl Iterator<Item = (u64, i64)> + Clone {
        let [bids, offers] = &self.orders;
        let bids = bids.iter().map(|bid| (!bid.rank, bid.energy_wh));
        bids.chain(offers.iter().map(|offer| (offer.rank, offer.energy_wh)))
    }

    /// What the orders of a side add up to, in Wh.
    ///
    /// # Errors
    /// [`Overflow`] if that is more than 64 bits hold.
    pub(super) fn total_wh(&self, side: Side) -> Result<i64, Overflow> {
        let energies = self.of(side).iter().map(|order| Energy::from_wh(order.energy_wh));
        Energy::checked_sum(energies).map(Energy::wh)
    }
}

const fn slot(side: Side) -> usize {
    match side {
        Side::Bid => 0,
        Side::Offer => 1,
    }
}

/// The place of a limit among all limits, from the side's best to its worst.
pub(super) const fn rank(limit: Price, side: Side) -> u64 {
    let ascending = limit.micro_per_kwh().cast_unsigned() ^ (1 << 63);
    match side {
        Side::Bid => !ascending,
        Side::Offer => ascending,
    }
}

/// The limit at a place, in micro-currency per kWh.
pub(super) const fn limit_at(rank: u64, side: Side) -> i64 {
    let ascending = match side {
        Side::Bid => !rank,
        Side::Offer => rank,
    };
    (ascending ^ (1 << 63)).cast_signed()
}

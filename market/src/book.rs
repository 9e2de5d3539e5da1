//! One slot's continuous double auction, as a pure state machine: commands in, events out.
//!
//! Orders match in price-time priority as they arrive, at the resting order's price, in whole
//! watt-hours. A member never trades with itself: the part of an incoming order that would meet an
//! order of the same member is cancelled, and what is left after the others have traded does not
//! rest, so that the book is never crossed. A replacement keeps its place only if the price stays
//! and the energy falls.
//!
//! The book checks what it needs to stay whole; tariffs, credits and the clock are the business of
//! [`crate::validate`]. Its state is a function of the accepted commands and of nothing else.

mod check;
mod event;
mod ladder;
mod levels;
mod orders;
mod places;

use domain::ids::OrderId;
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};

pub use check::BrokenBook;
pub use event::{BookError, BookOrder, EndReason, Event, Owner, Resting};
use ladder::Ladder;
use orders::{NIL, Node, Orders};

/// The largest energy of one order. Far above any connection point, and small enough that the
/// energies of a full book add up without overflow.
pub const MAX_ORDER_ENERGY: Energy = Energy::from_wh(1 << 40);
/// How many orders may rest in one book.
pub const MAX_RESTING_ORDERS: usize = 1 << 22;

/// The resting orders of one slot.
#[derive(Debug, Clone, Default)]
pub struct Book {
    orders: Orders,
    bids: Ladder,
    offers: Ladder,
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Matches `order` and lets the rest rest, if its time in force says so; appends what happened to
    /// `events`.
    ///
    /// # Errors
    /// [`BookError`]; then nothing has changed and no event was appended.
    pub fn submit(&mut self, order: &BookOrder, events: &mut Vec<Event>) -> Result<(), BookError> {
        check_energy(order.energy)?;
        if self.orders.find(order.order_id).is_some() {
            return Err(BookError::Duplicate);
        }
        if self.orders.len() >= MAX_RESTING_ORDERS {
            return Err(BookError::Full);
        }
        if order.time_in_force == TimeInForce::FillOrKill && !self.can_fill(order) {
            return Err(BookError::CannotFill);
        }
        self.place(order, 0, events);
        Ok(())
    }

    /// Takes an order of `owner` off the book.
    ///
    /// # Errors
    /// [`BookError::UnknownOrder`] if it does not rest here or is another's.
    pub fn cancel(&mut self, id: OrderId, owner: Owner, events: &mut Vec<Event>) -> Result<(), BookError> {
        let at = self.find_of(id, owner)?;
        let node = self.remove(at);
        let untraded = Energy::from_wh(node.open_wh);
        events.push(Event::Ended { order_id: id, reason: EndReason::Member, untraded });
        Ok(())
    }

    /// Changes an order of `owner` to `energy` in all, what has traded included, and `limit`.
    ///
    /// It keeps its place only if the limit stays and the energy falls; otherwise it matches as if it
    /// had just arrived. If `energy` is no more than what has traded, the order is filled.
    ///
    /// # Errors
    /// [`BookError`]; then nothing has changed and no event was appended.
    pub fn replace(
        &mut self,
        id: OrderId,
        owner: Owner,
        energy: Energy,
        limit: Price,
        events: &mut Vec<Event>,
    ) -> Result<(), BookError> {
        check_energy(energy)?;
        let at = self.find_of(id, owner)?;
        let node = *self.orders.node(at);
        let open_wh = energy.wh() - node.traded_wh;
        if open_wh <= 0 {
            self.remove(at);
            events.push(Event::Ended { order_id: id, reason: EndReason::Filled, untraded: Energy::ZERO });
        } else if limit == node.limit && open_wh < node.open_wh {
            self.orders.node_mut(at).open_wh = open_wh;
            events.push(Event::Reduced { order_id: id, open: Energy::from_wh(open_wh) });
        } else {
            self.remove(at);
            let order = BookOrder {
                order_id: id,
                owner,
                side: node.side,
                energy: Energy::from_wh(open_wh),
                limit,
                time_in_force: TimeInForce::GoodTillGate,
            };
            self.place(&order, node.traded_wh, events);
        }
        Ok(())
    }

    /// The best bid's and the best offer's limit.
    #[must_use]
    pub fn best(&self) -> (Option<Price>, Option<Price>) {
        let limit = |ladder: &Ladder| ladder.first().map(|at| self.orders.node(at).limit);
        (limit(&self.bids), limit(&self.offers))
    }

    /// How many orders rest.
    #[must_use]
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether no order rests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An order that rests here.
    #[must_use]
    pub fn find(&self, id: OrderId) -> Option<Resting> {
        self.orders.find(id).map(|at| self.orders.node(at).resting())
    }

    /// All resting orders: the bids, then the offers, each in the order in which they would trade.
    #[must_use]
    pub fn resting(&self) -> Vec<Resting> {
        let mut all = Vec::with_capacity(self.len());
        for side in [Side::Bid, Side::Offer] {
            let mut next = self.ladder(side).first();
            while let Some(at) = next {
                all.push(self.orders.node(at).resting());
                next = self.after(at, i64::MAX);
            }
        }
        all
    }

    fn find_of(&self, id: OrderId, owner: Owner) -> Result<u32, BookError> {
        self.orders.find(id).filter(|at| self.orders.node(*at).owner == owner).ok_or(BookError::UnknownOrder)
    }

    /// Whether the book can fill the whole order without meeting an order of its own member.
    fn can_fill(&self, order: &BookOrder) -> bool {
        let bound = ladder::key(order.side.opposite(), order.limit);
        let mut open_wh = order.energy.wh();
        let mut next = self.ladder(order.side.opposite()).first_within(bound);
        while let Some(at) = next {
            let node = self.orders.node(at);
            if node.owner == order.owner {
                return false;
            }
            open_wh -= node.open_wh;
            if open_wh <= 0 {
                return true;
            }
            next = self.after(at, bound);
        }
        false
    }

    /// Matches an order of which `traded_wh` has traded before, and decides what becomes of the rest.
    fn place(&mut self, order: &BookOrder, traded_wh: i64, events: &mut Vec<Event>) {
        let (open_wh, own_wh) = self.take(order, events);
        let untraded = Energy::from_wh(open_wh + own_wh);
        let reason = if own_wh > 0 {
            EndReason::SelfTrade
        } else if open_wh == 0 {
            EndReason::Filled
        } else if order.time_in_force == TimeInForce::GoodTillGate {
            let traded_wh = traded_wh + order.energy.wh() - open_wh;
            self.rest(Node::new(order, open_wh, traded_wh));
            events.push(Event::Rested { order_id: order.order_id, open: untraded });
            return;
        } else {
            EndReason::ImmediateOrCancel
        };
        events.push(Event::Ended { order_id: order.order_id, reason, untraded });
    }

    /// Trades `order` against the other side. Returns what is left of it, and what would have traded
    /// with its own member, both in Wh.
    fn take(&mut self, order: &BookOrder, events: &mut Vec<Event>) -> (i64, i64) {
        let bound = ladder::key(order.side.opposite(), order.limit);
        let (mut open_wh, mut own_wh) = (order.energy.wh(), 0);
        let mut next = self.ladder(order.side.opposite()).first_within(bound);
        while let Some(at) = next
            && open_wh > 0
        {
            let node = self.orders.node_mut(at);
            let wh = open_wh.min(node.open_wh);
            open_wh -= wh;
            if node.owner == order.owner {
                own_wh += wh;
                next = self.after(at, bound);
                continue;
            }
            node.open_wh -= wh;
            node.traded_wh += wh;
            let filled = node.open_wh == 0;
            let (resting, price) = (node.id, node.limit);
            events.push(Event::Traded {
                incoming: order.order_id,
                resting,
                incoming_side: order.side,
                energy: Energy::from_wh(wh),
                price,
            });
            if filled {
                next = self.after(at, bound);
                self.remove(at);
                let reason = EndReason::Filled;
                events.push(Event::Ended { order_id: resting, reason, untraded: Energy::ZERO });
            }
        }
        (open_wh, own_wh)
    }

    /// The order that trades after the one at `at`, if its level is within `bound`.
    fn after(&self, at: u32, bound: i64) -> Option<u32> {
        let node = self.orders.node(at);
        if node.next != NIL {
            return Some(node.next);
        }
        self.ladder(node.side).first_after(ladder::key(node.side, node.limit), bound)
    }

    fn rest(&mut self, node: Node) {
        let key = ladder::key(node.side, node.limit);
        let at = self.orders.insert(node);
        let ladder = match node.side {
            Side::Bid => &mut self.bids,
            Side::Offer => &mut self.offers,
        };
        ladder.push(key, at, &mut self.orders);
    }

    fn remove(&mut self, at: u32) -> Node {
        let node = *self.orders.node(at);
        let key = ladder::key(node.side, node.limit);
        let ladder = match node.side {
            Side::Bid => &mut self.bids,
            Side::Offer => &mut self.offers,
        };
        ladder.unlink(key, at, &mut self.orders);
        self.orders.free(at);
        node
    }

    const fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Bid => &self.bids,
            Side::Offer => &self.offers,
        }
    }
}

fn check_energy(energy: Energy) -> Result<(), BookError> {
    if !energy.is_positive() {
        Err(BookError::NotPositive)
    } else if energy > MAX_ORDER_ENERGY {
        Err(BookError::TooLarge)
    } else {
        Ok(())
    }
}

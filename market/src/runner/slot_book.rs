//! One slot's book together with what the rows say about its orders.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::{MemberId, OrderId};
use domain::order::{Order, Side};
use domain::trade::Trade;
use domain::units::{Energy, Money, Overflow, Price};
use store::orders::{CommandRow, OrderRow, OrderStatus};

use super::Members;
use super::request::{self, Refused, Request};
use crate::book::{Book, BookOrder, EndReason, Event, Owner, Resting};
use crate::validate::SlotTerms;

/// Who sent a command, and its place in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) row: &'a CommandRow,
    pub(super) owner: Owner,
    pub(super) seq: i64,
}

/// What a command changed.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// The orders it touched, as they are now.
    pub(super) orders: Vec<OrderRow>,
    /// The trades it caused, in their order.
    pub(super) trades: Vec<Trade>,
}

/// A slot's book, its terms, and the rows of the orders that rest in it.
#[derive(Debug)]
pub(super) struct SlotBook {
    slot_start: DateTime<Utc>,
    pub(super) terms: SlotTerms,
    book: Book,
    open: HashMap<OrderId, OrderRow>,
    events: Vec<Event>,
}

impl SlotBook {
    pub(super) fn new(slot_start: DateTime<Utc>, terms: SlotTerms) -> Self {
        Self { slot_start, terms, book: Book::new(), open: HashMap::new(), events: Vec::new() }
    }

    pub(super) fn resting(&self) -> Vec<Resting> {
        self.book.resting()
    }

    /// An open order of a member.
    pub(super) fn open_order(&self, id: OrderId, member: &MemberId) -> Option<&OrderRow> {
        self.open.get(&id).filter(|row| row.order.member_id == *member)
    }

    /// Applies an accepted command again. The rows hold what followed from it already.
    pub(super) fn replay(
        &mut self,
        row: &CommandRow,
        seq: i64,
        members: &mut Members,
    ) -> anyhow::Result<Effects> {
        let again = |refused: Refused| {
            anyhow::anyhow!(
                "command {} was accepted before and is refused now: {}",
                row.command_id,
                refused.detail
            )
        };
        let owner = members.owner(&request::member(row).map_err(again)?);
        let request = Request::try_from(row).map_err(again)?;
        self.apply(request, Sender { row, owner, seq }).map_err(again)
    }

    /// Lets the book decide a request that has passed all other checks.
    pub(super) fn apply(&mut self, request: Request, sender: Sender<'_>) -> Result<Effects, Refused> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let result = match request {
            Request::Submit(order) => self.submit(order, sender, &mut events),
            Request::Replace { order_id, energy, limit } => {
                self.replace(order_id, energy, limit, sender, &mut events)
            }
            Request::Cancel { order_id } => {
                self.book.cancel(order_id, sender.owner, &mut events).map_err(Refused::from)
            }
        };
        let effects = result.map(|()| self.follow(&events));
        self.events = events;
        effects
    }

    fn submit(&mut self, order: Order, sender: Sender<'_>, events: &mut Vec<Event>) -> Result<(), Refused> {
        let book_order = BookOrder {
            order_id: order.order_id,
            owner: sender.owner,
            side: order.side,
            energy: order.energy,
            limit: order.limit,
            time_in_force: order.time_in_force,
        };
        self.book.submit(&book_order, events)?;
        let row = OrderRow {
            slot_start: self.slot_start,
            remaining: order.energy,
            status: OrderStatus::Open,
            end_reason: None,
            accepted_seq: sender.seq,
            placed_by: sender.row.placed_by.clone(),
            reason: sender.row.reason.clone(),
            order,
        };
        self.open.insert(row.order.order_id, row);
        Ok(())
    }

    fn replace(
        &mut self,
        id: OrderId,
        energy: Option<Energy>,
        limit: Option<Price>,
        sender: Sender<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), Refused> {
        let row = self.open.get_mut(&id).ok_or(domain::order::Refusal::UnknownOrder)?;
        let (energy, limit) = (energy.unwrap_or(row.order.energy), limit.unwrap_or(row.order.limit));
        self.book.replace(id, sender.owner, energy, limit, events)?;
        let traded = row.order.energy.checked_sub(row.remaining)?;
        row.order.energy = energy.max(traded);
        row.remaining = row.order.energy.checked_sub(traded)?;
        row.order.limit = limit;
        if !matches!(events.first(), Some(Event::Reduced { .. })) {
            row.accepted_seq = sender.seq;
        }
        if !sender.row.reason.is_empty() {
            row.reason.clone_from(&sender.row.reason);
        }
        Ok(())
    }

    /// Writes the book's events into the rows.
    fn follow(&mut self, events: &[Event]) -> Effects {
        let mut effects = Effects::default();
        let mut touched = Vec::new();
        for event in events {
            match *event {
                Event::Traded { incoming, resting, incoming_side, energy, price } => {
                    let (bid, offer) = match incoming_side {
                        Side::Bid => (incoming, resting),
                        Side::Offer => (resting, incoming),
                    };
                    effects.trades.extend(self.trade(bid, offer, energy, price));
                    touched.extend([incoming, resting]);
                }
                Event::Rested { order_id, .. } | Event::Reduced { order_id, .. } => touched.push(order_id),
                Event::Ended { order_id, reason, .. } => {
                    // An ended order leaves the map, so it is reported here, as it ends.
                    if let Some(mut row) = self.open.remove(&order_id) {
                        let filled = reason == EndReason::Filled;
                        row.status = if filled { OrderStatus::Filled } else { OrderStatus::Cancelled };
                        row.end_reason = (!filled).then(|| reason.as_str());
                        effects.orders.push(row);
                    }
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        effects.orders.extend(touched.iter().filter_map(|id| self.open.get(id).cloned()));
        effects
    }

    fn trade(&mut self, bid_id: OrderId, offer_id: OrderId, energy: Energy, price: Price) -> Option<Trade> {
        let party = |row: &mut OrderRow| {
            // The book never trades more than rests, so this cannot go below zero.
            row.remaining = row.remaining.checked_sub(energy).unwrap_or_default();
            (row.order.member_id.clone(), row.order.site_id.clone())
        };
        let (buyer, buyer_site) = self.open.get_mut(&bid_id).map(party)?;
        let (seller, seller_site) = self.open.get_mut(&offer_id).map(party)?;
        Some(Trade { bid_id, offer_id, buyer, buyer_site, seller, seller_site, energy, price })
    }

    /// What an open bid of a zone may still cost, fees included; nothing for an offer.
    pub(super) fn exposure(&self, zone: usize, row: &OrderRow) -> Result<Money, Overflow> {
        match row.order.side {
            Side::Bid if row.status == OrderStatus::Open => {
                self.terms.cost(zone, row.remaining, row.order.limit)
            }
            _ => Ok(Money::ZERO),
        }
    }
}

//! The continuous double auction of a file's orders, which arrive in its order.

use std::collections::HashMap;

use domain::ids::OrderId;
use domain::order::{Side, TimeInForce};
use domain::standing::Preference;

use super::{ClearError, ListedOrder, Part, Slot, Sums, Taking, worth};
use crate::book::{Book, BookOrder, Event, Owner};

/// Lets the orders arrive one after the other. Returns what rests at the end, with what is left of it.
pub(super) fn run(slot: &Slot<'_>, sums: &mut Sums) -> Result<Vec<Part>, ClearError> {
    let asks = |order: &&ListedOrder| *order.wish.preference() != Preference::Any;
    if let Some(order) = slot.orders.iter().find(asks) {
        return Err(ClearError::NotTraded { name: order.name.clone() });
    }
    let mut owners = HashMap::new();
    let (mut book, mut events) = (Book::new(), Vec::new());
    for (number, order) in (0_i64..).zip(slot.orders) {
        let next = Owner(u32::try_from(owners.len()).unwrap_or(u32::MAX));
        let book_order = BookOrder {
            // The book counts by place, so that whatever numbers the file uses cannot collide.
            order_id: OrderId(number),
            owner: *owners.entry(&order.member).or_insert(next),
            side: order.side,
            energy: order.energy,
            limit: order.limit,
            time_in_force: TimeInForce::GoodTillGate,
        };
        events.clear();
        book.submit(&book_order, &mut events)
            .map_err(|source| ClearError::Book { name: order.name.clone(), source })?;
        for event in &events {
            trade(slot, event, sums);
        }
    }
    let resting = book.resting();
    Ok(resting.iter().filter_map(|resting| Some((place(resting.order_id)?, resting.open))).collect())
}

fn trade(slot: &Slot<'_>, event: &Event, sums: &mut Sums) {
    let Event::Traded { incoming, resting, incoming_side, energy, price } = *event else { return };
    let (Some(incoming), Some(resting)) = (place(incoming), place(resting)) else { return };
    let (bid, offer) = if incoming_side == Side::Bid { (incoming, resting) } else { (resting, incoming) };
    sums.trades += 1;
    sums.volume_wh += i128::from(energy.wh());
    sums.welfare_nano += worth(slot.orders[bid].limit, energy) - worth(slot.orders[offer].limit, energy);
    sums.paid_nano += worth(price, energy);
    if !slot.plain {
        let network_fee = slot.fees.fee(slot.zone(offer), slot.zone(bid));
        sums.take(Taking { bid, offer, energy, price, network_fee, premium: None });
    }
}

/// The place in the file by which the book knows an order.
fn place(id: OrderId) -> Option<usize> {
    usize::try_from(id.0).ok()
}

//! The call auction of a file's orders: at one price, and where that matters who takes from whom, as in the closing
//! auction of a slot.

use domain::ids::SiteId;
use domain::order::Side;
use domain::standing::StandingOrder;
use domain::units::{Energy, Overflow, Price};

use super::{ClearError, Part, Slot, Sums, Taking, worth};
use crate::auction::{self, AuctionOrder};
use crate::closing::{ClosingSite, Decided, Terms, decide};

pub(super) fn run(slot: &Slot<'_>, parts: &[Part], sums: &mut Sums) -> Result<(), ClearError> {
    if slot.plain { price_alone(slot, parts, sums) } else { with_pairs(slot, parts, sums) }
}

fn price_alone(slot: &Slot<'_>, parts: &[Part], sums: &mut Sums) -> Result<(), ClearError> {
    let order = |(place, energy): &Part| {
        let order = &slot.orders[*place];
        AuctionOrder { id: order.id, side: order.side, energy: *energy, limit: order.limit }
    };
    let list: Vec<AuctionOrder> = parts.iter().map(order).collect();
    let clearing = auction::clear(&list)?;
    let Some(price) = clearing.price else { return Ok(()) };
    for fill in &clearing.fills {
        serve(slot, parts[fill.index].0, fill.energy, price, sums);
    }
    Ok(())
}

/// Each order as a site whose residual it is, at its own limit: the closing auction does the rest.
fn with_pairs(slot: &Slot<'_>, parts: &[Part], sums: &mut Sums) -> Result<(), ClearError> {
    let mut parts = parts.to_vec();
    // A left-over watt-hour goes to the lower number.
    parts.sort_unstable_by_key(|(place, _)| slot.orders[*place].id);
    let sites = parts.iter().map(|part| site(slot, *part)).collect::<Result<Vec<_>, _>>()?;
    let terms = Terms { tariff: &slot.tariff, fees: &slot.fees, turn: 0 };
    let Decided { price, filled_wh, pairs } = decide(&sites, &terms)?;
    let Some(price) = price else { return Ok(()) };
    for ((place, _), wh) in parts.iter().zip(&filled_wh).filter(|(_, wh)| **wh > 0) {
        serve(slot, *place, Energy::from_wh(*wh), price, sums);
    }
    for pair in pairs {
        let (bid, offer) = (parts[pair.buyer].0, parts[pair.seller].0);
        let network_fee = slot.fees.fee(slot.zone(offer), slot.zone(bid));
        let energy = Energy::from_wh(pair.wh);
        sums.take(Taking { bid, offer, energy, price, network_fee, premium: pair.met });
    }
    Ok(())
}

fn site(slot: &Slot<'_>, (place, energy): Part) -> Result<ClosingSite, ClearError> {
    let order = &slot.orders[place];
    let residual = match order.side {
        Side::Offer => Ok::<Energy, Overflow>(energy),
        Side::Bid => energy.checked_neg(),
    };
    Ok(ClosingSite {
        site_id: SiteId::new(&format!("order-{place}"))?,
        member_id: order.member.clone(),
        zone: slot.zone(place),
        green: order.green,
        residual: residual?,
        standing: StandingOrder {
            offer_limit: Some(order.limit),
            bid_limit: Some(order.limit),
            wish: order.wish.clone(),
        },
    })
}

/// Adds what an order trades at the uniform price.
fn serve(slot: &Slot<'_>, place: usize, energy: Energy, price: Price, sums: &mut Sums) {
    let order = &slot.orders[place];
    let value = worth(order.limit, energy);
    sums.trades += 1;
    match order.side {
        Side::Bid => {
            sums.volume_wh += i128::from(energy.wh());
            sums.paid_nano += worth(price, energy);
            sums.welfare_nano += value;
        }
        Side::Offer => sums.welfare_nano -= value,
    }
}

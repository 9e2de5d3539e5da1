//! The continuous auction of a simulated slot: one order a site, moved in the autopilot's steps.

use domain::ids::OrderId;
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use pilot::ramp::STEPS;

use super::{Settings, SimulateError};
use crate::book::{Book, BookOrder, Event, Owner};

/// A trade between two sites, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SiteTrade {
    pub(super) buyer: usize,
    pub(super) seller: usize,
    pub(super) energy: Energy,
    pub(super) price: Price,
}

/// Trades what the sites want to sell (positive) or to buy (negative), in Wh. In each step they
/// arrive in another order, which `seed` decides.
pub(super) fn continuous(
    wanted_wh: &[i64],
    settings: &Settings,
    seed: u64,
) -> Result<Vec<SiteTrade>, SimulateError> {
    let (lowest, highest) = (settings.tariff.lowest_limit(), settings.tariff.highest_limit()?);
    let (mut book, mut events) = (Book::new(), Vec::new());
    for step in 0..STEPS {
        for site in arrival(wanted_wh.len(), seed.wrapping_mul(4).wrapping_add(step.into())) {
            let wh = wanted_wh[site];
            let side = if wh < 0 { Side::Bid } else { Side::Offer };
            if wh == 0 {
                continue;
            }
            let limit = settings.preset.limit(side, step, lowest, highest);
            let (order_id, owner) = (OrderId(number(site)), Owner(owner(site)));
            let energy = Energy::from_wh(wh.saturating_abs());
            if step == 0 {
                let time_in_force = TimeInForce::GoodTillGate;
                let order = BookOrder { order_id, owner, side, energy, limit, time_in_force };
                book.submit(&order, &mut events)?;
            } else if book.find(order_id).is_some() {
                book.replace(order_id, owner, energy, limit, &mut events)?;
            }
        }
    }
    Ok(events.iter().filter_map(trade).collect())
}

fn trade(event: &Event) -> Option<SiteTrade> {
    let Event::Traded { incoming, resting, incoming_side, energy, price } = *event else { return None };
    let (bid, offer) = if incoming_side == Side::Bid { (incoming, resting) } else { (resting, incoming) };
    let site = |id: OrderId| usize::try_from(id.0).ok();
    Some(SiteTrade { buyer: site(bid)?, seller: site(offer)?, energy, price })
}

/// The sites in an order that looks random and is the same for the same seed.
fn arrival(sites: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sites).collect();
    order.sort_by_key(|site| mix(seed, number(*site).cast_unsigned()));
    order
}

/// Spreads two numbers over 64 bits.
const fn mix(seed: u64, number: u64) -> u64 {
    let mixed = (seed ^ number.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// A site's place as an order number; a data set has far fewer sites.
fn number(site: usize) -> i64 {
    i64::try_from(site).unwrap_or(i64::MAX)
}

fn owner(site: usize) -> u32 {
    u32::try_from(site).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use domain::tariff::Tariff;

    use super::*;
    use crate::clear::Mechanism;

    #[test]
    fn sites_meet_halfway_between_the_tariffs_and_never_trade_more_than_they_send() {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let mechanism = Mechanism::ContinuousDoubleAuction;
        let settings = Settings::new(mechanism, tariff);
        let wanted_wh = [300, -50, -50, 0];
        let trades = continuous(&wanted_wh, &settings, 7).unwrap();
        assert_eq!(trades.len(), 2);
        for trade in &trades {
            assert_eq!((trade.seller, trade.energy.wh()), (0, 50));
            assert!([1, 2].contains(&trade.buyer));
            assert_eq!(trade.price, price(184_000), "both have conceded half when they meet");
        }
        assert_eq!(continuous(&wanted_wh, &settings, 7).unwrap(), trades);
    }

    #[test]
    fn arrival_is_a_permutation_that_the_seed_changes() {
        let mut first = arrival(50, 1);
        assert_ne!(first, arrival(50, 2));
        first.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
    }
}

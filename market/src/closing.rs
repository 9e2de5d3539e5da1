//! The closing auction of a slot: from metered residuals to fills.

use domain::ids::{OrderId, SiteId};
use domain::order::Side;
use domain::tariff::Tariff;
use domain::trade::ClosingFill;
use domain::units::{Energy, Overflow};

use crate::auction::{AuctionOrder, clear};

/// Clears the residuals of a slot's sites, which must come in the order of their ids.
///
/// A positive residual is offered at the feed-in tariff, a negative one bids the retail tariff less
/// the fees: the standing limits at which a member is never worse off than at the grid.
///
/// # Errors
/// [`Overflow`] if the energies or prices are absurd.
pub fn close(residuals: &[(SiteId, Energy)], tariff: &Tariff) -> Result<Vec<ClosingFill>, Overflow> {
    let orders = orders(residuals.iter().map(|(_, residual)| *residual), tariff)?;
    let clearing = clear(&orders)?;
    let Some(price) = clearing.price else { return Ok(Vec::new()) };
    Ok(clearing
        .fills
        .iter()
        .map(|fill| ClosingFill {
            site_id: residuals[fill.index].0.clone(),
            side: orders[fill.index].side,
            energy: fill.energy,
            price,
        })
        .collect())
}

/// What sites send to the closing auction, numbered in their order.
///
/// # Errors
/// [`Overflow`] if the energies or prices are absurd.
pub fn orders(
    residuals: impl Iterator<Item = Energy>,
    tariff: &Tariff,
) -> Result<Vec<AuctionOrder>, Overflow> {
    let (lowest, highest) = (tariff.lowest_limit(), tariff.highest_limit()?);
    (0..)
        .zip(residuals)
        .map(|(number, residual)| {
            let id = OrderId(number);
            Ok(if residual.is_negative() {
                AuctionOrder { id, side: Side::Bid, energy: residual.checked_neg()?, limit: highest }
            } else {
                AuctionOrder { id, side: Side::Offer, energy: residual, limit: lowest }
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use domain::units::Price;

    use super::*;

    #[test]
    fn residuals_meet_halfway_between_the_tariffs() {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let site = |id: &str, wh| (SiteId::new(id).unwrap(), Energy::from_wh(wh));
        let fills = close(&[site("a", 500), site("b", -200), site("c", 0), site("d", 100)], &tariff).unwrap();
        let seen: Vec<_> = fills.iter().map(|f| (f.site_id.as_str(), f.side, f.energy.wh())).collect();
        // 200 Wh of 600 Wh: 166.67 and 33.33, the larger remainder gets the watt-hour.
        assert_eq!(seen, [("a", Side::Offer, 167), ("b", Side::Bid, 200), ("d", Side::Offer, 33)]);
        assert!(fills.iter().all(|fill| fill.price == price(184_000)));
    }

    #[test]
    fn a_community_with_surplus_only_clears_nothing() {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(0), price(0)).unwrap();
        let fills = close(&[(SiteId::new("a").unwrap(), Energy::from_wh(500))], &tariff).unwrap();
        assert_eq!(fills, []);
    }
}

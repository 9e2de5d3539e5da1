//! The closing auction of a slot: from metered residuals to fills, and to who took from whom.
//!
//! Price and volume are those of the call auction at the sites' standing limits, whatever anybody prefers. Wishes
//! decide three things only, none of which changes what the community gains: who of the last, rationed price
//! level is served first (`ration`), which zone takes from which (`zones`) and who takes from whom
//! (`pairing`).

mod lots;
mod market;
mod names;
mod pairing;
mod ration;
mod sellers;
pub mod terms;
mod zones;

use domain::fees::NetworkFees;
use domain::ids::{MemberId, OrderId, SiteId};
use domain::order::Side;
use domain::standing::StandingOrder;
use domain::tariff::Tariff;
use domain::trade::{ClosingFill, ClosingPair};
use domain::units::{Energy, Overflow, Price};

use crate::auction::{AuctionOrder, Shares, share};
use market::Market;
use ration::Level;
use sellers::Seller;

/// A site in the closing auction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosingSite {
    /// The site.
    pub site_id: SiteId,
    /// Whose it is.
    pub member_id: MemberId,
    /// Its zone, by number.
    pub zone: usize,
    /// Whether its own generator, metered, made all that it exported in the slot.
    pub green: bool,
    /// What it has left over (positive) or lacks (negative).
    pub residual: Energy,
    /// At which limits it takes part, and what it asks for.
    pub standing: StandingOrder,
}

/// What holds for all sites of a slot.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The slot's tariff.
    pub tariff: &'a Tariff,
    /// The slot's network fees.
    pub fees: &'a NetworkFees,
    /// Where the list of sites begins when nothing else decides between two of them. It moves on from slot to
    /// slot, so that no site is always first.
    pub turn: usize,
}

/// What the closing auction made of the residuals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closed {
    /// The uniform price; `None` if nothing trades.
    pub price: Option<Price>,
    /// What each site bought or sold, in the order of the sites.
    pub fills: Vec<ClosingFill>,
    /// Who took from whom; over a site's pairs the energy adds up to its fill.
    pub pairs: Vec<ClosingPair>,
}

/// The same by the places of the sites.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decided {
    /// The uniform price; `None` if nothing trades.
    pub price: Option<Price>,
    /// What each site bought or sold, in Wh; empty if nothing trades.
    pub filled_wh: Vec<i64>,
    /// Who took from whom, each two sites once.
    pub pairs: Vec<Pair>,
}

/// A taking of one site from another, both by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Who bought.
    pub buyer: usize,
    /// Who sold.
    pub seller: usize,
    /// How much, in Wh.
    pub wh: i64,
    /// What the buyer pays on top of the price, if this is what it asked for.
    pub met: Option<Price>,
}

/// Clears the residuals of a slot's sites, which must come in the order of their ids.
///
/// A positive residual is offered and a negative one bids, at the site's standing limits, by default the feed-in
/// tariff and the highest price at which the site is never worse off than at the grid, whichever zone it takes
/// from.
///
/// # Errors
/// [`Overflow`] if the energies or prices are absurd.
pub fn close(sites: &[ClosingSite], terms: &Terms<'_>) -> Result<Closed, Overflow> {
    let Decided { price, filled_wh, pairs } = decide(sites, terms)?;
    let fill = |(site, wh): (&ClosingSite, &i64)| {
        let side = if site.residual.is_negative() { Side::Bid } else { Side::Offer };
        let energy = Energy::from_wh(*wh);
        (*wh > 0).then(|| ClosingFill {
            site_id: site.site_id.clone(),
            side,
            energy,
            price: price.unwrap_or_default(),
        })
    };
    let pair = |pair: &Pair| {
        let (buyer, seller) = (&sites[pair.buyer], &sites[pair.seller]);
        let energy = Energy::from_wh(pair.wh);
        ClosingPair {
            buyer_site: buyer.site_id.clone(),
            seller_site: seller.site_id.clone(),
            energy,
            network_fee: terms.fees.fee(seller.zone, buyer.zone),
            preferred: pair.met.map_or(Energy::ZERO, |_| energy),
            premium: pair.met.unwrap_or_default(),
        }
    };
    Ok(Closed {
        price,
        fills: sites.iter().zip(&filled_wh).filter_map(fill).collect(),
        pairs: pairs.iter().map(pair).collect(),
    })
}

/// As [`close`], by the places of the sites.
///
/// # Errors
/// [`Overflow`] if the energies or prices are absurd.
pub fn decide(sites: &[ClosingSite], terms: &Terms<'_>) -> Result<Decided, Overflow> {
    let mut market = Market::read(sites, terms)?;
    // Sites are numbered in the order of their ids.
    let number = |place| OrderId(i64::try_from(place).unwrap_or(i64::MAX));
    let Some(Shares { price, mut filled_wh, longer, rationed, .. }) =
        share(&market.sides, sites.len(), number)?
    else {
        return Ok(Decided::default());
    };
    let level = market.is_anything_asked().then(|| Level::open(longer, &rationed, &mut filled_wh)).flatten();
    let asking = market.take_wishers(price, &filled_wh)?;
    let sellers = Seller::all(&market, &filled_wh, level.as_ref());
    if let Some(level) = level {
        level.serve_wishes_first(&market, &asking, &sellers, &mut filled_wh);
    }
    let pairs = pairing::pairs(&market, &asking, &sellers, &mut filled_wh);
    Ok(Decided { price: Some(price), pairs, filled_wh })
}

/// What sites without standing orders, in one zone, send to the closing auction, numbered in their order.
///
/// # Errors
/// [`Overflow`] if the energies or prices are absurd.
pub fn orders(
    residuals: impl Iterator<Item = Energy>,
    tariff: &Tariff,
) -> Result<Vec<AuctionOrder>, Overflow> {
    let (lowest, highest) = (tariff.lowest_limit(), tariff.highest_limit()?);
    (0..).zip(residuals).map(|(number, residual)| order(OrderId(number), residual, lowest, highest)).collect()
}

fn order(id: OrderId, residual: Energy, offer: Price, bid: Price) -> Result<AuctionOrder, Overflow> {
    Ok(if residual.is_negative() {
        AuctionOrder { id, side: Side::Bid, energy: residual.checked_neg()?, limit: bid }
    } else {
        AuctionOrder { id, side: Side::Offer, energy: residual, limit: offer }
    })
}

#[cfg(test)]
mod tests;

//! Who may sell something.

use domain::order::Side;

use super::market::Market;
use super::ration::Level;

/// A site that may sell something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seller {
    pub(super) site: u32,
    pub(super) pool: u32,
    /// The number of its member if a buyer names it, otherwise [`NOBODY`].
    pub(super) named: u32,
    /// Whether it shares a level that is rationed, so that only part of it may be taken.
    pub(super) is_rationed: bool,
}

/// No number of a member, and no place of a lot.
pub(super) const NOBODY: u32 = u32::MAX;

impl Seller {
    /// The sites that may sell something, which is `most_wh` at most, in this slot's order.
    pub(super) fn all(market: &Market<'_>, most_wh: &[i64], level: Option<&Level<'_>>) -> Vec<Self> {
        let mut sellers = Vec::with_capacity(market.sides.of(Side::Offer).len());
        for (at, order) in market.in_turn(Side::Offer).filter(|(_, order)| most_wh[order.index()] > 0) {
            let member = || &market.sites[order.index()].member_id;
            sellers.push(Self {
                site: order.place,
                pool: order.tag,
                named: market.names.number_of(at, member).unwrap_or(NOBODY),
                is_rationed: level.is_some_and(|level| level.has(Side::Offer, order)),
            });
        }
        sellers
    }
}

//! Trades, and what the closing auction gave each site.

use crate::ids::{MemberId, OrderId, SiteId};
use crate::order::Side;
use crate::units::{Energy, Money, Overflow, Price};

/// A match of two orders in the continuous auction, at the resting order's price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// The buyer's order.
    pub bid_id: OrderId,
    /// The seller's order.
    pub offer_id: OrderId,
    /// The buyer.
    pub buyer: MemberId,
    /// The buyer's site.
    pub buyer_site: SiteId,
    /// The seller.
    pub seller: MemberId,
    /// The seller's site.
    pub seller_site: SiteId,
    /// How much changed hands; above zero.
    pub energy: Energy,
    /// The resting order's limit.
    pub price: Price,
}

impl Trade {
    /// What the buyer owes the seller, fees apart.
    ///
    /// # Errors
    /// [`Overflow`] if the product does not fit.
    pub const fn value(&self) -> Result<Money, Overflow> {
        self.price.checked_mul(self.energy)
    }
}

/// What a site bought or sold in the closing auction of a slot, at its one uniform price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosingFill {
    /// The site.
    pub site_id: SiteId,
    /// Bought (`Bid`) or sold (`Offer`).
    pub side: Side,
    /// How much; above zero.
    pub energy: Energy,
    /// The uniform price.
    pub price: Price,
}

/// Who took from whom in the closing auction: a part of a buyer's fill and of a seller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosingPair {
    /// The buyer's site.
    pub buyer_site: SiteId,
    /// The seller's site.
    pub seller_site: SiteId,
    /// How much; above zero.
    pub energy: Energy,
    /// What the buyer pays the network per kWh of it: the fee of the two sites' zones.
    pub network_fee: Price,
    /// The part of the energy that met the buyer's preference.
    pub preferred: Energy,
    /// What the buyer pays the seller for that part, on top of the price.
    pub premium: Price,
}

//! What each site bought and sold locally, and what it paid the network for it.

use std::collections::HashMap;

use domain::ids::SiteId;
use domain::order::Side;
use domain::trade::ClosingPair;
use domain::units::{Energy, Money, Overflow};

use super::{Leg, PricingError, SlotInput};

/// What a site bought and sold locally, apart from its metered energy.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Local {
    pub(super) traded_bought: Leg,
    pub(super) traded_sold: Leg,
    pub(super) closing_bought: Leg,
    pub(super) closing_sold: Leg,
    pub(super) preferred_bought: Leg,
    pub(super) preferred_sold: Leg,
    /// Never positive.
    pub(super) network_fee: Money,
    /// What the pairs of the closing auction say that it bought, less what it sold.
    paired: Energy,
}

impl Local {
    pub(super) fn bought(&self) -> Result<Energy, Overflow> {
        self.traded_bought.energy.checked_add(self.closing_bought.energy)
    }

    pub(super) fn sold(&self) -> Result<Energy, Overflow> {
        self.traded_sold.energy.checked_add(self.closing_sold.energy)
    }
}

/// Sums each site's trades, fills and pairs, in the order of `input.sites`.
pub(super) fn of_sites(input: &SlotInput<'_>) -> Result<Vec<Local>, PricingError> {
    let mut books = Books::new(input)?;
    for trade in input.trades {
        let (buyer, seller) =
            (books.find(&trade.buyer_site, trade.energy)?, books.find(&trade.seller_site, trade.energy)?);
        let value = trade.value()?;
        let fee = input.fees.fee(input.sites[seller].zone, input.sites[buyer].zone);
        let local = &mut books.local;
        local[buyer].traded_bought.add(trade.energy, value.checked_neg()?)?;
        local[buyer].network_fee = local[buyer].network_fee.checked_sub(fee.checked_mul(trade.energy)?)?;
        local[seller].traded_sold.add(trade.energy, value)?;
    }
    books.fills()?;
    for pair in input.pairs {
        books.pair(pair)?;
    }
    books.checked()
}

struct Books<'a> {
    input: &'a SlotInput<'a>,
    index: HashMap<&'a SiteId, usize>,
    local: Vec<Local>,
}

impl<'a> Books<'a> {
    fn new(input: &'a SlotInput<'a>) -> Result<Self, PricingError> {
        let mut index = HashMap::with_capacity(input.sites.len());
        for (i, site) in input.sites.iter().enumerate() {
            let site_id = || site.site_id.clone();
            if site.metered.import.is_negative() || site.metered.export.is_negative() {
                return Err(PricingError::NegativeEnergy { site_id: site_id() });
            }
            if site.zone >= input.fees.count() {
                return Err(PricingError::UnknownZone { site_id: site_id() });
            }
            if index.insert(&site.site_id, i).is_some() {
                return Err(PricingError::DuplicateSite { site_id: site_id() });
            }
        }
        Ok(Self { input, index, local: vec![Local::default(); input.sites.len()] })
    }

    /// The place of a site to which an energy is booked.
    fn find(&self, site: &SiteId, energy: Energy) -> Result<usize, PricingError> {
        if energy.is_negative() {
            return Err(PricingError::NegativeEnergy { site_id: site.clone() });
        }
        self.index.get(site).copied().ok_or_else(|| PricingError::UnknownSite { site_id: site.clone() })
    }

    fn fills(&mut self) -> Result<(), PricingError> {
        let (mut bought, mut sold, mut paid) = (Energy::ZERO, Energy::ZERO, Money::ZERO);
        for fill in self.input.fills {
            let place = self.find(&fill.site_id, fill.energy)?;
            let site = &mut self.local[place];
            let value = fill.price.checked_mul(fill.energy)?;
            match fill.side {
                Side::Bid => {
                    bought = bought.checked_add(fill.energy)?;
                    paid = paid.checked_add(value)?;
                    site.closing_bought.add(fill.energy, value.checked_neg()?)?;
                }
                Side::Offer => {
                    sold = sold.checked_add(fill.energy)?;
                    paid = paid.checked_sub(value)?;
                    site.closing_sold.add(fill.energy, value)?;
                }
            }
        }
        if bought == sold && paid.is_zero() {
            return Ok(());
        }
        Err(PricingError::ClosingUnbalanced { bought_wh: bought.wh(), sold_wh: sold.wh() })
    }

    /// Books the network fee of a pair on its buyer, and the premium from its buyer to its seller.
    fn pair(&mut self, pair: &ClosingPair) -> Result<(), PricingError> {
        let (buyer, seller) =
            (self.find(&pair.buyer_site, pair.preferred)?, self.find(&pair.seller_site, pair.energy)?);
        let premium = pair.premium.checked_mul(pair.preferred)?;
        let site = &mut self.local[buyer];
        site.paired = site.paired.checked_add(pair.energy)?;
        site.network_fee = site.network_fee.checked_sub(pair.network_fee.checked_mul(pair.energy)?)?;
        site.preferred_bought.add(pair.preferred, premium.checked_neg()?)?;
        let site = &mut self.local[seller];
        site.paired = site.paired.checked_sub(pair.energy)?;
        site.preferred_sold.add(pair.preferred, premium)?;
        Ok(())
    }

    /// All sites' books, if the pairs are the fills.
    fn checked(self) -> Result<Vec<Local>, PricingError> {
        for (site, local) in self.input.sites.iter().zip(&self.local) {
            let filled = local.closing_bought.energy.checked_sub(local.closing_sold.energy)?;
            if filled != local.paired {
                return Err(PricingError::PairsUnbalanced {
                    site_id: site.site_id.clone(),
                    filled_wh: filled.wh(),
                    paired_wh: local.paired.wh(),
                });
            }
        }
        Ok(self.local)
    }
}

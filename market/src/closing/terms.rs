//! The terms of a slot's closing auction, as the rows hold them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::fees::NetworkFees;
use domain::ids::{CommunityId, SiteId};
use domain::reading::Metered;
use domain::slot::SlotLength;
use domain::standing::StandingOrder;
use domain::tariff::Tariff;
use domain::units::{Energy, Overflow};
use store::metering::{MeteredSite, SiteInputs};
use store::zones::SiteZone;
use store::{PgConnection, StoreError, communities, network_fees, standing_orders, zones};

use super::{Closed, ClosingSite, Terms, close};
use crate::metering::residual;

/// What a slot is closed by, besides what its sites metered.
#[derive(Debug)]
pub struct SlotTerms {
    tariff: Tariff,
    fees: NetworkFees,
    sites: HashMap<SiteId, SiteZone>,
    standing: HashMap<SiteId, StandingOrder>,
    turn: usize,
}

impl SlotTerms {
    /// Reads what held when the slot began; a later revision finds the same.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer or holds no tariff.
    pub async fn load(
        db: &mut PgConnection,
        community: &CommunityId,
        slot_start: DateTime<Utc>,
        length: SlotLength,
    ) -> Result<Self, StoreError> {
        let tariff = communities::tariff_at(&mut *db, community, slot_start).await?;
        let sites = zones::of_sites(&mut *db, community).await?;
        let fees = network_fees::of_slot(&mut *db, community, slot_start, &tariff, &sites).await?;
        let standing = standing_orders::of_slot(&mut *db, community, slot_start).await?;
        let slots = slot_start.timestamp().div_euclid(i64::from(length.seconds()));
        let sites = sites.into_iter().map(|site| (site.site_id.clone(), site)).collect();
        Ok(Self { tariff, fees, sites, standing, turn: usize::try_from(slots).unwrap_or_default() })
    }

    /// Clears what the sites have left over or lack, which come in the order of their ids.
    ///
    /// # Errors
    /// [`Overflow`] if the energies or prices are absurd.
    pub fn close(&mut self, inputs: &[SiteInputs], metered: &[MeteredSite]) -> Result<Closed, Overflow> {
        let sites = inputs
            .iter()
            .zip(metered)
            .map(|(input, site)| self.site(input, &site.metered))
            .collect::<Result<Vec<_>, _>>()?;
        close(&sites, &Terms { tariff: &self.tariff, fees: &self.fees, turn: self.turn })
    }

    fn site(&mut self, input: &SiteInputs, metered: &Metered) -> Result<ClosingSite, Overflow> {
        let known = self.sites.get(&input.site_id);
        Ok(ClosingSite {
            site_id: input.site_id.clone(),
            member_id: input.member_id.clone(),
            // Both were read in one transaction, so every site has a zone.
            zone: known.and_then(|site| self.fees.number(&site.zone_id)).unwrap_or(0),
            green: known.is_some_and(|site| site.has_generator) && is_green(metered),
            residual: residual(metered, input.net_sale)?,
            standing: self.standing.remove(&input.site_id).unwrap_or_default(),
        })
    }
}

/// Whether a metered generator made all that a site exported. What a battery gave back from earlier, or nobody
/// measured, is not called green.
fn is_green(metered: &Metered) -> bool {
    metered.export.is_positive() && metered.production.unwrap_or(Energy::ZERO) >= metered.export
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_metered_generator_made_is_green() {
        let wh = Energy::from_wh;
        for (export, production, green) in
            [(500, Some(500), true), (500, Some(499), false), (500, None, false), (0, Some(9), false)]
        {
            let metered = Metered { import: wh(0), export: wh(export), production: production.map(wh) };
            assert_eq!(is_green(&metered), green, "{export} {production:?}");
        }
    }
}

//! The network fees of one slot: what a kWh pays on its way from one zone to another.

use crate::ids::ZoneId;
use crate::tariff::Tariff;
use crate::units::{Overflow, Price};

/// The most zones a community may have.
pub const MAX_ZONES: usize = 16;

/// A community has more zones than the closing auction matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a community has at most {MAX_ZONES} zones, here are {count}: put sites that pay the same fees into one"
)]
pub struct TooManyZones {
    /// How many there are.
    pub count: usize,
}

/// The zones of a community and the fee of each pair of them, in one slot. Zones are numbered by their place in
/// the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFees {
    zones: Vec<ZoneId>,
    /// The fee from one zone to another, at `from * zones.len() + to`.
    fees: Vec<Price>,
}

impl NetworkFees {
    /// The fees among `zones`: those of `pairs` (from, to, fee), and the tariff's network fee for every other
    /// pair. Zones may be named more than once; a pair of zones without a site is left out.
    ///
    /// # Errors
    /// [`TooManyZones`] if there are more than [`MAX_ZONES`].
    pub fn new(
        zones: impl IntoIterator<Item = ZoneId>,
        tariff: &Tariff,
        pairs: impl IntoIterator<Item = (ZoneId, ZoneId, Price)>,
    ) -> Result<Self, TooManyZones> {
        let zones: std::collections::BTreeSet<ZoneId> = zones.into_iter().collect();
        let zones: Vec<ZoneId> = zones.into_iter().collect();
        let count = zones.len();
        if count > MAX_ZONES {
            return Err(TooManyZones { count });
        }
        let mut all = Self { fees: vec![tariff.network_fee(); count * count], zones };
        for (from, to, fee) in pairs {
            if let (Some(from), Some(to)) = (all.number(&from), all.number(&to)) {
                all.fees[from * count + to] = fee;
            }
        }
        Ok(all)
    }

    /// How many zones there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.zones.len()
    }

    /// A zone's number, if it is one of them.
    #[must_use]
    pub fn number(&self, zone: &ZoneId) -> Option<usize> {
        self.zones.binary_search(zone).ok()
    }

    /// What a kWh from a site of zone `from` to one of zone `to` pays, both by number.
    ///
    /// # Panics
    /// If a number is not that of a zone.
    #[must_use]
    pub fn fee(&self, from: usize, to: usize) -> Price {
        self.fees[from * self.zones.len() + to]
    }

    /// The highest fee that a kWh bought in zone `to` may pay, wherever it comes from.
    ///
    /// # Panics
    /// If the number is not that of a zone.
    #[must_use]
    pub fn highest(&self, to: usize) -> Price {
        (0..self.zones.len()).map(|from| self.fee(from, to)).max().unwrap_or_default()
    }

    /// The highest price that a bid of zone `to` may name: the retail tariff less the platform fee and the
    /// highest fee that the zone may pay. So no buyer pays more than at the grid, whoever it meets. It may lie
    /// below the feed-in tariff; then the zone cannot buy locally in this slot.
    ///
    /// # Errors
    /// [`Overflow`] if the prices are absurd.
    pub fn highest_limit(&self, tariff: &Tariff, to: usize) -> Result<Price, Overflow> {
        tariff.retail().checked_sub(tariff.platform_fee())?.checked_sub(self.highest(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(id: &str) -> ZoneId {
        ZoneId::new(id).unwrap()
    }

    fn tariff() -> Tariff {
        let price = Price::from_micro_per_kwh;
        Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap()
    }

    #[test]
    fn a_pair_without_a_fee_of_its_own_pays_the_tariffs() {
        let price = Price::from_micro_per_kwh;
        let pairs = [(zone("a"), zone("a"), price(10_000)), (zone("a"), zone("b"), price(50_000))];
        let fees = NetworkFees::new(["b", "a", "a"].map(zone), &tariff(), pairs).unwrap();
        let (a, b) = (fees.number(&zone("a")).unwrap(), fees.number(&zone("b")).unwrap());
        assert_eq!((fees.count(), fees.number(&zone("c"))), (2, None));
        assert_eq!(
            [fees.fee(a, a), fees.fee(a, b), fees.fee(b, a)].map(Price::micro_per_kwh),
            [10_000, 50_000, 30_000]
        );
        // Zone a may pay 3 ct to zone b, zone b 5 ct to zone a.
        assert_eq!(fees.highest_limit(&tariff(), a), Ok(price(288_000)));
        assert_eq!(fees.highest_limit(&tariff(), b), Ok(price(268_000)));
    }

    #[test]
    fn one_zone_is_bounded_as_the_tariff_says() {
        let fees = NetworkFees::new([ZoneId::default()], &tariff(), []).unwrap();
        assert_eq!(fees.highest_limit(&tariff(), 0), tariff().highest_limit());
    }

    #[test]
    fn too_many_zones_are_refused() {
        let zones = (0..=MAX_ZONES).map(|number| zone(&format!("z{number}")));
        assert_eq!(NetworkFees::new(zones, &tariff(), []), Err(TooManyZones { count: 17 }));
    }
}

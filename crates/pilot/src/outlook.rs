//! What energy is likely to cost and earn at a time of day: so much of it goes between neighbours at that time, the
//! rest at the tariffs.

use domain::tariff::Tariff;
use domain::units::Overflow;

use crate::day::Days;

const PERMILLE: i64 = 1_000;

/// What a community did in a slot, in Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volumes {
    /// What its sites imported.
    pub import_wh: i64,
    /// What they exported.
    pub export_wh: i64,
    /// What of both went between neighbours.
    pub local_wh: i64,
}

/// The prices of one direction: those of neighbours for the first Wh, the grid's for the rest. In
/// micro-currency per kWh (nano-currency per Wh).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// How much goes to, or comes from, neighbours.
    pub local_wh: i64,
    /// At what price, fees included.
    pub local_micro_per_kwh: i64,
    /// The grid's price.
    pub grid_micro_per_kwh: i64,
}

impl Tier {
    /// What `wh` come to, in nano-currency.
    fn nano(&self, wh: i64) -> i128 {
        let local = wh.min(self.local_wh);
        i128::from(local) * i128::from(self.local_micro_per_kwh)
            + i128::from(wh - local) * i128::from(self.grid_micro_per_kwh)
    }
}

/// What a site expects of one slot. Neighbours sell for less than the grid and pay more than it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Net export without the battery, in Wh.
    pub net_wh: i64,
    /// What energy that it lacks costs.
    pub buy: Tier,
    /// What energy that it has left over earns.
    pub sell: Tier,
}

impl Outlook {
    /// What the slot costs if the battery adds `battery_wh` to its net export, in nano-currency.
    #[must_use]
    pub fn cost_nano(&self, battery_wh: i64) -> i128 {
        let net_wh = self.net_wh.saturating_add(battery_wh);
        if net_wh < 0 { self.buy.nano(net_wh.saturating_neg()) } else { -self.sell.nano(net_wh) }
    }
}

/// What a time of day was like: the shares of import and export that found a neighbour, in thousandths,
/// and what did not, in Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    bids_served: i64,
    offers_served: i64,
    lacking_wh: i64,
    spare_wh: i64,
}

/// What was learned of a community, for each time of day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbours {
    days: Days,
    places: Vec<Option<Seen>>,
}

impl Neighbours {
    /// Nothing is known yet: the tariffs hold.
    #[must_use]
    pub fn new(days: Days) -> Self {
        Self { days, places: vec![None; usize::try_from(days.slots()).unwrap_or_default()] }
    }

    /// Learns from a slot; half of what is known at its time of day stays.
    pub fn observe(&mut self, index: i64, volumes: Volumes) {
        let Volumes { import_wh, export_wh, local_wh } = volumes;
        let now = Seen {
            bids_served: permille(local_wh, import_wh),
            offers_served: permille(local_wh, export_wh),
            lacking_wh: (import_wh - local_wh).max(0),
            spare_wh: (export_wh - local_wh).max(0),
        };
        if let Some(place) = self.places.get_mut(self.days.place(index)) {
            *place = Some(place.map_or(now, |before| Seen {
                bids_served: i64::midpoint(before.bids_served, now.bids_served),
                offers_served: i64::midpoint(before.offers_served, now.offers_served),
                lacking_wh: i64::midpoint(before.lacking_wh, now.lacking_wh),
                spare_wh: i64::midpoint(before.spare_wh, now.spare_wh),
            }));
        }
    }

    /// The outlook of a slot for a site that expects `net_wh`, and shares what neighbours have to spare, or
    /// lack, with other planned batteries: `batteries` in all.
    ///
    /// # Errors
    /// [`Overflow`] if the prices are absurd.
    pub fn outlook(
        &self,
        index: i64,
        net_wh: i64,
        tariff: &Tariff,
        batteries: usize,
    ) -> Result<Outlook, Overflow> {
        let lowest = tariff.lowest_limit().micro_per_kwh();
        let middle = i64::midpoint(lowest, tariff.highest_limit()?.micro_per_kwh());
        let fees = tariff.network_fee().checked_add(tariff.platform_fee())?.micro_per_kwh();
        let seen = self.places.get(self.days.place(index)).copied().flatten().unwrap_or_default();
        let each = |wh: i64| wh / i64::try_from(batteries.max(1)).unwrap_or(i64::MAX);
        let own =
            |wh: i64, served: i64| wh.max(0) / PERMILLE * served + wh.max(0) % PERMILLE * served / PERMILLE;
        Ok(Outlook {
            net_wh,
            buy: Tier {
                local_wh: own(net_wh.saturating_neg(), seen.bids_served) + each(seen.spare_wh),
                local_micro_per_kwh: middle + fees,
                grid_micro_per_kwh: tariff.retail().micro_per_kwh(),
            },
            sell: Tier {
                local_wh: own(net_wh, seen.offers_served) + each(seen.lacking_wh),
                local_micro_per_kwh: middle,
                grid_micro_per_kwh: tariff.feed_in().micro_per_kwh(),
            },
        })
    }
}

/// A share in thousandths; none of nothing.
fn permille(part_wh: i64, whole_wh: i64) -> i64 {
    if whole_wh > 0 { (part_wh.saturating_mul(PERMILLE) / whole_wh).clamp(0, PERMILLE) } else { 0 }
}

#[cfg(test)]
mod tests {
    use domain::units::Price;

    use super::*;

    #[test]
    fn what_found_a_neighbour_will_and_what_is_spare_is_shared() {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let mut neighbours = Neighbours::new(Days::new(900));
        let of = |neighbours: &Neighbours, index, net_wh| {
            let outlook = neighbours.outlook(index, net_wh, &tariff, 2).unwrap();
            (outlook.buy.local_wh, outlook.sell.local_wh)
        };
        assert_eq!(of(&neighbours, 7, -100), (0, 0), "nothing is known: the tariffs hold");
        neighbours.observe(7, Volumes { import_wh: 500, export_wh: 1_000, local_wh: 500 });
        assert_eq!(of(&neighbours, 7 + 96, -100), (350, 0), "its own 100 Wh and half of 500 Wh to spare");
        assert_eq!(of(&neighbours, 7 + 96, 100), (250, 50));
        neighbours.observe(7 + 96, Volumes { import_wh: 1_000, export_wh: 0, local_wh: 0 });
        assert_eq!(of(&neighbours, 7, -100), (175, 250));
        assert_eq!(of(&neighbours, 8, -100), (0, 0));
        let outlook = neighbours.outlook(7, -100, &tariff, 1).unwrap();
        assert_eq!((outlook.buy.local_micro_per_kwh, outlook.sell.local_micro_per_kwh), (216_000, 184_000));
    }

    #[test]
    fn a_slot_costs_by_tiers() {
        let buy = Tier { local_wh: 100, local_micro_per_kwh: 216, grid_micro_per_kwh: 320 };
        let sell = Tier { local_wh: 50, local_micro_per_kwh: 184, grid_micro_per_kwh: 80 };
        let slot = Outlook { net_wh: -150, buy, sell };
        assert_eq!(slot.cost_nano(0), 100 * 216 + 50 * 320);
        assert_eq!(slot.cost_nano(250), -(50 * 184 + 50 * 80));
    }
}

//! Generators of domain values for property tests (feature `strategies`).

use proptest::prelude::*;

use crate::tariff::Tariff;
use crate::units::{Energy, Price};

/// Energies of one site in one slot: 1 Wh to 100 kWh.
pub fn slot_energy() -> impl Strategy<Value = Energy> {
    (1_i64..=100_000).prop_map(Energy::from_wh)
}

/// Prices from 1 micro-currency to 1 currency unit a kWh.
pub fn price() -> impl Strategy<Value = Price> {
    (1_i64..=1_000_000).prop_map(Price::from_micro_per_kwh)
}

/// Tariffs with room between the feed-in tariff and the retail tariff less the fees.
pub fn tariff() -> impl Strategy<Value = Tariff> {
    (0_i64..200_000, 0_i64..300_000, 0_i64..50_000, 0_i64..10_000).prop_filter_map(
        "no room between the tariffs",
        |(feed_in, spread, network, platform)| {
            let micro = Price::from_micro_per_kwh;
            let retail = micro(feed_in + spread + network + platform);
            Tariff::new(retail, micro(feed_in), micro(network), micro(platform)).ok()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #[test]
        fn generated_tariffs_have_ordered_bounds(tariff in tariff(), energy in slot_energy(), price in price()) {
            prop_assert!(tariff.lowest_limit() <= tariff.highest_limit().unwrap());
            prop_assert!(price.checked_mul(energy).unwrap().is_positive());
        }
    }
}

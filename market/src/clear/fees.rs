//! What holds for all orders of a file: network fees among zones, and the retail tariff.

use std::collections::HashSet;
use std::path::Path;

use domain::fees::NetworkFees;
use domain::ids::ZoneId;
use domain::tariff::Tariff;
use domain::units::Price;

use super::file::MAX_PRICE_MICRO_PER_KWH;
use super::table::{Column, Table, integer};
use super::{ClearError, ListedOrder};

const COLUMNS: [Column; 3] = [
    Column { name: "from_zone", required: true },
    Column { name: "to_zone", required: true },
    Column { name: "fee_micro_per_kwh", required: true },
];

/// Fees and tariff of the slot that is cleared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// Whether it is asked who takes from whom, even where no order has an attribute.
    pub pair_up: bool,
    /// The network fee of each pair of zones that is not named.
    pub network_fee: Price,
    /// Seller's zone, buyer's zone and what a kWh from one to the other pays.
    pub pairs: Vec<(ZoneId, ZoneId, Price)>,
    /// What imported energy costs at the grid, if that is to bound limits and premiums.
    pub retail: Option<Price>,
}

impl Conditions {
    /// The tariff and the fees among the zones of `orders`.
    ///
    /// # Errors
    /// [`ClearError`] for too many zones, or fees that leave no room below the retail tariff.
    pub(super) fn of(&self, orders: &[ListedOrder]) -> Result<(Tariff, NetworkFees), ClearError> {
        // Without a retail tariff nothing bounds a premium: this one is above all limits, fees and premiums together.
        let retail = self.retail.unwrap_or(Price::from_micro_per_kwh(4 * MAX_PRICE_MICRO_PER_KWH));
        let tariff = Tariff::new(retail, Price::ZERO, self.network_fee, Price::ZERO)?;
        let mut zones: Vec<&ZoneId> = Vec::new();
        for order in orders {
            // Of many orders of one zone, one says it.
            if zones.last() != Some(&&order.zone) {
                zones.push(&order.zone);
            }
        }
        zones.sort_unstable();
        zones.dedup();
        let fees = NetworkFees::new(zones.into_iter().cloned(), &tariff, self.pairs.iter().cloned())?;
        Ok((tariff, fees))
    }
}

/// Reads the fees of a file with the columns `from_zone,to_zone,fee_micro_per_kwh`.
///
/// # Errors
/// [`ClearError`] with file and line.
pub fn read_fees(path: &Path) -> Result<Vec<(ZoneId, ZoneId, Price)>, ClearError> {
    let mut table = Table::open(path, &COLUMNS)?;
    let (mut pairs, mut seen) = (Vec::new(), HashSet::new());
    while table.next_line()? {
        let (from, to, fee) = pair(&table).map_err(|message| table.fail(message))?;
        if !seen.insert((from.clone(), to.clone())) {
            return Err(table.fail(format!("the fee from {from} to {to} is given twice: keep one")));
        }
        pairs.push((from, to, fee));
    }
    Ok(pairs)
}

fn pair(table: &Table) -> Result<(ZoneId, ZoneId, Price), String> {
    let zone = |column: usize| {
        ZoneId::new(table.cell(column)).map_err(|error| format!("{}: {error}", COLUMNS[column].name))
    };
    let fee = integer(COLUMNS[2].name, table.cell(2))?;
    if !(0..=MAX_PRICE_MICRO_PER_KWH).contains(&fee) {
        return Err(format!("fee_micro_per_kwh {fee}: use 0 to {MAX_PRICE_MICRO_PER_KWH}"));
    }
    Ok((zone(0)?, zone(1)?, Price::from_micro_per_kwh(fee)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_are_read_or_refused_with_their_line() {
        let read = |text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("fees.csv");
            std::fs::write(&path, text).unwrap();
            read_fees(&path).map_err(|error| error.to_string())
        };
        let header = "to_zone,from_zone,fee_micro_per_kwh\n";
        let pairs = read(&format!("{header}south,north,50000\n")).unwrap();
        let zone = |id: &str| ZoneId::new(id).unwrap();
        assert_eq!(pairs, [(zone("north"), zone("south"), Price::from_micro_per_kwh(50_000))]);
        for (line, word) in [
            ("a,b,-1", "fee_micro_per_kwh -1"),
            ("a,b,x", "not a whole number"),
            ("a b,b,1", "to_zone: "),
            ("b,a,7", "given twice"),
        ] {
            let error = read(&format!("{header}b,a,5\n{line}\n")).unwrap_err();
            assert!(error.contains("fees.csv:3: ") && error.contains(word), "{error}");
        }
        assert!(read("from_zone,to_zone\n").unwrap_err().contains("`fee_micro_per_kwh` is missing"));
    }
}

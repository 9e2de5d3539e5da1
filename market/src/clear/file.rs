//! Reading a file of orders, refusing what no market would take, with the line that is wrong.

use std::collections::HashSet;
use std::path::Path;

use domain::ids::OrderId;
use domain::order::Side;
use domain::units::{Energy, Price};

use super::ClearError;
use crate::book::{MAX_ORDER_ENERGY, MAX_RESTING_ORDERS};

const COLUMNS: [&str; 5] = ["side", "id", "member", "energy_wh", "price_micro_per_kwh"];
/// Far above any tariff, and small enough that the worth of every order fits.
const MAX_PRICE_MICRO_PER_KWH: i64 = 1_000_000_000_000;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOrder {
    /// Its number; the line's place in the file where the ids are not all numbers.
    pub id: OrderId,
    /// Who placed it.
    pub member: String,
    /// Buys or sells.
    pub side: Side,
    /// How much.
    pub energy: Energy,
    /// The worst price it accepts.
    pub limit: Price,
}

/// Reads the orders of a file, in its order.
///
/// # Errors
/// [`ClearError`] with file and line.
pub fn read(path: &Path) -> Result<Vec<ListedOrder>, ClearError> {
    let unreadable = |source| ClearError::Unreadable { path: path.to_owned(), source };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(unreadable)?;
    if reader.headers().map_err(unreadable)?.iter().ne(COLUMNS) {
        return Err(ClearError::Header { path: path.to_owned() });
    }
    let mut orders = Vec::new();
    let mut ids = HashSet::new();
    let mut numbers = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |message| ClearError::Line { path: path.to_owned(), line, message };
        let order = order(&record).map_err(wrong)?;
        let id = record.get(1).unwrap_or_default().to_owned();
        numbers.push(id.parse::<i64>().ok());
        if !ids.insert(id) {
            return Err(wrong("the id was used on an earlier line: give each order its own".to_owned()));
        }
        orders.push(order);
        if orders.len() > MAX_RESTING_ORDERS {
            return Err(wrong(format!("more than {MAX_RESTING_ORDERS} orders: split the file")));
        }
    }
    let by_place = numbers.iter().any(Option::is_none);
    for ((place, order), number) in (1..).zip(&mut orders).zip(numbers) {
        order.id = OrderId(number.filter(|_| !by_place).unwrap_or(place));
    }
    Ok(orders)
}

fn order(record: &csv::StringRecord) -> Result<ListedOrder, String> {
    let field = |column: usize| record.get(column).unwrap_or_default();
    let side = Side::parse(field(0)).ok_or_else(|| format!("side {:?}: use bid or offer", field(0)))?;
    if field(1).is_empty() || field(2).is_empty() {
        return Err("id and member must not be empty".to_owned());
    }
    let energy = integer("energy_wh", field(3))?;
    if !(1..=MAX_ORDER_ENERGY.wh()).contains(&energy) {
        return Err(format!("energy_wh {energy}: use 1 to {}", MAX_ORDER_ENERGY.wh()));
    }
    let price = integer("price_micro_per_kwh", field(4))?;
    if !(0..=MAX_PRICE_MICRO_PER_KWH).contains(&price) {
        return Err(format!("price_micro_per_kwh {price}: use 0 to {MAX_PRICE_MICRO_PER_KWH}"));
    }
    Ok(ListedOrder {
        id: OrderId(0),
        member: field(2).to_owned(),
        side,
        energy: Energy::from_wh(energy),
        limit: Price::from_micro_per_kwh(price),
    })
}

fn integer(column: &str, text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{column} {text:?} is not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<ListedOrder>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.csv");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.to_string())
    }

    const HEADER: &str = "side,id,member,energy_wh,price_micro_per_kwh\n";

    #[test]
    fn reads_orders_by_number_or_by_place() {
        let ids = |text: &str| {
            let orders = read_text(&format!("{HEADER}{text}")).unwrap();
            orders.iter().map(|order| order.id.0).collect::<Vec<_>>()
        };
        assert_eq!(ids("bid,9,a,1,2\noffer, 4 ,b,1,2\n"), [9, 4]);
        assert_eq!(ids("bid,9,a,1,2\noffer,x4,b,1,2\n"), [1, 2]);
        assert_eq!(ids(""), Vec::<i64>::new());
    }

    #[test]
    fn each_mistake_names_its_line() {
        for (line, word) in [
            ("ask,1,a,1,2", "side"),
            ("bid,,a,1,2", "empty"),
            ("bid,1,a,0,2", "energy_wh 0"),
            ("bid,1,a,-4,2", "energy_wh -4"),
            ("bid,1,a,1.5,2", "not a whole number"),
            ("bid,1,a,99999999999999999999,2", "not a whole number"),
            ("bid,1,a,1,-2", "price_micro_per_kwh -2"),
            ("bid,2,a,1,2", "earlier line"),
        ] {
            let error = read_text(&format!("{HEADER}bid,2,a,1,2\n{line}\n")).unwrap_err();
            assert!(error.contains("orders.csv:3") && error.contains(word), "{error}");
        }
        assert!(read_text("side,id\n").unwrap_err().contains("must name the columns"));
        assert!(read_text(&format!("{HEADER}bid,1\n")).is_err());
    }
}

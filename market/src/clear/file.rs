//! Reading a file of orders, refusing what no market would take, with the line that is wrong.

use std::collections::HashMap;
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
    let line_error = |line, message| ClearError::Line { path: path.to_owned(), line, message };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .has_headers(false)
        .flexible(true)
        .from_path(path)
        .map_err(|source| ClearError::Unreadable { path: path.to_owned(), source })?;
    let mut record = csv::StringRecord::new();
    let mut next = move |record: &mut csv::StringRecord| reader.read_record(record);
    if !next(&mut record).map_err(|error| broken(path, error))? || !is_header(&record) {
        return Err(ClearError::Header { path: path.to_owned() });
    }
    let mut orders = Vec::new();
    // The line of each id, which is text until all of them turn out to be numbers.
    let mut lines: HashMap<String, u64> = HashMap::new();
    let mut numbers = Vec::new();
    while next(&mut record).map_err(|error| broken(path, error))? {
        let line = record.position().map_or(0, csv::Position::line);
        orders.push(order(&record).map_err(|message| line_error(line, message))?);
        let id = record.get(1).unwrap_or_default();
        numbers.push(id.parse::<i64>().ok());
        if let Some(first) = lines.insert(id.to_owned(), line) {
            let message = format!("the id {id:?} was used on line {first}: give each order its own");
            return Err(line_error(line, message));
        }
        if orders.len() > MAX_RESTING_ORDERS {
            let message = format!("more than {MAX_RESTING_ORDERS} orders: split the file");
            return Err(line_error(line, message));
        }
    }
    let by_place = numbers.iter().any(Option::is_none);
    for ((place, order), number) in (1..).zip(&mut orders).zip(numbers) {
        order.id = OrderId(number.filter(|_| !by_place).unwrap_or(place));
    }
    Ok(orders)
}

fn is_header(record: &csv::StringRecord) -> bool {
    // A byte order mark is no part of the first column's name.
    record.iter().map(|name| name.trim_start_matches('\u{feff}')).eq(COLUMNS)
}

/// What the reader itself complains of: with its line where it knows it.
fn broken(path: &Path, error: csv::Error) -> ClearError {
    match (error.kind(), error.position().map(csv::Position::line)) {
        (csv::ErrorKind::Utf8 { .. }, Some(line)) => {
            let message = "not UTF-8 text: save the file as UTF-8".to_owned();
            ClearError::Line { path: path.to_owned(), line, message }
        }
        _ => ClearError::Unreadable { path: path.to_owned(), source: error },
    }
}

fn order(record: &csv::StringRecord) -> Result<ListedOrder, String> {
    if record.len() != COLUMNS.len() {
        return Err(format!(
            "{} columns instead of {}: give {}",
            record.len(),
            COLUMNS.len(),
            COLUMNS.join(",")
        ));
    }
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
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{column} {text:?} is not a whole number: write digits only"));
    }
    text.parse().map_err(|_| format!("{column} {text} is far out of range: check the unit"))
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
            ("bid,1,a,99999999999999999999,2", "far out of range"),
            ("bid,1,a,+5,2", "not a whole number"),
            ("bid,1,a,1e3,2", "not a whole number"),
            ("bid,1,a,,2", "not a whole number"),
            ("bid,1,,5,2", "empty"),
            ("bid,1,a,1,1000000000001", "price_micro_per_kwh 1000000000001"),
            ("bid,1,a,1", "4 columns instead of 5"),
            ("bid,1,a,1,2,3", "6 columns instead of 5"),
            ("bid,1,a,1,-2", "price_micro_per_kwh -2"),
            ("bid,2,a,1,2", "used on line 2"),
        ] {
            let error = read_text(&format!("{HEADER}bid,2,a,1,2\n{line}\n")).unwrap_err();
            assert!(error.contains("orders.csv:3") && error.contains(word), "{error}");
        }
        assert!(read_text("side,id\n").unwrap_err().contains("must name the columns"));
        assert!(read_text("").unwrap_err().contains("must name the columns"));
    }

    #[test]
    fn other_programs_files_are_read_or_refused_with_their_line() {
        assert_eq!(
            read_text(&format!("\u{feff}{}bid,1,a,1,2\r\n", HEADER.replace('\n', "\r\n"))).unwrap().len(),
            1
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.csv");
        std::fs::write(&path, [HEADER.as_bytes(), b"bid,1,a,1,2\nbid,2,\xff,1,2\n"].concat()).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("orders.csv:3: not UTF-8"), "{error}");
        assert!(read(folder.path()).is_err() && read(&folder.path().join("none.csv")).is_err());
    }
}

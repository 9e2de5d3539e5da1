//! Reading a file of orders, refusing what no market would take, with the line that is wrong.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use domain::fees::{MAX_ZONES, TooManyZones};
use domain::ids::{MemberId, OrderId, ZoneId};
use domain::order::Side;
use domain::standing::{Preference, Wish};
use domain::units::{Energy, Price};

use super::ClearError;
use super::table::{Column, Table, integer};
use crate::book::{MAX_ORDER_ENERGY, MAX_RESTING_ORDERS};

const fn needed(name: &'static str) -> Column {
    Column { name, required: true }
}

const fn optional(name: &'static str) -> Column {
    Column { name, required: false }
}

const COLUMNS: [Column; 9] = [
    needed("side"),
    needed("id"),
    needed("member"),
    needed("energy_wh"),
    needed("price_micro_per_kwh"),
    optional("zone"),
    optional("prefer"),
    optional("premium_micro_per_kwh"),
    optional("kind"),
];
const SIDE: usize = 0;
const ID: usize = 1;
const MEMBER: usize = 2;
const ENERGY: usize = 3;
const PRICE: usize = 4;
const ZONE: usize = 5;
const PREFER: usize = 6;
const PREMIUM: usize = 7;
const KIND: usize = 8;
/// Far above any tariff, and small enough that the worth of every order fits.
pub(super) const MAX_PRICE_MICRO_PER_KWH: i64 = 1_000_000_000_000;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOrder {
    /// Its number; the line's place in the file where the ids are not all numbers.
    pub id: OrderId,
    /// Its id, as written.
    pub name: String,
    /// Who placed it; the members of a file are numbered, so that any text can name one.
    pub member: MemberId,
    /// Buys or sells.
    pub side: Side,
    /// How much.
    pub energy: Energy,
    /// The worst price it accepts, fees apart.
    pub limit: Price,
    /// The zone of its site.
    pub zone: ZoneId,
    /// What a bid asks for.
    pub wish: Wish,
    /// Whether an offer's energy is green.
    pub green: bool,
}

impl ListedOrder {
    /// An order that asks for nothing, in the zone `main`.
    #[must_use]
    pub fn plain(id: OrderId, member: MemberId, side: Side, energy: Energy, limit: Price) -> Self {
        let (name, zone, wish) = (id.0.to_string(), ZoneId::default(), Wish::default());
        Self { id, name, member, side, energy, limit, zone, wish, green: false }
    }
}

/// Reads the orders of a file, in its order.
///
/// # Errors
/// [`ClearError`] with file and line.
pub fn read(path: &Path) -> Result<Vec<ListedOrder>, ClearError> {
    let mut table = Table::open(path, &COLUMNS)?;
    let mut orders = Vec::new();
    // The line of each id, which is text until all of them turn out to be numbers.
    let mut lines: HashMap<(Side, String), u64> = HashMap::new();
    let (mut sides, mut numbers) = (Vec::new(), Vec::new());
    let (mut zones, mut members) = (BTreeSet::new(), Members::default());
    while table.next_line()? {
        let order = order(&table, &mut members).map_err(|message| table.fail(message))?;
        sides.push(order.side);
        numbers.push(order.name.parse::<i64>().ok());
        if let Some(first) = lines.insert((order.side, order.name.clone()), table.line()) {
            let message =
                format!("id {:?} was used on line {first}: give each order of a side its own", order.name);
            return Err(table.fail(message));
        }
        zones.insert(order.zone.clone());
        if zones.len() > MAX_ZONES {
            return Err(table.fail(TooManyZones { count: zones.len() }.to_string()));
        }
        orders.push(order);
        if orders.len() > MAX_RESTING_ORDERS {
            return Err(table.fail(format!("more than {MAX_RESTING_ORDERS} orders: split the file")));
        }
    }
    for (order, id) in orders.iter_mut().zip(ids(&sides, &numbers)) {
        order.id = OrderId(id);
    }
    Ok(orders)
}

/// The numbers by which orders go: their own where they are all different, and their places in the file where ids are no
/// numbers or say nothing about which is lower, such as 1 and 01. Bids and offers that are each numbered for themselves
/// keep their sides' order.
fn ids(sides: &[Side], numbers: &[Option<i64>]) -> Vec<i64> {
    let by_place = || (1..).take(numbers.len()).collect();
    let Some(numbers) = numbers.iter().copied().collect::<Option<Vec<i64>>>() else { return by_place() };
    if numbers.iter().collect::<HashSet<_>>().len() == numbers.len() {
        return numbers;
    }
    let mut sorted: Vec<(i64, bool, usize)> = (0..)
        .zip(sides)
        .zip(&numbers)
        .map(|((at, side), number)| (*number, *side == Side::Offer, at))
        .collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1)) {
        return by_place();
    }
    let mut ids = vec![0; numbers.len()];
    for (id, (_, _, at)) in (1..).zip(sorted) {
        ids[at] = id;
    }
    ids
}

fn order(table: &Table, members: &mut Members) -> Result<ListedOrder, String> {
    let side = side(table.cell(SIDE))?;
    for column in [ID, MEMBER] {
        if table.cell(column).is_empty() {
            return Err(format!("{} must not be empty", COLUMNS[column].name));
        }
    }
    let within = |column: usize, lowest: i64, highest: i64| {
        let name = COLUMNS[column].name;
        let value = integer(name, table.cell(column))?;
        let fits = (lowest..=highest).contains(&value);
        if fits { Ok(value) } else { Err(format!("{name} {value}: use {lowest} to {highest}")) }
    };
    let premium = match table.cell(PREMIUM) {
        "" => 0,
        _ => within(PREMIUM, 0, MAX_PRICE_MICRO_PER_KWH)?,
    };
    Ok(ListedOrder {
        id: OrderId(0),
        name: table.cell(ID).to_owned(),
        member: members.id(table.cell(MEMBER))?,
        side,
        energy: Energy::from_wh(within(ENERGY, 1, MAX_ORDER_ENERGY.wh())?),
        limit: Price::from_micro_per_kwh(within(PRICE, 0, MAX_PRICE_MICRO_PER_KWH)?),
        zone: match table.cell(ZONE) {
            "" => ZoneId::default(),
            zone => ZoneId::new(zone).map_err(|error| format!("zone: {error}"))?,
        },
        wish: wish(side, table.cell(PREFER), premium, members)?,
        green: match table.cell(KIND).to_ascii_lowercase().as_str() {
            "green" => side == Side::Offer,
            "" | "other" => false,
            other => return Err(format!("kind {:?}: use green or other", short(other))),
        },
    })
}

fn side(text: &str) -> Result<Side, String> {
    match text.to_ascii_lowercase().as_str() {
        "bid" | "buy" | "b" => Ok(Side::Bid),
        "offer" | "ask" | "sell" | "s" => Ok(Side::Offer),
        other => Err(format!("side {:?}: use bid or offer (buy or sell, ask)", short(other))),
    }
}

/// What a bid asks for: `local`, `green`, or members joined by `+`, the first of them first.
fn wish(side: Side, prefer: &str, premium: i64, members: &mut Members) -> Result<Wish, String> {
    let preference = match prefer.to_ascii_lowercase().as_str() {
        "" | "any" => Preference::Any,
        "local" => Preference::Local,
        "green" => Preference::Green,
        _ => {
            let partners = prefer.split('+').map(str::trim).map(|name| members.id(name));
            let partners = partners.collect::<Result<Vec<_>, _>>()?;
            Preference::new("partners", partners).map_err(|error| format!("prefer: {error}"))?
        }
    };
    if side == Side::Offer && (preference != Preference::Any || premium > 0) {
        return Err("prefer and premium_micro_per_kwh are for bids: leave them empty for an offer".to_owned());
    }
    Wish::new(preference, Price::from_micro_per_kwh(premium))
        .map_err(|error| format!("premium_micro_per_kwh: {error}"))
}

/// The members of a file, numbered as they come.
#[derive(Debug, Default)]
struct Members(HashMap<String, MemberId>);

impl Members {
    fn id(&mut self, name: &str) -> Result<MemberId, String> {
        if let Some(known) = self.0.get(name) {
            return Ok(known.clone());
        }
        let id = MemberId::new(&format!("m{}", self.0.len())).map_err(|error| error.to_string())?;
        self.0.insert(name.to_owned(), id.clone());
        Ok(id)
    }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;

//! Reads `profiles.csv`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};

use super::table::{Column, Table, shorten};
use super::{DataSetError, Limits, Problem, ProfileRow, Site, SitePower};

const COLUMNS: &[Column] = &[
    Column { name: "slot_start", required: true },
    Column { name: "site_id", required: true },
    Column { name: "load_w", required: true },
    Column { name: "pv_w", required: false },
];
const SECONDS_PER_HOUR: i64 = 3_600;

/// Reads the rows and derives the slot length in seconds.
pub(super) fn read(
    file: &Path,
    sites: &[Site],
    limits: &Limits,
) -> Result<(Vec<ProfileRow>, u32), DataSetError> {
    let mut table = Table::open(file, COLUMNS, limits)?;
    let mut slots = Slots::new(sites, limits);
    while table.next_line()? {
        if table.lines() > limits.cells {
            return Err(table.fail(None, Problem::TooMany { what: "lines", limit: limits.cells }));
        }
        slots.add(&table)?;
    }
    if slots.open.is_empty() {
        return Err(table.empty());
    }
    let (rows, lines) = slots.close(&table)?;
    let slot_seconds = slot_seconds(&rows, &lines, &table)?;
    Ok((rows, slot_seconds))
}

/// The slots read so far, in the order of time, whatever the order of the lines.
struct Slots<'a> {
    sites: &'a [Site],
    index: HashMap<&'a str, usize>,
    limits: &'a Limits,
    open: BTreeMap<DateTime<Utc>, OpenSlot>,
}

/// A slot that may still lack sites.
struct OpenSlot {
    /// Its first line, for errors found later.
    line: Option<u64>,
    /// One cell a site.
    cells: Vec<Option<SitePower>>,
}

impl<'a> Slots<'a> {
    fn new(sites: &'a [Site], limits: &'a Limits) -> Self {
        let index = sites.iter().enumerate().map(|(index, site)| (site.id.as_str(), index)).collect();
        Self { sites, index, limits, open: BTreeMap::new() }
    }

    fn add(&mut self, table: &Table) -> Result<(), DataSetError> {
        let slot = slot_start(table)?;
        let site = table.cell(1);
        let Some(&index) = self.index.get(site) else {
            return Err(table.fail(Some(1), Problem::UnknownSite(shorten(site))));
        };
        let power = SitePower {
            load_w: table.number(2, self.limits.power_w)?,
            pv_w: table.number(3, self.limits.power_w)?,
        };
        let limit = self.limits.slots;
        if self.open.len() >= limit && !self.open.contains_key(&slot) {
            return Err(table.fail(None, Problem::TooMany { what: "slots", limit }));
        }
        let new = || OpenSlot { line: table.line(), cells: vec![None; self.sites.len()] };
        let open = self.open.entry(slot).or_insert_with(new);
        if open.cells[index].replace(power).is_some() {
            let problem = Problem::DuplicateCell { site: site.to_owned(), slot: show(slot) };
            return Err(table.fail(Some(1), problem));
        }
        Ok(())
    }

    /// The rows and their first lines; every site must have its line in each slot.
    fn close(self, table: &Table) -> Result<(Vec<ProfileRow>, Vec<Option<u64>>), DataSetError> {
        let (mut rows, mut lines) =
            (Vec::with_capacity(self.open.len()), Vec::with_capacity(self.open.len()));
        for (slot_start, OpenSlot { line, cells }) in self.open {
            let mut powers = Vec::with_capacity(cells.len());
            for (cell, site) in cells.into_iter().zip(self.sites) {
                let Some(power) = cell else {
                    let problem = Problem::MissingCell { site: site.id.clone(), slot: show(slot_start) };
                    return Err(table.fail_at(line, 1, problem));
                };
                powers.push(power);
            }
            rows.push(ProfileRow { slot_start, powers });
            lines.push(line);
        }
        Ok((rows, lines))
    }
}

/// A time with its offset from UTC; without one, an hour of each autumn would be two.
fn slot_start(table: &Table) -> Result<DateTime<Utc>, DataSetError> {
    let cell = table.cell(0);
    DateTime::parse_from_rfc3339(cell)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| table.fail(Some(0), Problem::NotATime(shorten(cell))))
}

/// The shortest step; all slots must lie on the grid that it forms within the hour.
fn slot_seconds(rows: &[ProfileRow], lines: &[Option<u64>], table: &Table) -> Result<u32, DataSetError> {
    let steps = rows.windows(2).map(|pair| (pair[1].slot_start - pair[0].slot_start).num_seconds());
    let Some(shortest) = steps.min() else {
        return Err(table.fail_at(None, 0, Problem::OneSlot));
    };
    let divides = shortest > 0 && SECONDS_PER_HOUR % shortest == 0;
    for (row, line) in rows.iter().zip(lines) {
        let start = row.slot_start;
        let whole = start.timestamp_subsec_nanos() == 0;
        if !divides || !whole || start.timestamp().rem_euclid(shortest) != 0 {
            let problem = Problem::OffGrid { slot: show(start), slot_seconds: shortest };
            return Err(table.fail_at(*line, 0, problem));
        }
    }
    // Divisors of 3,600 fit.
    Ok(u32::try_from(shortest).unwrap_or(u32::MAX))
}

fn show(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

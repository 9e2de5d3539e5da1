//! Reads `profiles.csv`.

use std::collections::HashMap;
use std::path::Path;

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};

use super::table::{Table, shorten};
use super::{DataSetError, Limits, Problem, ProfileRow, Site, SitePower};

const HEADER: &[&str] = &["slot_start", "site_id", "load_w", "pv_w"];
const SECONDS_PER_HOUR: i64 = 3_600;

/// Reads the rows and derives the slot length in seconds.
pub(super) fn read(
    file: &Path,
    sites: &[Site],
    limits: &Limits,
) -> Result<(Vec<ProfileRow>, u32), DataSetError> {
    let mut table = Table::open(file, HEADER, limits)?;
    let mut slots = Slots::new(sites, limits);
    while table.next_line()? {
        if table.lines() > limits.cells {
            return Err(table.fail(None, Problem::TooMany { what: "lines", limit: limits.cells }));
        }
        slots.add(&table)?;
    }
    slots.close(&table)?;
    if slots.rows.is_empty() {
        return Err(table.empty());
    }
    let slot_seconds = slot_seconds(&slots, &table)?;
    Ok((slots.rows, slot_seconds))
}

/// The slots read so far and the one that is being filled.
struct Slots<'a> {
    sites: &'a [Site],
    index: HashMap<&'a str, usize>,
    limits: &'a Limits,
    rows: Vec<ProfileRow>,
    /// The first line of each row, for errors found later.
    lines: Vec<Option<u64>>,
    open: Option<(DateTime<Utc>, Vec<Option<SitePower>>)>,
}

impl<'a> Slots<'a> {
    fn new(sites: &'a [Site], limits: &'a Limits) -> Self {
        let index = sites.iter().enumerate().map(|(index, site)| (site.id.as_str(), index)).collect();
        Self { sites, index, limits, rows: Vec::new(), lines: Vec::new(), open: None }
    }

    fn add(&mut self, table: &Table) -> Result<(), DataSetError> {
        let slot = slot_start(table)?;
        match &self.open {
            Some((open, _)) if *open == slot => {}
            Some((open, _)) if slot < *open => {
                let problem = Problem::NotAscending { slot: show(slot), previous: show(*open) };
                return Err(table.fail(Some(0), problem));
            }
            _ => {
                self.close(table)?;
                let limit = self.limits.slots;
                if self.rows.len() >= limit {
                    return Err(table.fail(None, Problem::TooMany { what: "slots", limit }));
                }
                self.lines.push(table.line());
                self.open = Some((slot, vec![None; self.sites.len()]));
            }
        }
        self.fill(table)
    }

    fn fill(&mut self, table: &Table) -> Result<(), DataSetError> {
        let site = table.cell(1);
        let Some(&index) = self.index.get(site) else {
            return Err(table.fail(Some(1), Problem::UnknownSite(shorten(site))));
        };
        let power = SitePower {
            load_w: table.number(2, self.limits.power_w)?,
            pv_w: table.number(3, self.limits.power_w)?,
        };
        if let Some((slot, cells)) = &mut self.open
            && cells[index].replace(power).is_some()
        {
            let problem = Problem::DuplicateCell { site: site.to_owned(), slot: show(*slot) };
            return Err(table.fail(Some(1), problem));
        }
        Ok(())
    }

    /// Ends the open slot; every site must have its line. The error points at the slot's first line.
    fn close(&mut self, table: &Table) -> Result<(), DataSetError> {
        let Some((slot_start, cells)) = self.open.take() else {
            return Ok(());
        };
        let mut powers = Vec::with_capacity(cells.len());
        for (cell, site) in cells.into_iter().zip(self.sites) {
            let Some(power) = cell else {
                let problem = Problem::MissingCell { site: site.id.clone(), slot: show(slot_start) };
                return Err(table.fail_at(self.lines.last().copied().flatten(), 1, problem));
            };
            powers.push(power);
        }
        self.rows.push(ProfileRow { slot_start, powers });
        Ok(())
    }
}

fn slot_start(table: &Table) -> Result<DateTime<Utc>, DataSetError> {
    let cell = table.cell(0);
    let time: Option<DateTime<FixedOffset>> =
        if cell.ends_with('Z') { DateTime::parse_from_rfc3339(cell).ok() } else { None };
    time.map(|time| time.with_timezone(&Utc))
        .ok_or_else(|| table.fail(Some(0), Problem::NotATime(shorten(cell))))
}

/// The shortest step; all slots must lie on the grid that it forms within the hour.
fn slot_seconds(slots: &Slots<'_>, table: &Table) -> Result<u32, DataSetError> {
    let steps = slots.rows.windows(2).map(|pair| (pair[1].slot_start - pair[0].slot_start).num_seconds());
    let Some(shortest) = steps.min() else {
        return Err(table.fail_at(None, 0, Problem::OneSlot));
    };
    let divides = shortest > 0 && SECONDS_PER_HOUR % shortest == 0;
    for (row, line) in slots.rows.iter().zip(&slots.lines) {
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

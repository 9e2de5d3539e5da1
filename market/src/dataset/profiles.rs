//! Reads `profiles.csv`.

use std::collections::HashMap;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::complete::complete;
use super::grid::{Cell, Grid, show};
use super::table::{Column, Table, shorten};
use super::{DataSet, DataSetError, LeftOut, Problem, Reading, Site, time};

/// Where the quantities are among the columns.
pub(super) const LOAD_W: usize = 2;
pub(super) const PV_W: usize = 3;
const STRICT_COLUMNS: &[Column] = &[
    Column { name: "slot_start", required: true },
    Column { name: "site_id", required: true },
    Column { name: "load_w", required: true },
    Column { name: "pv_w", required: false },
];
/// Of the two quantities one will do.
const COLUMNS: &[Column] = &[
    Column { name: "slot_start", required: true },
    Column { name: "site_id", required: true },
    Column { name: "load_w", required: false },
    Column { name: "pv_w", required: false },
];

/// Reads the profile of `sites`, of which those without a line are left out unless that is refused.
pub(super) fn read(
    file: &Path,
    sites: Vec<Site>,
    reading: &Reading,
) -> Result<(DataSet, LeftOut), DataSetError> {
    let columns = if reading.strict { STRICT_COLUMNS } else { COLUMNS };
    let mut table = Table::open(file, columns, reading)?;
    if !table.has(LOAD_W) && !table.has(PV_W) {
        return Err(table.missing_column("load_w"));
    }
    let mut lines = Lines::new(&sites, reading);
    while table.next_line()? {
        let limit = reading.limits.cells;
        if table.lines() > limit {
            return Err(table.fail(None, Problem::TooMany { what: "lines", limit }));
        }
        lines.add(&table)?;
    }
    let grid = lines.grid;
    if grid.is_empty() {
        return Err(table.empty());
    }
    complete(grid, sites, &table, reading)
}

/// The lines read so far, whatever their order.
struct Lines<'a> {
    reading: &'a Reading,
    index: HashMap<String, usize>,
    grid: Grid,
    /// The slot of the line before, as it was written: most files go slot by slot.
    last: (String, usize),
}

impl<'a> Lines<'a> {
    fn new(sites: &[Site], reading: &'a Reading) -> Self {
        let index = sites.iter().enumerate().map(|(index, site)| (site.id.clone(), index)).collect();
        Self { reading, index, grid: Grid::new(sites.len()), last: (String::new(), 0) }
    }

    fn add(&mut self, table: &Table) -> Result<(), DataSetError> {
        let same = !self.grid.is_empty() && table.cell(0) == self.last.0;
        let start = if same { None } else { Some(self.slot_start(table)?) };
        let site_id = table.cell(1);
        let Some(&site) = self.index.get(site_id) else {
            return Err(table.fail(Some(1), Problem::UnknownSite(shorten(site_id))));
        };
        let cell = Cell { load_w: self.quantity(table, LOAD_W)?, pv_w: self.quantity(table, PV_W)? };
        let limits = &self.reading.limits;
        if let Some(start) = start {
            let limit = limits.slots;
            let Some(slot) = self.grid.slot(start, table.line(), limit) else {
                return Err(table.fail(None, Problem::TooMany { what: "slots", limit }));
            };
            table.cell(0).clone_into(&mut self.last.0);
            self.last.1 = slot;
        }
        if !self.grid.put(self.last.1, site, cell, table.line()) {
            let slot = show(self.grid.start(self.last.1));
            return Err(table.fail(Some(1), Problem::DuplicateCell { site: site_id.to_owned(), slot }));
        }
        // Sites that have few lines each still take a place in every slot.
        if !self.reading.strict && self.grid.places() > limits.cells {
            let problem = Problem::TooMany { what: "sites times slots", limit: limits.cells };
            return Err(table.fail(None, problem));
        }
        Ok(())
    }

    /// A quantity; when reading strictly its cell must not be empty, and without the column there is none of it.
    fn quantity(&self, table: &Table, column: usize) -> Result<Option<u32>, DataSetError> {
        let value = table.number(column, self.reading.limits.power_w)?;
        match value {
            None if self.reading.strict && table.has(column) => {
                Err(table.fail(Some(column), Problem::EmptyCell))
            }
            None if self.reading.strict => Ok(Some(0)),
            _ => Ok(value),
        }
    }

    /// When reading strictly a time has its offset: without one, an hour of each autumn would be two.
    fn slot_start(&self, table: &Table) -> Result<DateTime<Utc>, DataSetError> {
        let cell = table.cell(0);
        let (read, problem): (_, fn(String) -> Problem) = if self.reading.strict {
            (time::with_offset(cell), Problem::NotATime)
        } else {
            (time::as_written(cell), Problem::NotATimeAtAll)
        };
        read.ok_or_else(|| table.fail(Some(0), problem(shorten(cell))))
    }
}

//! Reads `sites.csv`.

use std::collections::HashSet;
use std::path::Path;

use super::table::{Column, Table, shorten};
use super::{DataSetError, Problem, Reading, Site};

const COLUMNS: &[Column] = &[
    Column { name: "site_id", required: true },
    Column { name: "connection_node", required: false },
    Column { name: "load_kinds", required: false },
    Column { name: "load_profiles", required: false },
    Column { name: "load_peak_w", required: false },
    Column { name: "pv_peak_w", required: false },
    Column { name: "battery_wh", required: false },
    Column { name: "battery_w", required: false },
];

/// Reads the sites in the order of the file.
pub(super) fn read(file: &Path, reading: &Reading) -> Result<Vec<Site>, DataSetError> {
    let limits = &reading.limits;
    let mut table = Table::open(file, COLUMNS, reading)?;
    let mut sites = Vec::new();
    let mut seen = HashSet::new();
    while table.next_line()? {
        if table.lines() > limits.sites {
            return Err(table.fail(None, Problem::TooMany { what: "sites", limit: limits.sites }));
        }
        let site = site(&table, reading)?;
        if !seen.insert(site.id.clone()) {
            return Err(table.fail(Some(0), Problem::DuplicateSite(site.id)));
        }
        sites.push(site);
    }
    if sites.is_empty() { Err(table.empty()) } else { Ok(sites) }
}

fn site(table: &Table, reading: &Reading) -> Result<Site, DataSetError> {
    let (id, limits) = (table.cell(0), &reading.limits);
    check_id(id, reading.strict).map_err(|problem| table.fail(Some(0), problem))?;
    let figure = |column, limit| Ok(table.number(column, limit)?.unwrap_or(0));
    Ok(Site {
        id: id.to_owned(),
        connection_node: shorten(table.cell(1)),
        load_kinds: list(table.cell(2)),
        load_profiles: list(table.cell(3)),
        load_peak_w: figure(4, limits.power_w)?,
        pv_peak_w: figure(5, limits.power_w)?,
        battery_wh: figure(6, limits.energy_wh)?,
        battery_w: figure(7, limits.power_w)?,
    })
}

/// In a demonstration an id becomes part of topics and file names; in a simulation it is only written.
fn check_id(id: &str, strict: bool) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if strict && (id.is_empty() || id.len() > 64 || !id.bytes().all(plain)) {
        return Err(Problem::SiteId(shorten(id)));
    }
    if id.is_empty() || id.chars().count() > 64 || id.chars().any(char::is_control) {
        return Err(Problem::SiteName(shorten(id)));
    }
    Ok(())
}

fn list(cell: &str) -> Vec<String> {
    cell.split('+').filter(|part| !part.is_empty()).map(shorten).collect()
}

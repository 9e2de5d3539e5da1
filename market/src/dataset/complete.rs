//! Which slots and sites of a profile are complete, and how long its slots are.

use super::grid::{EMPTY_W, Given, Grid, NO_LINE, OpenSlot, Seen, show};
use super::profiles::{LOAD_W, PV_W};
use super::table::Table;
use super::{DataSet, DataSetError, LeftOut, Problem, ProfileRow, Reading, Site, SitePower};

const SECONDS_PER_HOUR: i64 = 3_600;
/// How long a slot is that is the only one.
const ONLY_SLOT_S: i64 = 900;

/// The slots of which every site has a line with its values. When reading strictly any other is refused; otherwise it
/// is left out, and so are sites without any line.
pub(super) fn complete(
    grid: Grid,
    sites: Vec<Site>,
    table: &Table,
    reading: &Reading,
) -> Result<(DataSet, LeftOut), DataSetError> {
    let (slots, seen) = grid.into_parts();
    let (mut kept, mut left_out) = (Vec::with_capacity(sites.len()), LeftOut::default());
    for (site, seen) in sites.into_iter().zip(seen) {
        if seen.place.is_some() || reading.strict {
            kept.push(Kept { site, seen });
        } else {
            left_out.sites.push(site.id);
        }
    }
    let step = step(&slots);
    let grid_error = off_grid(&slots, step, table, reading);
    let ordered = (0..).zip(&kept).all(|(place, kept)| kept.seen.place == Some(place));
    let (mut rows, mut first) = (Vec::with_capacity(slots.len()), None);
    for OpenSlot { start, line, places } in slots {
        match powers(places, &kept, ordered) {
            Ok(powers) => rows.push(ProfileRow { slot_start: start, powers }),
            Err(site) => {
                left_out.slots += 1;
                let missing = Problem::MissingCell { site: site.site.id.clone(), slot: show(start) };
                let error = first.get_or_insert_with(|| table.fail_at(line, 1, missing));
                if reading.strict {
                    return Err(std::mem::replace(error, table.empty()));
                }
            }
        }
    }
    if let Some(error) = grid_error {
        return Err(error);
    }
    if let (true, Some(error)) = (rows.is_empty(), first) {
        let values = kept.iter().filter_map(|kept| kept.missing(table));
        return Err(values.min_by_key(|error| error.line).unwrap_or(error));
    }
    let sites = kept.into_iter().map(|kept| kept.site).collect();
    // Divisors of 3,600 fit.
    let slot_seconds = u32::try_from(step.unwrap_or(ONLY_SLOT_S)).unwrap_or(u32::MAX);
    Ok((DataSet { sites, rows, slot_seconds }, left_out))
}

/// A site that is played.
struct Kept {
    site: Site,
    seen: Seen,
}

impl Kept {
    /// The powers of a slot; `None` if one is missing. What no line gives, and sites.csv has no peak of, is something
    /// that the site has not got.
    fn settle(&self, power: SitePower) -> Option<SitePower> {
        let value = |watts: u32, given: Given, peak_w: u32| match watts {
            EMPTY_W if given.any || peak_w > 0 => None,
            EMPTY_W => Some(0),
            _ => Some(watts),
        };
        if power == NO_LINE {
            return None;
        }
        Some(SitePower {
            load_w: value(power.load_w, self.seen.load, self.site.load_peak_w)?,
            pv_w: value(power.pv_w, self.seen.pv, self.site.pv_peak_w)?,
        })
    }

    /// The first value that its lines lack.
    fn missing(&self, table: &Table) -> Option<DataSetError> {
        let Site { id, load_peak_w, pv_peak_w, .. } = &self.site;
        let quantities = [
            (LOAD_W, self.seen.load, "load_peak_w", *load_peak_w),
            (PV_W, self.seen.pv, "pv_peak_w", *pv_peak_w),
        ];
        let missing = |(column, given, peak, peak_w): (usize, Given, &'static str, u32)| {
            let line = given.first_empty?;
            let problem = match (given.any, peak_w) {
                (true, _) => Problem::EmptyCell,
                (false, 0) => return None,
                (false, _) => Problem::NotGiven { site: id.clone(), peak, peak_w },
            };
            Some(table.fail_at(Some(line), column, problem))
        };
        quantities.into_iter().filter_map(missing).min_by_key(|error| error.line)
    }
}

/// The powers of a slot in the order of the sites, or the first site that lacks one.
fn powers(mut places: Vec<SitePower>, kept: &[Kept], ordered: bool) -> Result<Vec<SitePower>, &Kept> {
    if ordered && places.len() == kept.len() {
        for (power, kept) in places.iter_mut().zip(kept) {
            *power = kept.settle(*power).ok_or(kept)?;
        }
        places.shrink_to_fit();
        return Ok(places);
    }
    let power = |kept: &Kept| kept.seen.place.and_then(|place| places.get(place)).copied().unwrap_or(NO_LINE);
    kept.iter().map(|kept| kept.settle(power(kept)).ok_or(kept)).collect()
}

/// The shortest step between two slots.
fn step(slots: &[OpenSlot]) -> Option<i64> {
    slots.windows(2).map(|pair| (pair[1].start - pair[0].start).num_seconds()).min()
}

/// All slots must lie on the grid that the shortest step forms within the hour.
fn off_grid(slots: &[OpenSlot], step: Option<i64>, table: &Table, reading: &Reading) -> Option<DataSetError> {
    if step.is_none() && reading.strict {
        return Some(table.fail_at(None, 0, Problem::OneSlot));
    }
    let slot_seconds = step.unwrap_or(ONLY_SLOT_S);
    let divides = slot_seconds > 0 && SECONDS_PER_HOUR % slot_seconds == 0;
    let is_off = |slot: &&OpenSlot| {
        let whole = slot.start.timestamp_subsec_nanos() == 0;
        !divides || !whole || slot.start.timestamp().rem_euclid(slot_seconds) != 0
    };
    slots
        .iter()
        .find(is_off)
        .map(|slot| table.fail_at(slot.line, 0, Problem::OffGrid { slot: show(slot.start), slot_seconds }))
}

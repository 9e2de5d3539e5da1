//! The cells of `profiles.csv`, site by slot, as its lines come.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};

use super::SitePower;

/// Stands for a value that its line does not give; no power is as great.
pub(super) const EMPTY_W: u32 = u32::MAX;
/// A site that has no line in a slot.
pub(super) const NO_LINE: SitePower = SitePower { load_w: u32::MAX - 1, pv_w: u32::MAX - 1 };

/// What a line gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) load_w: Option<u32>,
    pub(super) pv_w: Option<u32>,
}

/// What a site's lines give of one quantity.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Given {
    pub(super) any: bool,
    /// The first line that does not give it.
    pub(super) first_empty: Option<u64>,
}

/// A slot that may still lack sites.
#[derive(Debug)]
pub(super) struct OpenSlot {
    pub(super) start: DateTime<Utc>,
    /// Its first line, for errors found later.
    pub(super) line: Option<u64>,
    /// One place a site, in the order of their first lines; the last ones may not be there.
    pub(super) places: Vec<SitePower>,
}

/// A site's place, and what its lines give of load and production.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) place: Option<usize>,
    pub(super) load: Given,
    pub(super) pv: Given,
}

/// All cells, eight bytes each.
#[derive(Debug)]
pub(super) struct Grid {
    sites: Vec<Seen>,
    sites_seen: usize,
    slots: Vec<OpenSlot>,
    index: HashMap<DateTime<Utc>, usize>,
    places: usize,
}

impl Grid {
    pub(super) fn new(sites: usize) -> Self {
        let sites = vec![Seen::default(); sites];
        Self { sites, sites_seen: 0, slots: Vec::new(), index: HashMap::new(), places: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slots in the order of time, and what was seen of each site.
    pub(super) fn into_parts(mut self) -> (Vec<OpenSlot>, Vec<Seen>) {
        self.slots.sort_unstable_by_key(|slot| slot.start);
        (self.slots, self.sites)
    }

    /// How many places are kept.
    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// The slot that starts then, a new one if there are not `limit` yet.
    pub(super) fn slot(&mut self, start: DateTime<Utc>, line: Option<u64>, limit: usize) -> Option<usize> {
        if let Some(&slot) = self.index.get(&start) {
            return Some(slot);
        }
        let slot = self.slots.len();
        if slot >= limit {
            return None;
        }
        let places = Vec::with_capacity(self.sites_seen);
        self.slots.push(OpenSlot { start, line, places });
        self.index.insert(start, slot);
        Some(slot)
    }

    pub(super) fn start(&self, slot: usize) -> DateTime<Utc> {
        self.slots[slot].start
    }

    /// Keeps a cell; `false` if the site has one in this slot.
    pub(super) fn put(&mut self, slot: usize, site: usize, cell: Cell, line: Option<u64>) -> bool {
        let seen = &mut self.sites[site];
        let place = *seen.place.get_or_insert_with(|| {
            self.sites_seen += 1;
            self.sites_seen - 1
        });
        let note = |value: Option<u32>, given: &mut Given| {
            given.any |= value.is_some();
            if value.is_none() && given.first_empty.is_none() {
                given.first_empty = line;
            }
            value.unwrap_or(EMPTY_W)
        };
        let power =
            SitePower { load_w: note(cell.load_w, &mut seen.load), pv_w: note(cell.pv_w, &mut seen.pv) };
        let places = &mut self.slots[slot].places;
        if places.len() <= place {
            self.places += place + 1 - places.len();
            places.resize(place + 1, NO_LINE);
        }
        std::mem::replace(&mut places[place], power) == NO_LINE
    }
}

pub(super) fn show(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

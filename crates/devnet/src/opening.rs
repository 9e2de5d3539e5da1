//! Where in its profile a demonstration begins.

use crate::dataset::{DataSet, ProfileRow};

/// How many rows the liveliest stretch has: four hours of quarter-hours.
const STRETCH_ROWS: usize = 16;

/// Turns the rows so that the data set begins with its liveliest stretch: the one in which neighbours could trade
/// the most with each other. A profile that begins at midnight would show a stranger nothing but imports for
/// its first minutes. The same data always begins the same.
pub fn begin_lively(data: &mut DataSet) {
    let tradable: Vec<i64> = data.rows.iter().map(tradable_w).collect();
    let rows = tradable.len();
    if rows == 0 {
        return;
    }
    let stretch =
        |start: usize| -> i64 { (0..STRETCH_ROWS.min(rows)).map(|i| tradable[(start + i) % rows]).sum() };
    // Of equals the earliest: `max_by_key` would take the last.
    let start = (0..rows).rev().max_by_key(|&start| stretch(start)).unwrap_or(0);
    data.rows.rotate_left(start);
}

/// The power that could go from neighbour to neighbour: the smaller of surplus and need.
fn tradable_w(row: &ProfileRow) -> i64 {
    let nets = || row.powers.iter().map(|power| power.net_w());
    let need: i64 = nets().filter(|net| *net > 0).sum();
    let surplus: i64 = nets().filter(|net| *net < 0).map(|net| -net).sum();
    need.min(surplus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Site, SitePower};
    use chrono::{DateTime, TimeDelta};

    fn data(surplus_w: &[u32]) -> DataSet {
        let site = |id: &str| Site {
            id: id.to_owned(),
            connection_node: String::new(),
            load_kinds: Vec::new(),
            load_profiles: Vec::new(),
            load_peak_w: 1,
            pv_peak_w: 1,
            battery_wh: 0,
            battery_w: 0,
        };
        let row = |(i, pv_w): (usize, &u32)| ProfileRow {
            slot_start: DateTime::UNIX_EPOCH + TimeDelta::minutes(15 * i64::try_from(i).unwrap()),
            powers: vec![SitePower { load_w: 500, pv_w: 0 }, SitePower { load_w: 0, pv_w: *pv_w }],
        };
        DataSet {
            sites: vec![site("a"), site("b")],
            rows: surplus_w.iter().enumerate().map(row).collect(),
            slot_seconds: 900,
        }
    }

    #[test]
    fn begins_where_neighbours_can_trade_the_most() {
        let mut night_then_day = vec![0; 40];
        night_then_day[20..36].fill(400);
        let mut data = data(&night_then_day);
        begin_lively(&mut data);
        assert_eq!(data.rows[0].slot_start.timestamp(), 20 * 900);
        assert_eq!(data.rows.len(), 40);
    }

    #[test]
    fn equal_rows_stay_as_they_are() {
        let mut data = data(&[100; 5]);
        let before = data.clone();
        begin_lively(&mut data);
        assert_eq!(data, before);
    }
}

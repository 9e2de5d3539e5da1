//! Communities of other networks as their owners write them: what a simulation reads, rounds, leaves out and refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use market::dataset::{DataSet, DataSetError, LeftOut, Limits, PROFILES_FILE, Reading, SITES_FILE};

const SITES: &str = "site_id\na\nb\n";

fn read_as(sites: &str, profiles: &str, reading: &Reading) -> Result<(DataSet, LeftOut), DataSetError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(SITES_FILE), sites).unwrap();
    std::fs::write(dir.path().join(PROFILES_FILE), profiles).unwrap();
    DataSet::read_as(dir.path(), reading)
}

fn read(sites: &str, profiles: &str) -> (DataSet, LeftOut) {
    read_as(sites, profiles, &Reading::simulation()).unwrap()
}

#[track_caller]
fn refused(sites: &str, profiles: &str, parts: &[&str]) {
    let error = read_as(sites, profiles, &Reading::simulation()).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
    assert!(!error.contains('\n'), "one line only: {error}");
}

/// Lines `slot,site,rest`, the slot in quarter-hours from noon.
fn profile(columns: &str, lines: &[(u32, &str)]) -> String {
    let line = |(slot, rest): &(u32, &str)| {
        format!("2016-06-10T{}:{:02}:00Z,{rest}\n", 12 + slot / 4, slot % 4 * 15)
    };
    let lines: String = lines.iter().map(line).collect();
    format!("slot_start,site_id,{columns}\n{lines}")
}

fn powers(data: &DataSet) -> Vec<Vec<(u32, u32)>> {
    let row = |row: &market::dataset::ProfileRow| {
        row.powers.iter().map(|power| (power.load_w, power.pv_w)).collect()
    };
    data.rows.iter().map(row).collect()
}

#[test]
fn what_is_strictly_right_is_read_the_same_and_nothing_is_left_out() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/devnet/data/simbench-lv-rural");
    let dir = std::path::Path::new(dir);
    let (data, left_out) = DataSet::read_as(dir, &Reading::simulation()).unwrap();
    assert_eq!((data, left_out), (DataSet::read(dir).unwrap(), LeftOut::default()));
}

#[test]
fn a_slot_without_a_sites_line_or_value_is_left_out_whole() {
    let lines = [
        (0, "a,1,2"),
        (0, "b,3,4"),
        (1, "a,5,6"),
        (2, "b,7,8"),
        (2, "a,9,"),
        (3, "b,10,11"),
        (3, "a,NaN,1"),
        (4, "b,12,13"),
        (4, "a,14,15"),
    ];
    let (data, left_out) = read(SITES, &profile("load_w,pv_w", &lines));
    assert_eq!(powers(&data), [[(1, 2), (3, 4)], [(14, 15), (12, 13)]]);
    assert_eq!((data.slot_seconds, left_out.slots, left_out.sites.len()), (900, 3, 0));
}

#[test]
fn a_site_without_any_line_is_left_out_and_named_whatever_the_order_of_the_others() {
    let sites = "site_id,battery_wh\nnobody,7\na,1\nghost,2\nb,3\n";
    let lines = [(1, "b,1,2"), (1, "a,3,4"), (0, "a,5,6"), (0, "b,7,8")];
    let (data, left_out) = read(sites, &profile("load_w,pv_w", &lines));
    assert_eq!(powers(&data), [[(5, 6), (7, 8)], [(3, 4), (1, 2)]]);
    assert_eq!(data.sites.iter().map(|site| site.battery_wh).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(left_out, LeftOut { slots: 0, sites: vec!["nobody".into(), "ghost".into()] });
}

#[test]
fn a_quantity_that_no_line_of_a_site_gives_is_none_of_its_own() {
    let (data, left_out) =
        read(SITES, &profile("load_w,pv_w", &[(0, "a,1,"), (0, "b,,2"), (1, "a,3,"), (1, "b,,4")]));
    assert_eq!(powers(&data), [[(1, 0), (0, 2)], [(3, 0), (0, 4)]]);
    assert_eq!(left_out, LeftOut::default());
    let (data, _) = read(SITES, &profile("pv_w", &[(0, "a,1"), (0, "b,2")]));
    assert_eq!(powers(&data), [[(0, 1), (0, 2)]]);
    let (data, _) = read(SITES, &profile("load_w", &[(0, "a,1"), (0, "b,2")]));
    assert_eq!(powers(&data), [[(1, 0), (2, 0)]]);
    refused(SITES, &profile("power", &[(0, "a,1")]), &["line 1", "no column `load_w`"]);
    refused(SITES, &profile("load_kw,pv_w", &[(0, "a,1,1")]), &["give `load_w` instead"]);
}

#[test]
fn a_quantity_that_a_site_has_by_sites_csv_is_missing_where_it_is_not_given() {
    let sites = "site_id,load_peak_w,pv_peak_w\na,0,0\nb,0,5000\n";
    let lines = [(0, "a,1,"), (0, "b,2,"), (1, "a,3,"), (1, "b,4,")];
    let parts = ["profiles.csv, line 3, column `pv_w`", "no line of site `b` gives it", "pv_peak_w 5000"];
    refused(sites, &profile("load_w,pv_w", &lines), &parts);
    refused(sites, &profile("load_w", &[(0, "a,1"), (0, "b,2")]), &parts);
    let sites = sites.replace(",0,5000", ",4000,0");
    refused(
        &sites,
        &profile("pv_w", &[(0, "a,1"), (0, "b,2")]),
        &["line 3, column `load_w`", "load_peak_w 4000"],
    );
}

#[test]
fn if_no_slot_is_complete_the_first_missing_cell_is_named() {
    let lines = [(0, "a,1"), (1, "b,2")];
    refused(
        SITES,
        &profile("load_w", &lines),
        &["line 2, column `site_id`", "slot 2016-06-10T12:00:00Z has no line for site `b`"],
    );
    let lines = [(0, "a,1"), (0, "b,"), (1, "a,"), (1, "b,1")];
    refused(SITES, &profile("load_w", &lines), &["line 3, column `load_w`: the cell is empty"]);
}

#[test]
fn decimals_are_rounded_and_what_is_no_power_is_refused() {
    let (data, _) = read(
        "site_id,battery_wh,battery_w\na,13500.0,4.6e3\n",
        &profile("load_w,pv_w", &[(0, "a,2283.37,-0.2"), (1, "a,1e3,0.5")]),
    );
    assert_eq!(powers(&data), [[(2_283, 0)], [(1_000, 1)]]);
    assert_eq!((data.sites[0].battery_wh, data.sites[0].battery_w), (13_500, 4_600));
    let with = |cell: &str, says: &str| {
        refused(
            "site_id\na\n",
            &profile("load_w", &[(0, &format!("a,{cell}"))]),
            &["line 2, column `load_w`", says],
        )
    };
    with("inf", "`inf` is no number");
    with("-0.5", "`-0.5` is negative");
    with("\"1,5\"", "`1,5` is no number");
    with("1e9", "more than the 10000000 allowed");
    with("\"1\n2\"", r"`1\n2` is no number");
}

#[test]
fn any_text_without_control_characters_is_a_site_id() {
    let long = "ü".repeat(64);
    let sites = format!("site_id\nHaus 7/2\n\"a \"\"b\"\", c\\\"\n{long}\n");
    let profiles =
        profile("load_w", &[(0, "Haus 7/2,1"), (0, "\"a \"\"b\"\", c\\\",2"), (0, &format!("{long},3"))]);
    let (data, _) = read(&sites, &profiles);
    assert_eq!(
        data.sites.iter().map(|site| site.id.as_str()).collect::<Vec<_>>(),
        ["Haus 7/2", "a \"b\", c\\", &long]
    );
    refused(
        &format!("site_id\n{long}x\n"),
        &profiles,
        &["sites.csv, line 2, column `site_id`", "1 to 64 characters"],
    );
    refused("site_id\n\"a\nb\"\n", &profiles, &[r"`a\nb` is no site id"]);
    refused("site_id,remark\n ,x\n", &profiles, &["sites.csv, line 2", "no site id"]);
    refused("site_id\na\na \n", &profiles, &["line 3", "listed twice"]);
}

#[test]
fn times_are_read_as_programs_write_them_and_are_utc_without_an_offset() {
    let times = [
        "2016-01-18T00:00Z",
        "2016-01-18 01:15:00+01:00",
        "2016-01-18 01:30:00+0100",
        "2016-01-18 00:45:00",
        "2016-01-18T01:00",
    ];
    let lines: String = times.iter().map(|time| format!("{time},a,1\n")).collect();
    let (data, _) = read("site_id\na\n", &format!("slot_start,site_id,load_w\n{lines}"));
    assert_eq!((data.rows.len(), data.slot_seconds), (5, 900));
    let with = |time: &str| {
        refused(
            "site_id\na\n",
            &format!("slot_start,site_id,load_w\n{time},a,1\n"),
            &["line 2, column `slot_start`", "is no time"],
        )
    };
    for time in ["", "yesterday", "2016-01-18", "18.01.2016 00:15", "2016-01-18 00:15 CET"] {
        with(time);
    }
    // In local time an hour of autumn comes twice.
    let twice = "slot_start,site_id,load_w\n2016-10-30 02:00,a,1\n2016-10-30 02:00,a,1\n";
    refused("site_id\na\n", twice, &["line 3", "comes twice in slot 2016-10-30T02:00:00Z"]);
}

#[test]
fn a_single_slot_is_a_quarter_hour() {
    let (data, _) = read("site_id\na\n", &profile("load_w", &[(1, "a,1")]));
    assert_eq!((data.rows.len(), data.slot_seconds), (1, 900));
    refused(
        "site_id\na\n",
        &profile("load_w", &[(1, "a,1")]).replace(":15:", ":05:"),
        &["not on a grid of 900 s"],
    );
}

#[test]
fn sparse_lines_cannot_eat_the_memory() {
    let limits = Limits { cells: 5, ..Reading::simulation().limits };
    let reading = Reading { limits, ..Reading::simulation() };
    let lines = [(0, "a,1"), (0, "b,2"), (1, "b,3"), (2, "b,4")];
    let error = read_as(SITES, &profile("load_w", &lines), &reading).unwrap_err().to_string();
    assert!(error.contains("line 5: more than 5 sites times slots"), "{error}");
}

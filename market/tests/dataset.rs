//! What a data set may look like, and that everything else is refused with its place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use market::dataset::{DataSet, Limits, PROFILES_FILE, Reading, SITES_FILE};
use tempfile::TempDir;

const SITES_HEADER: &str =
    "site_id,connection_node,load_kinds,load_profiles,load_peak_w,pv_peak_w,battery_wh,battery_w\n";
const SITES: &str =
    "a,Bus 1,household,H0,4000,0,0,0\nb,Bus 2,household+heat_pump,H0+Air,9000,8000,5000,2500\n";
const PROFILES_HEADER: &str = "slot_start,site_id,load_w,pv_w\n";
const PROFILES: &str = "2016-01-18T00:00:00Z,a,100,0\n2016-01-18T00:00:00Z,b,200,50\n\
                        2016-01-18T00:15:00Z,b,300,900\n2016-01-18T00:15:00Z,a,110,0\n";

fn folder(sites: &[u8], profiles: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(SITES_FILE), sites).unwrap();
    std::fs::write(dir.path().join(PROFILES_FILE), profiles).unwrap();
    dir
}

fn sites_error(sites: &str) -> String {
    let dir = folder(sites.as_bytes(), format!("{PROFILES_HEADER}{PROFILES}").as_bytes());
    DataSet::read(dir.path()).unwrap_err().to_string()
}

fn profiles_error(profiles: &str) -> String {
    let dir = folder(format!("{SITES_HEADER}{SITES}").as_bytes(), profiles.as_bytes());
    DataSet::read(dir.path()).unwrap_err().to_string()
}

#[track_caller]
fn assert_says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
    assert!(!error.contains('\n'), "one line only: {error}");
}

#[test]
fn a_small_data_set_is_read_whatever_the_order_of_sites_in_a_slot() {
    let dir = folder(
        format!("{SITES_HEADER}{SITES}").as_bytes(),
        format!("{PROFILES_HEADER}{PROFILES}").as_bytes(),
    );
    let data = DataSet::read(dir.path()).unwrap();
    assert_eq!(data.slot_seconds, 900);
    assert_eq!(data.sites.len(), 2);
    assert_eq!(data.sites[1].load_kinds, ["household", "heat_pump"]);
    assert_eq!((data.sites[1].battery_wh, data.sites[1].battery_w), (5_000, 2_500));
    assert_eq!(data.rows[1].powers[0].net_w(), 110);
    assert_eq!(data.rows[1].powers[1].net_w(), -600);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_read() {
    let sites = format!("\u{feff}{SITES_HEADER}{SITES}").replace('\n', "\r\n");
    let profiles = format!("\u{feff}{PROFILES_HEADER}{PROFILES}").replace('\n', "\r\n");
    let dir = folder(sites.as_bytes(), profiles.as_bytes());
    assert_eq!(DataSet::read(dir.path()).unwrap().rows.len(), 2);
}

#[test]
fn the_data_of_this_repository_is_read() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/devnet/data/simbench-lv-rural");
    let data = DataSet::read(&dir).unwrap();
    assert_eq!((data.sites.len(), data.rows.len(), data.slot_seconds), (13, 672, 900));
    assert!(data.rows.iter().all(|row| row.powers.len() == 13));
}

#[test]
fn days_may_be_skipped_but_the_grid_must_be_kept() {
    let later = PROFILES.replace("2016-01-18", "2016-06-10");
    let dir = folder(
        format!("{SITES_HEADER}{SITES}").as_bytes(),
        format!("{PROFILES_HEADER}{PROFILES}{later}").as_bytes(),
    );
    let data = DataSet::read(dir.path()).unwrap();
    assert_eq!((data.rows.len(), data.slot_seconds), (4, 900));

    let shifted = later.replace("T00:", "T07:").replace(":15:00Z", ":20:00Z").replace(":00:00Z", ":05:00Z");
    let error = profiles_error(&format!("{PROFILES_HEADER}{PROFILES}{shifted}"));
    assert_says(&error, &["profiles.csv, line 6, column `slot_start`", "2016-06-10T07:05:00Z", "900 s"]);
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = DataSet::read(dir.path()).unwrap_err().to_string();
    assert_says(&error, &["sites.csv: cannot be read", "give a folder that holds"]);
}

#[test]
fn a_folder_in_place_of_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(SITES_FILE)).unwrap();
    let error = DataSet::read(dir.path()).unwrap_err().to_string();
    assert_says(&error, &["sites.csv: cannot be read", "not a file"]);
}

#[test]
fn an_empty_file_is_refused() {
    assert_says(&sites_error(""), &["sites.csv: the file is empty", "site_id,connection_node"]);
    assert_says(&sites_error(SITES_HEADER), &["sites.csv: the file is empty"]);
    assert_says(&profiles_error(""), &["profiles.csv: the file is empty"]);
    assert_says(&profiles_error(PROFILES_HEADER), &["profiles.csv: the file is empty"]);
}

#[test]
fn a_header_that_lacks_what_is_needed_or_has_it_twice_is_refused() {
    assert_says(
        &profiles_error(PROFILES),
        &["profiles.csv, line 1: the header", "no column `slot_start`", "`slot_start,site_id,load_w,pv_w`"],
    );
    assert_says(&sites_error("name\na\n"), &["sites.csv, line 1", "no column `site_id`"]);
    assert_says(&profiles_error("slot_start,site_id,load_w,load_w\n"), &["column `load_w` twice"]);
}

#[test]
fn columns_may_come_in_any_order_with_others_between_and_optional_ones_left_out() {
    let profiles = "pv_w,remark,load_w,site_id,slot_start\n0,dull,100,a,2016-01-18T00:00:00Z\n\
                    7,,110,a,2016-01-18T00:15:00Z\n";
    let data = DataSet::read(folder(b"site_id\na\n", profiles.as_bytes()).path()).unwrap();
    assert_eq!((data.sites[0].pv_peak_w, data.sites[0].battery_wh), (0, 0));
    assert_eq!((data.rows[1].powers[0].load_w, data.rows[1].powers[0].pv_w), (110, 7));
    let bare = "slot_start,site_id,load_w\n2016-01-18T00:00:00Z,a,100\n2016-01-18T00:15:00Z,a,110\n";
    let data = DataSet::read(folder(b"site_id\na\n", bare.as_bytes()).path()).unwrap();
    assert_eq!(data.rows[0].powers[0].net_w(), 100);
}

#[test]
fn the_header_may_be_in_any_case() {
    let profiles = format!("SLOT_START,Site_ID,Load_W,PV_W\n{PROFILES}");
    let data = DataSet::read(folder(format!("{SITES_HEADER}{SITES}").as_bytes(), profiles.as_bytes()).path());
    assert_eq!(data.unwrap().rows[1].powers[1].pv_w, 900);
}

#[test]
fn a_quantity_in_another_unit_is_not_read_as_nothing() {
    let with = |columns: &str| profiles_error(&format!("slot_start,site_id,{columns}\n{PROFILES}"));
    for (columns, found, wanted) in [
        ("load_kw,pv_w", "`load_kw`", "give `load_w`"),
        ("load_w,pv_kw", "`pv_kw`", "give `pv_w`"),
        ("load_w,PV_kWh", "`pv_kwh`", "give `pv_w`"),
        ("load_wh,pv_wh", "`load_wh`", "give `load_w`"),
    ] {
        assert_says(&with(columns), &["profiles.csv, line 1", found, wanted]);
    }
    for (column, wanted) in
        [("battery_kwh", "`battery_wh`"), ("battery_kw", "`battery_w`"), ("pv_peak_kwp", "`pv_peak_w`")]
    {
        assert_says(&sites_error(&format!("site_id,{column}\na,1\nb,2\n")), &[column, wanted]);
    }
    // Beside the figure itself it is a remark like any other.
    let beside = format!("slot_start,site_id,load_w,load_kw\n{PROFILES}");
    assert!(
        DataSet::read(folder(format!("{SITES_HEADER}{SITES}").as_bytes(), beside.as_bytes()).path()).is_ok()
    );
}

#[test]
fn a_file_with_other_separators_is_refused_with_the_reason() {
    let semicolons = format!("{PROFILES_HEADER}{PROFILES}").replace(',', ";");
    assert_says(&profiles_error(&semicolons), &["line 1", "separated by commas"]);
}

#[test]
fn lines_may_come_in_any_order() {
    let mut lines: Vec<&str> = PROFILES.lines().collect();
    let sorted = DataSet::read(
        folder(
            format!("{SITES_HEADER}{SITES}").as_bytes(),
            format!("{PROFILES_HEADER}{PROFILES}").as_bytes(),
        )
        .path(),
    );
    lines.reverse();
    let reversed = format!("{PROFILES_HEADER}{}\n", lines.join("\n"));
    let read = DataSet::read(folder(format!("{SITES_HEADER}{SITES}").as_bytes(), reversed.as_bytes()).path());
    assert_eq!(read.unwrap(), sorted.unwrap());
}

#[test]
fn a_wrong_number_of_columns_is_refused() {
    let error = profiles_error(&format!("{PROFILES_HEADER}2016-01-18T00:00:00Z,a,100\n"));
    assert_says(&error, &["profiles.csv, line 2: 3 columns instead of 4"]);
    let error = sites_error(&format!("{SITES_HEADER}a,Bus 1,household,H0,4000,0,0,0,7\n"));
    assert_says(&error, &["sites.csv, line 2: 9 columns instead of 8"]);
}

#[test]
fn bad_utf8_is_refused_at_its_line() {
    let mut profiles = format!("{PROFILES_HEADER}{PROFILES}").into_bytes();
    profiles.extend_from_slice(b"2016-01-18T00:30:00Z,\xff,1,1\n");
    let dir = folder(format!("{SITES_HEADER}{SITES}").as_bytes(), &profiles);
    let error = DataSet::read(dir.path()).unwrap_err().to_string();
    assert_says(&error, &["profiles.csv, line 6: not UTF-8"]);
}

#[test]
fn site_ids_are_checked() {
    let error = sites_error(&format!("{SITES_HEADER}a/b,Bus 1,household,H0,4000,0,0,0\n"));
    assert_says(&error, &["sites.csv, line 2, column `site_id`: `a/b` is no site id"]);
    let error = sites_error(&format!("{SITES_HEADER},Bus 1,household,H0,4000,0,0,0\n"));
    assert_says(&error, &["line 2, column `site_id`"]);
    let error = sites_error(&format!("{SITES_HEADER}{SITES}a,Bus 3,household,H0,4000,0,0,0\n"));
    assert_says(&error, &["line 4, column `site_id`: site `a` is listed twice"]);
}

#[test]
fn an_unknown_site_is_refused() {
    let error = profiles_error(&format!("{PROFILES_HEADER}2016-01-18T00:00:00Z,zz,1,1\n"));
    assert_says(&error, &["profiles.csv, line 2, column `site_id`: site `zz` is not in sites.csv"]);
}

#[test]
fn a_cell_twice_is_refused() {
    let twice = format!("{PROFILES_HEADER}2016-01-18T00:00:00Z,a,1,1\n2016-01-18T00:00:00Z,a,1,1\n");
    let error = profiles_error(&twice);
    assert_says(&error, &["profiles.csv, line 3, column `site_id`", "twice in slot 2016-01-18T00:00:00Z"]);
}

#[test]
fn a_missing_cell_is_refused_in_the_middle_and_at_the_end() {
    let first = PROFILES.lines().next().unwrap();
    let rest: String = PROFILES.lines().skip(2).map(|line| format!("{line}\n")).collect();
    let error = profiles_error(&format!("{PROFILES_HEADER}{first}\n{rest}"));
    assert_says(&error, &["profiles.csv, line 2", "slot 2016-01-18T00:00:00Z has no line for site `b`"]);

    let error = profiles_error(&format!("{PROFILES_HEADER}{PROFILES}2016-01-18T00:30:00Z,b,1,1\n"));
    assert_says(&error, &["profiles.csv, line 6", "slot 2016-01-18T00:30:00Z has no line for site `a`"]);
}

#[test]
fn quantities_are_whole_and_without_sign() {
    let with = |load: &str| profiles_error(&format!("{PROFILES_HEADER}2016-01-18T00:00:00Z,a,{load},0\n"));
    assert_says(&with("12.5"), &["line 2, column `load_w`: `12.5` is no whole number"]);
    assert_says(&with("1e3"), &["no whole number"]);
    assert_says(&with("NaN"), &["no whole number"]);
    assert_says(&with("+5"), &["no whole number"]);
    assert_says(&with("-5"), &["line 2, column `load_w`: `-5` is negative"]);
    assert_says(&with(""), &["line 2, column `load_w`: the cell is empty"]);
    assert_says(&with("10000001"), &["more than the 10000000 allowed"]);
    assert_says(&with("99999999999999999999"), &["more than the 10000000 allowed"]);
    let error = sites_error(&format!("{SITES_HEADER}a,Bus 1,household,H0,4000,0,x,0\n"));
    assert_says(&error, &["sites.csv, line 2, column `battery_wh`: `x` is no whole number"]);
}

#[test]
fn spaces_around_cells_lines_of_spaces_and_empty_optional_figures_are_read() {
    let sites = "site_id,load_peak_w,pv_peak_w,battery_wh,battery_w\n a ,,,,\n   \nb, 9000 ,8000,\t,\n";
    let profiles = PROFILES.replace(',', " , ").replace('\n', "\n  \n");
    let data =
        DataSet::read(folder(sites.as_bytes(), format!("{PROFILES_HEADER}{profiles}").as_bytes()).path());
    let data = data.unwrap();
    assert_eq!((data.sites[0].id.as_str(), data.sites[0].load_peak_w, data.sites[0].battery_wh), ("a", 0, 0));
    assert_eq!((data.sites[1].load_peak_w, data.sites[1].battery_w), (9_000, 0));
    assert_eq!((data.rows.len(), data.rows[1].powers[1].pv_w), (2, 900));
}

#[test]
fn times_have_an_offset_so_that_no_hour_is_two() {
    let with = |time: &str| profiles_error(&format!("{PROFILES_HEADER}{time},a,1,1\n"));
    assert_says(&with("yesterday"), &["line 2, column `slot_start`: `yesterday` is no time"]);
    assert_says(&with("2016-10-30T02:15:00"), &["no time with its offset", "when clocks go back"]);
    assert_says(&with("2016-02-30T00:00:00Z"), &["no time"]);
    // The night in which 02:00 to 03:00 comes twice: five quarter-hours, each its own.
    let night = ["01:45:00+02:00", "02:00:00+02:00", "02:45:00+02:00", "02:00:00+01:00", "02:45:00+01:00"];
    let lines: String = night.iter().map(|time| format!("2016-10-30T{time},a,1,1\n")).collect();
    let dir = folder(b"site_id\na\n", format!("{PROFILES_HEADER}{lines}").as_bytes());
    let data = DataSet::read(dir.path()).unwrap();
    assert_eq!((data.rows.len(), data.slot_seconds), (5, 900));
    assert_eq!(data.rows[0].slot_start.to_rfc3339(), "2016-10-29T23:45:00+00:00");
}

#[test]
fn the_slot_length_must_be_known_and_divide_the_hour() {
    let one: String = PROFILES.lines().take(2).map(|line| format!("{line}\n")).collect();
    assert_says(&profiles_error(&format!("{PROFILES_HEADER}{one}")), &["only one slot"]);
    let odd = PROFILES.replace("T00:15", "T00:14");
    assert_says(&profiles_error(&format!("{PROFILES_HEADER}{odd}")), &["840 s that divides the hour"]);
}

#[test]
fn absurd_sizes_are_refused_early() {
    let dir = folder(
        format!("{SITES_HEADER}{SITES}").as_bytes(),
        format!("{PROFILES_HEADER}{PROFILES}").as_bytes(),
    );
    let error = |limits: Limits| {
        let reading = Reading { limits, ..Reading::demonstration() };
        DataSet::read_as(dir.path(), &reading).unwrap_err().to_string()
    };
    let limits = Reading::demonstration().limits;
    assert_says(&error(Limits { file_bytes: 20, ..limits }), &["sites.csv: the file has", "20 allowed"]);
    assert_says(&error(Limits { sites: 1, ..limits }), &["sites.csv, line 3: more than 1 sites"]);
    assert_says(&error(Limits { slots: 1, ..limits }), &["profiles.csv, line 4: more than 1 slots"]);
    assert_says(&error(Limits { cells: 3, ..limits }), &["profiles.csv, line 5: more than 3 lines"]);
}

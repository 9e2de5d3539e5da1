//! The commands that need no database, as a user runs them: the worked examples of `docs/market.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Output};

const EXAMPLE: &str = "side,id,member,energy_wh,price_micro_per_kwh
offer,4,dora,500,120000
bid,1,ann,400,250000
bid,2,bob,300,200000
bid,3,cem,300,200000
offer,5,eli,300,180000
offer,6,fay,300,260000
";

fn market(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_market")).args(args).output().unwrap()
}

fn clear(text: &str, mechanism: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv");
    std::fs::write(&path, text).unwrap();
    market(&["clear", "--csv", path.to_str().unwrap(), "--mechanism", mechanism, "--json"])
}

#[test]
fn the_worked_example_clears_as_documented() {
    let line = |mechanism| String::from_utf8(clear(EXAMPLE, mechanism).stdout).unwrap();
    // 500 Wh at 12 ct and 300 Wh at 20 ct; nothing is left that a call could match.
    let cda = "{\"volume_wh\":800,\"welfare_nano\":66000000,\"price_micro_per_kwh\":150000,\"trades\":4,";
    assert!(line("cda").starts_with(cda), "{}", line("cda"));
    assert!(line("cda+call").starts_with(cda));
    let call = "{\"volume_wh\":800,\"welfare_nano\":66000000,\"price_micro_per_kwh\":190000,\"trades\":5,";
    assert!(line("call").starts_with(call), "{}", line("call"));
    assert_eq!(line("call").lines().count(), 1);
}

#[test]
fn the_example_with_zones_and_wishes_clears_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let orders = "id,side,member,energy_wh,price_micro_per_kwh,zone,kind,prefer,premium_micro_per_kwh
1,offer,a,300,80000,north,green,,
2,offer,b,100,80000,south,,,
3,bid,c,200,250000,north,,,
4,bid,d,200,250000,south,,green,20000
";
    let fees = "from_zone,to_zone,fee_micro_per_kwh\nnorth,south,50000\nsouth,north,50000\n";
    let (orders, fees, pairs) = (file("orders.csv", orders), file("fees.csv", fees), file("pairs.csv", ""));
    let args = ["clear", "--csv", &orders, "--network-fees", &fees, "--network-fee-micro-per-kwh", "10000"];
    let with = |more: &[&str]| {
        String::from_utf8(market(&[&args[..], &["--pairs", &pairs], more].concat()).stdout).unwrap()
    };
    let json = with(&["--json"]);
    assert!(
        json.starts_with(
            "{\"volume_wh\":400,\"welfare_nano\":68000000,\"price_micro_per_kwh\":165000,\"trades\":4,"
        ) && json.ends_with(
            ",\"network_fee_nano\":8000000,\"preferred_wh\":100,\"premium_nano\":2000000,\"pairs\":3}\n"
        ),
        "{json}"
    );
    let header = "bid_id,offer_id,energy_wh,price_micro_per_kwh,network_fee_micro_per_kwh,preferred,\
                  premium_micro_per_kwh\n";
    let taken = "4,1,100,165000,50000,yes,20000\n3,1,200,165000,10000,no,0\n4,2,100,165000,10000,no,0\n";
    assert_eq!(std::fs::read_to_string(&pairs).unwrap(), format!("{header}{taken}"));
    let text = with(&[]);
    assert!(
        text.starts_with("4 orders, 4 trades, 400 Wh at 165000 ") && text.contains("\n3 pairs, "),
        "{text}"
    );
}

#[test]
fn a_bad_line_ends_with_status_2_and_one_line_that_names_it() {
    let output = clear(&EXAMPLE.replace("400,250000", "-4,250000"), "call");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("orders.csv:3: energy_wh -4") && error.lines().count() == 1, "{error}");
}

#[test]
fn a_simulation_prints_one_object_and_writes_a_line_a_slot() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/devnet/data/simbench-lv-rural");
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("slots.csv");
    let args = ["simulate", "--data", data, "--days", "1", "--json", "--csv", csv.to_str().unwrap()];
    let output = market(&args);
    assert!(output.status.success());
    let note = "5 batteries of the data were not played; --batteries own or --batteries planned plays them\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), note, "and no bar where there is no terminal");
    let json = String::from_utf8(output.stdout).unwrap();
    assert!(
        json.starts_with("{\"mechanism\":\"cda+call\",\"slots\":96,\"sites\":13,") && json.ends_with("]}\n")
    );
    assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 97);
    let none = market(&["simulate", "--data", "no/such/folder"]);
    assert_eq!(none.status.code(), Some(2));
}

//! Receipts that the dashboard's own check must read as this crate does: both test the same file.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use chrono::{DateTime, TimeDelta};
use domain::ids::{AccountId, CommunityId};
use receipt::document::hex32;
use receipt::merkle::{self, Hash, Tree};
use receipt::{Address, Domain, Nano, Receipt, SlotRevision, Statement};
use serde_json::{Value, json};

/// What one vector varies.
struct Case {
    name: &'static str,
    chain_id: u64,
    community: &'static str,
    accounts: u8,
    revision: i32,
    statement: Statement,
}

fn cases() -> Vec<Case> {
    let plain = Statement { import_wh: 420, production_wh: Some(0), ..Statement::default() };
    let case = |name, accounts, revision, statement| Case {
        name,
        chain_id: 31_337,
        community: "lindenhof",
        accounts,
        revision,
        statement,
    };
    vec![
        case("alone in its batch", 1, 0, plain.clone()),
        case("production not known", 3, 0, Statement { production_wh: None, ..plain.clone() }),
        case("every figure at work", 7, 2, busy()),
        case("the widest figures", 16, i32::MAX, widest()),
        Case { chain_id: 1, community: "A.b_c-9", ..case("another chain", 5, 1, busy()) },
    ]
}

/// Each figure another one, so that two in the wrong order show.
fn busy() -> Statement {
    Statement {
        import_wh: 1_210,
        export_wh: 305,
        production_wh: Some(1_999),
        substituted: true,
        traded_bought_wh: 401,
        traded_bought_nano: Nano(-76_591_000),
        traded_sold_wh: 120,
        traded_sold_nano: Nano(22_440_000),
        closing_bought_wh: 77,
        closing_bought_nano: Nano(-15_400_000),
        closing_sold_wh: 33,
        closing_sold_nano: Nano(6_600_000),
        preferred_bought_wh: 51,
        preferred_bought_nano: Nano(-1_020_000),
        preferred_sold_wh: 21,
        preferred_sold_nano: Nano(315_000),
        residual_import_wh: 732,
        residual_export_wh: 152,
        residual_nano: Nano(-222_508_000),
        curtailed_wh: 13,
        over_limit_wh: 29,
        network_fee_nano: Nano(-19_837_000),
        platform_fee_nano: Nano(-1_912_000),
        base_nano: Nano(-363_400_000),
        ..Statement::default()
    }
}

/// As wide as every reader holds them exactly: energies of 53 bits, money of 64.
fn widest() -> Statement {
    Statement {
        import_wh: (1 << 53) - 1,
        export_wh: -((1 << 53) - 1),
        traded_sold_nano: Nano(i64::MAX),
        base_nano: Nano(i64::MIN),
        ..Statement::default()
    }
}

fn vector(case: &Case) -> Value {
    let domain = Domain {
        chain_id: case.chain_id,
        credit: "0x5fbdb2315678afecb367f032d93f642f64180aa3".parse().unwrap(),
        community_id: CommunityId::new(case.community).unwrap(),
    };
    let start = DateTime::from_timestamp(1_767_268_800, 0).unwrap();
    let slot = SlotRevision { start, end: start + TimeDelta::seconds(900), revision: case.revision };
    let mut statement = case.statement.clone();
    statement.net_nano = statement.sum().unwrap();
    let account = |i: u8| (AccountId::new(&format!("m-{i:03}")).unwrap(), Address([0xa0 + i; 20]));
    let salt = |i: u8| merkle::keccak256(&[b"salt", &[i]]);
    let leaves: Vec<Hash> = (0..case.accounts)
        .map(|i| {
            let (id, address) = account(i);
            domain.leaf(&slot, &id, &address, &statement, &salt(i))
        })
        .collect();
    let tree = Tree::new(leaves).unwrap();
    let middle = case.accounts / 2;
    let (id, address) = account(middle);
    let receipt = Receipt::new(&domain, &slot, (&id, &address), (statement, &salt(middle)), &tree).unwrap();
    json!({
        "name": case.name,
        "receipt": serde_json::to_string(&receipt).unwrap(),
        "root": hex32(&tree.root()),
    })
}

/// The file is written anew by copying what this test leaves beside it in the build's folder.
#[test]
fn the_committed_vectors_are_those_of_this_crate() {
    let vectors: Vec<Value> = cases().iter().map(vector).collect();
    let produced = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("receipts.json");
    std::fs::write(&copy, &produced).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/receipts.json");
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(committed, produced, "the leaf changed: copy {} to {}", copy.display(), file.display());
}

#[test]
fn every_vector_leads_to_its_root() {
    for vector in cases().iter().map(vector) {
        let text = vector["receipt"].as_str().unwrap();
        let checked = Receipt::parse(text).unwrap().check().unwrap();
        assert_eq!(Value::from(hex32(&checked.root)), vector["root"], "{}", vector["name"]);
    }
}

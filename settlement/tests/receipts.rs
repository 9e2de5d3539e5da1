//! A member's receipt, checked by the program with nothing but the file and the chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use common::anvil::{Anvil, deployed_on, settle_all};
use common::{World, account, at};
use receipt::merkle::{Tree, keccak256};
use receipt::{Address, Domain, Receipt, SlotRevision};
use serde_json::{Value, json};
use settlement::chain::evm::Reader;
use settlement::verify::{VerifyError, verify};
use store::{PgPool, communities, receipts};

async fn receipt_of(world: &World, name: &str, revision: Option<i32>) -> Option<Receipt> {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let community = communities::find(pool, id).await.unwrap().unwrap();
    receipts::find(pool, &community, &account(name), at(0), revision).await.unwrap()
}

fn program(file: &Path, rpc: &str) -> Output {
    program_with(file, &["--json", "--rpc", rpc])
}

fn program_with(file: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_settlement"))
        .args(["verify", "--receipt"])
        .arg(file)
        .args(arguments)
        .output()
        .unwrap()
}

/// Each place in a document where a scalar stands.
fn scalars(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| scalars(inner, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| scalars(inner, &format!("{at}/{i}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

fn tampered(whole: &Value, place: &str) -> Value {
    let mut changed = whole.clone();
    let value = changed.pointer_mut(place).unwrap();
    *value = match &*value {
        Value::Bool(on) => json!(!*on),
        Value::Number(number) => json!(number.as_i64().unwrap() + 1),
        Value::Null => json!(0),
        Value::String(text) => {
            let mut bytes = text.clone().into_bytes();
            // Of a time the last digit, so that it stays one.
            let last = if text.ends_with('Z') { bytes.len() - 2 } else { bytes.len() - 1 };
            bytes[last] ^= 1;
            json!(String::from_utf8(bytes).unwrap())
        }
        other => panic!("{other}"),
    };
    changed
}

/// What a refusal says of a changed field: which of the things that hold a receipt together it breaks.
fn nature(place: &str) -> &'static [&'static str] {
    let money =
        place.starts_with("/statement/") && place.ends_with("_nano") && place != "/statement/base_nano";
    match place {
        "/version" => &["version"],
        "/chain_id" | "/contract" | "/community_id" | "/slot_start" | "/revision" | "/batch_id" => {
            &["batch_id", "contract", "community_id", "slot_start"]
        }
        "/slot_end" | "/account_id" | "/chain_address" | "/salt" | "/leaf" => {
            &["leaf", "slot_end", "account_id", "chain_address", "salt"]
        }
        _ if place.starts_with("/proof/") => &["proof"],
        _ if money => &["add up"],
        _ => &["leaf is not the hash of the statement"],
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_receipt_is_checked_against_the_chain_and_each_changed_field_is_refused(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (_, world) = deployed_on(&anvil, &folder.path().join("key"), pool, 5).await;
    world.deposit_all(100).await;
    world.meter(0, 1_000).await;
    assert_eq!(receipt_of(&world, "m000", None).await, None, "nothing is settled yet");
    settle_all(&world).await;

    let receipt = receipt_of(&world, "m000", None).await.unwrap();
    let whole = serde_json::to_value(&receipt).unwrap();
    let (file, url) = (folder.path().join("receipt.json"), anvil.url());
    let say = |receipt: &Value, url: &str| {
        std::fs::write(&file, receipt.to_string()).unwrap();
        let output = program(&file, url);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), said)
    };
    let (status, said) = say(&whole, &url);
    assert_eq!((status, &said["valid"], &said["net_nano"]), (0, &json!(true), &json!("200000000")), "{said}");
    let (status, said) = say(&tampered(&whole, "/statement/net_nano"), &url);
    assert_eq!((status, &said["valid"]), (1, &json!(false)), "{said}");
    assert!(said["reason"].as_str().unwrap().contains("add up"), "{said}");
    let (status, said) = say(&tampered(&whole, "/proof/0"), &url);
    assert_eq!(status, 1, "{said}");
    assert!(said["reason"].as_str().unwrap().contains("does not lead"), "{said}");

    let node = Reader::new(url.parse().unwrap(), Duration::from_secs(5)).unwrap();
    let mut places = Vec::new();
    scalars(&whole, "", &mut places);
    assert!(places.len() > 31, "{places:?}");
    for place in places {
        let result = verify(&tampered(&whole, &place).to_string(), None, &node).await;
        let Err(VerifyError::Invalid(refused)) = result else { panic!("{place}: {result:?}") };
        let (said, nature) = (refused.to_string(), nature(&place));
        assert!(nature.iter().any(|words| said.contains(words)), "{place}: {said}");
    }

    // Another member's receipt is as good; who is not in the slot has none.
    let other = receipt_of(&world, "m004", Some(0)).await.unwrap();
    assert!(verify(&serde_json::to_string(&other).unwrap(), None, &node).await.is_ok());
    assert_eq!(receipt_of(&world, "m004", Some(1)).await, None);
    assert_eq!(receipt_of(&world, "reserve", None).await, None);

    // Where nothing can be said, the status is neither "valid" nor "not valid".
    drop(anvil);
    assert_eq!(say(&whole, &url).0, 2);
    assert_eq!(program(&folder.path().join("absent.json"), &url).status.code(), Some(2));
    assert_eq!(program(&file, "nowhere").status.code(), Some(2));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_corrected_slot_has_a_receipt_of_each_revision(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (_, world) = deployed_on(&anvil, &folder.path().join("key"), pool, 2).await;
    world.deposit_all(100).await;
    world.meter(0, 1_000).await;
    settle_all(&world).await;
    world.meter_nets(0, 1, &[1_500, -1_000], false).await;
    settle_all(&world).await;
    let node = Reader::new(anvil.url().parse().unwrap(), Duration::from_secs(5)).unwrap();
    for (asked, expected) in [(None, 1), (Some(0), 0), (Some(1), 1)] {
        let receipt = receipt_of(&world, "m000", asked).await.unwrap();
        assert_eq!(receipt.revision, expected);
        assert!(verify(&serde_json::to_string(&receipt).unwrap(), None, &node).await.is_ok());
    }
}

/// The code of a contract that keeps `root` for every batch and says that every receipt is right.
fn obliging(root: &[u8; 32]) -> String {
    let selector = hex::encode(&keccak256(&[b"settledRoot(bytes32)"])[..4]);
    let root = hex::encode(root);
    // if selector == settledRoot { return root } else { return 1 }
    format!(
        "0x5f3560e01c63{selector}14601657\
             60015f5260205ff3\
             5b7f{root}5f5260205ff3"
    )
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_forged_receipt_for_a_forged_contract_is_told_by_the_communitys_address(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (_, world) = deployed_on(&anvil, &folder.path().join("key"), pool, 2).await;
    world.deposit_all(100).await;
    world.meter(0, 1_000).await;
    settle_all(&world).await;
    let honest = receipt_of(&world, "m000", None).await.unwrap();
    let (community, file, url) =
        (world.settling().await.domain.credit.to_string(), folder.path().join("receipt.json"), anvil.url());

    // Everything of it fits together, and the contract that it names agrees.
    let domain = Domain { credit: Address([0xfe; 20]), ..world.settling().await.domain };
    let slot = SlotRevision { start: honest.slot_start, end: honest.slot_end, revision: 0 };
    let mut statement = honest.statement.clone();
    statement.closing_sold_nano.0 += 1_000_000_000;
    statement.net_nano.0 += 1_000_000_000;
    let (whose, address) = (account("m000"), world.address("m000").await);
    let leaf = domain.leaf(&slot, &whose, &address, &statement, &[7; 32]);
    let forged = Receipt::new(
        &domain,
        &slot,
        (&whose, &address),
        (statement, &[7; 32]),
        &Tree::new(vec![leaf]).unwrap(),
    )
    .unwrap();
    anvil.rpc("anvil_setCode", json!([forged.contract, obliging(&leaf)])).await;

    for (receipt, status) in [(&honest, 0), (&forged, 1)] {
        std::fs::write(&file, serde_json::to_string(receipt).unwrap()).unwrap();
        let careless = program_with(&file, &["--rpc", &url]);
        let said = String::from_utf8(careless.stdout).unwrap();
        assert_eq!(careless.status.code(), Some(0), "{said}");
        assert!(said.contains(&receipt.contract) && said.contains("make sure"), "{said}");
        let careful = program_with(&file, &["--rpc", &url, "--contract", &community]);
        let said = String::from_utf8(careful.stdout).unwrap();
        assert_eq!(careful.status.code(), Some(status), "{said}");
        assert_eq!(said.contains(&format!("not for {community}")), status == 1, "{said}");
        assert!(!said.contains("make sure"), "{said}");
    }
}

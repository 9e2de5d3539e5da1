//! A member's receipt, checked by the program with nothing but the file and the chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use common::anvil::{Anvil, funded, settle_all};
use common::{World, account, at, settings};
use receipt::Receipt;
use serde_json::{Value, json};
use settlement::chain::evm::Reader;
use settlement::deploy::deploy;
use settlement::verify::{VerifyError, verify};
use store::{PgPool, communities, receipts};

async fn receipt_of(world: &World, name: &str, revision: Option<i32>) -> Option<Receipt> {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let community = communities::find(pool, id).await.unwrap().unwrap();
    receipts::find(pool, &community, &account(name), at(0), revision).await.unwrap()
}

fn program(file: &Path, rpc: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_settlement"))
        .args(["verify", "--json", "--rpc", rpc, "--receipt"])
        .arg(file)
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
            *bytes.last_mut().unwrap() ^= 1;
            json!(String::from_utf8(bytes).unwrap())
        }
        other => panic!("{other}"),
    };
    changed
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_receipt_is_checked_against_the_chain_and_each_changed_field_is_refused(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let chain = funded(&anvil, &folder.path().join("key")).await;
    let world = World::new(pool, chain, 5, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
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
        let result = verify(&tampered(&whole, &place).to_string(), &node).await;
        assert!(matches!(result, Err(VerifyError::Invalid(_))), "{place}: {result:?}");
    }

    // Another member's receipt is as good; who is not in the slot has none.
    let other = receipt_of(&world, "m004", Some(0)).await.unwrap();
    assert!(verify(&serde_json::to_string(&other).unwrap(), &node).await.is_ok());
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
    let chain = funded(&anvil, &folder.path().join("key")).await;
    let world = World::new(pool, chain, 2, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    world.meter(0, 1_000).await;
    settle_all(&world).await;
    world.meter_nets(0, 1, &[1_500, -1_000], false).await;
    settle_all(&world).await;
    let node = Reader::new(anvil.url().parse().unwrap(), Duration::from_secs(5)).unwrap();
    for (asked, expected) in [(None, 1), (Some(0), 0), (Some(1), 1)] {
        let receipt = receipt_of(&world, "m000", asked).await.unwrap();
        assert_eq!(receipt.revision, expected);
        assert!(verify(&serde_json::to_string(&receipt).unwrap(), &node).await.is_ok());
    }
}

//! The settlement process itself, killed by SIGKILL at random points of its talk with a real node, on real
//! PostgreSQL: each slot is settled once and the ledger equals the chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::anvil::Anvil;
use common::process::{self, Settings, kills};
use common::proxy::Proxy;
use common::{UNIT_NANO, World, settings};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use settlement::deploy::deploy;
use store::PgPool;
use store::slots::SlotStatus;

const MEMBERS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

async fn until_settled(world: &World, slots: i64) {
    for slot in 0..slots {
        while world.status(slot).await != SlotStatus::Settled {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    while world.ledger_sum().await != i64::try_from(MEMBERS + 2).unwrap() * 100 * UNIT_NANO {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn killed_at_random_it_settles_each_slot_once(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &["--gas-limit", "8000000"]);
    let chain = Arc::new(process::chain(&anvil, folder.path()).await);
    let world = World::new(pool.clone(), chain, MEMBERS, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    // Two confirmations ask for a block after the last transaction's.
    anvil.rpc("evm_setIntervalMining", serde_json::json!([1])).await;
    world.deposit_all(100).await;
    let proxy = Proxy::before(anvil.url()).await;
    let rpc_url = format!("http://{}", proxy.address);
    let start = |share_percent: u8| {
        let polling = "poll_interval_ms = 50\nchain_poll_interval_ms = 20";
        let settlement = format!("{polling}\nbatch_gas_share_percent = {share_percent}");
        let settings = Settings { rpc_url: &rpc_url, chain: "confirmations = 2", settlement: &settlement };
        process::start(folder.path(), &pool, &settings)
    };
    let mut random = StdRng::seed_from_u64(20);
    for slot in 0..kills() {
        world.meter(slot, 1_000).await;
        proxy.stop_after(random.random_range(1..160));
        // With a small share of a block a slot takes several chunks, with a large one a single call.
        let victim = start(if slot % 2 == 0 { 4 } else { 50 });
        let came = tokio::time::timeout(PATIENCE, proxy.stopped()).await;
        process::kill(victim);
        came.expect("the point comes");
    }
    proxy.stop_after(i64::MAX);
    let survivor = start(50);
    let settled = tokio::time::timeout(PATIENCE * 2, until_settled(&world, kills())).await;
    process::kill(survivor);
    settled.expect("everything is settled");

    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + kills() * 200_000_000);
    assert_eq!(world.balance("m001").await, 100 * UNIT_NANO - kills() * 232_000_000);
    world.assert_ledger_equals_chain().await;
    assert_eq!(settled_events(&anvil, &world).await, kills(), "each batch once");
}

/// How many batches the chain says it has settled.
async fn settled_events(anvil: &Anvil, world: &World) -> i64 {
    let credit = world.settling().await.domain.credit.to_string();
    let signature = b"BatchSettled(bytes32,uint64,uint64,bytes32,uint256)";
    let topic = format!("0x{}", hex::encode(receipt::merkle::keccak256(&[signature])));
    let filter = serde_json::json!([{"fromBlock": "0x0", "address": credit, "topics": [topic]}]);
    i64::try_from(anvil.rpc("eth_getLogs", filter).await.as_array().unwrap().len()).unwrap()
}

//! A batch in chunks that the contract has in progress while the database, set back to an older backup, does
//! not know of it: it is ended from what the chain keeps, and no credit is lost or moved twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use chrono::TimeDelta;
use common::anvil::{Anvil, funded};
use common::forgotten::{BUYER_NANO, EACH, Reached, assert_exact, batch, finish, forgotten, sent, set_back};
use common::{UNIT_NANO, World, at, deployed, settings};
use settlement::chain::{BatchPhase, Call, Chain, ChainError, ChunkCall, Position};
use settlement::deploy::deploy;
use settlement::settler::Tick;
use store::slots::SlotStatus;
use store::{PgPool, transactions};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_forgotten_batch_is_ended_wherever_it_was(pool: PgPool) {
    for (number, reached) in EACH.into_iter().enumerate() {
        let (world, chain) = set_back(&pool, number, reached).await;
        finish(&world, 0).await;
        assert_eq!(chain.settled_batches(), 1, "{reached:?}");
        assert_exact(&world, &format!("{reached:?}")).await;
        // Nothing of it is left that keeps the next slot from being settled.
        world.meter(1, 1_000).await;
        finish(&world, 1).await;
        assert_eq!(chain.settled_batches(), 2, "{reached:?}");
        world.assert_ledger_equals_chain().await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn it_is_ended_at_the_start_though_there_is_nothing_to_settle(pool: PgPool) {
    let (world, chain) = set_back(&pool, 0, Reached::Pushed(2)).await;
    let credit = world.settling().await.domain.credit;
    let buyer = world.address("m001").await;
    assert_eq!(chain.credits(&buyer).nano(), 100 * UNIT_NANO + BUYER_NANO, "held by the contract");
    // The slot is not even priced in this backup.
    let (pool, id) = (&world.context.pool, world.context.community_id.as_str());
    for table in ["batch_positions", "batches", "statements"] {
        let sql = format!("DELETE FROM {table} WHERE community_id = $1");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).execute(pool).await.unwrap();
    }
    sqlx::query("UPDATE slots SET status = 'scheduled' WHERE community_id = $1")
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
    for _ in 0..20 {
        world.settle().await;
        world.clock.advance(TimeDelta::seconds(61));
    }
    let state = chain.batch_state(&credit, &domain::ids::BatchId([0; 32]), 1).await.unwrap();
    assert_eq!(state.in_progress, None);
    assert_eq!(chain.credits(&buyer).nano(), 100 * UNIT_NANO, "given back");
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn one_that_is_met_on_the_way_is_ended_and_the_own_one_goes_on(pool: PgPool) {
    let (mut world, chain) = deployed(pool, 6).await;
    world.meter(0, 1_000).await;
    let mut settler = world.settler().await;
    while settler.tick().await.unwrap() != Tick::Idle {}
    assert_eq!(world.status(0).await, SlotStatus::Settled, "it has looked, and there was nothing");
    // Somebody else with the role opens a batch after that, before this settler's next one.
    chain.faults(|f| f.block_gas_limit = 440_000);
    world.context.policy.batch_gas_share_percent = 50;
    world.meter(1, 1_000).await;
    let domain = world.settling().await.domain;
    let (credit, batch_id) = (domain.credit, domain::ids::BatchId([0xee; 32]));
    let debtor =
        Position { account: world.address("m001").await, amount: domain::units::Money::from_nano(-5) };
    let creditor =
        Position { account: world.address("m002").await, amount: domain::units::Money::from_nano(5) };
    let chunks = vec![vec![debtor, creditor]];
    let open = Call::OpenBatch {
        credit,
        batch_id,
        slot_from_s: 1,
        slot_to_s: 2,
        statement_root: [7; 32],
        chunks: chunks.clone(),
    };
    let push = ChunkCall { credit, batch_id, index: 0, positions: chunks[0].clone() };
    forgotten(&chain, &[open, Call::PushChunk(push)]).await;
    for _ in 0..200 {
        // The one settler that was there before: it met the batch, and does not look at its start alone.
        while settler.tick().await.unwrap() == Tick::Progress {}
        if world.status(1).await == SlotStatus::Settled {
            break;
        }
        world.clock.advance(TimeDelta::seconds(61));
    }
    assert_eq!(world.status(1).await, SlotStatus::Settled);
    assert_eq!(chain.settled_batches(), 2);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_batch_whose_every_known_step_was_replaced_by_a_forgotten_attempt_is_booked(pool: PgPool) {
    let (world, chain) = deployed(pool, 14).await;
    // One position a chunk, so that not all steps are signed at once.
    chain.faults(|f| (f.mine_at_once, f.block_gas_limit) = (false, 352_000));
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting);
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let sender = chain.sender().to_string();
    let signed = transactions::in_flight(pool, id, &sender, 99).await.unwrap();
    let domain = world.settling().await.domain;
    let (credit, batch_id) = (domain.credit, domain.batch_id(at(0), 0));
    let stored = store::batches::chunks::find(pool, id, &batch_id).await.unwrap();
    assert!(signed.len() < 2 * stored.len() + 2, "{} steps of {} chunks", signed.len(), stored.len());

    // Each was sent again at a higher fee, which is what was mined, and the last ones followed.
    chain.clear_mempool();
    chain.faults(|f| f.mine_at_once = true);
    let fees = chain.fees().await.unwrap().bumped();
    for row in &signed {
        let attempt = chain.sign_replacement(&row.signed.raw, fees).unwrap();
        chain.broadcast(&attempt.raw).await.unwrap();
    }
    let released = signed.len() - stored.len() - 2;
    let position = |p: store::batches::chunks::ChunkPosition| Position {
        account: p.chain_address.parse().unwrap(),
        amount: p.amount,
    };
    let rest = (0_u32..).zip(stored).skip(released).map(|(index, chunk)| {
        let positions = chunk.into_iter().map(position).collect();
        Call::ReleaseChunk(ChunkCall { credit, batch_id, index, positions })
    });
    forgotten(&chain, &rest.collect::<Vec<_>>()).await;
    assert_eq!(chain.settled_batches(), 1);
    // The steps that the rows know are given up when they have waited long enough.
    world.settle().await;
    world.clock.advance(TimeDelta::seconds(61));
    finish(&world, 0).await;
    assert_eq!(chain.settled_batches(), 1);
    assert_exact(&world, "booked").await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn under_a_pause_nothing_is_spent_until_it_ends(pool: PgPool) {
    let (world, chain) = set_back(&pool, 0, Reached::Released(1)).await;
    chain.faults(|f| f.paused = true);
    let before = chain.broadcasts();
    for _ in 0..5 {
        let mut settler = world.settler().await;
        let refused = loop {
            match settler.tick().await {
                Ok(Tick::Progress) => {}
                Ok(rests) => panic!("{rests:?}"),
                Err(error) => break error,
            }
        };
        let paused = ChainError::WouldRevert { reason: "EnforcedPause".to_owned() };
        assert_eq!(refused.to_string(), paused.to_string());
    }
    assert_eq!(chain.broadcasts(), before);
    chain.faults(|f| f.paused = false);
    finish(&world, 0).await;
    assert_exact(&world, "after the pause").await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn on_a_node_the_positions_are_read_from_the_forgotten_calls(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let chain = funded(&anvil, &folder.path().join("key")).await;
    for (number, reached) in
        [Reached::Pushed(2), Reached::Released(1), Reached::Returned(1)].into_iter().enumerate()
    {
        let world = World::named(&format!("c-{number}"), pool.clone(), chain.clone(), 6, 1).await;
        deploy(&world.context, &settings()).await.unwrap();
        world.deposit_all(100).await;
        rest(&world).await;
        world.meter(0, 1_000).await;
        let (open, chunks) = batch(&world, 0).await;
        forgotten(chain.as_ref(), &sent(&world, reached, &open, &chunks)).await;
        let Call::OpenBatch { credit, batch_id, .. } = open else { panic!("{open:?}") };
        let pushed = chain.pushed_chunks(&credit, &batch_id).await.unwrap();
        let expected: Vec<_> =
            chunks.iter().take(pushed.len()).map(|chunk| chunk.positions.clone()).collect();
        assert_eq!(pushed, expected, "{reached:?}");
        let phase = chain.batch_state(&credit, &batch_id, 1).await.unwrap().in_progress.unwrap().phase;
        assert_eq!(phase == BatchPhase::Paying, matches!(reached, Reached::Released(_)), "{reached:?}");
        for _ in 0..20 {
            rest(&world).await;
            if world.status(0).await == SlotStatus::Settled {
                break;
            }
        }
        assert_eq!(world.status(0).await, SlotStatus::Settled, "{reached:?}");
        assert_exact(&world, &format!("{reached:?}")).await;
    }
}

/// Settles until nothing moves on without a look at the clock.
async fn rest(world: &World) {
    for _ in 0..50 {
        if world.settle().await == Tick::Idle {
            return;
        }
    }
}

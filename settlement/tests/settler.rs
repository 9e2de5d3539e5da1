//! The settler on real PostgreSQL and a chain that misbehaves: nothing is paid twice, nothing is
//! forgotten, and the ledger equals the chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use chrono::TimeDelta;
use common::{UNIT_NANO, World, at, deployed, settings};
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, Call, Chain, ChainError, UnsignedTx};
use settlement::deploy::deploy;
use settlement::error::SettleError;
use settlement::reconcile::reconcile;
use settlement::settler::Tick;
use store::slots::SlotStatus;
use store::{PgPool, batches, statements, transactions};

/// A deployed community of four with 100 units each, on a chain that mines at once until told not to.
async fn world(pool: PgPool, confirmations: u64) -> (World, FakeChain) {
    let (mut world, chain) = deployed(pool, 4).await;
    chain.faults(|f| f.mine_at_once = false);
    world.context.policy.watch.confirmations = confirmations;
    (world, chain)
}

/// What one slot of 1 000 Wh between two pairs moves.
const SELLER_NANO: i64 = 200_000_000;
const BUYER_NANO: i64 = -232_000_000;

async fn assert_settled_once(world: &World, chain: &FakeChain, slots: i64) {
    for slot in 0..slots {
        assert_eq!(world.status(slot).await, SlotStatus::Settled, "slot {slot}");
    }
    assert_eq!(i64::try_from(chain.settled_batches()), Ok(slots));
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + slots * SELLER_NANO);
    assert_eq!(world.balance("m001").await, 100 * UNIT_NANO + slots * BUYER_NANO);
    assert_eq!(world.balance("network").await, slots * 60_000_000);
    assert_eq!(world.ledger_sum().await, 600 * UNIT_NANO);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn slots_are_priced_netted_and_settled(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    chain.faults(|f| f.mine_at_once = true);
    for slot in 0..3 {
        world.meter(slot, 1_000).await;
    }
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 3).await;
    let nets = statements::nets(&world.context.pool, &world.context.community_id, at(0), 0).await.unwrap();
    assert_eq!(nets.len(), 7);
    assert_eq!(nets.iter().map(|(_, net)| net.nano()).sum::<i64>(), 0);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_new_settler_after_every_step_loses_and_doubles_nothing(pool: PgPool) {
    let (world, chain) = world(pool, 2).await;
    for slot in 0..3 {
        world.meter(slot, 1_000).await;
    }
    for _ in 0..200 {
        // Killed after this one step; the next one knows only the rows.
        let tick = world.settler().await.tick().await.unwrap();
        if tick == Tick::Waiting {
            chain.mine();
        }
        if tick == Tick::Idle {
            break;
        }
    }
    assert_settled_once(&world, &chain, 3).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_crash_between_broadcast_and_its_record_sends_the_same_bytes(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    let mut settler = world.settler().await;
    settler.tick().await.unwrap(); // priced
    settler.tick().await.unwrap(); // signed
    let sender = chain.sender().to_string();
    let community = &world.context.community_id;
    let signed = transactions::in_flight(&world.context.pool, community, &sender, 9).await.unwrap();
    assert_eq!(signed.len(), 1);
    chain.broadcast(&signed[0].signed.raw).await.unwrap();
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn dropped_transactions_are_sent_again(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    chain.faults(|f| f.drop_next = 2);
    for _ in 0..4 {
        world.settle().await;
        chain.mine();
    }
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn only_finality_confirms_and_a_reorganisation_below_it_is_survived(pool: PgPool) {
    for_each_kind_of_reorganisation(pool, false).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_reorganisation_that_forgets_the_transaction_is_survived(pool: PgPool) {
    for_each_kind_of_reorganisation(pool, true).await;
}

async fn for_each_kind_of_reorganisation(pool: PgPool, forget: bool) {
    let (world, chain) = world(pool, 3).await;
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting);
    chain.mine();
    chain.mine();
    assert_eq!(world.settle().await, Tick::Waiting, "two blocks are not three");
    assert_eq!(world.status(0).await, SlotStatus::Priced);
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO, "nothing is booked before finality");
    chain.reorganise(2, forget);
    assert_eq!(world.settle().await, Tick::Waiting);
    for _ in 0..3 {
        chain.mine();
        world.settle().await;
    }
    assert_settled_once(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_reverted_batch_is_signed_again(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    chain.faults(|f| f.revert_next = 1);
    world.settle().await;
    chain.mine();
    assert_eq!(world.settle().await, Tick::Waiting, "signed again with the next nonce");
    assert_eq!(chain.settled_batches(), 0);
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_stuck_transaction_is_replaced_at_a_higher_fee(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting);
    chain.faults(|f| f.lowest_fee_wei = 1_000_000);
    chain.mine();
    assert_eq!(world.settle().await, Tick::Waiting);
    assert_eq!(chain.settled_batches(), 0);
    world.clock.advance(TimeDelta::seconds(61));
    assert_eq!(world.settle().await, Tick::Waiting);
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn above_the_fee_cap_a_stuck_transaction_waits(pool: PgPool) {
    let (mut world, chain) = world(pool, 1).await;
    world.context.policy.fee_cap_wei = 1_000;
    world.meter(0, 1_000).await;
    world.settle().await;
    chain.faults(|f| f.lowest_fee_wei = 1_000_000);
    world.clock.advance(TimeDelta::seconds(61));
    assert_eq!(world.settle().await, Tick::Waiting);
    chain.faults(|f| f.lowest_fee_wei = 0);
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_chain_that_starts_over_is_told_everything_again(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    chain.faults(|f| f.mine_at_once = true);
    world.meter(0, 1_000).await;
    world.settle().await;
    chain.restart_empty();
    world.meter(1, 1_000).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 2).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn pricing_goes_on_while_the_node_is_away(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    chain.faults(|f| f.away = true);
    for slot in 0..2 {
        world.meter(slot, 1_000).await;
    }
    let mut settler = world.settler().await;
    for _ in 0..2 {
        assert_eq!(settler.tick().await.unwrap(), Tick::Progress);
    }
    let error = settler.tick().await.unwrap_err();
    assert!(matches!(error, SettleError::Chain(ChainError::Unavailable { .. })), "{error}");
    assert_eq!(world.status(1).await, SlotStatus::Priced);
    chain.faults(|f| (f.away, f.mine_at_once) = (false, true));
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 2).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_nonce_that_somebody_else_spent_is_passed_over(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    chain.spend_nonce_elsewhere();
    assert_eq!(world.settle().await, Tick::Waiting);
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_batch_that_the_contract_knows_is_not_paid_again(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    let mut settler = world.settler().await;
    settler.tick().await.unwrap();
    // As if the database had been set back to before the batch was sent.
    let domain = world.settling().await.domain;
    let batch_id = domain.batch_id(at(0), 0);
    let (credit, statement_root) = (domain.credit, [1; 32]);
    let call =
        Call::Settle { credit, batch_id, slot_from_s: 1, slot_to_s: 2, statement_root, positions: vec![] };
    let nonce = chain.mined_nonce(1).await.unwrap();
    let fees = chain.fees().await.unwrap();
    let earlier = chain.sign(&UnsignedTx { nonce, gas_limit: 1, fees, call }).unwrap();
    chain.broadcast(&earlier.raw).await.unwrap();
    chain.mine();

    assert_eq!(
        world.settle().await,
        Tick::Waiting,
        "the transaction that is refused, for the ledger to name"
    );
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.status(0).await, SlotStatus::Settled);
    assert_eq!(chain.settled_batches(), 1);
    assert_eq!(
        chain.credits(&world.address("m000").await).nano(),
        100 * UNIT_NANO,
        "moved once, by the other"
    );
    let report = reconcile(&world.settling().await).await.unwrap();
    let named: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    assert!(named.iter().any(|line| line.contains("account m000")), "{named:?}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_debtor_without_credits_is_covered_by_the_reserve_and_pays_it_back(pool: PgPool) {
    let chain = FakeChain::new(Address([0x11; 20]));
    chain.faults(|f| f.mine_at_once = true);
    let world = World::new(pool, Arc::new(chain.clone()), 2, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit("first", &["reserve", "m000"], 1).await;
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("m001").await, 0);
    assert_eq!(world.balance("m000").await, UNIT_NANO + SELLER_NANO);
    assert_eq!(world.balance("reserve").await, UNIT_NANO + BUYER_NANO);
    world.assert_ledger_equals_chain().await;

    world.deposit("second", &["m001"], 1).await;
    world.settle().await;
    world.meter(1, 1_000).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("reserve").await, UNIT_NANO, "paid back");
    assert_eq!(world.balance("m001").await, UNIT_NANO + 2 * BUYER_NANO);
    let open = batches::carried(&world.context.pool, &world.context.community_id).await.unwrap();
    assert_eq!(open, vec![]);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_correction_moves_only_the_difference(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    chain.faults(|f| f.mine_at_once = true);
    world.meter(0, 1_000).await;
    world.settle().await;
    world.meter_nets(0, 1, &[900, -1_000, 1_000, -1_000], true).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.slot(0).await.status, SlotStatus::Corrected);
    assert_eq!(chain.settled_batches(), 2);
    // 100 Wh less were sold at 20 ct; the buyer imports them at 32 ct instead of 23.2 ct.
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + SELLER_NANO - 20_000_000);
    assert_eq!(world.balance("m001").await, 100 * UNIT_NANO + BUYER_NANO - 8_800_000);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_slot_that_cannot_be_priced_does_not_hold_up_the_others(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    chain.faults(|f| f.mine_at_once = true);
    // Revision 1 without a revision 0: settling it could pay twice.
    world.meter_nets(0, 1, &[1_000, -1_000, 0, 0], false).await;
    world.meter(1, 1_000).await;
    let mut settler = world.settler().await;
    let error = loop {
        match settler.tick().await {
            Ok(tick) => assert_eq!(tick, Tick::Progress),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("nothing is paid twice"), "{error}");
    assert_eq!((world.status(0).await, world.status(1).await), (SlotStatus::Metered, SlotStatus::Settled));
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_slot_without_money_is_settled_without_a_transaction(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter_nets(0, 0, &[0, 0, 0, 0], false).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.status(0).await, SlotStatus::Settled);
    assert_eq!(chain.settled_batches(), 0);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn more_deposits_than_the_pipeline_holds_all_arrive_once(pool: PgPool) {
    let chain = FakeChain::new(Address([0x11; 20]));
    chain.faults(|f| f.mine_at_once = true);
    let world = World::new(pool, Arc::new(chain.clone()), 150, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    chain.faults(|f| f.mine_at_once = false);
    world.deposit_all(3).await;
    world.deposit_all(3).await; // the same client ids again
    for _ in 0..10 {
        world.settle().await;
        chain.mine();
    }
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.ledger_sum().await, 152 * 3 * UNIT_NANO);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn deposits_without_currency_wait_and_do_not_stop_settlement(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    chain.faults(|f| f.mine_at_once = true);
    world.deposit("huge", &["m000"], 9_000_000).await;
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_settled_once(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_deployment_that_was_begun_is_finished(pool: PgPool) {
    let chain = FakeChain::new(Address([0x11; 20]));
    let world = World::new(pool, Arc::new(chain.clone()), 2, 1).await;
    chain.faults(|f| f.away = true);
    assert!(deploy(&world.context, &settings()).await.is_err());
    chain.faults(|f| (f.away, f.mine_at_once, f.drop_next) = (false, true, 3));
    let contract = deploy(&world.context, &settings()).await.unwrap();
    let again = deploy(&world.context, &settings()).await.unwrap();
    assert_eq!(contract, again);
    assert_eq!(chain.mined_nonce(1).await.unwrap(), 11, "eleven steps, each once");
}

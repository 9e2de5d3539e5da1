//! An account that moves to an address its member linked: its credits follow it, slots go on, and
//! neither the ledger nor a receipt notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use chrono::TimeDelta;
use common::anvil::{Anvil, deployed_on, settle_all};
use common::{UNIT_NANO, World, account, at, deployed, settings};
use domain::ids::{ClientId, MemberId, ZoneId};
use domain::units::Money;
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, Chain, MovementKind};
use settlement::deploy::deploy;
use settlement::settler::Tick;
use store::links::{self, Challenge, Linked, NewLink};
use store::members::{self, Account};
use store::slots::SlotStatus;
use store::{PgPool, communities, orders, receipts};

const OWN: Address = Address([0xaa; 20]);
const NEXT: Address = Address([0xbb; 20]);

/// What the API does once it has verified a signature.
async fn link(world: &World, name: &str, address: Address, nonce: &str) -> Linked {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let (member_id, now) = (MemberId::new(name).unwrap(), at(0));
    let (message, expires_at) = (format!("message {nonce}"), now + TimeDelta::minutes(10));
    let challenge =
        Challenge { member_id: member_id.clone(), nonce: nonce.into(), message: message.clone(), expires_at };
    let mut tx = pool.begin().await.unwrap();
    links::insert_challenge(&mut tx, id, &challenge, now).await.unwrap();
    let new = NewLink {
        member_id,
        client_id: ClientId::new(&format!("link-{nonce}")).unwrap(),
        nonce: nonce.into(),
        message,
        signature: format!("0x{}", "11".repeat(65)),
        address,
    };
    let linked = links::insert(&mut tx, id, &new, now).await.unwrap();
    if linked == Linked::New {
        tx.commit().await.unwrap();
    }
    linked
}

async fn state(world: &World) -> (String, bool, usize) {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let state = links::state(pool, id, &MemberId::new("m000").unwrap()).await.unwrap().unwrap();
    (state.chain_address, state.pending.is_some(), state.former_addresses.len())
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn credits_follow_the_account_and_slots_go_on(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let old = world.address("m000").await;
    world.meter(0, 1_000).await;
    assert_eq!(link(&world, "m000", OWN, "nonce0001").await, Linked::New);
    assert_eq!(link(&world, "m000", NEXT, "nonce0002").await, Linked::Pending);
    // The slot that is priced already settles at the old address, the next one at the new.
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(state(&world).await, (OWN.to_string(), false, 1));
    assert_eq!(chain.credits(&OWN).nano(), 100 * UNIT_NANO + 200_000_000);
    assert_eq!(chain.credits(&old), Money::ZERO);
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + 200_000_000);
    world.assert_ledger_equals_chain().await;
    world.meter(1, 1_000).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(chain.credits(&OWN).nano(), 100 * UNIT_NANO + 400_000_000);
    world.assert_ledger_equals_chain().await;
    assert_eq!(statement_address(&world, 0).await, old.to_string());
    assert_eq!(statement_address(&world, 1).await, OWN.to_string());

    // On to another one, and back to the one before.
    assert_eq!(link(&world, "m000", NEXT, "nonce0003").await, Linked::New);
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(link(&world, "m000", OWN, "nonce0004").await, Linked::New);
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(state(&world).await, (OWN.to_string(), false, 2));
    assert_eq!(chain.credits(&OWN).nano(), 100 * UNIT_NANO + 400_000_000);
    world.assert_ledger_equals_chain().await;
}

async fn statement_address(world: &World, slot: i64) -> String {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let community = communities::find(pool, id).await.unwrap().unwrap();
    let receipt = receipts::find(pool, &community, &account("m000"), at(slot), None).await.unwrap();
    let receipt = receipt.unwrap();
    receipt.check().unwrap();
    receipt.chain_address
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_comes_to_a_former_address_is_moved_on(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let old = world.address("m000").await;
    // What the member had paid in for its own wallet before it was linked is its account's then.
    chain.move_elsewhere(MovementKind::Deposit, OWN, Money::from_nano(3)).unwrap();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(link(&world, "m000", OWN, "nonce0001").await, Linked::New);
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + 3);
    chain.move_elsewhere(MovementKind::Deposit, old, Money::from_nano(7 * UNIT_NANO)).unwrap();
    for _ in 0..2 {
        assert_eq!(world.settle().await, Tick::Idle);
        assert_eq!(chain.credits(&old), Money::ZERO);
        assert_eq!(chain.credits(&OWN).nano(), 107 * UNIT_NANO + 3);
        assert_eq!(world.balance("m000").await, 107 * UNIT_NANO + 3);
        world.assert_ledger_equals_chain().await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn trifles_at_a_former_address_move_nothing_and_the_rest_once_an_hour(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let old = world.address("m000").await;
    assert_eq!(link(&world, "m000", OWN, "nonce0001").await, Linked::New);
    assert_eq!(world.settle().await, Tick::Idle);
    let sent = chain.mined_nonce(1).await.unwrap();
    let comes = async |nano: i64| {
        chain.move_elsewhere(MovementKind::Deposit, old, Money::from_nano(nano)).unwrap();
        assert_eq!(world.settle().await, Tick::Idle);
        chain.mined_nonce(1).await.unwrap() - sent
    };
    for _ in 0..5 {
        assert_eq!(comes(1).await, 0, "too little to pay for");
    }
    assert_eq!(comes(UNIT_NANO).await, 1, "all of it goes");
    assert_eq!(chain.credits(&old), Money::ZERO);
    for _ in 0..3 {
        assert_eq!(comes(UNIT_NANO).await, 1, "once an hour");
    }
    // Slots go on meanwhile.
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.status(0).await, SlotStatus::Settled);
    world.assert_ledger_equals_chain().await;
    world.clock.advance(TimeDelta::minutes(61));
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(chain.credits(&old), Money::ZERO);
    assert_eq!(chain.credits(&OWN).nano(), 104 * UNIT_NANO + 200_000_000 + 5);
    world.assert_ledger_equals_chain().await;
}

async fn free(world: &World) -> i64 {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let member = MemberId::new("m000").unwrap();
    let free = orders::free_credits(pool, id, std::slice::from_ref(&member), &[ZoneId::default()]).await;
    free.unwrap()[&member].nano()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_request_to_withdraw_is_not_left_behind_with_its_address(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let old = world.address("m000").await;
    let requested = MovementKind::WithdrawalRequested { claimable_at_s: 1_700_003_600 };
    chain.move_elsewhere(requested, old, Money::from_nano(60 * UNIT_NANO)).unwrap();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(free(&world).await, 40 * UNIT_NANO);
    assert_eq!(link(&world, "m000", OWN, "nonce0001").await, Linked::New);
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(state(&world).await.0, OWN.to_string());
    assert_eq!(free(&world).await, 40 * UNIT_NANO, "the request is still open");
    // Back there, what is due could be claimed at once.
    assert_eq!(link(&world, "m000", old, "nonce0002").await, Linked::WithdrawalOpen);
    chain.move_elsewhere(MovementKind::WithdrawalCancelled, old, Money::from_nano(60 * UNIT_NANO)).unwrap();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(free(&world).await, 100 * UNIT_NANO);
    assert_eq!(link(&world, "m000", old, "nonce0003").await, Linked::New);
    // Asked for before the move was signed: the account stays.
    let asked = "INSERT INTO withdrawal_events (community_id, block_number, log_index, kind, chain_address, amount_nano,
             claimable_at, tx_hash)
         VALUES ('demo', 1000000, 1, 'requested', $1, 1, '2026-03-02T12:00Z', '0x' || repeat('55', 32))";
    sqlx::query(asked).bind(old.to_string()).execute(&world.context.pool).await.unwrap();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(state(&world).await, (OWN.to_string(), false, 1));
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_move_that_fails_is_tried_again_and_batches_wait_for_it(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    chain.faults(|f| f.mine_at_once = false);
    assert_eq!(link(&world, "m000", OWN, "nonce0001").await, Linked::New);
    assert_eq!(world.settle().await, Tick::Waiting);
    assert_eq!(state(&world).await, (OWN.to_string(), true, 1), "the account lives there from now on");
    world.assert_ledger_equals_chain().await;
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting);
    let settled = chain.settled_batches();
    chain.faults(|f| f.revert_next = 1);
    chain.mine();
    assert_eq!(world.settle().await, Tick::Waiting);
    chain.mine();
    assert_eq!(world.settle().await, Tick::Waiting);
    assert_eq!(chain.settled_batches(), settled + 1, "the move, and then the batch that waited for it");
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(chain.settled_batches(), settled + 2);
    assert_eq!(chain.credits(&OWN).nano(), 100 * UNIT_NANO + 200_000_000);
    assert_eq!(statement_address(&world, 0).await, OWN.to_string());
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_address_that_became_somebody_elses_meanwhile_changes_nothing(pool: PgPool) {
    let (world, _) = deployed(pool, 2).await;
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let old = world.address("m000").await;
    assert_eq!(link(&world, "m000", world.address("m001").await, "nonce0001").await, Linked::AddressInUse);
    assert_eq!(link(&world, "m000", old, "nonce0002").await, Linked::AddressInUse);
    assert_eq!(link(&world, "m000", OWN, "nonce0003").await, Linked::New);
    assert_eq!(link(&world, "m001", OWN, "nonce0004").await, Linked::AddressInUse);
    let (account_id, chain_address) = (account("late"), OWN.to_string());
    members::insert_account(pool, id, &Account { account_id, kind: "member".into(), chain_address })
        .await
        .unwrap();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(state(&world).await, (old.to_string(), false, 0));
    assert_eq!(world.balance("late").await, 0);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_account_without_credits_moves_too(pool: PgPool) {
    let chain = FakeChain::new(Address([0x11; 20]));
    chain.faults(|f| f.mine_at_once = true);
    let world = World::new(pool, Arc::new(chain.clone()), 2, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    assert_eq!(link(&world, "m000", OWN, "nonce0001").await, Linked::New);
    let nonce = chain.mined_nonce(1).await.unwrap();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(state(&world).await, (OWN.to_string(), false, 1));
    assert_eq!(chain.mined_nonce(1).await.unwrap(), nonce, "nothing was sent for it");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_real_contract_moves_them_too(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (_, world) = deployed_on(&anvil, &folder.path().join("key"), pool, 2).await;
    world.deposit_all(100).await;
    settle_all(&world).await;
    assert_eq!(link(&world, "m000", OWN, "nonce0001").await, Linked::New);
    world.meter(0, 1_000).await;
    settle_all(&world).await;
    world.meter(1, 1_000).await;
    settle_all(&world).await;
    assert_eq!(state(&world).await, (OWN.to_string(), false, 1));
    let credit = world.settling().await.domain.credit;
    let held = world.context.chain.balances(&credit, &[OWN]).await.unwrap();
    assert_eq!(held, [100_400_000_000_000_000_000]);
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + 400_000_000);
    world.assert_ledger_equals_chain().await;
}

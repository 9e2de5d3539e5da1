//! Requests to be paid out, followed from the chain into rows, and credits that came before their
//! address was an account's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use chrono::DateTime;
use common::{UNIT_NANO, World, account, deployed};
use domain::units::Money;
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, MovementKind};
use settlement::reconcile::reconcile;
use settlement::settler::Tick;
use store::members::{self, Account};
use store::{PgPool, movements, withdrawals};

const REQUESTED: MovementKind = MovementKind::WithdrawalRequested { claimable_at_s: 1_700_003_600 };

async fn happens(world: &World, chain: &FakeChain, kind: MovementKind, nano: i64) {
    chain.move_elsewhere(kind, world.address("m000").await, Money::from_nano(nano)).unwrap();
    assert_eq!(world.settle().await, Tick::Idle);
}

async fn pending(world: &World) -> Option<i64> {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let all = withdrawals::pending_nano(pool, id).await.unwrap();
    assert!(all.keys().all(|who| *who == account("m000")), "{all:?}");
    all.get(&account("m000")).map(|amount| amount.nano())
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_request_is_pending_until_it_is_paid_or_taken_back(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    assert_eq!(pending(&world).await, None);
    happens(&world, &chain, REQUESTED, 30 * UNIT_NANO).await;
    assert_eq!(pending(&world).await, Some(30 * UNIT_NANO));
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO, "nothing has moved yet");
    let open = withdrawals::pending(&world.context.pool, &world.context.community_id).await.unwrap();
    assert_eq!(open[0].claimable_at, DateTime::from_timestamp(1_700_003_600, 0).unwrap());

    happens(&world, &chain, MovementKind::WithdrawalCancelled, 30 * UNIT_NANO).await;
    assert_eq!(pending(&world).await, None);
    happens(&world, &chain, REQUESTED, 40 * UNIT_NANO).await;
    happens(&world, &chain, MovementKind::Withdrawal, 25 * UNIT_NANO).await;
    assert_eq!(pending(&world).await, None, "settlement had taken a part, and the rest was paid");
    assert_eq!(world.balance("m000").await, 75 * UNIT_NANO);

    happens(&world, &chain, REQUESTED, UNIT_NANO).await;
    happens(&world, &chain, MovementKind::Withdrawal, 0).await;
    assert_eq!(pending(&world).await, None, "a payment of nothing closes its request too");
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_reorganisation_takes_requests_back_and_following_can_begin_again(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    happens(&world, &chain, REQUESTED, 5 * UNIT_NANO).await;
    happens(&world, &chain, MovementKind::WithdrawalCancelled, 5 * UNIT_NANO).await;
    // The last event never was, and other blocks are in the place of its; then the one before.
    for (taken_back, expected) in [(1, Some(5 * UNIT_NANO)), (4, None)] {
        chain.reorganise(taken_back, true);
        (0..taken_back + 2).for_each(|_| chain.mine());
        assert_eq!(world.settle().await, Tick::Idle);
        assert_eq!(pending(&world).await, expected);
    }

    happens(&world, &chain, REQUESTED, 6 * UNIT_NANO).await;
    for _ in 0..2 {
        let mut tx = world.context.pool.begin().await.unwrap();
        movements::rewind(&mut tx, &world.context.community_id, None).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(pending(&world).await, None);
        assert_eq!(world.settle().await, Tick::Idle);
        assert_eq!(pending(&world).await, Some(6 * UNIT_NANO));
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_came_before_an_address_was_enrolled_is_credited_then(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let newcomer = Address([0x77; 20]);
    for (kind, nano) in [(MovementKind::Deposit, 70), (REQUESTED, 20), (MovementKind::Withdrawal, 20)] {
        chain.move_elsewhere(kind, newcomer, Money::from_nano(nano)).unwrap();
    }
    chain.move_elsewhere(REQUESTED, newcomer, Money::from_nano(9)).unwrap();
    assert_eq!(world.settle().await, Tick::Idle);
    let report = reconcile(&world.settling().await).await.unwrap();
    assert_eq!(report.unclaimed, [(newcomer, 50_000_000_000)]);
    assert_eq!(pending(&world).await, None, "nobody's request holds nobody back");

    let account_id = account("late");
    let late = Account { account_id, kind: "member".into(), chain_address: newcomer.to_string() };
    members::insert_account(pool, id, &late).await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.settle().await, Tick::Idle);
        assert_eq!(world.balance("late").await, 50, "and not twice");
    }
    chain.move_elsewhere(MovementKind::Deposit, newcomer, Money::from_nano(1)).unwrap();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("late").await, 51);
    let all = withdrawals::pending_nano(pool, id).await.unwrap();
    assert_eq!(all.get(&account("late")), Some(&Money::from_nano(9)));
    world.assert_ledger_equals_chain().await;
}

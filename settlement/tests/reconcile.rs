//! Comparing the ledger with the chain while both go on: only what stays is a difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{UNIT_NANO, deployed};
use domain::units::Money;
use settlement::chain::MovementKind;
use settlement::reconcile::{reconcile, reconcile_until_still};
use settlement::settler::Tick;
use store::PgPool;

const EVERY: Duration = Duration::from_millis(10);

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_is_mined_and_not_yet_final_is_no_difference(pool: PgPool) {
    let (mut world, chain) = deployed(pool, 2).await;
    world.context.policy.watch.confirmations = 3;
    for _ in 0..2 {
        chain.mine();
    }
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting);
    assert_eq!(chain.settled_batches(), 1);
    for _ in 0..2 {
        let report = reconcile(&world.settling().await).await.unwrap();
        assert!(report.is_equal() && report.in_flight, "{report:?}");
        chain.mine();
        world.settle().await;
    }
    world.assert_ledger_equals_chain().await;
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + 200_000_000);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_is_booked_a_moment_later_is_no_difference_and_what_stays_is(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let address = world.address("m000").await;
    chain.move_elsewhere(MovementKind::Deposit, address, Money::from_nano(7)).unwrap();
    let settling = world.settling().await;
    let report = reconcile_until_still(&settling, 3, EVERY).await.unwrap();
    assert_eq!(report.differences.len(), 1, "nobody books it: {report:?}");
    let (report, _) = tokio::join!(reconcile_until_still(&settling, 1_000, EVERY), world.settle());
    assert!(report.unwrap().is_equal());
}

//! A slot with zones, fees and grid limits, from its rows to the chain and to a receipt, at two revisions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{UNIT_NANO, World, account, at, settings, site};
use domain::grid::{GridLimits, LimitSource};
use domain::ids::ZoneId;
use domain::units::{Energy, Price};
use settlement::chain::Address;
use settlement::chain::fake::FakeChain;
use settlement::deploy::deploy;
use settlement::settler::Tick;
use store::grid_limits::LimitRow;
use store::network_fees::FeeRow;
use store::{PgPool, communities, grid_limits, network_fees, receipts, statements, zones};

fn wh(wh: i64) -> Energy {
    Energy::from_wh(wh)
}

/// Members 0 and 1 in the north, 2 and 3 in the south, and limits of the slot of 0.
async fn limited(world: &World) {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let zone = |id: &str| ZoneId::new(id).unwrap();
    for (number, of) in ["north", "north", "south", "south"].iter().enumerate() {
        assert!(zones::assign(pool, id, &site(number), &zone(of)).await.unwrap());
    }
    let fee = Price::from_micro_per_kwh(9_000);
    let fee = FeeRow { from_zone: zone("north"), to_zone: zone("south"), valid_from: at(0), fee };
    network_fees::set(&mut pool.acquire().await.unwrap(), id, &[fee], at(0)).await.unwrap();
    let limits = GridLimits { import: Some(wh(150)), export: Some(wh(500)) };
    let row = LimitRow { slot_start: at(0), source: LimitSource::Utility, limits, set_at: at(0) };
    grid_limits::set(pool, id, &[row], at(0)).await.unwrap();
}

/// Net energies and, of each member, what is exported to the grid, curtailed, imported and over the limit.
async fn seen(world: &World, revision: i32) -> (i64, Vec<[i64; 4]>) {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let rows = statements::of_slot(pool, id, at(0), revision).await.unwrap();
    let members = rows.iter().filter(|row| row.account_id.as_str().starts_with('m'));
    let energies = members
        .map(|row| [row.residual_export, row.curtailed, row.residual_import, row.over_limit].map(Energy::wh));
    (rows.iter().map(|row| row.net.nano()).sum(), energies.collect())
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_is_beyond_the_limits_is_stated_settled_and_proved_at_each_revision(pool: PgPool) {
    let chain = FakeChain::new(Address([0x11; 20]));
    chain.faults(|f| f.mine_at_once = true);
    let world = World::new(pool, Arc::new(chain.clone()), 4, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    limited(&world).await;
    // Nobody traded: 600 and 100 Wh are left to feed in, 300 Wh to draw.
    world.meter_nets(0, 0, &[600, 100, -200, -100], false).await;
    assert_eq!(world.settle().await, Tick::Idle);
    let first = vec![[429, 171, 0, 0], [71, 29, 0, 0], [0, 0, 200, 100], [0, 0, 100, 50]];
    assert_eq!(seen(&world, 0).await, (0, first));
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + 429 * 80_000);
    assert_eq!(world.balance("m002").await, 100 * UNIT_NANO - 200 * 320_000);
    // A late reading: member 0 had 450 Wh only, so that 50 Wh in all are too many.
    world.meter_nets(0, 1, &[450, 100, -200, -100], false).await;
    assert_eq!(world.settle().await, Tick::Idle);
    let second = vec![[409, 41, 0, 0], [91, 9, 0, 0], [0, 0, 200, 100], [0, 0, 100, 50]];
    assert_eq!(seen(&world, 1).await, (0, second));
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + 409 * 80_000);
    assert_eq!(world.ledger_sum().await, 600 * UNIT_NANO);
    world.assert_ledger_equals_chain().await;
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let community = communities::find(pool, id).await.unwrap().unwrap();
    let receipt = receipts::find(pool, &community, &account("m000"), at(0), Some(1)).await.unwrap().unwrap();
    assert_eq!((receipt.statement.curtailed_wh, receipt.statement.residual_export_wh), (41, 409));
    assert!(receipt.check().is_ok());
}

//! Zones, fees and standing orders on a real database: what held when a slot began decides it, and each later
//! revision of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use domain::ids::{SiteId, ZoneId};
use domain::standing::{Preference, StandingOrder, Wish};
use domain::trade::ClosingPair;
use domain::units::{Energy, Price};
use market::fuse::Fuse;
use market::meterer;
use store::network_fees::{self, FeeRow, SetFees};
use store::{PgPool, metering, slots, standing_orders, zones};
use support::{World, at, slot};

fn site(number: usize) -> SiteId {
    SiteId::new(&format!("s{number}")).unwrap()
}

fn zone(id: &str) -> ZoneId {
    ZoneId::new(id).unwrap()
}

fn micro(micro: i64) -> Price {
    Price::from_micro_per_kwh(micro)
}

async fn set(world: &World, number: usize, wish: Wish, seconds: i64) {
    let order = StandingOrder { wish, ..StandingOrder::default() };
    standing_orders::set(&world.pool, world.id(), &site(number), &order, at(seconds)).await.unwrap();
}

async fn metered_at(world: &World, seconds: i64) -> meterer::Metered {
    world.manual.set(at(seconds));
    meterer::tick(&world.pool, &world.community, at(seconds), &Fuse::default()).await.unwrap()
}

/// Site 0 in the north and sites 1 and 2 in the south; a kWh costs 1 ct within a zone and 5 ct across.
async fn two_zones(world: &World) {
    for (number, id) in [(0, "north"), (1, "south"), (2, "south")] {
        assert!(zones::assign(&world.pool, world.id(), &site(number), &zone(id)).await.unwrap());
    }
    let all = [("north", "north"), ("north", "south"), ("south", "north"), ("south", "south")];
    let fees = all.map(|(from, to)| FeeRow {
        from_zone: zone(from),
        to_zone: zone(to),
        valid_from: slot(0),
        fee: micro(if from == to { 10_000 } else { 50_000 }),
    });
    let mut tx = world.pool.begin().await.unwrap();
    assert_eq!(network_fees::set(&mut tx, world.id(), &fees, at(-9)).await.unwrap(), SetFees::Stored);
    tx.commit().await.unwrap();
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_correction_uses_what_held_when_the_slot_began(pool: PgPool) {
    let world = World::new(pool, "demo", 3).await;
    two_zones(&world).await;
    set(&world, 2, Wish::new(Preference::Local, micro(5_000)).unwrap(), -1).await;
    let now = world.manual.now();
    market::slots::open(&world.pool, &world.community, now).await.unwrap();
    market::slots::close(&world.pool, &world.community, now, &Fuse::default()).await.unwrap();
    set(&world, 2, Wish::default(), 5).await;
    // The sellers' registers are there, the buyer's only when the slot was given up.
    world.read_all(&[(0, 0, 1, 0, 0), (1, 0, 1, 0, 0), (2, 0, 1, 0, 0)]).await;
    world.read_all(&[(0, 1, 2, 0, 300), (1, 1, 2, 0, 300)]).await;
    assert_eq!(metered_at(&world, 80).await.metered, 1);
    assert!(metering::closing_pairs(&world.pool, world.id(), slot(0), 0).await.unwrap().is_empty());
    for (from, to) in [
        (slots::SlotStatus::Metered, slots::SlotStatus::Priced),
        (slots::SlotStatus::Priced, slots::SlotStatus::Settled),
    ] {
        assert!(slots::advance(&world.pool, world.id(), slot(0), from, to, at(81)).await.unwrap());
    }
    world.read(2, 1, 2, 300, 0).await;
    assert_eq!(metered_at(&world, 82).await.corrected, 1);
    let pairs = metering::closing_pairs(&world.pool, world.id(), slot(0), 1).await.unwrap();
    let wh = Energy::from_wh(300);
    let expected = ClosingPair {
        buyer_site: site(2),
        seller_site: site(1),
        energy: wh,
        network_fee: micro(10_000),
        preferred: wh,
        premium: micro(5_000),
    };
    assert_eq!(pairs, [expected]);
    // Between 8 ct and 32 - 0.2 - 5 ct, the highest fee of the buyer's zone.
    let fills = metering::closing_fills(&world.pool, world.id(), slot(0), 1).await.unwrap();
    assert!(fills.iter().all(|fill| fill.price == micro(174_000) && fill.energy == wh));
    assert_eq!(fills.len(), 2);
}

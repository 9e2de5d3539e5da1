//! From gate closure to the closing auction on a real database: waiting, substituting, correcting.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use domain::order::Side;
use market::meterer::{self, Metered};
use store::metering::{self, MeteredSite};
use store::slots::{self, SlotStatus};
use store::{PgPool, trades};
use support::{World, at, slot};

/// A world whose clock is moved to `seconds`, with the gates closed that are due by then.
async fn closed_at(world: &World, seconds: i64) {
    world.manual.set(at(seconds));
    let now = world.manual.now();
    market::slots::open(&world.pool, &world.community, now).await.unwrap();
    market::slots::close(&world.pool, &world.community, now, &market::fuse::Fuse::default()).await.unwrap();
}

async fn tick(world: &World) -> Metered {
    meterer::tick(&world.pool, &world.community, world.manual.now(), &market::fuse::Fuse::default())
        .await
        .unwrap()
}

async fn status(world: &World, number: i64) -> (SlotStatus, i32, bool) {
    let row = slots::find(&world.pool, world.id(), slot(number)).await.unwrap().unwrap();
    (row.status, row.revision, row.needs_remetering)
}

/// Import, export and whether substituted, of each site at the slot's newest revision.
async fn energies(world: &World, number: i64) -> Vec<(i64, i64, bool)> {
    let (_, revision, _) = status(world, number).await;
    let seen = |s: &MeteredSite| (s.metered.import.wh(), s.metered.export.wh(), s.substituted);
    let rows = metering::of_slot(&world.pool, world.id(), slot(number), revision).await.unwrap();
    rows.iter().map(seen).collect()
}

async fn fills(world: &World, number: i64, revision: i32) -> Vec<(String, Side, i64, i64)> {
    let fills = metering::closing_fills(&world.pool, world.id(), slot(number), revision).await.unwrap();
    let seen = |f: &domain::trade::ClosingFill| {
        (f.site_id.to_string(), f.side, f.energy.wh(), f.price.micro_per_kwh())
    };
    fills.iter().map(seen).collect()
}

/// Settlement's part: the slot's money has moved.
async fn settle(world: &World, number: i64, to: SlotStatus) {
    let (id, now) = (world.id(), world.manual.now());
    for (from, to) in [(SlotStatus::Metered, SlotStatus::Priced), (SlotStatus::Priced, to)] {
        assert!(slots::advance(&world.pool, id, slot(number), from, to, now).await.unwrap());
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_slot_is_metered_when_every_reading_is_there_and_clears_what_was_not_traded(pool: PgPool) {
    let world = World::new(pool, "demo", 3).await;
    closed_at(&world, 0).await;
    world.sell_300_wh().await;
    assert_eq!(trades::of_slot(&world.pool, world.id(), slot(1)).await.unwrap().len(), 1);
    for boundary in [0, 1] {
        for site in 0..3 {
            world.read(site, boundary, 1 + boundary, 0, 0).await;
        }
    }
    closed_at(&world, 20).await;
    assert_eq!(tick(&world).await, Metered { metered: 1, ..Metered::default() }, "slot 0 only");
    world.read(0, 2, 3, 0, 500).await;
    world.read(1, 2, 3, 350, 0).await;
    assert_eq!(tick(&world).await, Metered::default(), "one reading is missing");
    world.read(2, 2, 3, 100, 20).await;
    assert_eq!(tick(&world).await.metered, 1);
    assert_eq!(status(&world, 1).await, (SlotStatus::Metered, 0, false));
    assert_eq!(energies(&world, 1).await, [(0, 500, false), (350, 0, false), (100, 20, false)]);
    // Left over: 500 - 300 offered, 350 - 300 and 80 bid for, at the midpoint of the two limits.
    let (offer, bid) = (Side::Offer, Side::Bid);
    let expected = [("s0", offer, 130), ("s1", bid, 50), ("s2", bid, 80)];
    let expected = expected.map(|(site, side, wh)| (site.to_owned(), side, wh, 184_000));
    assert_eq!(fills(&world, 1, 0).await, expected);
    assert_eq!(tick(&world).await, Metered::default());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_silent_meter_is_substituted_at_the_deadline_and_corrected_when_it_speaks(pool: PgPool) {
    let world = World::new(pool, "demo", 2).await;
    for site in 0..2 {
        world.read(site, 0, 1, 1_000, 0).await;
    }
    world.read(0, 1, 2, 1_000, 70).await;
    closed_at(&world, 69).await;
    assert_eq!(tick(&world).await, Metered::default());
    closed_at(&world, 70).await;
    assert_eq!(tick(&world).await.metered, 1, "slot 1 is held up by its own deadline");
    assert_eq!(energies(&world, 0).await, [(0, 70, false), (0, 0, true)]);
    assert_eq!(fills(&world, 0, 0).await, []);
    // It speaks while the slot's first revision is on its way: that one is finished first.
    world.read(1, 1, 2, 1_040, 0).await;
    assert_eq!(status(&world, 0).await, (SlotStatus::Metered, 0, true));
    assert_eq!(tick(&world).await, Metered::default());
    settle(&world, 0, SlotStatus::Settled).await;
    assert_eq!(tick(&world).await, Metered { corrected: 1, ..Metered::default() });
    assert_eq!(status(&world, 0).await, (SlotStatus::Metered, 1, false));
    assert_eq!(energies(&world, 0).await, [(0, 70, false), (40, 0, false)]);
    assert_eq!(fills(&world, 0, 1).await.len(), 2);
    let first = metering::of_slot(&world.pool, world.id(), slot(0), 0).await.unwrap();
    assert!(first[1].substituted, "the first revision stays as it was");
    // A reading that says the same again clears the mark and makes no revision.
    settle(&world, 0, SlotStatus::Corrected).await;
    slots::mark_remetering(&world.pool, world.id(), slot(0), true).await.unwrap();
    assert_eq!(tick(&world).await, Metered { confirmed: 1, ..Metered::default() });
    assert_eq!(status(&world, 0).await, (SlotStatus::Corrected, 1, false));
    assert_eq!(tick(&world).await, Metered::default());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_boundary_that_was_never_read_is_not_waited_for_and_adds_up_later(pool: PgPool) {
    let world = World::new(pool, "demo", 2).await;
    for boundary in 0..4 {
        world.read(0, boundary, 1 + boundary, 100 * boundary, 0).await;
    }
    world.read(1, 0, 1, 0, 0).await;
    closed_at(&world, 30).await;
    assert_eq!(tick(&world).await, Metered::default(), "boundary 1 may still come");
    // Sequence 2 is boundary 2: the agent did not read the meter at boundary 1.
    world.read(1, 2, 2, 900, 0).await;
    world.read(1, 3, 3, 1_000, 0).await;
    assert_eq!(tick(&world).await.metered, 3);
    assert_eq!(energies(&world, 0).await[1], (0, 0, true));
    assert_eq!(energies(&world, 1).await[1], (900, 0, false));
    assert_eq!(energies(&world, 2).await[1], (100, 0, false));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_was_substituted_too_high_is_carried_and_corrected_through_all_slots(pool: PgPool) {
    let world = World::new(pool, "demo", 2).await;
    closed_at(&world, 0).await;
    world.sell_300_wh().await;
    world.read_all_but_one().await;
    closed_at(&world, 80).await;
    assert_eq!(tick(&world).await.metered, 4, "slot 1 at its deadline, those behind it are complete");
    let mut given = vec![];
    for number in 0..4 {
        given.push(energies(&world, number).await[1]);
        settle(&world, number, SlotStatus::Settled).await;
    }
    // 50 Wh, then 300 Wh for what was 50 Wh: the next two slots, 100 Wh, pay for it and 150 stay owed.
    assert_eq!(given, [(50, 0, false), (300, 0, true), (0, 0, false), (0, 0, false)]);
    let carry = metering::of_slot(&world.pool, world.id(), slot(3), 0).await.unwrap()[1].carry;
    assert_eq!(carry.import.wh(), 150);
    // The missing reading comes: each slot gets its own 50 Wh, the last one through the carry.
    world.read(1, 2, 3, 100, 0).await;
    let mut corrected = 0;
    for _ in 0..3 {
        corrected += tick(&world).await.corrected;
    }
    assert_eq!(corrected, 3, "slots 1, 2 and 3");
    for number in 0..4 {
        assert_eq!(energies(&world, number).await[1], (50, 0, false), "slot {number}");
    }
}

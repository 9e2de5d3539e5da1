//! A forecast that runs learns what a late reading changes, exactly as one that starts afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use market::autopilot::learned::Learned;
use market::fuse::Fuse;
use market::meterer;
use market::rules::SlotRules;
use store::slots::{self, SlotStatus};
use store::{PgPool, autopilot};
use support::{World, at, site_id, slot};

async fn meter(world: &World) {
    let now = world.manual.now();
    meterer::tick(&world.pool, &world.community, now, &Fuse::default()).await.unwrap();
}

async fn refresh(world: &World, learned: &mut Learned) {
    let sites = autopilot::piloted(&world.pool, world.id(), None).await.unwrap();
    learned.refresh(&world.pool, world.id(), &sites, slot(6), 1).await.unwrap();
}

/// What a forecast that starts at second `now_s` learns, when all slots that ended by then are metered.
async fn learned_at(world: &World, now_s: i64) -> Learned {
    world.manual.set(at(now_s));
    let now = world.manual.now();
    market::slots::open(&world.pool, &world.community, now).await.unwrap();
    market::slots::close(&world.pool, &world.community, now, &Fuse::default()).await.unwrap();
    meter(world).await;
    let mut learned = Learned::new(&SlotRules::of(&world.community));
    refresh(world, &mut learned).await;
    learned
}

/// What is known of both sites in slots 0 to 3, as net export in Wh.
fn known(learned: &Learned) -> Vec<Vec<Option<i64>>> {
    let of = |number: usize| {
        let history = learned.history(&site_id(number)).unwrap();
        (0..4).map(|place| history.get(learned.days().index(slot(place))).map(|seen| seen.net_wh)).collect()
    };
    (0..2).map(of).collect()
}

/// Site 1 bought 300 Wh for slot 1 and used 50 Wh a slot; a boundary is missing, and its deadline has passed.
async fn substituted(pool: PgPool) -> World {
    let world = World::new(pool, "demo", 2).await;
    market::slots::open(&world.pool, &world.community, world.manual.now()).await.unwrap();
    world.sell_300_wh().await;
    world.read_all_but_one().await;
    world.manual.set(at(80));
    let now = world.manual.now();
    market::slots::close(&world.pool, &world.community, now, &Fuse::default()).await.unwrap();
    meter(&world).await;
    for number in 0..4 {
        for (from, to) in
            [(SlotStatus::Metered, SlotStatus::Priced), (SlotStatus::Priced, SlotStatus::Settled)]
        {
            assert!(slots::advance(&world.pool, world.id(), slot(number), from, to, now).await.unwrap());
        }
    }
    world
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_late_reading_replaces_what_was_learned(pool: PgPool) {
    let world = substituted(pool).await;
    let mut running = Learned::new(&SlotRules::of(&world.community));
    refresh(&world, &mut running).await;
    let sold = vec![Some(300); 4];
    // Slot 1 was substituted, and the two behind it were given less than they had, to pay for it.
    assert_eq!(known(&running), [sold.clone(), vec![Some(-50), None, None, None]]);
    world.read(1, 2, 3, 100, 0).await;
    refresh(&world, &mut running).await;
    assert_eq!(known(&running)[1][1], None, "nothing is learned before the slot is metered again");
    for _ in 0..3 {
        meter(&world).await;
        refresh(&world, &mut running).await;
    }
    assert_eq!(known(&running), [sold, vec![Some(-50); 4]]);
    let mut started = Learned::new(&SlotRules::of(&world.community));
    refresh(&world, &mut started).await;
    assert_eq!(known(&started), known(&running));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_slot_that_closes_a_gap_is_not_learned_as_one_slot(pool: PgPool) {
    let world = World::new(pool, "demo", 2).await;
    for boundary in [0, 1, 3, 4] {
        world.read(0, boundary, 1 + boundary, 0, 300 * boundary).await;
    }
    // Site 1 was not read for two slots: its third slot holds the 150 Wh of all three.
    for (boundary, seq) in [(0, 1), (3, 2), (4, 3)] {
        world.read(1, boundary, seq, 50 * boundary, 0).await;
    }
    let learned = learned_at(&world, 120).await;
    let closing = store::metering::of_slot(&world.pool, world.id(), slot(2), 0).await.unwrap();
    assert_eq!((closing[1].metered.import.wh(), closing[1].substituted), (150, false));
    let expected = [vec![Some(300), None, None, Some(300)], vec![None, None, None, Some(-50)]];
    assert_eq!(known(&learned), expected);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_first_slot_between_two_readings_of_a_new_meter_is_learned(pool: PgPool) {
    let world = World::new(pool, "demo", 2).await;
    for boundary in 0..4 {
        world.read(0, boundary, 1 + boundary, 0, 300 * boundary).await;
    }
    for boundary in 1..4 {
        world.read(1, boundary, boundary, 50 * boundary, 0).await;
    }
    let learned = learned_at(&world, 110).await;
    assert_eq!(known(&learned)[1], [None, Some(-50), Some(-50), None]);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_a_later_revision_substitutes_is_forgotten(pool: PgPool) {
    let world = substituted(pool).await;
    let mut running = Learned::new(&SlotRules::of(&world.community));
    refresh(&world, &mut running).await;
    // As after the reading of a new meter's first boundary, which can be compared with nothing.
    for sql in [
        "INSERT INTO metered_sites (community_id, slot_start, revision, site_id, import_wh, export_wh, substituted,
             import_carry_wh, export_carry_wh)
         SELECT community_id, slot_start, 1, site_id, import_wh, export_wh, site_id = 's0', 0, 0
         FROM metered_sites WHERE slot_start = $1",
        "UPDATE slots SET revision = 1 WHERE slot_start = $1",
    ] {
        sqlx::query(sql).bind(slot(0)).execute(&world.pool).await.unwrap();
    }
    refresh(&world, &mut running).await;
    assert_eq!((known(&running)[0][0], known(&running)[1][0]), (None, Some(-50)));
}

//! A community's whole market over several slots: the autopilot forecasts, trades follow, and a
//! process that starts over goes on where the last one stopped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::order::Side;
use market::community::{CommunityMarket, Outcome};
use store::slots::{self, SlotStatus};
use store::{PgPool, metering, orders, trades};
use support::{SLOT_S, World, at, slot};

const SITES: usize = 6;

/// What site `site` has left over in slot `number`: the even ones sell, the odd ones buy.
fn net_wh(site: usize, number: i64) -> i64 {
    let wh = 400 + 20 * i64::try_from(site).unwrap() + 5 * number;
    if site.is_multiple_of(2) { wh } else { -wh }
}

async fn read_all(world: &World, boundary: i64) {
    let list: Vec<_> = (0..SITES)
        .map(|site| {
            let total: i64 = (0..boundary).map(|number| net_wh(site, number)).sum();
            let (import, export) = if total < 0 { (-total, 0) } else { (0, total) };
            (site, boundary, 1 + boundary, import, export)
        })
        .collect();
    world.read_all(&list).await;
}

/// Turns until nothing more is to be done at this instant.
async fn turn(market: &mut CommunityMarket) -> Outcome {
    loop {
        let outcome = market.tick().await.unwrap();
        if !outcome.goes_on() {
            return outcome;
        }
    }
}

/// Runs `slots` slots in quarters of a second; each slot's readings come a second after its end.
async fn live(world: &World, slots: i64, start_over: bool) {
    let mut market = world.market();
    for quarter in 0..slots * SLOT_S * 4 {
        world.manual.set(at(0) + TimeDelta::milliseconds(250 * quarter));
        if quarter % (SLOT_S * 4) == 4 {
            read_all(world, quarter / (SLOT_S * 4)).await;
        }
        if start_over {
            market = world.market();
        }
        turn(&mut market).await;
    }
}

/// Everything that was decided, in the clients' own names.
async fn story(world: &World, slots_run: i64) -> Vec<String> {
    let mut story = vec![];
    for number in 0..slots_run {
        let row = slots::find(&world.pool, world.id(), slot(number)).await.unwrap().unwrap();
        story.push(format!("{number} {:?} {}", row.status, row.revision));
        let mut names = BTreeMap::new();
        for c in orders::accepted_of_slot(&world.pool, world.id(), slot(number), 0, 10_000).await.unwrap() {
            story.push(format!("{number} {:?} {} {}", c.accepted_seq, c.client_id, c.reason));
            names.insert(c.command_id, c.client_id);
        }
        for t in trades::of_slot(&world.pool, world.id(), slot(number)).await.unwrap() {
            let (bid, offer) = (&names[&t.trade.bid_id.0], &names[&t.trade.offer_id.0]);
            story.push(format!("{number} {bid} {offer} {:?} {:?}", t.trade.energy, t.trade.price));
        }
        for f in metering::closing_fills(&world.pool, world.id(), slot(number), 0).await.unwrap() {
            story.push(format!("{number} closing {f:?}"));
        }
    }
    story
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn trades_appear_from_the_third_slot_on_and_everything_adds_up(pool: PgPool) {
    let world = World::new(pool, "demo", SITES).await;
    live(&world, 6, false).await;
    for number in 2..6 {
        let rows = trades::of_slot(&world.pool, world.id(), slot(number)).await.unwrap();
        let traded: i64 = rows.iter().map(|row| row.trade.energy.wh()).sum();
        // Three sellers offer 80 % of what they had left over two slots before.
        let offered: i64 = [0, 2, 4].iter().map(|site| net_wh(*site, number - 2) * 80 / 100).sum();
        assert!(!rows.is_empty() && traded == offered, "slot {number}: {traded} of {offered} Wh");
        for row in &rows {
            assert!((80_000..=288_000).contains(&row.trade.price.micro_per_kwh()));
        }
    }
    for number in 0..4 {
        let row = slots::find(&world.pool, world.id(), slot(number)).await.unwrap().unwrap();
        assert_eq!(row.status, SlotStatus::Metered, "slot {number}");
        let fills = metering::closing_fills(&world.pool, world.id(), slot(number), 0).await.unwrap();
        let sum = |side| fills.iter().filter(|f| f.side == side).map(|f| f.energy.wh()).sum::<i64>();
        assert_eq!(sum(Side::Bid), sum(Side::Offer));
        assert!(sum(Side::Bid) > 0);
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_process_that_dies_after_every_tick_leaves_the_same_market(pool: PgPool) {
    let steady = World::new(pool.clone(), "steady", SITES).await;
    let broken = World::new(pool, "broken", SITES).await;
    live(&steady, 4, false).await;
    live(&broken, 4, true).await;
    let expected = story(&steady, 4).await;
    assert!(expected.iter().any(|line| line.contains("auto-s0-")), "{expected:#?}");
    assert_eq!(story(&broken, 4).await, expected);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_second_tick_at_the_same_instant_does_nothing(pool: PgPool) {
    let world = World::new(pool, "demo", SITES).await;
    live(&world, 2, false).await;
    let mut market = world.market();
    turn(&mut market).await;
    assert_eq!(market.tick().await.unwrap(), Outcome::default());
    assert_eq!(world.market().tick().await.unwrap(), Outcome::default());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn after_a_long_stop_every_missed_slot_is_made_up_for(pool: PgPool) {
    let world = World::new(pool, "demo", 1).await;
    world.read(0, 0, 1, 0, 0).await;
    world.market().tick().await.unwrap();
    world.manual.set(at(5_200));
    let readings: Vec<_> = (1..=520).map(|boundary| (0, boundary, 1 + boundary, 0, 10 * boundary)).collect();
    world.read_all(&readings).await;
    let mut market = world.market();
    turn(&mut market).await;
    let metered = slots::with_status(&world.pool, world.id(), SlotStatus::Metered, 1_000).await.unwrap();
    assert_eq!(metered.len(), 520);
    let starts: Vec<_> = metered.iter().map(|row| row.slot_start).collect();
    assert_eq!(starts, (0..520).map(slot).collect::<Vec<_>>());
    let last = metering::of_slot(&world.pool, world.id(), slot(519), 0).await.unwrap();
    assert_eq!(last[0].metered.export.wh(), 10);
}

//! A market that dies after every single commit, and one that never dies, over the same orders and readings: the same
//! books, slots, trades and corrections, and no command lost or decided twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use chrono::TimeDelta;
use domain::ids::OrderId;
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use market::MarketConfig;
use market::community::CommunityMarket;
use market::fuse::{Blown, Fuse};
use market::runner::check_slot;
use store::slots::{self, SlotStatus};
use store::views::commands::Request;
use store::{PgPool, metering, orders, trades};
use support::{SLOT_S, World, at, slot};

const SITES: usize = 6;
const SLOTS: i64 = 6;
/// The site whose reading of this boundary comes late.
const LATE_SITE: usize = 5;
const LATE_BOUNDARY: i64 = 2;
const LATE_AT_S: i64 = 45;

/// Every how many commits the process dies; never for a steady market.
type Dies = Option<u64>;

async fn world(pool: &PgPool, name: &str) -> World {
    let mut world = World::new(pool.clone(), name, SITES).await;
    world.community.metering_deadline = TimeDelta::seconds(5);
    world
}

/// What members send in a second of the story: always the same, however often it is sent.
async fn send_orders(world: &World, second: i64) {
    let open = slot(second / SLOT_S + 2);
    let gtg = TimeInForce::GoodTillGate;
    let mut sent = vec![];
    for site in 0..4_usize {
        let number = i64::try_from(site).unwrap();
        let side =
            if (site + usize::try_from(second).unwrap()).is_multiple_of(2) { Side::Bid } else { Side::Offer };
        let terms = (side, 100 + 7 * number + second, 150_000 + 3_000 * ((second * 5 + number * 3) % 11));
        let client = format!("order-{second}-{site}");
        sent.push(world.order(site, &client, open, terms, gtg).await);
    }
    match second % 3 {
        0 => world.cancel(0, &format!("cancel-{second}"), open, sent[0]).await,
        1 => replace(world, 1, second, sent[1], Some(60), None).await,
        _ => replace(world, 2, second, sent[2], None, Some(200_000)).await,
    }
    // Refused: off the bounds, another's order, not covered.
    world.order(1, &format!("dear-{second}"), open, (Side::Bid, 10, 300_000), gtg).await;
    world.cancel(3, &format!("stranger-{second}"), open, sent[2]).await;
    let fok = TimeInForce::FillOrKill;
    world.order(2, &format!("all-{second}"), open, (Side::Bid, 90_000, 160_000), fok).await;
}

async fn replace(
    world: &World,
    site: usize,
    second: i64,
    order_id: OrderId,
    wh: Option<i64>,
    micro: Option<i64>,
) {
    let (energy, limit) = (wh.map(Energy::from_wh), micro.map(Price::from_micro_per_kwh));
    let request = Request::Replace { order_id, energy, limit };
    world.send(site, &format!("replace-{second}"), slot(second / SLOT_S + 2), request).await;
}

async fn send_readings(world: &World, second: i64) {
    let boundary = second / SLOT_S;
    let reading = |site: usize, boundary: i64| {
        let wh = boundary * (150 + 10 * i64::try_from(site).unwrap());
        let (import, export) = if site.is_multiple_of(2) { (0, wh) } else { (wh, 0) };
        (site, boundary, 1 + boundary, import, export)
    };
    if second % SLOT_S == 1 {
        let on_time = |site: &usize| (*site, boundary) != (LATE_SITE, LATE_BOUNDARY);
        let list: Vec<_> = (0..SITES).filter(on_time).map(|site| reading(site, boundary)).collect();
        world.read_all(&list).await;
    }
    if second == LATE_AT_S {
        world.read_all(&[reading(LATE_SITE, LATE_BOUNDARY)]).await;
    }
}

/// Turns the market until nothing is left to do at this instant; a new one after each death.
async fn turn(world: &World, market: &mut CommunityMarket, dies: Dies, deaths: &mut Vec<&'static str>) {
    loop {
        match market.tick().await {
            Ok(outcome) if outcome.goes_on() => {}
            Ok(_) => return,
            Err(error) => {
                let Blown(step) = error.downcast().expect("only the fuse ends a tick");
                deaths.push(step);
                *market = with_fuse(world, dies);
            }
        }
    }
}

/// Without the autopilot, which looks at the readings anew after a start and so may rightly order otherwise.
fn with_fuse(world: &World, dies: Dies) -> CommunityMarket {
    let config = MarketConfig { autopilot: false, ..MarketConfig::default() };
    CommunityMarket::new(world.pool.clone(), world.clock(), world.community.clone(), &config)
        .with_fuse(dies.map_or_else(Fuse::default, Fuse::after))
}

/// Settlement's part: the money of every metered slot moves.
async fn settle(world: &World) {
    let (id, now) = (world.id(), world.manual.now());
    for row in slots::with_status(&world.pool, id, SlotStatus::Metered, 100).await.unwrap() {
        let last = if row.revision == 0 { SlotStatus::Settled } else { SlotStatus::Corrected };
        for (from, to) in [(SlotStatus::Metered, SlotStatus::Priced), (SlotStatus::Priced, last)] {
            assert!(slots::advance(&world.pool, id, row.slot_start, from, to, now).await.unwrap());
        }
    }
}

/// Plays the whole story; returns the books as they were each second, and the steps after which the market died.
async fn play(world: &World, dies: Dies) -> (Vec<String>, Vec<&'static str>) {
    let (mut books, mut deaths) = (vec![], vec![]);
    let mut market = with_fuse(world, dies);
    for second in 0..SLOTS * SLOT_S {
        world.manual.set(at(second));
        turn(world, &mut market, dies, &mut deaths).await;
        send_orders(world, second).await;
        send_readings(world, second).await;
        turn(world, &mut market, dies, &mut deaths).await;
        settle(world).await;
        // Rebuilt from the rows alone.
        let mut runner = world.runner();
        runner.tick().await.unwrap();
        for ahead in 0..4 {
            let resting = runner.resting(slot(second / SLOT_S + ahead)).unwrap_or_default();
            books.extend(
                resting.iter().map(|o| format!("{second} {ahead} {:?} {:?} {:?}", o.side, o.limit, o.open)),
            );
        }
    }
    (books, deaths)
}

/// All that was decided, in names that two communities share.
async fn story(world: &World) -> Vec<String> {
    let mut story = vec![];
    for number in 0..SLOTS + 2 {
        let row = slots::find(&world.pool, world.id(), slot(number)).await.unwrap().unwrap();
        story.push(format!("{number} {:?} {}", row.status, row.revision));
        for c in orders::accepted_of_slot(&world.pool, world.id(), slot(number), 0, 10_000).await.unwrap() {
            story.push(format!("{number} {:?} {} {} {}", c.accepted_seq, c.kind, c.member_id, c.client_id));
        }
        for t in trades::of_slot(&world.pool, world.id(), slot(number)).await.unwrap() {
            let (trade, seq) = (&t.trade, t.accepted_seq);
            story.push(format!(
                "{number} {seq} {} {} {:?} {:?}",
                trade.buyer, trade.seller, trade.energy, trade.price
            ));
        }
        for revision in 0..=row.revision {
            for fill in
                metering::closing_fills(&world.pool, world.id(), slot(number), revision).await.unwrap()
            {
                story.push(format!("{number} closing {revision} {fill:?}"));
            }
        }
    }
    story
}

fn same(broken: &[String], steady: &[String], name: &str) {
    let first = (0..broken.len().max(steady.len())).find(|at| broken.get(*at) != steady.get(*at));
    if let Some(at) = first {
        panic!("{name}: line {at} is {:?}, and {:?} in the steady market", broken.get(at), steady.get(at));
    }
}

/// Every command is decided exactly once, and sequences and trades are numbered without a gap.
async fn nothing_is_lost_or_doubled(world: &World) {
    let (waiting, accepted, last_seq): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE status = 'submitted'), count(*) FILTER (WHERE status = 'accepted'),
             max(accepted_seq) FROM commands WHERE community_id = $1",
    )
    .bind(world.id().as_str())
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!((waiting, accepted), (0, last_seq));
    let (trades, last): (i64, i64) =
        sqlx::query_as("SELECT count(*), max(trade_id) FROM trades WHERE community_id = $1")
            .bind(world.id().as_str())
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert!(trades == last && trades > 50, "{trades} trades, the last is {last}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_market_that_dies_after_each_commit_is_the_market_that_never_died(pool: PgPool) {
    let steady = world(&pool, "steady").await;
    let (books, deaths) = play(&steady, None).await;
    assert!(deaths.is_empty() && books.len() > 100);
    let expected = story(&steady).await;
    assert!(expected.iter().any(|line| line == "1 Corrected 1"), "a late reading corrected slot 1");
    // After each commit, and out of step with what a tick does.
    for (name, dies) in [("each", 1), ("third", 3), ("seventh", 7)] {
        let broken = world(&pool, name).await;
        let (broken_books, deaths) = play(&broken, Some(dies)).await;
        same(&broken_books, &books, name);
        same(&story(&broken).await, &expected, name);
        nothing_is_lost_or_doubled(&broken).await;
        if dies == 1 {
            for step in ["slots opened", "batch decided", "slot closed", "slot metered", "slot metered again"]
            {
                assert!(deaths.contains(&step), "it never died after: {step}");
            }
        }
        for number in 0..SLOTS {
            let replayed = check_slot(&pool, broken.id(), slot(number)).await.unwrap();
            let same = check_slot(&pool, steady.id(), slot(number)).await.unwrap();
            assert_eq!((replayed.commands, replayed.trades), (same.commands, same.trades));
        }
    }
}

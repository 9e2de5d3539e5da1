//! Commands through the runner on a real database: decisions, cover, rebuilding and fencing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::HashMap;

use domain::ids::{ClientId, OrderId};
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use market::runner::{Matched, ReplayError, check_slot};
use store::orders::{self, OrderRow};
use store::slots::SlotStatus;
use store::{PgPool, trades};
use support::{World, at, deposit, member_id, site_id, slot};

const GTG: TimeInForce = TimeInForce::GoodTillGate;
use Side::{Bid, Offer};

async fn opened(pool: PgPool, name: &str, sites: usize) -> World {
    let world = World::new(pool, name, sites).await;
    market::slots::open(&world.pool, &world.community, world.manual.now()).await.unwrap();
    world
}

async fn trades_of(world: &World, number: i64) -> Vec<(i64, i64, i64, i64)> {
    let rows = trades::of_slot(&world.pool, world.id(), slot(number)).await.unwrap();
    let numbers = |t: &trades::TradeRow| {
        (t.trade.bid_id.0, t.trade.offer_id.0, t.trade.energy.wh(), t.trade.price.micro_per_kwh())
    };
    rows.iter().map(numbers).collect()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn orders_trade_at_the_resting_price_and_ticks_without_news_change_nothing(pool: PgPool) {
    let world = opened(pool, "demo", 3).await;
    let mut runner = world.runner();
    let dear = world.order(0, "a", slot(2), (Offer, 300, 200_000), GTG).await;
    let cheap = world.order(1, "b", slot(2), (Offer, 100, 150_000), GTG).await;
    let bid = world.order(2, "c", slot(2), (Bid, 250, 250_000), GTG).await;
    assert_eq!(runner.tick().await.unwrap(), Matched { accepted: 3, refused: 0, trades: 2 });
    let expected = [(bid.0, cheap.0, 100, 150_000), (bid.0, dear.0, 150, 200_000)];
    assert_eq!(trades_of(&world, 2).await, expected);
    assert_eq!(runner.tick().await.unwrap(), Matched::default());
    assert_eq!(trades_of(&world, 2).await, expected);
    // A process that starts over has the same book, and goes on with the next numbers.
    let mut other = world.runner();
    assert_eq!(other.tick().await.unwrap(), Matched::default());
    assert_eq!(other.resting(slot(2)), runner.resting(slot(2)));
    assert_eq!(runner.resting(slot(2)).unwrap().len(), 1);
    world.order(2, "d", slot(2), (Bid, 10, 200_000), GTG).await;
    assert_eq!(other.tick().await.unwrap(), Matched { accepted: 1, refused: 0, trades: 1 });
    let ids = trades::of_slot(&world.pool, world.id(), slot(2)).await.unwrap();
    assert_eq!(
        ids.iter().map(|t| (t.trade_id, t.accepted_seq)).collect::<Vec<_>>(),
        [(1, 3), (2, 3), (3, 4)]
    );
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn every_refusal_names_its_reason(pool: PgPool) {
    let world = opened(pool, "demo", 2).await;
    let mut runner = world.runner();
    let fok = TimeInForce::FillOrKill;
    let order = async |site, client: &str, number, what, tif| {
        world.order(site, client, slot(number), what, tif).await
    };
    let cases = [
        (order(0, "a", -5, (Bid, 1, 90_000), GTG).await, "unknown_slot"),
        (order(0, "b", 4, (Bid, 1, 90_000), GTG).await, "slot_not_open"),
        (order(0, "c", 2, (Bid, 0, 90_000), GTG).await, "not_positive"),
        (order(0, "d", 2, (Bid, -1, 90_000), GTG).await, "not_positive"),
        (order(0, "e", 2, (Bid, 100_001, 90_000), GTG).await, "too_large"),
        (order(0, "f", 2, (Bid, i64::MAX, 90_000), GTG).await, "too_large"),
        (order(0, "g", 2, (Bid, 1, 79_999), GTG).await, "below_feed_in"),
        (order(0, "h", 2, (Offer, 1, 288_001), GTG).await, "above_retail"),
        (order(0, "i", 2, (Bid, 1, 90_000), fok).await, "cannot_fill"),
        (order(0, "j", 0, (Bid, 1, 90_000), GTG).await, "gate_closed"),
    ];
    let stranger = store::views::commands::Request::Submit {
        site_id: site_id(1),
        side: Bid,
        energy: Energy::from_wh(1),
        limit: Price::from_micro_per_kwh(90_000),
        time_in_force: GTG,
    };
    let stranger = world.send(0, "k", slot(2), stranger).await;
    let good = order(1, "l", 2, (Offer, 5, 90_000), GTG).await;
    world.cancel(0, "m", slot(2), good).await;
    world.cancel(1, "n", slot(3), good).await;
    let matched = runner.tick().await.unwrap();
    assert_eq!((matched.accepted, matched.refused), (1, cases.len() + 3));
    for (command, code) in cases {
        assert_eq!(world.decision(command).await, ("refused".to_owned(), Some(code.to_owned())));
    }
    assert_eq!(world.decision(stranger).await.1.as_deref(), Some("not_your_site"));
    // Neither a stranger nor a wrong slot cancelled it.
    assert_eq!(runner.resting(slot(2)).unwrap().len(), 1);
    world.cancel(1, "o", slot(2), good).await;
    assert_eq!(runner.tick().await.unwrap().accepted, 1);
    assert!(runner.resting(slot(2)).unwrap().is_empty());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn bids_never_exceed_the_free_credits(pool: PgPool) {
    let world = opened(pool, "demo", 2).await;
    let mut runner = world.runner();
    // 100 currency units are free; 100 kWh at 0.288 and 0.032 of fees take 32 of them.
    let whole = (Bid, 100_000, 288_000);
    let mut bids = vec![];
    for number in 0..4 {
        bids.push(world.order(0, &format!("a{number}"), slot(2), whole, GTG).await);
    }
    assert_eq!(runner.tick().await.unwrap(), Matched { accepted: 3, refused: 1, trades: 0 });
    assert_eq!(world.decision(bids[3]).await.1.as_deref(), Some("insufficient_credit"));
    // The same holds when the rows, not the batch, say what is used.
    let small = world.order(0, "b", slot(3), (Bid, 20_000, 288_000), GTG).await;
    assert_eq!(runner.tick().await.unwrap().refused, 1);
    assert_eq!(world.decision(small).await.1.as_deref(), Some("insufficient_credit"));
    // Cancelling sets cover free within the batch, and what is bought stays used.
    world.cancel(0, "c", slot(2), bids[2]).await;
    let again = world.order(0, "d", slot(2), whole, GTG).await;
    world.order(1, "e", slot(2), (Offer, 100_000, 80_000), GTG).await;
    world.order(0, "f", slot(3), (Bid, 20_000, 288_000), GTG).await;
    let matched = runner.tick().await.unwrap();
    assert_eq!((matched.accepted, matched.refused, matched.trades), (3, 1, 1));
    assert_eq!(world.decision(again).await.0, "accepted");
    deposit(&world.pool, world.id(), 0, "more", 5_000_000_000).await;
    world.order(0, "g", slot(3), (Bid, 20_000, 288_000), GTG).await;
    assert_eq!(runner.tick().await.unwrap().accepted, 1);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn gate_closure_expires_what_is_open_and_takes_no_more(pool: PgPool) {
    let world = opened(pool, "demo", 2).await;
    let mut runner = world.runner();
    world.order(0, "a", slot(1), (Offer, 5, 90_000), GTG).await;
    world.order(1, "b", slot(2), (Offer, 5, 90_000), GTG).await;
    runner.tick().await.unwrap();
    world.manual.set(at(10));
    let closed = market::slots::close(
        &world.pool,
        &world.community,
        world.manual.now(),
        &market::fuse::Fuse::default(),
    )
    .await
    .unwrap();
    assert_eq!((closed.changed, closed.expired), (2, 1), "slots 0 and 1");
    let again = market::slots::close(
        &world.pool,
        &world.community,
        world.manual.now(),
        &market::fuse::Fuse::default(),
    )
    .await
    .unwrap();
    assert_eq!(again, market::slots::Turned::default());
    let late = world.order(0, "c", slot(1), (Offer, 5, 90_000), GTG).await;
    runner.tick().await.unwrap();
    assert_eq!(world.decision(late).await.1.as_deref(), Some("gate_closed"));
    assert!(runner.resting(slot(1)).is_none());
    assert_eq!(runner.resting(slot(2)).unwrap().len(), 1);
    let open = store::slots::with_status(&world.pool, world.id(), SlotStatus::Open, 10).await.unwrap();
    assert_eq!(open.first().unwrap().slot_start, slot(2));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_process_that_no_longer_leads_cannot_store_and_recovers(pool: PgPool) {
    let world = opened(pool, "demo", 2).await;
    let (mut old, mut new) = (world.runner(), world.runner());
    old.tick().await.unwrap();
    new.tick().await.unwrap();
    world.order(0, "a", slot(2), (Offer, 5, 90_000), GTG).await;
    assert_eq!(new.tick().await.unwrap().accepted, 1);
    // The old one has not seen that command; its books and its sequence are behind.
    world.order(1, "b", slot(2), (Bid, 5, 90_000), GTG).await;
    assert!(old.tick().await.is_err());
    assert!(trades_of(&world, 2).await.is_empty(), "nothing of the failed batch is stored");
    assert_eq!(old.tick().await.unwrap(), Matched { accepted: 1, refused: 0, trades: 1 });
}

/// What became of every order, by the client's own names, so that two communities can be compared.
async fn story(world: &World, commands: usize) -> Vec<String> {
    let mut names = HashMap::new();
    let mut story = vec![];
    let rows = orders::accepted_of_slot(&world.pool, world.id(), slot(2), 0, 100_000).await.unwrap();
    for row in &rows {
        names.insert(row.command_id, row.client_id.clone());
        story.push(format!("{:?} {} {}", row.accepted_seq, row.kind, row.client_id));
    }
    assert!(rows.len() > commands / 3, "the test is about accepted commands");
    for t in trades::of_slot(&world.pool, world.id(), slot(2)).await.unwrap() {
        let (bid, offer) = (&names[&t.trade.bid_id.0], &names[&t.trade.offer_id.0]);
        let (wh, micro) = (t.trade.energy.wh(), t.trade.price.micro_per_kwh());
        story.push(format!("{} {} {bid} {offer} {wh} {micro}", t.trade_id, t.accepted_seq));
    }
    story
}

/// Sends the same pseudo-random commands to a community, deciding after each `batch` of them with
/// `ticks`, and tells what became of them.
async fn play(world: &World, fresh_runner: bool) -> Vec<String> {
    let mut runner = world.runner();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i64::try_from(state % below).unwrap()
    };
    let mut placed: Vec<(usize, OrderId)> = vec![];
    const COMMANDS: usize = 240;
    for number in 0..COMMANDS {
        let (site, client) = (usize::try_from(random(4)).unwrap(), format!("c{number}"));
        let side = if random(2) == 0 { Bid } else { Offer };
        let (wh, micro) = (1 + random(900), 100_000 + 1_000 * random(40));
        let old = placed.get(usize::try_from(random(1 + placed.len() as u64)).unwrap()).copied();
        match (random(6), old) {
            (0, Some((site, order))) => world.cancel(site, &client, slot(2), order).await,
            (1, Some((site, order))) => {
                let command = orders::NewCommand {
                    member_id: member_id(site),
                    client_id: ClientId::new(&client).unwrap(),
                    slot_start: slot(2),
                    replaces: Some(order),
                    site_id: site_id(site),
                    side,
                    energy: Energy::from_wh(wh),
                    limit: Price::from_micro_per_kwh(micro),
                    reason: String::new(),
                };
                let now = world.manual.now();
                orders::insert_commands(&world.pool, world.id(), &[command], now).await.unwrap();
            }
            (kind, _) => {
                let tif = if kind == 2 { TimeInForce::ImmediateOrCancel } else { GTG };
                placed.push((site, world.order(site, &client, slot(2), (side, wh, micro), tif).await));
            }
        }
        if number % 16 == 15 {
            if fresh_runner {
                runner = world.runner();
            }
            runner.tick().await.unwrap();
        }
    }
    story(world, COMMANDS).await
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn starting_over_before_each_batch_gives_the_same_trades(pool: PgPool) {
    let steady = opened(pool.clone(), "steady", 4).await;
    let broken = opened(pool, "broken", 4).await;
    assert_eq!(play(&steady, false).await, play(&broken, true).await);
    // The rows of the orders agree with the book that is rebuilt from the commands.
    let mut runner = broken.runner();
    runner.tick().await.unwrap();
    let mut book: Vec<_> = runner
        .resting(slot(2))
        .unwrap()
        .iter()
        .map(|resting| (resting.order_id, resting.limit, resting.open, resting.traded))
        .collect();
    book.sort_unstable();
    let rows: Vec<_> = orders::open_of_slot(&broken.pool, broken.id(), slot(2))
        .await
        .unwrap()
        .iter()
        .map(|row: &OrderRow| {
            let traded = row.order.energy.checked_sub(row.remaining).unwrap();
            (row.order.order_id, row.order.limit, row.remaining, traded)
        })
        .collect();
    assert!(!rows.is_empty());
    assert_eq!(rows, book);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_slot_replays_to_its_stored_trades_and_a_forged_one_is_found(pool: PgPool) {
    let world = opened(pool, "demo", 4).await;
    play(&world, false).await;
    let (pool, id) = (&world.pool, world.id());
    let replayed = check_slot(pool, id, slot(2)).await.unwrap();
    let stored = trades_of(&world, 2).await;
    assert_eq!((replayed.trades, replayed.records.lines().count()), (stored.len(), stored.len()));
    assert!(replayed.trades > 20 && replayed.commands > replayed.trades);
    assert_eq!(check_slot(pool, id, slot(3)).await.unwrap().trades, 0);
    // Long after its gate has closed, and whatever became of the slot, it replays the same.
    world.manual.set(at(500));
    market::slots::close(pool, &world.community, world.manual.now(), &market::fuse::Fuse::default())
        .await
        .unwrap();
    assert_eq!(check_slot(pool, id, slot(2)).await.unwrap(), replayed);
    sqlx::query("UPDATE trades SET price_micro_per_kwh = price_micro_per_kwh + 1 WHERE trade_id = 7")
        .execute(pool)
        .await
        .unwrap();
    let forged = check_slot(pool, id, slot(2)).await.unwrap_err();
    assert!(matches!(forged, ReplayError::Differs { number: 7, .. }), "{forged}");
    sqlx::query("DELETE FROM trades WHERE trade_id = 7").execute(pool).await.unwrap();
    assert!(matches!(check_slot(pool, id, slot(2)).await, Err(ReplayError::Differs { number: 7, .. })));
    assert!(matches!(check_slot(pool, id, slot(-9)).await, Err(ReplayError::UnknownSlot { .. })));
    let stranger = domain::ids::CommunityId::new("other").unwrap();
    assert!(matches!(check_slot(pool, &stranger, slot(2)).await, Err(ReplayError::UnknownCommunity(_))));
}

//! Commands a second of one book on one thread, self-trade check and events on, beside other books on the
//! same stream.

use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::order::Side;
use lobster::OrderType;
use market::book::{Book, BookOrder};
use orderbook_rs::{Id, TimeInForce};

use crate::Figure;
use crate::stream::{Command, Shape, Stream, make};

const COMMANDS: usize = 1_000_000;
const RUNS: usize = 7;
/// Others use the machine too. Every run does the same, so the least that any run took for each small part
/// of the stream, summed, is what the code takes.
const PART: usize = 5_000;

/// Runs a stream through a book of its own and tells how long each part of the commands took.
type Run = fn(&Stream) -> Vec<Duration>;

pub(crate) fn print() {
    // Prices in hundredths of a cent: a thousand levels a side, some ten orders each.
    let usual = make(Shape { levels: 1_000, step_micro: 100, resting: 20_000 }, COMMANDS);
    // A hundred thousand levels, each micro-currency one of its own, and an order in each.
    let deep = make(Shape { levels: 50_000, step_micro: 1, resting: 100_000 }, COMMANDS);
    for (name, stream) in [("book_usual", &usual), ("book_deep", &deep)] {
        let value = rate(stream, ours);
        let peers: [(&'static str, Run); 2] = [("lobster 0.7", lobster), ("orderbook-rs 0.15", orderbook_rs)];
        for (peer, run) in peers {
            let ratio = value / rate(stream, run);
            Figure::new(name, value, "commands/s").beside(peer, ratio).print();
        }
    }
}

/// Commands a second.
fn rate(stream: &Stream, run: Run) -> f64 {
    let mut least = run(stream);
    for _ in 1..RUNS {
        for (least, took) in least.iter_mut().zip(run(stream)) {
            *least = took.min(*least);
        }
    }
    1e6 / least.iter().sum::<Duration>().as_secs_f64()
}

fn timed<T>(commands: &[T], mut apply: impl FnMut(&T)) -> Vec<Duration> {
    let part = |part: &[T]| {
        let started = Instant::now();
        part.iter().for_each(&mut apply);
        started.elapsed()
    };
    commands.chunks(PART).map(part).collect()
}

fn ours(stream: &Stream) -> Vec<Duration> {
    let (mut book, mut events) = (Book::new(), Vec::new());
    for order in &stream.resting {
        book.submit(order, &mut events).unwrap();
    }
    timed(&stream.commands, |command| {
        events.clear();
        // Every command of the stream is one that a book accepts.
        match command {
            Command::Submit(order) => book.submit(order, &mut events).unwrap(),
            Command::Cancel(id, owner) => book.cancel(*id, *owner, &mut events).unwrap(),
        }
        black_box(&events);
    })
}

fn lobster(stream: &Stream) -> Vec<Duration> {
    let limit = |order: &BookOrder| OrderType::Limit {
        id: order.order_id.0.cast_unsigned().into(),
        side: if order.side == Side::Bid { lobster::Side::Bid } else { lobster::Side::Ask },
        qty: order.energy.wh().cast_unsigned(),
        price: order.limit.micro_per_kwh().cast_unsigned(),
    };
    let mut book = lobster::OrderBook::new(COMMANDS, 10, false);
    for order in &stream.resting {
        black_box(book.execute(limit(order)));
    }
    let order = |command: &Command| match command {
        Command::Submit(order) => limit(order),
        Command::Cancel(id, _) => OrderType::Cancel { id: id.0.cast_unsigned().into() },
    };
    let orders: Vec<_> = stream.commands.iter().map(order).collect();
    timed(&orders, |order| drop(black_box(book.execute(*order))))
}

fn orderbook_rs(stream: &Stream) -> Vec<Duration> {
    let book = orderbook_rs::OrderBook::<()>::new("slot");
    let submit = |order: &BookOrder| {
        let side = if order.side == Side::Bid { orderbook_rs::Side::Buy } else { orderbook_rs::Side::Sell };
        let price = order.limit.micro_per_kwh().cast_unsigned().into();
        let (id, qty) = (order.order_id.0.cast_unsigned(), order.energy.wh().cast_unsigned());
        let placed = book.add_limit_order(Id::from_u64(id), price, qty, side, TimeInForce::Gtc, None);
        drop(black_box(placed));
    };
    stream.resting.iter().for_each(submit);
    timed(&stream.commands, |command| match command {
        Command::Submit(order) => submit(order),
        Command::Cancel(id, _) => {
            drop(black_box(book.cancel_order(Id::from_u64(id.0.cast_unsigned()))));
        }
    })
}

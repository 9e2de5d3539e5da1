//! Streams of commands for order books: 45 % passive orders, 45 % cancellations of orders that rest,
//! 10 % orders that cross.
//!
//! Bids rest below the middle and offers above it. A crossing order accepts every price of the other
//! side and is a tenth of a resting order's size on average, so that the book neither fills nor dries up.

use domain::ids::OrderId;
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use market::book::{Book, BookOrder, EndReason, Event, Owner};

use crate::random::Random;

/// The middle of the tariffs, in micro-currency per kWh.
const MIDDLE: i64 = 184_000;
const MEMBERS: i64 = 1_000;

/// A command of the stream.
#[derive(Clone, Copy)]
pub(crate) enum Command {
    Submit(BookOrder),
    Cancel(OrderId, Owner),
}

/// Orders that rest before the clock starts, and the commands that are timed.
pub(crate) struct Stream {
    pub(crate) resting: Vec<BookOrder>,
    pub(crate) commands: Vec<Command>,
}

/// How a book looks: how many levels a side, how far they are apart, how many orders rest at first.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) levels: i64,
    pub(crate) step_micro: i64,
    pub(crate) resting: i64,
}

/// The orders of a stream that still rest, for picking one at random.
#[derive(Default)]
struct Live {
    orders: Vec<(OrderId, Owner)>,
    places: Vec<usize>,
}

impl Live {
    fn add(&mut self, order: &BookOrder) {
        let id = usize::try_from(order.order_id.0).unwrap();
        if self.places.len() <= id {
            self.places.resize(id + 1, usize::MAX);
        }
        self.places[id] = self.orders.len();
        self.orders.push((order.order_id, order.owner));
    }

    fn remove(&mut self, id: OrderId) {
        let place = self.places[usize::try_from(id.0).unwrap()];
        self.orders.swap_remove(place);
        if let Some((moved, _)) = self.orders.get(place) {
            self.places[usize::try_from(moved.0).unwrap()] = place;
        }
    }
}

pub(crate) fn make(shape: Shape, commands: usize) -> Stream {
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    let (mut book, mut live, mut events) = (Book::new(), Live::default(), vec![]);
    let mut number = 0;
    let mut stream = Stream { resting: vec![], commands: Vec::with_capacity(commands) };
    for place in 0..shape.resting {
        let order = passive(&mut random, &mut number, shape, Some(place / 2 % shape.levels));
        book.submit(&order, &mut events).unwrap();
        live.add(&order);
        stream.resting.push(order);
    }
    while stream.commands.len() < commands {
        events.clear();
        let command = match random.between(0, 99) {
            0..45 => {
                let order = passive(&mut random, &mut number, shape, None);
                live.add(&order);
                Command::Submit(order)
            }
            45..90 => {
                let last = i64::try_from(live.orders.len()).unwrap() - 1;
                let (id, owner) = live.orders[usize::try_from(random.between(0, last)).unwrap()];
                live.remove(id);
                Command::Cancel(id, owner)
            }
            _ => Command::Submit(crossing(&mut random, &mut number, shape)),
        };
        match &command {
            Command::Submit(order) => book.submit(order, &mut events).unwrap(),
            Command::Cancel(id, owner) => book.cancel(*id, *owner, &mut events).unwrap(),
        }
        for event in &events[..events.len() - 1] {
            if let Event::Ended { order_id, reason: EndReason::Filled, .. } = event {
                live.remove(*order_id);
            }
        }
        stream.commands.push(command);
    }
    stream
}

fn passive(random: &mut Random, number: &mut i64, shape: Shape, level: Option<i64>) -> BookOrder {
    let level = level.unwrap_or_else(|| random.between(0, shape.levels - 1));
    let away = (1 + level) * shape.step_micro;
    let side = side(*number);
    let limit = if side == Side::Bid { MIDDLE - away } else { MIDDLE + away };
    order(random, number, side, limit, 1_000)
}

fn crossing(random: &mut Random, number: &mut i64, shape: Shape) -> BookOrder {
    let reach = shape.levels * shape.step_micro;
    let side = side(random.between(0, 1));
    let limit = if side == Side::Bid { MIDDLE + reach } else { MIDDLE - reach };
    order(random, number, side, limit, 100)
}

fn side(number: i64) -> Side {
    if number % 2 == 0 { Side::Bid } else { Side::Offer }
}

fn order(random: &mut Random, number: &mut i64, side: Side, limit: i64, max_wh: i64) -> BookOrder {
    *number += 1;
    BookOrder {
        order_id: OrderId(*number),
        owner: Owner(u32::try_from(random.between(0, MEMBERS - 1)).unwrap()),
        side,
        energy: Energy::from_wh(random.between(1, max_wh)),
        limit: Price::from_micro_per_kwh(limit),
        time_in_force: TimeInForce::GoodTillGate,
    }
}

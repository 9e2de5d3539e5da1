//! Bytes as commands for a book, and a slower book of another make that must agree on every event.
//!
//! Shared by the test of a million commands and by the fuzz target.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};

use domain::ids::OrderId;
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use market::book::{Book, BookError, BookOrder, EndReason, Event, MAX_ORDER_ENERGY, Owner, Resting};

/// How many bytes make a command.
pub const BYTES_A_COMMAND: usize = 8;

/// How a run went, so that a test can see that it was not about nothing.
#[derive(Debug, Default)]
pub struct Tally {
    pub commands: usize,
    pub refused: usize,
    pub trades: usize,
    pub self_trades: usize,
    pub replaced: usize,
    pub most_resting: usize,
}

/// Gives the commands to both books, compares every event, and looks into the fast one every so often.
pub fn run(bytes: &[u8], check_every: usize) -> Tally {
    let (mut book, mut reference) = (Book::new(), Reference::default());
    let (mut tally, mut events) = (Tally::default(), vec![]);
    for (number, bytes) in (1_i64..).zip(bytes.chunks_exact(BYTES_A_COMMAND)) {
        events.clear();
        let result = apply(&mut book, &mut reference, number, bytes, &mut events, &mut tally);
        tally.commands += 1;
        tally.refused += usize::from(!result);
        for event in &events {
            match event {
                Event::Traded { .. } => tally.trades += 1,
                Event::Ended { reason: EndReason::SelfTrade, .. } => tally.self_trades += 1,
                _ => {}
            }
        }
        tally.most_resting = tally.most_resting.max(book.len());
        if tally.commands % check_every == 0 {
            assert_eq!(book.check(), Ok(()));
            assert_eq!(book.resting(), reference.all());
        }
    }
    assert_eq!(book.check(), Ok(()));
    assert_eq!(book.resting(), reference.all());
    tally
}

fn apply(
    book: &mut Book,
    reference: &mut Reference,
    number: i64,
    bytes: &[u8],
    events: &mut Vec<Event>,
    tally: &mut Tally,
) -> bool {
    let [kind, who, price, wh, back, ..] = *bytes else { return false };
    let owner = Owner(u32::from(who % 5));
    let limit = Price::from_micro_per_kwh(limit(price));
    let energy = Energy::from_wh(energy(wh));
    let id = OrderId((number - 1 - i64::from(back)).max(0));
    let (fast, slow) = match kind % 16 {
        0..=8 => {
            let order_id = if kind % 16 == 8 && back < 4 { id } else { OrderId(number) };
            let side = if who & 0x80 == 0 { Side::Bid } else { Side::Offer };
            let time_in_force = match kind / 16 {
                0 => TimeInForce::ImmediateOrCancel,
                1 => TimeInForce::FillOrKill,
                _ => TimeInForce::GoodTillGate,
            };
            let order = BookOrder { order_id, owner, side, energy, limit, time_in_force };
            (book.submit(&order, events), reference.submit(&order))
        }
        9..=12 => (book.cancel(id, owner, events), reference.cancel(id, owner)),
        _ => {
            tally.replaced += 1;
            (book.replace(id, owner, energy, limit, events), reference.replace(id, owner, energy, limit))
        }
    };
    let accepted = fast.is_ok();
    assert_eq!(fast.map(|()| events.as_slice()), slow.as_deref().map_err(|error| *error), "command {number}");
    accepted
}

/// Mostly prices close together, sometimes any.
fn limit(byte: u8) -> i64 {
    match byte {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => 0,
        3 => -1,
        4..32 => 80_000 + i64::from(byte) * 7_919,
        _ => 184_000 + i64::from(byte % 24),
    }
}

fn energy(byte: u8) -> i64 {
    match byte {
        0 => 0,
        1 => -1,
        2 => i64::MIN,
        3 => i64::MAX,
        4 => MAX_ORDER_ENERGY.wh(),
        5 => MAX_ORDER_ENERGY.wh() + 1,
        _ => i64::from(byte),
    }
}

/// All resting orders in one sorted map a side: by limit, then by arrival.
#[derive(Default)]
struct Reference {
    bids: BTreeMap<(i128, u64), Resting>,
    offers: BTreeMap<(i128, u64), Resting>,
    places: HashMap<OrderId, (Side, (i128, u64))>,
    arrivals: u64,
}

impl Reference {
    fn side(&mut self, side: Side) -> &mut BTreeMap<(i128, u64), Resting> {
        if side == Side::Bid { &mut self.bids } else { &mut self.offers }
    }

    /// Smaller is better, on both sides.
    fn rank(side: Side, limit: Price) -> i128 {
        let micro = i128::from(limit.micro_per_kwh());
        if side == Side::Bid { -micro } else { micro }
    }

    /// What an order would meet, best first.
    fn crossing(&mut self, order: &BookOrder) -> Vec<((i128, u64), Resting)> {
        let worst = Self::rank(order.side.opposite(), order.limit);
        let mut open_wh = order.energy.wh();
        let mut met = vec![];
        for (place, resting) in self.side(order.side.opposite()).range(..=(worst, u64::MAX)) {
            if open_wh <= 0 {
                break;
            }
            open_wh -= resting.open.wh();
            met.push((*place, *resting));
        }
        met
    }

    fn submit(&mut self, order: &BookOrder) -> Result<Vec<Event>, BookError> {
        check(order.energy)?;
        if self.places.contains_key(&order.order_id) {
            return Err(BookError::Duplicate);
        }
        if order.time_in_force == TimeInForce::FillOrKill {
            let met = self.crossing(order);
            let others = met.iter().take_while(|(_, resting)| resting.owner != order.owner);
            if others.map(|(_, resting)| resting.open.wh()).sum::<i64>() < order.energy.wh() {
                return Err(BookError::CannotFill);
            }
        }
        Ok(self.place(order, 0))
    }

    fn place(&mut self, order: &BookOrder, traded_before: i64) -> Vec<Event> {
        let mut events = vec![];
        let (mut open_wh, mut own_wh) = (order.energy.wh(), 0);
        for (place, mut resting) in self.crossing(order) {
            let wh = open_wh.min(resting.open.wh());
            open_wh -= wh;
            if resting.owner == order.owner {
                own_wh += wh;
                continue;
            }
            resting.open = Energy::from_wh(resting.open.wh() - wh);
            resting.traded = Energy::from_wh(resting.traded.wh() + wh);
            let (incoming, id) = (order.order_id, resting.order_id);
            let (energy, price) = (Energy::from_wh(wh), resting.limit);
            events.push(Event::Traded { incoming, resting: id, incoming_side: order.side, energy, price });
            if resting.open.is_zero() {
                self.side(order.side.opposite()).remove(&place);
                self.places.remove(&id);
                events.push(Event::Ended { order_id: id, reason: EndReason::Filled, untraded: resting.open });
            } else {
                self.side(order.side.opposite()).insert(place, resting);
            }
        }
        let untraded = Energy::from_wh(open_wh + own_wh);
        let order_id = order.order_id;
        let waits = order.time_in_force == TimeInForce::GoodTillGate;
        events.push(match (own_wh, open_wh) {
            (1.., _) => Event::Ended { order_id, reason: EndReason::SelfTrade, untraded },
            (_, 0) => Event::Ended { order_id, reason: EndReason::Filled, untraded },
            _ if waits => {
                let traded = Energy::from_wh(traded_before + order.energy.wh() - open_wh);
                let BookOrder { owner, side, limit, .. } = *order;
                self.insert(Resting { order_id, owner, side, limit, open: untraded, traded });
                Event::Rested { order_id, open: untraded }
            }
            _ => Event::Ended { order_id, reason: EndReason::ImmediateOrCancel, untraded },
        });
        events
    }

    fn insert(&mut self, resting: Resting) {
        self.arrivals += 1;
        let place = (Self::rank(resting.side, resting.limit), self.arrivals);
        self.places.insert(resting.order_id, (resting.side, place));
        self.side(resting.side).insert(place, resting);
    }

    fn find(&mut self, id: OrderId, owner: Owner) -> Result<(Side, (i128, u64), Resting), BookError> {
        let (side, place) = *self.places.get(&id).ok_or(BookError::UnknownOrder)?;
        let resting = self.side(side)[&place];
        if resting.owner == owner { Ok((side, place, resting)) } else { Err(BookError::UnknownOrder) }
    }

    fn take_out(&mut self, id: OrderId, side: Side, place: (i128, u64)) {
        self.places.remove(&id);
        self.side(side).remove(&place);
    }

    fn cancel(&mut self, id: OrderId, owner: Owner) -> Result<Vec<Event>, BookError> {
        let (side, place, resting) = self.find(id, owner)?;
        self.take_out(id, side, place);
        Ok(vec![Event::Ended { order_id: id, reason: EndReason::Member, untraded: resting.open }])
    }

    fn replace(
        &mut self,
        id: OrderId,
        owner: Owner,
        energy: Energy,
        limit: Price,
    ) -> Result<Vec<Event>, BookError> {
        check(energy)?;
        let (side, place, mut resting) = self.find(id, owner)?;
        let open = Energy::from_wh(energy.wh() - resting.traded.wh());
        if open.is_positive() && limit == resting.limit && open < resting.open {
            resting.open = open;
            self.side(side).insert(place, resting);
            return Ok(vec![Event::Reduced { order_id: id, open }]);
        }
        self.take_out(id, side, place);
        if !open.is_positive() {
            let (reason, untraded) = (EndReason::Filled, Energy::ZERO);
            return Ok(vec![Event::Ended { order_id: id, reason, untraded }]);
        }
        let time_in_force = TimeInForce::GoodTillGate;
        let order = BookOrder { order_id: id, owner, side, energy: open, limit, time_in_force };
        Ok(self.place(&order, resting.traded.wh()))
    }

    fn all(&self) -> Vec<Resting> {
        self.bids.values().chain(self.offers.values()).copied().collect()
    }
}

fn check(energy: Energy) -> Result<(), BookError> {
    match energy.wh() {
        ..=0 => Err(BookError::NotPositive),
        wh if wh > MAX_ORDER_ENERGY.wh() => Err(BookError::TooLarge),
        _ => Ok(()),
    }
}

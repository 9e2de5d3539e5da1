//! The book against a naive one that keeps its orders in a sorted list, over random commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use domain::ids::OrderId;
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use market::book::{Book, BookError, BookOrder, EndReason, Event, Owner, Resting};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Command {
    Submit { owner: u32, side: Side, wh: i64, micro: i64, tif: TimeInForce },
    Cancel { order: i64, owner: u32 },
    Replace { order: i64, owner: u32, wh: i64, micro: i64 },
}

fn command() -> impl Strategy<Value = Command> {
    let side = prop_oneof![Just(Side::Bid), Just(Side::Offer)];
    let tif = prop_oneof![
        6 => Just(TimeInForce::GoodTillGate),
        1 => Just(TimeInForce::ImmediateOrCancel),
        1 => Just(TimeInForce::FillOrKill),
    ];
    prop_oneof![
        6 => (0..4_u32, side, -1..40_i64, 95..105_i64, tif)
            .prop_map(|(owner, side, wh, micro, tif)| Command::Submit { owner, side, wh, micro, tif }),
        2 => (0..60_i64, 0..4_u32).prop_map(|(order, owner)| Command::Cancel { order, owner }),
        2 => (0..60_i64, 0..4_u32, 0..40_i64, 95..105_i64)
            .prop_map(|(order, owner, wh, micro)| Command::Replace { order, owner, wh, micro }),
    ]
}

/// Resting orders in the order of their arrival; the best is searched for each time.
#[derive(Debug, Clone, Default)]
struct Naive {
    resting: Vec<Resting>,
}

impl Naive {
    fn sorted(&self, side: Side) -> Vec<Resting> {
        let mut orders: Vec<_> = self.resting.iter().filter(|o| o.side == side).copied().collect();
        orders.sort_by_key(|o| {
            if side == Side::Bid { -o.limit.micro_per_kwh() } else { o.limit.micro_per_kwh() }
        });
        orders
    }

    fn crossing(&self, order: &BookOrder) -> Vec<Resting> {
        let accepts = |o: &Resting| match order.side {
            Side::Bid => o.limit <= order.limit,
            Side::Offer => o.limit >= order.limit,
        };
        self.sorted(order.side.opposite()).into_iter().filter(accepts).collect()
    }

    fn submit(&mut self, order: &BookOrder) -> Result<Vec<Event>, BookError> {
        if order.energy.wh() <= 0 {
            return Err(BookError::NotPositive);
        }
        if order.time_in_force == TimeInForce::FillOrKill {
            let mut others = self.crossing(order).into_iter().take_while(|o| o.owner != order.owner);
            let mut wh = 0;
            while wh < order.energy.wh() {
                wh += others.next().ok_or(BookError::CannotFill)?.open.wh();
            }
        }
        Ok(self.place(order, 0))
    }

    fn place(&mut self, order: &BookOrder, traded_before: i64) -> Vec<Event> {
        let mut events = vec![];
        let (mut open, mut own) = (order.energy.wh(), 0);
        for best in self.crossing(order) {
            let wh = open.min(best.open.wh());
            if wh == 0 {
                break;
            }
            open -= wh;
            if best.owner == order.owner {
                own += wh;
                continue;
            }
            let index = self.resting.iter().position(|o| o.order_id == best.order_id).unwrap();
            let resting = &mut self.resting[index];
            resting.open = Energy::from_wh(resting.open.wh() - wh);
            resting.traded = Energy::from_wh(resting.traded.wh() + wh);
            let (id, left) = (resting.order_id, resting.open);
            events.push(Event::Traded {
                incoming: order.order_id,
                resting: id,
                incoming_side: order.side,
                energy: Energy::from_wh(wh),
                price: best.limit,
            });
            if left.is_zero() {
                self.resting.remove(index);
                events.push(Event::Ended { order_id: id, reason: EndReason::Filled, untraded: left });
            }
        }
        let untraded = Energy::from_wh(open + own);
        let waits = order.time_in_force == TimeInForce::GoodTillGate;
        let reason = match (own, open) {
            (1.., _) => EndReason::SelfTrade,
            (_, 0) => EndReason::Filled,
            _ if waits => {
                let traded = Energy::from_wh(traded_before + order.energy.wh() - open);
                let BookOrder { order_id, owner, side, limit, .. } = *order;
                self.resting.push(Resting { order_id, owner, side, limit, open: untraded, traded });
                events.push(Event::Rested { order_id, open: untraded });
                return events;
            }
            _ => EndReason::ImmediateOrCancel,
        };
        events.push(Event::Ended { order_id: order.order_id, reason, untraded });
        events
    }

    fn take_out(&mut self, id: OrderId, owner: Owner) -> Result<(usize, Resting), BookError> {
        let index = self
            .resting
            .iter()
            .position(|o| o.order_id == id && o.owner == owner)
            .ok_or(BookError::UnknownOrder)?;
        Ok((index, self.resting.remove(index)))
    }

    fn cancel(&mut self, id: OrderId, owner: Owner) -> Result<Vec<Event>, BookError> {
        let (_, order) = self.take_out(id, owner)?;
        Ok(vec![Event::Ended { order_id: id, reason: EndReason::Member, untraded: order.open }])
    }

    fn replace(
        &mut self,
        id: OrderId,
        owner: Owner,
        energy: Energy,
        limit: Price,
    ) -> Result<Vec<Event>, BookError> {
        if energy.wh() <= 0 {
            return Err(BookError::NotPositive);
        }
        let (index, mut order) = self.take_out(id, owner)?;
        let open = energy.wh() - order.traded.wh();
        if open <= 0 {
            let (reason, untraded) = (EndReason::Filled, Energy::ZERO);
            return Ok(vec![Event::Ended { order_id: id, reason, untraded }]);
        }
        if limit == order.limit && open < order.open.wh() {
            order.open = Energy::from_wh(open);
            self.resting.insert(index, order);
            return Ok(vec![Event::Reduced { order_id: id, open: order.open }]);
        }
        let new = BookOrder {
            order_id: id,
            owner,
            side: order.side,
            energy: Energy::from_wh(open),
            limit,
            time_in_force: TimeInForce::GoodTillGate,
        };
        Ok(self.place(&new, order.traded.wh()))
    }

    fn all(&self) -> Vec<Resting> {
        [self.sorted(Side::Bid), self.sorted(Side::Offer)].concat()
    }
}

fn apply(book: &mut Book, naive: &mut Naive, number: i64, command: &Command) -> Vec<Event> {
    let mut events = vec![];
    let (fast, slow) = match *command {
        Command::Submit { owner, side, wh, micro, tif } => {
            let order = BookOrder {
                order_id: OrderId(number),
                owner: Owner(owner),
                side,
                energy: Energy::from_wh(wh),
                limit: Price::from_micro_per_kwh(micro),
                time_in_force: tif,
            };
            (book.submit(&order, &mut events), naive.submit(&order))
        }
        Command::Cancel { order, owner } => {
            let id = OrderId(order);
            (book.cancel(id, Owner(owner), &mut events), naive.cancel(id, Owner(owner)))
        }
        Command::Replace { order, owner, wh, micro } => {
            let (id, owner) = (OrderId(order), Owner(owner));
            let (energy, limit) = (Energy::from_wh(wh), Price::from_micro_per_kwh(micro));
            (book.replace(id, owner, energy, limit, &mut events), naive.replace(id, owner, energy, limit))
        }
    };
    assert_eq!(fast.map(|()| events.clone()), slow, "{command:?}");
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_a_naive_book_and_stays_whole(commands in prop::collection::vec(command(), 1..120)) {
        let (mut book, mut naive) = (Book::new(), Naive::default());
        for (number, command) in (0..).zip(&commands) {
            apply(&mut book, &mut naive, number, command);
            prop_assert_eq!(book.check(), Ok(()));
            prop_assert_eq!(book.resting(), naive.all());
        }
    }

    #[test]
    fn every_watt_hour_is_traded_once_on_each_side_rests_or_ended(
        commands in prop::collection::vec(command(), 1..120)
    ) {
        let (mut book, mut naive) = (Book::new(), Naive::default());
        let mut asked = std::collections::HashMap::new();
        let mut used = std::collections::HashMap::<OrderId, i64>::new();
        for (number, command) in (0..).zip(&commands) {
            let events = apply(&mut book, &mut naive, number, command);
            match *command {
                _ if events.is_empty() => {}
                Command::Submit { wh, .. } => drop(asked.insert(OrderId(number), wh)),
                Command::Replace { order, wh, .. } => {
                    let id = OrderId(order);
                    let traded = used.get(&id).copied().unwrap_or_default();
                    asked.insert(id, wh.max(traded));
                }
                Command::Cancel { .. } => {}
            }
            for event in events {
                match event {
                    Event::Traded { incoming, resting, energy, .. } => {
                        *used.entry(incoming).or_default() += energy.wh();
                        *used.entry(resting).or_default() += energy.wh();
                    }
                    Event::Ended { order_id, untraded, .. } => {
                        *used.entry(order_id).or_default() += untraded.wh();
                    }
                    Event::Rested { .. } | Event::Reduced { .. } => {}
                }
            }
        }
        for resting in book.resting() {
            *used.entry(resting.order_id).or_default() += resting.open.wh();
        }
        for (id, wh) in asked {
            prop_assert_eq!(used.get(&id).copied().unwrap_or_default(), wh, "order {}", id);
        }
    }
}

//! One side of a book: its price levels, best first, each a queue in order of arrival.

use domain::order::Side;
use domain::units::Price;

use super::levels::{Level, Levels};
use super::orders::{NIL, Orders};

/// A level's place: smaller is better, for bids (highest price first) and offers (lowest first) alike.
///
/// The complement reverses the order of all 64-bit integers, which the negative does not.
pub(super) const fn key(side: Side, limit: Price) -> i64 {
    match side {
        Side::Bid => !limit.micro_per_kwh(),
        Side::Offer => limit.micro_per_kwh(),
    }
}

/// The levels of one side that hold an order.
#[derive(Debug, Clone, Default)]
pub(super) struct Ladder {
    levels: Levels,
    /// The best level and its first order, which every order of the other side asks for.
    best: Option<(i64, u32)>,
}

impl Ladder {
    /// The order that trades first.
    pub(super) fn first(&self) -> Option<u32> {
        self.best.map(|(_, head)| head)
    }

    /// The order that trades first, if its level is at `bound` or better.
    pub(super) fn first_within(&self, bound: i64) -> Option<u32> {
        self.best.filter(|(key, _)| *key <= bound).map(|(_, head)| head)
    }

    /// The first order of the level behind `key`, if that is at `bound` or better.
    pub(super) fn first_after(&self, key: i64, bound: i64) -> Option<u32> {
        if key >= bound {
            return None;
        }
        self.levels.after(key).filter(|(key, _)| *key <= bound).map(|(_, level)| level.head)
    }

    /// Puts the order at `at` last in its level.
    pub(super) fn push(&mut self, key: i64, at: u32, orders: &mut Orders) {
        let (level, new) = self.levels.entry(key, at);
        if !new {
            orders.node_mut(level.tail).next = at;
            orders.node_mut(at).previous = level.tail;
        }
        level.tail = at;
        if new && self.best.is_none_or(|(best, _)| key < best) {
            self.best = Some((key, at));
        }
    }

    /// Takes the order at `at` out of its level.
    pub(super) fn unlink(&mut self, key: i64, at: u32, orders: &mut Orders) {
        let (previous, next) = (orders.node(at).previous, orders.node(at).next);
        if previous != NIL {
            orders.node_mut(previous).next = next;
        }
        if next != NIL {
            orders.node_mut(next).previous = previous;
        }
        if previous != NIL && next != NIL {
            return;
        }
        let is_best = self.best.is_some_and(|(best, _)| best == key);
        if previous == NIL && next == NIL {
            self.levels.remove(key);
            if is_best {
                self.best = self.levels.first().map(|(key, level)| (key, level.head));
            }
        } else if let Some(level) = self.levels.get_mut(key) {
            if previous == NIL {
                level.head = next;
                if is_best {
                    self.best = Some((key, next));
                }
            } else {
                level.tail = previous;
            }
        }
    }

    /// All levels, best first.
    pub(super) fn levels(&self) -> impl Iterator<Item = (i64, Level)> + '_ {
        std::iter::successors(self.levels.first(), |(key, _)| self.levels.after(*key))
    }

    /// Whether the best level that is remembered is the first one there is.
    pub(super) fn remembers_best(&self) -> bool {
        self.best == self.levels.first().map(|(key, level)| (key, level.head))
    }
}

//! One side of a book: its price levels, best first, each a queue in order of arrival.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use domain::order::Side;
use domain::units::Price;

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

/// The queue of one level: its first and last order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) head: u32,
    pub(super) tail: u32,
}

/// The levels of one side that hold an order.
#[derive(Debug, Clone, Default)]
pub(super) struct Ladder {
    levels: BTreeMap<i64, Level>,
}

impl Ladder {
    /// The order that trades first.
    pub(super) fn first(&self) -> Option<u32> {
        self.levels.first_key_value().map(|(_, level)| level.head)
    }

    /// The order that trades first, if its level is at `bound` or better.
    pub(super) fn first_within(&self, bound: i64) -> Option<u32> {
        self.levels.first_key_value().filter(|(key, _)| **key <= bound).map(|(_, level)| level.head)
    }

    /// The first order of the level behind `key`, if that is at `bound` or better.
    pub(super) fn first_after(&self, key: i64, bound: i64) -> Option<u32> {
        if key >= bound {
            return None;
        }
        self.levels.range((Excluded(key), Included(bound))).next().map(|(_, level)| level.head)
    }

    /// Puts the order at `at` last in its level.
    pub(super) fn push(&mut self, key: i64, at: u32, orders: &mut Orders) {
        let level = self.levels.entry(key).or_insert(Level { head: at, tail: NIL });
        if level.tail != NIL {
            orders.node_mut(level.tail).next = at;
            orders.node_mut(at).previous = level.tail;
        }
        level.tail = at;
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
        if previous == NIL && next == NIL {
            self.levels.remove(&key);
        } else if let Some(level) = self.levels.get_mut(&key) {
            if previous == NIL {
                level.head = next;
            } else {
                level.tail = previous;
            }
        }
    }

    /// All levels, best first.
    pub(super) fn levels(&self) -> impl Iterator<Item = (i64, Level)> + '_ {
        self.levels.iter().map(|(key, level)| (*key, *level))
    }
}

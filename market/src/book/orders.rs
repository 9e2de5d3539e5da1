//! The resting orders in one array, found by number, linked into the queues of their levels.

use domain::ids::OrderId;
use domain::order::Side;
use domain::units::{Energy, Price};

use super::event::{BookOrder, Owner, Resting};
use super::places::Places;

/// No order: the end of a queue.
pub(super) const NIL: u32 = u32::MAX;

/// A resting order and its neighbours in the queue of its level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) id: OrderId,
    pub(super) limit: Price,
    pub(super) open_wh: i64,
    pub(super) traded_wh: i64,
    pub(super) owner: Owner,
    pub(super) previous: u32,
    pub(super) next: u32,
    pub(super) side: Side,
}

impl Node {
    pub(super) fn new(order: &BookOrder, open_wh: i64, traded_wh: i64) -> Self {
        Self {
            id: order.order_id,
            limit: order.limit,
            open_wh,
            traded_wh,
            owner: order.owner,
            previous: NIL,
            next: NIL,
            side: order.side,
        }
    }

    pub(super) fn resting(&self) -> Resting {
        Resting {
            order_id: self.id,
            owner: self.owner,
            side: self.side,
            limit: self.limit,
            open: Energy::from_wh(self.open_wh),
            traded: Energy::from_wh(self.traded_wh),
        }
    }
}

/// Orders by place and by number. Places are used again, so the array is as long as the book ever was.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    nodes: Vec<Node>,
    free: Vec<u32>,
    places: Places,
}

impl Orders {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn find(&self, id: OrderId) -> Option<u32> {
        self.places.find(id.0, |at| self.nodes[at as usize].id.0)
    }

    pub(super) fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    pub(super) fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    /// Stores a node; the caller has checked that there is room and that the number is new.
    pub(super) fn insert(&mut self, node: Node) -> u32 {
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                // A book holds at most 2^22 orders, and only a full one makes the array grow.
                let at = u32::try_from(self.nodes.len()).unwrap_or(NIL);
                self.nodes.push(node);
                at
            }
        };
        self.places.insert(node.id.0, at);
        at
    }

    pub(super) fn free(&mut self, at: u32) {
        self.places.remove(self.nodes[at as usize].id.0, at);
        self.free.push(at);
    }

    /// How many places are in use, by two counts that must agree.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.places.len(), self.nodes.len() - self.free.len())
    }
}

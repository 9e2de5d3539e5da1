//! Whether a book's internal state is whole; asked by tests after each command.

use domain::order::Side;

use super::ladder;
use super::orders::NIL;
use super::{Book, Ladder};

/// A book's internal state contradicts itself: a defect of the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the book is broken: {0}")]
pub struct BrokenBook(String);

impl Book {
    /// Checks every queue, every link and every count, and that no bid reaches an offer.
    ///
    /// # Errors
    /// [`BrokenBook`] with the first contradiction found.
    pub fn check(&self) -> Result<(), BrokenBook> {
        let (numbered, stored) = self.orders.counts();
        let queued = self.check_side(Side::Bid, &self.bids)? + self.check_side(Side::Offer, &self.offers)?;
        if numbered != stored || stored != queued {
            return broken(format!("{numbered} orders by number, {stored} stored, {queued} in queues"));
        }
        if let (Some(bid), Some(offer)) = self.best()
            && bid >= offer
        {
            return broken(format!("crossed: best bid {bid:?}, best offer {offer:?}"));
        }
        Ok(())
    }

    fn check_side(&self, side: Side, ladder: &Ladder) -> Result<usize, BrokenBook> {
        if !ladder.remembers_best() {
            return broken(format!("the best level of the {} side is not the first", side.as_str()));
        }
        let mut queued = 0;
        for (key, level) in ladder.levels() {
            let (mut previous, mut at) = (NIL, level.head);
            while at != NIL {
                let node = self.orders.node(at);
                if node.previous != previous {
                    return broken(format!("order {} points back to the wrong order", node.id));
                }
                if node.side != side || ladder::key(side, node.limit) != key {
                    return broken(format!("order {} is in the wrong level", node.id));
                }
                if node.open_wh <= 0 || node.traded_wh < 0 {
                    return broken(format!("order {} rests with {} Wh open", node.id, node.open_wh));
                }
                if self.orders.find(node.id) != Some(at) {
                    return broken(format!("order {} is not found by its number", node.id));
                }
                queued += 1;
                if queued > self.orders.len() {
                    return broken("a queue runs in a circle".to_owned());
                }
                (previous, at) = (at, node.next);
            }
            if previous != level.tail || level.head == NIL {
                return broken(format!("the level {key} ends at the wrong order"));
            }
        }
        Ok(queued)
    }
}

fn broken<T>(what: String) -> Result<T, BrokenBook> {
    Err(BrokenBook(what))
}

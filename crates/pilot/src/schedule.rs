//! What a battery should do in the next slots: the cheapest plan there is, but for the rounding of losses to
//! whole watt-hours.
//!
//! A slot's cost is convex in what the battery does, so the least cost of all slots to come is convex in the
//! charge: a list of pieces, each with a width in stored Wh and a slope. Going back a slot merges the pieces
//! of both by slope. `tests` tries every plan of small cases and finds none better.

use crate::battery::{Battery, Step};
use crate::outlook::Outlook;

/// What slopes are counted in: parts of a nano-currency per stored Wh.
const PARTS: i128 = 1_000_000;
const PERMILLE: i128 = 1_000;

/// A part of a convex function: how wide, and how much it rises per stored Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    width_wh: i64,
    slope: i128,
}

/// Plans one step a slot. The charge never falls below `reserve_wh`; what is left at the end counts as what
/// it would earn at the lowest price. Of plans that cost the same, one that moves less is taken.
#[must_use]
pub fn plan(
    battery: &Battery,
    stored_wh: i64,
    reserve_wh: i64,
    seconds: u32,
    slots: &[Outlook],
) -> Vec<Step> {
    let mut stored_wh = stored_wh.clamp(0, battery.capacity_wh());
    let lowest_wh = reserve_wh.clamp(0, stored_wh);
    let actions: Vec<Action> = slots.iter().map(|slot| Action::new(battery, seconds, slot)).collect();
    let worth = slots.iter().map(|slot| slot.sell.grid_micro_per_kwh).min().unwrap_or_default().max(0);
    let at_the_end =
        vec![Piece { width_wh: battery.capacity_wh() - lowest_wh, slope: -per_stored_out(battery, worth) }];
    // What lies ahead of each slot, from the last back to the first.
    let mut ahead = vec![at_the_end];
    for action in actions.iter().skip(1).rev() {
        if let Some(later) = ahead.last() {
            let before = action.before(later);
            ahead.push(before);
        }
    }
    let mut steps = Vec::with_capacity(slots.len());
    for (action, later) in actions.iter().zip(ahead.iter().rev()) {
        let target_wh = lowest_wh + action.left_wh(later, stored_wh - lowest_wh);
        let wish_wh = match target_wh - stored_wh {
            more if more > 0 => battery.to_store_wh(more),
            less => -battery.from_store_wh(-less),
        };
        let step = battery.play(stored_wh, wish_wh, reserve_wh, seconds);
        stored_wh = step.stored_wh;
        steps.push(step);
    }
    steps
}

/// What a battery may do in a slot, from charging with all its power to discharging with it.
struct Action {
    /// Ascending slopes; they add up to `most_in_wh` and what it may give.
    pieces: Vec<Piece>,
    /// The most that is stored in the slot.
    most_in_wh: i64,
    most_out_wh: i64,
}

impl Action {
    fn new(battery: &Battery, seconds: u32, slot: &Outlook) -> Self {
        let most = battery.most_wh(seconds);
        let most_in_wh = most * i64::from(battery.charge_permille()) / 1_000;
        let most_out_wh = battery.to_give_wh(most);
        let (surplus, lack) = (slot.net_wh.max(0), (-slot.net_wh).max(0));
        // By how much the net export may fall or rise until the next price holds, from where it is.
        let down = [
            (slot.sell.grid_micro_per_kwh, (surplus - slot.sell.local_wh).max(0)),
            (slot.sell.local_micro_per_kwh, surplus.min(slot.sell.local_wh)),
            (slot.buy.local_micro_per_kwh, (slot.buy.local_wh - lack).max(0)),
            (slot.buy.grid_micro_per_kwh, i64::MAX),
        ];
        let up = [
            (slot.buy.grid_micro_per_kwh, (lack - slot.buy.local_wh).max(0)),
            (slot.buy.local_micro_per_kwh, lack.min(slot.buy.local_wh)),
            (slot.sell.local_micro_per_kwh, (slot.sell.local_wh - surplus).max(0)),
            (slot.sell.grid_micro_per_kwh, i64::MAX),
        ];
        let charge =
            |wh: i64| i64::try_from(i128::from(wh) * i128::from(battery.charge_permille()) / PERMILLE);
        let mut pieces = Vec::with_capacity(down.len() + up.len());
        let mut left = most_in_wh;
        for (price, wh) in down {
            let width_wh = charge(wh).unwrap_or(i64::MAX).min(left);
            left -= width_wh;
            pieces.push(Piece { width_wh, slope: -per_stored_in(battery, price) });
        }
        pieces.reverse();
        let mut left = most_out_wh;
        for (price, wh) in up {
            let width_wh = if wh > most { left } else { battery.to_give_wh(wh).min(left) };
            left -= width_wh;
            pieces.push(Piece { width_wh, slope: -per_stored_out(battery, price) });
        }
        pieces.retain(|piece| piece.width_wh > 0);
        Self { pieces, most_in_wh, most_out_wh }
    }

    /// The least cost from this slot on, from the least cost after it.
    fn before(&self, later: &[Piece]) -> Vec<Piece> {
        let whole: i64 = later.iter().map(|piece| piece.width_wh).sum();
        let merged: Vec<Piece> = self.merge(later).map(|(piece, _)| piece).collect();
        // Only charges that are possible count.
        let (mut skip, mut left) = (self.most_in_wh, whole);
        let mut pieces = Vec::with_capacity(merged.len());
        for piece in merged {
            let skipped = piece.width_wh.min(skip);
            skip -= skipped;
            let width_wh = (piece.width_wh - skipped).min(left);
            left -= width_wh;
            if width_wh > 0 {
                pieces.push(Piece { width_wh, ..piece });
            }
        }
        pieces
    }

    /// What is best left in the battery above the lowest charge, if there is `stored_wh` of it before.
    fn left_wh(&self, later: &[Piece], stored_wh: i64) -> i64 {
        let mut way = stored_wh + self.most_in_wh;
        let mut kept = 0;
        for (piece, is_kept) in self.merge(later) {
            let width_wh = piece.width_wh.min(way);
            way -= width_wh;
            if is_kept {
                kept += width_wh;
            }
        }
        let most = later.iter().map(|piece| piece.width_wh).sum();
        kept.clamp((stored_wh - self.most_out_wh).max(0), most)
    }

    /// The pieces of this slot and of what is kept for later, by slope; `true` for the latter. Of equal
    /// slopes it is charged less and discharged less.
    fn merge(&self, later: &[Piece]) -> impl Iterator<Item = (Piece, bool)> {
        let mut charged_wh = 0;
        let own = self.pieces.iter().map(|piece| {
            let charges = charged_wh < self.most_in_wh;
            charged_wh += piece.width_wh;
            (*piece, false, if charges { 0 } else { 2 })
        });
        let kept = later.iter().map(|piece| (*piece, true, 1));
        let mut all: Vec<_> = own.chain(kept).collect();
        all.sort_by_key(|(piece, _, rank)| (piece.slope, *rank));
        all.into_iter().map(|(piece, is_kept, _)| (piece, is_kept))
    }
}

/// What a Wh that is stored costs at a price.
fn per_stored_in(battery: &Battery, micro_per_kwh: i64) -> i128 {
    i128::from(micro_per_kwh) * PARTS * PERMILLE / i128::from(battery.charge_permille())
}

/// What a Wh that was stored earns at a price.
fn per_stored_out(battery: &Battery, micro_per_kwh: i64) -> i128 {
    i128::from(micro_per_kwh) * PARTS * i128::from(battery.discharge_permille()) / PERMILLE
}

#[cfg(test)]
mod tests;

//! Whether records fit between those that are stored, and between each other: pure.

use std::collections::BTreeMap;

use domain::reading::{Metered, Registers};
use store::readings::{Neighbour, Neighbours};

use super::Refusal;
use super::judge::Good;

/// Keeps the records that fit, in order, and gives the others back with the reason. `neighbours` are
/// those of each record, in the same order.
pub(super) fn fit(good: Vec<Good>, neighbours: Vec<Neighbours>) -> (Vec<Good>, Vec<(Good, Refusal)>) {
    let mut sorted: BTreeMap<_, Vec<(Good, Neighbours)>> = BTreeMap::new();
    for (good, neighbours) in good.into_iter().zip(neighbours) {
        let key = good.key();
        sorted.entry((key.meter_id, key.epoch)).or_default().push((good, neighbours));
    }
    let (mut fitting, mut refused) = (Vec::new(), Vec::new());
    for mut records in sorted.into_values() {
        records.sort_by_key(|(good, _)| good.reading.reading.seq);
        let mut last: Option<Neighbour> = None;
        for (good, neighbours) in records {
            let before = later(neighbours.before, last.clone());
            match misfit(&good, before.as_ref(), neighbours.after.as_ref()) {
                Some(refusal) => refused.push((good, refusal)),
                None => {
                    last = Some(as_neighbour(&good));
                    fitting.push(good);
                }
            }
        }
    }
    (fitting, refused)
}

/// The one that is nearer from below: of those stored and those of the same batch.
fn later(stored: Option<Neighbour>, batch: Option<Neighbour>) -> Option<Neighbour> {
    match (stored, batch) {
        (Some(stored), Some(batch)) => Some(if batch.seq > stored.seq { batch } else { stored }),
        (stored, batch) => stored.or(batch),
    }
}

fn as_neighbour(good: &Good) -> Neighbour {
    let reading = &good.reading.reading;
    Neighbour {
        seq: reading.seq,
        slot_end: reading.slot_end,
        registers: reading.registers,
        record_sha256: good.reading.record_sha256.to_vec(),
    }
}

fn misfit(good: &Good, before: Option<&Neighbour>, after: Option<&Neighbour>) -> Option<Refusal> {
    let reading = &good.reading.reading;
    // The same number twice in a batch is left to the table, which takes the first.
    if let Some(before) = before.filter(|before| before.seq < reading.seq) {
        if before.slot_end >= reading.slot_end {
            return Some(Refusal::OutOfOrder);
        }
        if before.seq + 1 == reading.seq && before.record_sha256 != good.previous {
            return Some(Refusal::Unchained);
        }
        if fell(&before.registers, &reading.registers, before.seq + 1 == reading.seq) {
            return Some(Refusal::RegisterFell);
        }
    }
    if let Some(after) = after {
        if after.slot_end <= reading.slot_end {
            return Some(Refusal::OutOfOrder);
        }
        if fell(&reading.registers, &after.registers, reading.seq + 1 == after.seq) {
            return Some(Refusal::RegisterFell);
        }
    }
    None
}

/// Production may have begun anew in records between them that have not come yet, which tell none.
fn fell(before: &Registers, after: &Registers, are_neighbours: bool) -> bool {
    let billed = |registers: &Registers| Registers { production: None, ..*registers };
    let fell = if are_neighbours {
        Metered::between(before, after)
    } else {
        Metered::between(&billed(before), &billed(after))
    };
    fell.is_err()
}

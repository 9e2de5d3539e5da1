//! What can be saved of a damaged outbox: a record is text that proves itself by its signature, so those that
//! are whole are found in the file wherever they lie, without the store's own order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use domain::ids::MeterId;
use p256::ecdsa::VerifyingKey;

use super::{Outbox, OutboxError, QUEUE, RECORDS, storage};
use crate::lost::{Gap, MAX_NUMBERS};
use crate::ocmf::{self, MAX_RECORD_BYTES};

/// How much of the file is looked at in one go.
const WINDOW_BYTES: usize = 1024 * 1024;
const START: &[u8] = b"OCMF|{";
const END: &[u8] = b"\"}";

/// What was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Salvaged {
    /// Records that wait for their acknowledgement again. Some may have been delivered before, which ingest
    /// finds out.
    pub recovered: u64,
    /// Numbers between those of a meter and epoch that are not among them: lost, or delivered long ago.
    pub missing: u64,
}

/// Meter, epoch and number, each once.
type Found = BTreeMap<(MeterId, i32, i64), String>;

impl Outbox {
    /// Takes over the records of a damaged outbox that `key` signed. They keep their places; meters go on in
    /// the epoch that this outbox gives them. For each gap before one of them `state` writes the agent's word that it
    /// does not have these numbers, which is delivered in the place of the last one.
    ///
    /// # Errors
    /// [`OutboxError`] if the file cannot be read or this outbox cannot be written; nothing was taken then.
    pub fn take_over(
        &self,
        damaged: &Path,
        key: &VerifyingKey,
        state: impl Fn(&Gap) -> String,
    ) -> Result<Salvaged, OutboxError> {
        let found = find(damaged, key, self.max_records)
            .map_err(|error| OutboxError::Open { path: damaged.to_owned(), reason: error.to_string() })?;
        let last = |gap: &Gap| (gap.meter_id.clone(), gap.epoch, gap.last);
        let statements: Found = gaps(&found).iter().map(|gap| (last(gap), state(gap))).collect();
        let transaction = self.store.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS).map_err(storage)?;
            let mut queue = transaction.open_table(QUEUE).map_err(storage)?;
            for (next, ((meter, epoch, seq), record)) in (0_u64..).zip(found.iter().chain(&statements)) {
                let place = (meter.as_str(), *epoch, *seq);
                records.insert(place, (next, record.as_str())).map_err(storage)?;
                queue.insert(next, place).map_err(storage)?;
            }
        }
        transaction.commit().map_err(storage)?;
        Ok(Salvaged { recovered: u64::try_from(found.len()).unwrap_or(u64::MAX), missing: missing(&found) })
    }
}

/// The gaps before each record, counted from the first number: those before the first record were delivered most
/// often, but who knows. What may be missing behind the last record holds nothing up.
fn gaps(found: &Found) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut before: Option<(&MeterId, i32, i64)> = None;
    for (meter_id, epoch, seq) in found.keys() {
        let last =
            before.filter(|(meter, of, _)| (*meter, of) == (meter_id, epoch)).map_or(0, |(.., seq)| seq);
        let mut first = last.saturating_add(1);
        while first < *seq {
            let end = (seq - 1).min(first.saturating_add(MAX_NUMBERS - 1));
            gaps.push(Gap { meter_id: meter_id.clone(), epoch: *epoch, first, last: end });
            first = end + 1;
        }
        before = Some((meter_id, *epoch, *seq));
    }
    gaps
}

/// Numbers that are left out between the first and the last of each meter and epoch.
fn missing(found: &Found) -> u64 {
    let mut spans: BTreeMap<(&MeterId, i32), (i64, i64, u64)> = BTreeMap::new();
    for (meter, epoch, seq) in found.keys() {
        let (first, last, count) = spans.entry((meter, *epoch)).or_insert((*seq, *seq, 0));
        (*first, *last, *count) = ((*first).min(*seq), (*last).max(*seq), *count + 1);
    }
    let gap = |(first, last, count): (i64, i64, u64)| {
        u64::try_from(last.saturating_sub(first)).unwrap_or_default().saturating_add(1).saturating_sub(count)
    };
    spans.into_values().map(gap).fold(0, u64::saturating_add)
}

/// Reads the file in windows that overlap by a record, and takes what proves itself, up to `most`.
fn find(path: &Path, key: &VerifyingKey, most: u64) -> std::io::Result<Found> {
    let mut file = File::open(path)?;
    let mut found = Found::new();
    let mut offset = 0;
    let mut window = Vec::with_capacity(WINDOW_BYTES + MAX_RECORD_BYTES);
    loop {
        file.seek(SeekFrom::Start(offset))?;
        window.clear();
        let limit = u64::try_from(WINDOW_BYTES + MAX_RECORD_BYTES).unwrap_or(u64::MAX);
        file.by_ref().take(limit).read_to_end(&mut window)?;
        let mut at = 0;
        while let Some(start) = position(&window[at..], START).map(|start| at + start) {
            at = start + START.len();
            if start >= WINDOW_BYTES {
                break; // the next window begins there
            }
            if let Some((place, record)) = record_at(&window[start..], key) {
                found.insert(place, record);
            }
            if u64::try_from(found.len()).unwrap_or(u64::MAX) >= most {
                return Ok(found);
            }
        }
        if window.len() <= WINDOW_BYTES {
            return Ok(found);
        }
        offset += u64::try_from(WINDOW_BYTES).unwrap_or(u64::MAX);
    }
}

/// The record that begins here, if it is whole.
fn record_at(bytes: &[u8], key: &VerifyingKey) -> Option<((MeterId, i32, i64), String)> {
    let bytes = &bytes[..bytes.len().min(MAX_RECORD_BYTES)];
    let payload = START.len() + position(&bytes[START.len()..], b"|")?;
    let end = payload + position(&bytes[payload..], END)? + END.len();
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    ocmf::verify(text, key).ok()?;
    let reading = ocmf::parse(text).ok()?.reading;
    Some(((reading.meter_id, reading.epoch, reading.seq), text.to_owned()))
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f45_gaps_are_what_lies_before_each_record() {
        let meter = |name: &str| MeterId::new(name).unwrap();
        let place = |name: &str, epoch, seq| ((meter(name), epoch, seq), String::new());
        let many = 2 * MAX_NUMBERS + 6;
        let found = [("a", 1, 1), ("a", 1, 2), ("a", 1, 5), ("a", 2, 3), ("b", 1, many)];
        let found: Found = found.into_iter().map(|(name, epoch, seq)| place(name, epoch, seq)).collect();
        let gaps: Vec<_> =
            gaps(&found).iter().map(|g| (g.meter_id.to_string(), g.epoch, g.first, g.last)).collect();
        let gap = |name: &str, epoch, first, last| (name.to_owned(), epoch, first, last);
        let next = MAX_NUMBERS + 1;
        let of_b = [(1, next - 1), (next, 2 * MAX_NUMBERS), (2 * MAX_NUMBERS + 1, many - 1)];
        let mut expected = vec![gap("a", 1, 3, 4), gap("a", 2, 1, 2)];
        expected.extend(of_b.map(|(first, last)| gap("b", 1, first, last)));
        assert_eq!(gaps, expected);
    }
}

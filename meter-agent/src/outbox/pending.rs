//! Which records wait for their acknowledgement, from either end, and what of them is worth sending next.

use std::collections::{BTreeSet, BinaryHeap};

use domain::ids::MeterId;
use redb::{ReadOnlyTable, ReadableTable};

use super::{Order, Outbox, OutboxError, Pending, QUEUE, RECORDS, RecordKey, Sequence, storage};

type Records = ReadOnlyTable<RecordKey<'static>, (u64, &'static str)>;
type Line = redb::Range<'static, RecordKey<'static>, (u64, &'static str)>;

/// What is worth sending next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// Of the sequences that get no answer: the oldest record of each, and then the oldest of all.
    pub unanswered: Vec<Pending>,
    /// The newest records of the others, newest first.
    pub newest: Vec<Pending>,
    /// The oldest records of the others, oldest first.
    pub oldest: Vec<Pending>,
}

impl Outbox {
    /// At most `limit` records that are not acknowledged yet.
    ///
    /// # Errors
    /// [`OutboxError`] if the file cannot be read.
    pub fn pending(&self, order: Order, limit: usize) -> Result<Vec<Pending>, OutboxError> {
        let transaction = self.store.begin_read()?;
        let queue = transaction.open_table(QUEUE).map_err(storage)?;
        let records = transaction.open_table(RECORDS).map_err(storage)?;
        let mut pending = Vec::new();
        let mut entries = queue.iter().map_err(storage)?;
        while pending.len() < limit {
            let entry = match order {
                Order::OldestFirst => entries.next(),
                Order::NewestFirst => entries.next_back(),
            };
            let Some(entry) = entry else { break };
            let (_, key) = entry.map_err(storage)?;
            let (meter, epoch, seq) = key.value();
            let record = records.get((meter, epoch, seq)).map_err(storage)?;
            let record =
                record.ok_or_else(|| OutboxError::Corrupt(format!("{meter} {epoch} {seq} is missing")))?;
            pending.push(waiting((meter, epoch, seq), record.value().1)?);
        }
        Ok(pending)
    }

    /// What to send next: at most `newest` and `oldest` records of the sequences that are not `unanswered`, and
    /// beside them `oldest` of those that are, at least one of each. So records that nobody acknowledges never take
    /// the places of those that somebody would.
    ///
    /// # Errors
    /// [`OutboxError`] if the file cannot be read.
    pub fn due(
        &self,
        newest: usize,
        oldest: usize,
        unanswered: &BTreeSet<Sequence>,
    ) -> Result<Due, OutboxError> {
        if unanswered.is_empty() {
            let (newest, oldest) =
                (self.pending(Order::NewestFirst, newest)?, self.pending(Order::OldestFirst, oldest)?);
            return Ok(Due { newest, oldest, ..Due::default() });
        }
        let records: Records = self.store.begin_read()?.open_table(RECORDS).map_err(storage)?;
        let (silent, others): (Vec<_>, Vec<_>) =
            sequences(&records)?.into_iter().partition(|sequence| unanswered.contains(sequence));
        let mut due = Due::default();
        for sequence in &silent {
            due.unanswered.extend(merged(&records, std::slice::from_ref(sequence), Order::OldestFirst, 1)?);
        }
        let first: BTreeSet<_> = due.unanswered.iter().map(Pending::key).collect();
        let more = merged(&records, &silent, Order::OldestFirst, oldest)?;
        due.unanswered.extend(more.into_iter().filter(|record| !first.contains(&record.key())));
        due.newest = merged(&records, &others, Order::NewestFirst, newest)?;
        due.oldest = merged(&records, &others, Order::OldestFirst, oldest)?;
        Ok(due)
    }
}

fn waiting((meter, epoch, seq): RecordKey<'_>, record: &str) -> Result<Pending, OutboxError> {
    let meter_id = MeterId::new(meter).map_err(|error| OutboxError::Corrupt(error.to_string()))?;
    Ok(Pending { meter_id, epoch, seq, record: record.to_owned() })
}

/// The sequences that records wait of: one look each, however many records there are.
fn sequences(records: &Records) -> Result<Vec<Sequence>, OutboxError> {
    let mut found: Vec<Sequence> = Vec::new();
    loop {
        let first = match found.last() {
            None => records.first().map_err(storage)?,
            Some((meter, epoch)) => {
                // Nothing has the last number, so that the next key is another sequence's.
                let mut rest = records.range((meter.as_str(), *epoch, i64::MAX)..).map_err(storage)?;
                rest.next().transpose().map_err(storage)?
            }
        };
        let Some((key, _)) = first else { return Ok(found) };
        let (meter, epoch, _) = key.value();
        let meter = MeterId::new(meter).map_err(|error| OutboxError::Corrupt(error.to_string()))?;
        if found.last().is_some_and(|last| *last == (meter.clone(), epoch)) {
            return Err(OutboxError::Corrupt(format!("{meter} {epoch} has the last number there is")));
        }
        found.push((meter, epoch));
    }
}

/// Records of some sequences in the order they were stored, as if the others were not there.
fn merged(
    records: &Records,
    sequences: &[Sequence],
    order: Order,
    limit: usize,
) -> Result<Vec<Pending>, OutboxError> {
    let mut lines = Vec::with_capacity(sequences.len());
    let mut heads = BinaryHeap::with_capacity(sequences.len());
    for (meter, epoch) in sequences {
        let all = (meter.as_str(), *epoch, i64::MIN)..=(meter.as_str(), *epoch, i64::MAX);
        let mut line = records.range(all).map_err(storage)?;
        heads.extend(next(&mut line, order)?.map(|(rank, head)| (rank, lines.len(), head)).map(Head));
        lines.push(line);
    }
    let mut pending = Vec::new();
    while pending.len() < limit {
        let Some(Head((_, index, head))) = heads.pop() else { break };
        pending.push(head);
        if let Some(line) = lines.get_mut(index) {
            heads.extend(next(line, order)?.map(|(rank, head)| Head((rank, index, head))));
        }
    }
    Ok(pending)
}

/// The next record of a sequence, and how early its turn is.
fn next(line: &mut Line, order: Order) -> Result<Option<(u64, Pending)>, OutboxError> {
    let entry = match order {
        Order::OldestFirst => line.next(),
        Order::NewestFirst => line.next_back(),
    };
    let Some((key, value)) = entry.transpose().map_err(storage)? else { return Ok(None) };
    let (number, record) = value.value();
    let rank = match order {
        Order::OldestFirst => u64::MAX - number,
        Order::NewestFirst => number,
    };
    Ok(Some((rank, waiting(key.value(), record)?)))
}

/// The first record of a sequence that is left, ordered by whose turn it is.
struct Head((u64, usize, Pending));

impl Head {
    const fn turn(&self) -> (u64, usize) {
        (self.0.0, self.0.1)
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.turn().cmp(&other.turn())
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.turn() == other.turn()
    }
}

impl Eq for Head {}

//! What a device is asked, and what is made of it if it does not answer.
//!
//! The registers that money rests on are asked for first, and no reading is without them. What comes after
//! them may fail: some devices are silent about what they do not have, and a gateway is busy for a moment.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::time::Clock;
use tokio::time::{Instant, timeout_at};

use super::blocks::{Block, split, words_of};
use super::meter::needed;
use super::{Bus, BusError, ExceptionClass};
use crate::source::SourceError;
use crate::template::{PointName, RegisterPoint};

/// Silences in a row after which a block that has never answered is asked for seldom.
const MAX_SILENCES: u8 = 2;
/// Readings until it is asked for again: about a day of quarter-hours.
const REST_READINGS: u8 = 96;
/// Silences in one reading, each of which costs a time limit, after which the rest is left for the next.
const MAX_SILENCES_A_READING: usize = 3;

/// The words of each point that was read.
pub(super) type Words = BTreeMap<PointName, Vec<u16>>;
type Points = BTreeMap<PointName, RegisterPoint>;

/// What a device said.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) words: Words,
    /// When the registers that money rests on were read.
    pub(super) read_at: DateTime<Utc>,
}

/// The blocks that a device is asked for; learns which ones it refuses and which points it lacks.
#[derive(Debug)]
pub(super) struct Questions {
    /// In the order in which they are asked.
    questions: Vec<Question>,
    /// The device has shown wider registers: it must not fall back to the others, which count otherwise.
    has_wide: bool,
}

#[derive(Debug, Clone)]
struct Question {
    block: Block,
    has_answered: bool,
    silences: u8,
    /// For how many readings it is left out.
    rest: u8,
}

impl Question {
    const fn new(block: Block) -> Self {
        Self { block, has_answered: false, silences: 0, rest: 0 }
    }

    /// The smaller, the earlier it is asked.
    fn turn(&self) -> (u8, bool) {
        let urgency = |name: &PointName| match name {
            PointName::ProductionEnergy => 1,
            name if name.is_energy() || *name == PointName::Status => 0,
            _ => 2,
        };
        (self.block.points.iter().map(urgency).min().unwrap_or(2), self.silences > 0)
    }

    /// What is asked instead. A device that never answers may be silent for one register of several, or for
    /// one that it lacks.
    fn after_silence(mut self, points: &Points) -> Vec<Self> {
        if self.has_answered || self.silences < MAX_SILENCES {
            return vec![self];
        }
        if self.block.points.len() > 1 {
            return split(&self.block, points).into_iter().map(Self::new).collect();
        }
        self.rest = REST_READINGS;
        vec![self]
    }
}

impl Questions {
    pub(super) fn new(blocks: Vec<Block>) -> Self {
        Self { questions: blocks.into_iter().map(Question::new).collect(), has_wide: false }
    }

    /// Asks for every block. A block refused because of a register between its values is split, once for
    /// all; so each pass asks at most once a block and once a point. After `deadline` only what is needed is
    /// asked for.
    pub(super) async fn ask(
        &mut self,
        bus: &mut Bus,
        unit: u8,
        points: &Points,
        clock: &Clock,
        deadline: Option<Instant>,
    ) -> Result<Answers, SourceError> {
        let mut answers = Answers { words: Words::new(), read_at: clock.now() };
        let (mut failure, mut silences) = (None, 0);
        let mut done = Vec::with_capacity(self.questions.len());
        let mut queue = self.questions.clone();
        // The next one is the last.
        queue.sort_by_key(|question| std::cmp::Reverse(question.turn()));
        while let Some(mut question) = queue.pop() {
            let block = &question.block;
            let must = self.must_answer(block, points);
            if !must && (question.rest > 0 || silences >= MAX_SILENCES_A_READING) {
                question.rest = question.rest.saturating_sub(1);
                done.push(question);
                continue;
            }
            let asked = bus.read(unit, block.function, block.start, block.count);
            let Some(answer) = in_time(asked, deadline.filter(|_| !must)).await else {
                silences = MAX_SILENCES_A_READING;
                done.push(question);
                continue;
            };
            match answer {
                Ok(words) => {
                    for name in &block.points {
                        let own = points.get(name).and_then(|point| words_of(block, &words, point));
                        answers.words.insert(*name, own.map(<[u16]>::to_vec).unwrap_or_default());
                    }
                    if question.turn().0 == 0 {
                        answers.read_at = clock.now();
                    }
                    (question.has_answered, question.silences) = (true, 0);
                    done.push(question);
                }
                Err(error) if error.exception() == Some(ExceptionClass::NotThere) => {
                    if block.points.len() > 1 {
                        queue.extend(split(block, points).into_iter().rev().map(Question::new));
                        queue.sort_by_key(|question| std::cmp::Reverse(question.turn()));
                        continue;
                    }
                    match self.without(block, points) {
                        Absence::Matters => return Err(error.into()),
                        Absence::MayEnd => done.push(question),
                        Absence::Stays => {}
                    }
                    failure.get_or_insert(error);
                }
                Err(error) if must => return Err(error.into()),
                Err(error) => {
                    match error {
                        // Nothing more comes over a connection that cannot be opened.
                        BusError::Connect { .. } => silences = MAX_SILENCES_A_READING,
                        BusError::Timeout { .. } => {
                            silences += 1;
                            question.silences = question.silences.saturating_add(1);
                        }
                        _ => silences += usize::from(error.exception().is_none()),
                    }
                    failure.get_or_insert(error);
                    done.extend(question.after_silence(points));
                }
            }
        }
        // A device that tells nothing of all that is another device, or none.
        if let (true, Some(error)) = (answers.words.is_empty(), failure) {
            return Err(error.into());
        }
        self.questions = done;
        self.has_wide |= answers.words.keys().any(|name| name.is_wide());
        Ok(answers)
    }

    /// Whether a reading without the block would be worth nothing, or wrong: a wider register that is only
    /// silent must not be taken for one that the device lacks.
    fn must_answer(&self, block: &Block, points: &Points) -> bool {
        let mut own = block.points.iter().filter_map(|name| Some((name, points.get(name)?)));
        own.any(|(name, point)| name.is_wide() || needed(*name, point))
    }

    /// What it means that the device refuses a block of one point.
    fn without(&self, block: &Block, points: &Points) -> Absence {
        let mut own = block.points.iter().filter_map(|name| Some((name, points.get(name)?)));
        match own.next() {
            Some((name, point)) if needed(*name, point) || (self.has_wide && name.is_wide()) => {
                Absence::Matters
            }
            Some((_, point)) if !point.optional => Absence::MayEnd,
            _ => Absence::Stays,
        }
    }
}

/// An answer that comes before the deadline, if there is one. A call that is dropped closes the connection, so
/// that its answer is taken for nobody else's.
async fn in_time<T>(asked: impl Future<Output = T>, deadline: Option<Instant>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, asked).await.ok(),
        None => Some(asked.await),
    }
}

/// What it means that a device refuses a point.
enum Absence {
    /// The reading is worth nothing without it.
    Matters,
    /// It is not known now; some devices refuse a power while they sleep.
    MayEnd,
    /// The model comes without it: it is not asked for again.
    Stays,
}

//! One number out of one message.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::decimal;
use crate::decode::Scalar;
use crate::source::SourceError;
use crate::template::{MessagePoint, Template};

const PREFIX: &str = "{topic}";
const MAX_TOPIC_BYTES: usize = 200;
/// Numbers are held as integers of ten to the minus this, finer than any device counts.
const PLACES: i32 = 9;

/// A topic prefix of a configuration cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{prefix:?} is not a topic prefix: 1 to 200 characters without '+', '#' and a '/' at its ends")]
pub struct InvalidTopic {
    /// The refused prefix.
    pub prefix: String,
}

/// All topics of a device whose topics begin with `prefix`.
///
/// # Errors
/// [`InvalidTopic`] if the prefix holds wildcards or is empty.
pub fn topics(template: &Template, prefix: &str) -> Result<BTreeSet<String>, InvalidTopic> {
    let plain = !prefix.contains(['+', '#', '\0']) && !prefix.starts_with('/') && !prefix.ends_with('/');
    if prefix.is_empty() || prefix.len() > MAX_TOPIC_BYTES || !plain {
        return Err(InvalidTopic { prefix: prefix.chars().take(MAX_TOPIC_BYTES).collect() });
    }
    let points = template.mqtt.iter().flat_map(|access| access.points.values());
    Ok(points.flat_map(|point| topics_of(point, prefix)).collect())
}

/// The topics of one value.
pub(super) fn topics_of<'a>(point: &'a MessagePoint, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
    point.topics.iter().map(move |topic| topic.replace(PREFIX, prefix))
}

/// A number as the device wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) text: String,
}

/// The message does not hold the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Absent;

impl Absent {
    pub(super) fn on(self, topic: &str) -> SourceError {
        SourceError::Message {
            topic: topic.to_owned(),
            reason: "it does not hold the value as a number (absent, null, an array or broken JSON)"
                .to_owned(),
        }
    }
}

/// The number at `pointer`, or the payload itself for an empty pointer. A number in quotes counts, as
/// some firmware writes it; null, arrays and truth values do not.
pub(super) fn number(payload: &[u8], pointer: &str) -> Result<Number, Absent> {
    if pointer.is_empty() {
        let text = std::str::from_utf8(payload).map_err(|_| Absent)?;
        return Ok(Number { text: text.trim().to_owned() });
    }
    let value: Value = serde_json::from_slice(payload).map_err(|_| Absent)?;
    match value.pointer(pointer) {
        Some(Value::Number(number)) => Ok(Number { text: number.to_string() }),
        Some(Value::String(text)) => Ok(Number { text: text.trim().to_owned() }),
        _ => Err(Absent),
    }
}

impl Number {
    /// The number as an exact integer, and the power of ten that it is to be multiplied with.
    pub(super) fn scalar(&self, topic: &str) -> Result<(Scalar, i32), SourceError> {
        let integer = decimal::scaled(&self.text, PLACES)
            .map_err(|error| SourceError::Message { topic: topic.to_owned(), reason: error.to_string() })?;
        Ok((Scalar::Integer(integer), -PLACES))
    }
}

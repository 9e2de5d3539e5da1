//! One number out of one message.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::decimal;
use crate::source::SourceError;
use crate::template::{ListRule, MessagePoint, Template};

const PREFIX: &str = "{topic}";
const MAX_TOPIC_BYTES: usize = 200;
/// Numbers are held as integers of ten to the minus this, finer than any device counts.
pub(super) const PLACES: i32 = 9;

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
    let access = template.mqtt.iter();
    let points = access.clone().flat_map(|access| access.points.values());
    let mut topics: BTreeSet<String> = points.flat_map(|point| all_of(point, prefix)).collect();
    topics.extend(state_topics(template, prefix));
    Ok(topics)
}

/// The topics on which a device's last will comes, if it has one.
#[must_use]
pub fn state_topics(template: &Template, prefix: &str) -> BTreeSet<String> {
    let access = template.mqtt.iter();
    access.filter_map(|access| access.online_topic.as_deref()).map(|topic| named(topic, prefix)).collect()
}

fn all_of(point: &MessagePoint, prefix: &str) -> impl Iterator<Item = String> {
    let others = point.or.iter().map(|place| named(&place.topic, prefix));
    topics_of(point, prefix).chain(others).collect::<Vec<_>>().into_iter()
}

/// The topics of one value.
pub(super) fn topics_of<'a>(point: &'a MessagePoint, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
    point.topics.iter().map(move |topic| named(topic, prefix))
}

/// A topic of a template with the device's prefix in it.
pub(super) fn named(topic: &str, prefix: &str) -> String {
    topic.replace(PREFIX, prefix)
}

/// The prefix that makes one of a template's topics the given one; `None` if none is.
#[must_use]
pub fn prefix_in(template: &Template, topic: &str) -> Option<String> {
    let points = template.mqtt.iter().flat_map(|access| access.points.values());
    let patterns = points.flat_map(|p| p.topics.iter().chain(p.or.iter().map(|place| &place.topic)));
    let mut found: Vec<&str> = patterns
        .filter_map(|pattern| {
            let (before, after) = pattern.split_once(PREFIX)?;
            topic.strip_prefix(before)?.strip_suffix(after).filter(|prefix| !prefix.is_empty())
        })
        .collect();
    // The pattern that says most of the topic.
    found.sort_unstable_by_key(|prefix| prefix.len());
    found.first().map(|prefix| (*prefix).to_owned())
}

/// A number as the device wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    /// As it was written.
    pub(super) text: String,
    /// In units of ten to the minus [`PLACES`].
    pub(super) nano: i128,
}

/// The number at `pointer`, or the payload itself for an empty pointer. A number in quotes counts, as
/// some firmware writes it; null and truth values do not, and lists only as `list` says.
pub(super) fn number(
    payload: &[u8],
    pointer: &str,
    list: ListRule,
    topic: &str,
) -> Result<Number, SourceError> {
    let absent = || SourceError::Absent { topic: topic.to_owned() };
    if pointer.is_empty() {
        return parse(std::str::from_utf8(payload).map_err(|_| absent())?, topic);
    }
    let value: Value = serde_json::from_slice(payload).map_err(|_| absent())?;
    let found = first_named(&value, pointer).ok_or_else(absent)?;
    let numbers = found.into_iter().map(|value| by_rule(value, list, topic)).collect::<Result<_, _>>()?;
    Ok(total(numbers))
}

/// One number, of a list what the rule says.
fn by_rule(value: &Value, list: ListRule, topic: &str) -> Result<Number, SourceError> {
    let absent = || SourceError::Absent { topic: topic.to_owned() };
    let all = |values: &mut dyn Iterator<Item = &Value>| -> Result<Number, SourceError> {
        Ok(total(values.map(|value| one(value, topic)).collect::<Result<_, _>>()?))
    };
    match (value, list) {
        (Value::Array(values), ListRule::First) => one(values.first().ok_or_else(absent)?, topic),
        (Value::Array(values), ListRule::Sum) if !values.is_empty() => all(&mut values.iter()),
        // Some firmware names the phases: {"Phase1": 1.5, "Phase2": 2}.
        (Value::Object(values), ListRule::Sum) if !values.is_empty() => all(&mut values.values()),
        (value, _) => one(value, topic),
    }
}

/// The sum of several numbers.
fn total(numbers: Vec<Number>) -> Number {
    let text: Vec<&str> = numbers.iter().map(|number| number.text.as_str()).collect();
    let nano = numbers.iter().fold(0, |sum: i128, number| sum.saturating_add(number.nano));
    Number { text: text.join("+"), nano }
}

fn one(value: &Value, topic: &str) -> Result<Number, SourceError> {
    match value {
        Value::Number(number) => parse(&number.to_string(), topic),
        Value::String(text) => parse(text, topic),
        _ => Err(SourceError::Absent { topic: topic.to_owned() }),
    }
}

fn parse(text: &str, topic: &str) -> Result<Number, SourceError> {
    let text = text.trim();
    let nano = decimal::scaled(text, PLACES)
        .map_err(|error| SourceError::Message { topic: topic.to_owned(), reason: error.to_string() })?;
    Ok(Number { text: text.to_owned(), nano })
}

/// What is at a pointer whose last key may be several, separated by `|`: the first that is there counts, of
/// keys joined by `+` only all together.
fn first_named<'a>(value: &'a Value, pointer: &str) -> Option<Vec<&'a Value>> {
    let mut segments: Vec<&str> = pointer.split('/').skip(1).collect();
    let names = segments.pop()?;
    let mut at = |name| {
        segments.push(name);
        let found = resolve(value, &segments, false);
        segments.pop();
        found
    };
    names.split('|').find_map(|names| names.split('+').map(&mut at).collect())
}

/// What is at a pointer. A `*` must lead to exactly one value.
fn resolve<'a>(value: &'a Value, segments: &[&str], any_case: bool) -> Option<&'a Value> {
    let Some((first, rest)) = segments.split_first() else { return Some(value) };
    match value {
        Value::Object(map) if *first == "*" => {
            let mut found = map.values().filter_map(|value| resolve(value, rest, true));
            found.next().filter(|_| found.next().is_none())
        }
        Value::Object(map) => {
            let key = first.replace("~1", "/").replace("~0", "~");
            let exact = map.get(&key);
            let similar = || map.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key)).map(|(_, v)| v);
            resolve(exact.or_else(|| if any_case { similar() } else { None })?, rest, any_case)
        }
        Value::Array(values) => resolve(values.get(first.parse::<usize>().ok()?)?, rest, any_case),
        _ => None,
    }
}

/// Whether a last will says that the device is away: `offline`, `false`, or a JSON object whose `state`
/// is one of these.
pub(super) fn says_offline(payload: &[u8]) -> bool {
    let is_offline = |text: &str| ["offline", "false"].iter().any(|away| text.eq_ignore_ascii_case(away));
    if std::str::from_utf8(payload).is_ok_and(|text| is_offline(text.trim().trim_matches('"'))) {
        return true;
    }
    let value: Option<Value> = serde_json::from_slice(payload).ok();
    value.and_then(|value| value.get("state")?.as_str().map(is_offline)).unwrap_or(false)
}

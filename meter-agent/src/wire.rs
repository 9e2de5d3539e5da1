//! The topics between agents and ingest, and the acknowledgements that go back.

use domain::ids::{AgentId, CommunityId, InvalidId, MeterId};
use serde::{Deserialize, Serialize};

/// What ingest subscribes to: the readings of all agents, shared among all ingest workers. Each of its
/// subscriptions has a share of its own: some brokers keep one place in the stream a share, not a topic.
pub const READINGS_SHARE: &str = "$share/ingest/busbar/v1/+/+/readings";
/// The most acknowledgements in a message: with the longest names they fit what brokers take by default.
const MAX_ACKS: usize = 256;
/// The largest message of acknowledgements that is read.
const MAX_ACK_BYTES: usize = 65_536;

/// Where an agent publishes its records, one a message.
#[must_use]
pub fn readings_topic(community: &CommunityId, agent: &AgentId) -> String {
    format!("busbar/v1/{community}/{agent}/readings")
}

/// Where ingest tells an agent what is stored.
#[must_use]
pub fn ack_topic(community: &CommunityId, agent: &AgentId) -> String {
    format!("busbar/v1/{community}/{agent}/ack")
}

/// What ingest subscribes to for how agents and their devices are.
pub const HEALTH_SHARE: &str = "$share/ingest-health/busbar/v1/+/+/health";

/// Where an agent tells how it and its devices are.
#[must_use]
pub fn health_topic(community: &CommunityId, agent: &AgentId) -> String {
    format!("busbar/v1/{community}/{agent}/health")
}

/// Whose health a topic carries; `None` if it is no topic of health.
#[must_use]
pub fn parse_health_topic(topic: &str) -> Option<(CommunityId, AgentId)> {
    parse_topic(topic, "/health")
}

/// What ingest subscribes to for announcements of keys.
pub const ENROLMENT_SHARE: &str = "$share/ingest-enrolment/busbar/v1/+/+/enrolment";

/// Where an agent announces its key.
#[must_use]
pub fn enrolment_topic(community: &CommunityId, agent: &AgentId) -> String {
    format!("busbar/v1/{community}/{agent}/enrolment")
}

/// Where ingest answers.
#[must_use]
pub fn enrolment_answer_topic(community: &CommunityId, agent: &AgentId) -> String {
    format!("busbar/v1/{community}/{agent}/enrolment/answer")
}

/// Whose announcement a topic carries; `None` if it is no topic of announcements.
#[must_use]
pub fn parse_enrolment_topic(topic: &str) -> Option<(CommunityId, AgentId)> {
    parse_topic(topic, "/enrolment")
}

/// Whose readings a topic carries; `None` if it is no topic of readings.
#[must_use]
pub fn parse_readings_topic(topic: &str) -> Option<(CommunityId, AgentId)> {
    parse_topic(topic, "/readings")
}

fn parse_topic(topic: &str, suffix: &str) -> Option<(CommunityId, AgentId)> {
    let rest = topic.strip_prefix("busbar/v1/")?.strip_suffix(suffix)?;
    let (community, agent) = rest.split_once('/')?;
    Some((CommunityId::new(community).ok()?, AgentId::new(agent).ok()?))
}

/// All records of a meter and epoch up to a sequence number are stored, or kept aside for good: the
/// agent may forget them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The meter.
    pub meter_id: MeterId,
    /// Its epoch.
    pub epoch: i32,
    /// The last sequence number of those that are stored without a gap from the first.
    pub stored_through_seq: i64,
}

/// An acknowledgement as it is on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AckMessage {
    meter_id: String,
    epoch: i32,
    stored_through_seq: i64,
}

/// A message is no acknowledgement.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAck {
    /// It is not the JSON it should be.
    #[error("not an acknowledgement: {0}")]
    Json(#[from] serde_json::Error),
    /// It names no meter.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A number is out of range, or the message too large.
    #[error("not an acknowledgement: a number is out of range, or it is too large")]
    Range,
}

impl Acknowledgement {
    /// The messages that say so: arrays, so that the meters of an agent cost one message and not one each.
    pub fn to_messages(acknowledgements: &[Self]) -> impl Iterator<Item = String> {
        acknowledgements.chunks(MAX_ACKS).map(|part| {
            // An id holds nothing that JSON would have to escape.
            let objects: Vec<String> = part
                .iter()
                .map(|Self { meter_id, epoch, stored_through_seq: seq }| {
                    format!(r#"{{"meter_id":"{meter_id}","epoch":{epoch},"stored_through_seq":{seq}}}"#)
                })
                .collect();
            format!("[{}]", objects.join(","))
        })
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`InvalidAck`] if it is none; nothing of it counts then.
    pub fn from_message(message: &[u8]) -> Result<Vec<Self>, InvalidAck> {
        if message.len() > MAX_ACK_BYTES {
            return Err(InvalidAck::Range);
        }
        let messages: Vec<AckMessage> = serde_json::from_slice(message)?;
        messages.into_iter().map(Self::try_from).collect()
    }
}

impl TryFrom<AckMessage> for Acknowledgement {
    type Error = InvalidAck;

    fn try_from(message: AckMessage) -> Result<Self, InvalidAck> {
        if message.epoch < 1 || message.stored_through_seq < 0 {
            return Err(InvalidAck::Range);
        }
        Ok(Self {
            meter_id: MeterId::new(&message.meter_id)?,
            epoch: message.epoch,
            stored_through_seq: message.stored_through_seq,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_round_trip_and_others_are_refused() {
        let (community, agent) = (CommunityId::new("demo").unwrap(), AgentId::new("agent-1").unwrap());
        let topic = readings_topic(&community, &agent);
        assert_eq!(parse_readings_topic(&topic), Some((community, agent)));
        for other in ["busbar/v1/demo/agent-1/ack", "busbar/v1/demo/readings", "busbar/v1/a/b/c/readings", ""]
        {
            assert_eq!(parse_readings_topic(other), None, "{other}");
        }
    }

    #[test]
    fn acknowledgements_round_trip_and_others_are_refused() {
        let ack = Acknowledgement { meter_id: MeterId::new("m").unwrap(), epoch: 2, stored_through_seq: 9 };
        let many = vec![ack; MAX_ACKS + 1];
        let messages: Vec<String> = Acknowledgement::to_messages(&many).collect();
        let read = messages.iter().flat_map(|m| Acknowledgement::from_message(m.as_bytes()).unwrap());
        assert_eq!((read.collect::<Vec<_>>(), messages.len()), (many, 2));
        for bad in [
            "",
            "{}",
            r#"[{"meter_id":"m","epoch":0,"stored_through_seq":1}]"#,
            r#"[{"meter_id":"m","epoch":1,"stored_through_seq":-1}]"#,
            r#"[{"meter_id":"m/n","epoch":1,"stored_through_seq":1}]"#,
            r#"[{"meter_id":"m","epoch":1,"stored_through_seq":1,"more":1}]"#,
        ] {
            assert!(Acknowledgement::from_message(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

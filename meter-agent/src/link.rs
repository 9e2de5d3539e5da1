//! The connection to the platform's broker: MQTT 5, kept up for as long as the service runs.
//!
//! The client library's event loop must never be dropped half way through a write, so it has a task of
//! its own; what arrives comes through a bounded channel.

mod certificate;
mod options;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use service::lifecycle::{Backoff, Shutdown};
use tokio::sync::mpsc;

pub use certificate::{ALARM_DAYS, days_left, watch_certificate};
pub use options::{InvalidBroker, MqttConfig};

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// How long is waited before a subscription that was denied is asked for again: access rules are mended by hand.
pub const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(30);

/// What happened on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is up, and the broker remembers nothing of an earlier one: subscribe and send again.
    Connected,
    /// It is down; it will come up again by itself.
    Disconnected,
    /// A message arrived.
    Message {
        /// On which topic.
        topic: String,
        /// What it says.
        payload: Vec<u8>,
    },
    /// The broker did not take a message of ours.
    Refused {
        /// The reason code's name.
        reason: String,
    },
    /// The broker did not take a subscription of ours: nothing will come of it. Ask again after [`SUBSCRIBE_AGAIN`].
    Deaf {
        /// The reason code's name.
        reason: String,
    },
}

/// A connection and what comes from it.
#[derive(Debug)]
pub struct Link {
    /// Sends. Use only its `try_` calls: a full queue must not block whoever empties the other one.
    pub client: AsyncClient,
    /// What happened.
    pub events: mpsc::Receiver<LinkEvent>,
}

/// Opens a connection that holds at most `requests` messages to send and `queue` events, until
/// `shutdown`. `jitter_seed` spreads the retries of many agents.
#[must_use]
pub fn open(
    options: MqttOptions,
    requests: usize,
    queue: usize,
    jitter_seed: u64,
    shutdown: Shutdown,
) -> Link {
    let (client, event_loop) = AsyncClient::new(options, requests);
    let (sender, events) = mpsc::channel(queue);
    tokio::spawn(async move {
        tokio::select! {
            () = keep(event_loop, sender, StdRng::seed_from_u64(jitter_seed)) => {}
            () = shutdown.stopped() => {}
        }
    });
    Link { client, events }
}

/// Polls the event loop until nobody listens any more.
async fn keep(mut event_loop: EventLoop, events: mpsc::Sender<LinkEvent>, mut rng: StdRng) {
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
    let mut connected = false;
    loop {
        let event = match event_loop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                backoff.reset();
                connected = true;
                LinkEvent::Connected
            }
            Ok(Event::Incoming(Packet::Publish(message))) => LinkEvent::Message {
                topic: String::from_utf8_lossy(&message.topic).into_owned(),
                payload: message.payload.to_vec(),
            },
            Ok(Event::Incoming(Packet::PubAck(ack))) if is_refusal(ack.reason) => {
                LinkEvent::Refused { reason: format!("{:?}", ack.reason) }
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) => match denial(&ack.return_codes) {
                Some(reason) => LinkEvent::Deaf { reason },
                None => continue,
            },
            Ok(_) => continue,
            Err(error) => {
                let wait = backoff.after_failure().mul_f64(rng.random_range(0.5..1.5));
                let broker = event_loop.options.broker_address().0;
                tracing::warn!(%broker, %error, retry_in_ms = wait.as_millis(), "no connection to the broker");
                if connected && events.send(LinkEvent::Disconnected).await.is_err() {
                    return;
                }
                connected = false;
                tokio::time::sleep(wait).await;
                continue;
            }
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

fn denial(codes: &[SubscribeReasonCode]) -> Option<String> {
    let denied = codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)))?;
    Some(format!("{denied:?}"))
}

/// Nobody listening is no refusal: ingest may be restarting, and the record is sent again.
fn is_refusal(reason: PubAckReason) -> bool {
    !matches!(reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers)
}

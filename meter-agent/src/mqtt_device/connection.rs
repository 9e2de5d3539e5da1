//! The connection to the broker that devices publish to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS, SubscribeFilter, SubscribeReasonCode};
use service::lifecycle::{Backoff, Shutdown};
use tokio::time::Instant;

use super::Hub;
use crate::link::SUBSCRIBE_AGAIN;
use crate::modbus::Endpoint;

const KEEP_ALIVE: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(30);
const MAX_PACKET_BYTES: usize = 128 * 1024;
/// Only subscriptions are ever sent.
const REQUESTS: usize = 8;

/// Listens to the hub's topics until the service stops, and connects again whenever it has to. Devices
/// speak MQTT 3.1.1, and so does this.
pub async fn listen(hub: Arc<Hub>, endpoint: Endpoint, client_id: String, shutdown: Shutdown) {
    let (host, port) = endpoint.address();
    let mut options = MqttOptions::new(client_id, host, port);
    options.set_keep_alive(KEEP_ALIVE).set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
    let subscribe = || {
        let filters = hub.topics().iter().map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce));
        if let Err(error) = client.try_subscribe_many(filters) {
            tracing::warn!(%endpoint, %error, "cannot subscribe to the devices' topics");
        }
    };
    let mut listen_again: Option<Instant> = None;
    loop {
        let event = tokio::select! {
            () = shutdown.stopped() => return,
            event = events.poll() => event,
        };
        // The broker is heard of at least as often as it is pinged.
        if listen_again.is_some_and(|at| at <= Instant::now()) {
            listen_again = None;
            subscribe();
        }
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                backoff.reset();
                subscribe();
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) => {
                let denied = denied(hub.topics(), &ack.return_codes);
                if !denied.is_empty() {
                    tracing::error!(%endpoint, topics = ?denied,
                        "the devices' broker denies us topics: their devices cannot be read, mend its access rules");
                    listen_again = Some(Instant::now() + SUBSCRIBE_AGAIN);
                }
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                hub.accept(&message.topic, &message.payload, message.retain);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%endpoint, %error, "the devices' broker is not reachable");
                if !shutdown.sleep(backoff.after_failure()).await {
                    return;
                }
            }
        }
    }
}

/// The topics that the broker did not grant; it answers in the order it was asked.
fn denied<'a>(topics: &'a BTreeSet<String>, codes: &[SubscribeReasonCode]) -> Vec<&'a str> {
    let denied = |(_, code): &(&String, &SubscribeReasonCode)| matches!(code, SubscribeReasonCode::Failure);
    topics.iter().zip(codes).filter(denied).map(|(topic, _)| topic.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f43_topics_that_are_denied_are_known_by_name() {
        let topics = ["a/SENSOR", "b/SENSOR", "c/SENSOR"].map(str::to_owned).into();
        let granted = || SubscribeReasonCode::Success(QoS::AtLeastOnce);
        let codes = [granted(), SubscribeReasonCode::Failure, granted()];
        assert_eq!(denied(&topics, &codes), ["b/SENSOR"]);
    }
}

//! The connection to the broker that devices publish to.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS, SubscribeFilter};
use service::lifecycle::{Backoff, Shutdown};

use super::Hub;
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
    loop {
        let event = tokio::select! {
            () = shutdown.stopped() => return,
            event = events.poll() => event,
        };
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                backoff.reset();
                let filters =
                    hub.topics().iter().map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce));
                if let Err(error) = client.try_subscribe_many(filters) {
                    tracing::warn!(%endpoint, %error, "cannot subscribe to the devices' topics");
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

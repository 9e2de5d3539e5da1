//! The embedded broker, seen through two real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use devnet::broker::{Broker, BrokerOptions};
use rumqttc::v5;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::net::TcpListener;
use tokio::time::timeout;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(20);

fn port(url: &str) -> u16 {
    Url::parse(url).unwrap().port().unwrap()
}

#[tokio::test]
async fn a_device_on_3_1_1_reaches_a_subscriber_on_5_with_64_kib() {
    let broker = Broker::start(BrokerOptions::default()).await.unwrap();
    assert!(broker.taken_ports().is_empty());
    let mut options = v5::MqttOptions::new("subscriber", "127.0.0.1", port(&broker.v5_url()));
    options.set_max_packet_size(Some(256 * 1024));
    let (subscriber, mut incoming) = v5::AsyncClient::new(options, 10);
    subscriber.subscribe("meters/+", v5::mqttbytes::QoS::AtLeastOnce).await.unwrap();
    let subscribed = async {
        loop {
            if let v5::Event::Incoming(v5::Incoming::SubAck(_)) = incoming.poll().await.unwrap() {
                return;
            }
        }
    };
    timeout(PATIENCE, subscribed).await.unwrap();

    let mut options = MqttOptions::new("device", "127.0.0.1", port(&broker.v4_url()));
    options.set_max_packet_size(256 * 1024, 256 * 1024);
    let (device, mut outgoing) = AsyncClient::new(options, 10);
    let payload = vec![b'x'; 64 * 1024];
    device.publish("meters/1", QoS::AtLeastOnce, false, payload.clone()).await.unwrap();
    // A message without any subscriber must not end the connection: the next one still arrives.
    device.publish("nobody/listens", QoS::AtLeastOnce, false, "x").await.unwrap();
    device.publish("meters/2", QoS::AtLeastOnce, false, "last").await.unwrap();
    let sent = tokio::spawn(async move {
        let mut acknowledged = 0;
        while acknowledged < 3 {
            if let Event::Incoming(Packet::PubAck(_)) = outgoing.poll().await.unwrap() {
                acknowledged += 1;
            }
        }
        outgoing
    });
    let received = async {
        let mut messages = Vec::new();
        while messages.len() < 2 {
            if let v5::Event::Incoming(v5::Incoming::Publish(message)) = incoming.poll().await.unwrap() {
                messages.push((message.topic, message.payload));
            }
        }
        messages
    };
    let messages = timeout(PATIENCE, received).await.unwrap();
    assert_eq!((&messages[0].0[..], &messages[0].1[..]), (&b"meters/1"[..], &payload[..]));
    assert_eq!((&messages[1].0[..], &messages[1].1[..]), (&b"meters/2"[..], &b"last"[..]));
    drop(timeout(PATIENCE, sent).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_taken_port_is_replaced_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap().port();
    let options = BrokerOptions { preferred_v5_port: Some(taken), ..BrokerOptions::default() };
    let broker = Broker::start(options).await.unwrap();
    assert_eq!(broker.taken_ports(), [taken]);
    assert_ne!(port(&broker.v5_url()), taken);
}

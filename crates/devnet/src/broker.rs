//! An MQTT broker inside this process, for a run that brings none of its own.
//!
//! Two listeners on loopback share one router: MQTT 5 for agents and ingest, MQTT 3.1.1 for devices that speak no
//! newer version. There is no authentication: only this machine reaches it, and what counts is signed.
//!
//! What to know of this broker (rumqttd 0.20):
//! - It cannot be stopped. Its threads end with the process.
//! - It closes a connection that asks for no keep-alive at all (keep-alive 0).
//! - A second connection with the same client id drops the first.
//! - A queue belongs to a subscription filter and holds the last [`BrokerOptions::queue_segments`] segments; a
//!   subscriber that falls further behind misses messages, even with QoS 1. Senders resend until they are told
//!   that their record is stored.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use rumqttd::{Broker as Rumqttd, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::ports::ReservedPort;

/// How long the listeners may take to appear.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// The broker's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerOptions {
    /// Port of the MQTT 5 listener to take if it is free.
    pub preferred_v5_port: Option<u16>,
    /// Port of the MQTT 3.1.1 listener to take if it is free.
    pub preferred_v4_port: Option<u16>,
    /// Greatest number of connections over both listeners.
    pub max_connections: usize,
    /// Greatest size of a packet in bytes, larger ones end the connection.
    pub max_packet_bytes: usize,
    /// Greatest number of packets of a connection that are taken in one go.
    pub max_inflight: usize,
    /// Size of a segment of a queue in bytes.
    pub queue_segment_bytes: usize,
    /// Number of segments of a queue.
    pub queue_segments: usize,
}

impl Default for BrokerOptions {
    /// 1,200 connections, packets of 256 KiB, 100 in flight, and queues of 8 segments of 256 KiB: some 3,000 readings.
    fn default() -> Self {
        Self {
            preferred_v5_port: None,
            preferred_v4_port: None,
            max_connections: 1_200,
            max_packet_bytes: 256 * 1024,
            max_inflight: 100,
            queue_segment_bytes: 256 * 1024,
            queue_segments: 8,
        }
    }
}

/// Why the broker is not there.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No port could be bound.
    #[error("no free port on 127.0.0.1 ({0}); check the machine's network set-up")]
    Port(std::io::Error),
    /// The thread could not be started.
    #[error("the MQTT broker's thread could not be started ({0}); free some memory or processes")]
    Thread(std::io::Error),
    /// A listener did not appear.
    #[error("the MQTT broker does not answer on {0}; set MQTT_URL to a broker of your own")]
    NotReady(SocketAddr),
}

/// A running broker.
#[derive(Debug, Clone)]
pub struct Broker {
    v5: SocketAddr,
    v4: SocketAddr,
    taken_ports: Vec<u16>,
}

impl Broker {
    /// Starts the broker and waits until both listeners take connections.
    ///
    /// # Errors
    /// When no port can be bound or a listener does not appear within ten seconds.
    pub async fn start(options: BrokerOptions) -> Result<Self, BrokerError> {
        let v5 = ReservedPort::new(options.preferred_v5_port).map_err(BrokerError::Port)?;
        let v4 = ReservedPort::new(options.preferred_v4_port).map_err(BrokerError::Port)?;
        let mut broker = Rumqttd::new(config(&options, v5.address(), v4.address()));
        thread::Builder::new()
            .name("mqtt-broker".to_owned())
            .spawn(move || {
                // It returns only when all its listeners have failed, which it does not report otherwise.
                if let Err(error) = broker.start() {
                    tracing::error!(%error, "the MQTT broker ended");
                }
            })
            .map_err(BrokerError::Thread)?;
        for address in [v5.address(), v4.address()] {
            wait_until_ready(address).await?;
        }
        let taken_ports = [v5.taken(), v4.taken()].into_iter().flatten().collect();
        let started = Self { v5: v5.address(), v4: v4.address(), taken_ports };
        v5.release();
        v4.release();
        Ok(started)
    }

    /// URL of the MQTT 5 listener, `mqtt://127.0.0.1:PORT`.
    #[must_use]
    pub fn v5_url(&self) -> String {
        format!("mqtt://{}", self.v5)
    }

    /// URL of the MQTT 3.1.1 listener, `mqtt://127.0.0.1:PORT`.
    #[must_use]
    pub fn v4_url(&self) -> String {
        format!("mqtt://{}", self.v4)
    }

    /// Preferred ports that were taken, so that free ones stand in for them.
    #[must_use]
    pub fn taken_ports(&self) -> &[u16] {
        &self.taken_ports
    }
}

fn config(options: &BrokerOptions, v5: SocketAddr, v4: SocketAddr) -> Config {
    let server = |name: &str, listen| ServerSettings {
        name: name.to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: options.max_packet_bytes,
            max_inflight_count: options.max_inflight,
            auth: None,
            external_auth: None,
            // Otherwise a message that nobody has subscribed to yet ends its sender's connection.
            dynamic_filters: true,
        },
    };
    let only = |settings: ServerSettings| Some(HashMap::from([(settings.name.clone(), settings)]));
    Config {
        router: RouterConfig {
            max_connections: options.max_connections,
            max_outgoing_packet_count: 200,
            max_segment_size: options.queue_segment_bytes,
            max_segment_count: options.queue_segments,
            ..RouterConfig::default()
        },
        v5: only(server("mqtt-v5", v5)),
        v4: only(server("mqtt-v4", v4)),
        ..Config::default()
    }
}

async fn wait_until_ready(address: SocketAddr) -> Result<(), BrokerError> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        if let Ok(Ok(_)) = timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(BrokerError::NotReady(address));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

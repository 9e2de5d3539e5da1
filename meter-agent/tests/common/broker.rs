//! A broker, and a line to it that can be cut.
#![allow(dead_code)] // each test uses its part

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};

use meter_agent::MqttConfig;
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::sync::watch;

/// A broker on a free port; its threads end with the process.
pub(crate) fn broker() -> MqttConfig {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 65_536,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server =
        ServerSettings { name: "v5".to_owned(), listen, tls: None, next_connection_delay_ms: 1, connections };
    let router = RouterConfig {
        max_connections: 20,
        max_outgoing_packet_count: 200,
        max_segment_size: 1 << 20,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    let config = Config { router, v5: Some(HashMap::from([("v5".to_owned(), server)])), ..Config::default() };
    std::thread::spawn(move || drop(Broker::new(config).start()));
    while TcpStream::connect(listen).is_err() {
        std::thread::yield_now();
    }
    MqttConfig { url: format!("mqtt://127.0.0.1:{port}"), ..MqttConfig::default() }
}

/// A proxy before a broker, whose connections can be cut all at once, or led to another broker.
pub(crate) struct Cuttable {
    port: u16,
    cuts: watch::Sender<()>,
    target: watch::Sender<String>,
}

fn address(broker: &MqttConfig) -> String {
    broker.url.trim_start_matches("mqtt://").to_owned()
}

impl Cuttable {
    pub(crate) async fn before(broker: &MqttConfig) -> Self {
        let target = watch::Sender::new(address(broker));
        let leads_to = target.subscribe();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = watch::Sender::new(());
        let told = cuts.subscribe();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut told) = (leads_to.borrow().clone(), told.clone());
                told.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = tokio::net::TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = told.changed() => {}
                    }
                });
            }
        });
        Self { port, cuts, target }
    }

    /// Cuts every connection; the next ones reach another broker.
    pub(crate) fn lead_to(&self, broker: &MqttConfig) {
        self.target.send_replace(address(broker));
        self.cut();
    }

    pub(crate) fn config(&self) -> MqttConfig {
        MqttConfig { url: format!("mqtt://127.0.0.1:{}", self.port), ..MqttConfig::default() }
    }

    pub(crate) fn cut(&self) {
        self.cuts.send_replace(());
    }
}

//! A line to a broker that holds back a chosen kind of packet, so that a process can be killed exactly between
//! two steps of a delivery.
#![allow(dead_code)] // each test uses its part

use std::io;
use std::sync::Arc;

use meter_agent::MqttConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// What does not come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// All comes through.
    Nothing,
    /// The broker is never reached: connections are taken and not answered.
    Everything,
    /// The broker has what was published; its PUBACKs do not come back, and neither does what ingest says, which may
    /// be faster.
    Pubacks,
    /// PUBACKs come; what ingest says (acknowledgements) does not.
    Acknowledgements,
}

/// A line before a broker.
pub(crate) struct HeldLine {
    port: u16,
    held: watch::Sender<Held>,
    /// Told when a packet of the held kind was held back; of [`Held::Nothing`], when an acknowledgement has
    /// come through.
    pub(crate) reached: Arc<Notify>,
}

const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;

impl HeldLine {
    pub(crate) async fn before(broker: &MqttConfig) -> Self {
        let target = broker.url.trim_start_matches("mqtt://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (held, reached) = (watch::Sender::new(Held::Nothing), Arc::new(Notify::new()));
        let (now, told) = (held.subscribe(), reached.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (target, now, told) = (target.clone(), now.clone(), told.clone());
                tokio::spawn(async move {
                    // Whichever side closes ends the line.
                    let _ = line(near, &target, &now, &told).await;
                });
            }
        });
        Self { port, held, reached }
    }

    pub(crate) fn config(&self) -> MqttConfig {
        MqttConfig { url: format!("mqtt://127.0.0.1:{}", self.port), ..MqttConfig::default() }
    }

    /// Holds back another kind from now on.
    pub(crate) fn hold(&self, held: Held) {
        self.held.send_replace(held);
    }
}

async fn line(
    mut near: TcpStream,
    target: &str,
    held: &watch::Receiver<Held>,
    reached: &Notify,
) -> io::Result<()> {
    if *held.borrow() == Held::Everything {
        // Silent until the other side gives up.
        while near.read(&mut [0; 1_024]).await? > 0 {}
        return Ok(());
    }
    let (from_agent, to_agent) = near.into_split();
    let (from_broker, to_broker) = TcpStream::connect(target).await?.into_split();
    tokio::select! {
        up = upward(from_agent, to_broker) => up,
        down = downward(from_broker, to_agent, held, reached) => down,
    }
}

async fn upward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await.map(|_| ())
}

async fn downward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    held: &watch::Receiver<Held>,
    reached: &Notify,
) -> io::Result<()> {
    loop {
        let packet = packet(&mut from).await?;
        let held = *held.borrow();
        match (held, packet[0] >> 4) {
            (Held::Pubacks, PUBACK) | (Held::Acknowledgements, PUBLISH) => reached.notify_one(),
            (Held::Pubacks, PUBLISH) => {}
            (Held::Nothing, PUBLISH) => {
                to.write_all(&packet).await?;
                reached.notify_one();
            }
            _ => to.write_all(&packet).await?,
        }
    }
}

/// One packet of MQTT: a byte of kind, a length of one to four bytes, and as much.
async fn packet(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut packet = vec![from.read_u8().await?];
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = from.read_u8().await?;
        packet.push(byte);
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let head = packet.len();
    packet.resize(head + length, 0);
    from.read_exact(&mut packet[head..]).await?;
    Ok(packet)
}

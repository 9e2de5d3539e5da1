//! An agent with a hundred Modbus devices, each on a connection of its own, read every second: memory and
//! processor time of its process. The devices and the broker are in this one.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use meter_agent::MqttConfig;
use meter_agent::link::{self, LinkEvent};
use meter_agent::ocmf;
use meter_agent::wire::{Acknowledgement, ack_topic, readings_topic};
use rumqttc::v5::mqttbytes::QoS;
use service::lifecycle::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::broker::broker;
use crate::{Figure, child, cpu, float};

const DEVICES: usize = 100;
const WARM_UP: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(20);
const MEMORY_LIMIT_MB: f64 = 20.0;
const CPU_LIMIT_PERCENT: f64 = 5.0;

pub(crate) fn print() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let used = runtime.block_on(measure());
    Figure::new("agent_100_devices_1s_memory", used.memory_mb, "MB").at_most(MEMORY_LIMIT_MB).print();
    Figure::new("agent_100_devices_1s_cpu", used.cpu_percent, "% of a core")
        .at_most(CPU_LIMIT_PERCENT)
        .print();
}

struct Used {
    memory_mb: f64,
    cpu_percent: f64,
}

async fn measure() -> Used {
    let mqtt = broker();
    let shutdown = Shutdown::new();
    let delivered = tokio::spawn(acknowledge(mqtt.clone(), shutdown.clone()));
    let folder = tempfile::tempdir().unwrap();
    let mut text = format!("{}\n{}\n", mqtt.url, folder.path().join("outbox.redb").display());
    for _ in 0..DEVICES {
        writeln!(text, "{}", device().await).unwrap();
    }
    let file = folder.path().join("agent");
    std::fs::write(&file, text).unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .arg(format!("--agent={}", file.display()))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(WARM_UP).await;
    let (before, started) = (cpu::seconds(process.id()), Instant::now());
    tokio::time::sleep(MEASURED).await;
    let used = cpu::seconds(process.id()) - before;
    let seconds = started.elapsed().as_secs_f64();
    let memory_mb = most_memory_mb(&process);
    process.kill().unwrap();
    process.wait().unwrap();
    shutdown.stop();
    let delivered = delivered.await.unwrap();
    // What is measured must have worked: a record a device and second, but for those on their way.
    let due = float(DEVICES) * (seconds - 2.0);
    assert!(float(delivered) >= due, "{delivered} records of {due} were delivered");
    Used { memory_mb, cpu_percent: used / seconds * 100.0 }
}

/// Stands in for ingest: acknowledges all there is, as it comes. Returns how many it had.
async fn acknowledge(mqtt: MqttConfig, shutdown: Shutdown) -> usize {
    let mut link = link::open(mqtt.options("ingest").unwrap(), 1_024, 1_024, 1, shutdown);
    let topics = (
        readings_topic(&child::community(), &child::agent()),
        ack_topic(&child::community(), &child::agent()),
    );
    let mut count = 0;
    while let Some(event) = link.events.recv().await {
        match event {
            LinkEvent::Connected => link.client.try_subscribe(&topics.0, QoS::AtLeastOnce).unwrap(),
            LinkEvent::Message { payload, .. } => {
                let reading = ocmf::parse(std::str::from_utf8(&payload).unwrap()).unwrap().reading;
                let ack = Acknowledgement {
                    meter_id: reading.meter_id,
                    epoch: reading.epoch,
                    stored_through_seq: reading.seq,
                };
                for message in Acknowledgement::to_messages(&[ack]) {
                    link.client.try_publish(&topics.1, QoS::AtLeastOnce, false, message).unwrap();
                }
                count += 1;
            }
            _ => {}
        }
    }
    count
}

/// An SDM630 on a free port whose registers rise.
async fn device() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let started = Instant::now();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, started));
        }
    });
    port
}

async fn answer(mut stream: TcpStream, started: Instant) {
    let mut request = [0; 12];
    while stream.read_exact(&mut request).await.is_ok() {
        let word = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
        let (address, count) = (usize::from(word(8)), usize::from(word(10)));
        let mut registers = [0_u16; 80];
        let energy = 100.0 + started.elapsed().as_secs_f32() / 100.0;
        for (at, value) in [(0, 230.5_f32), (52, 400.0), (70, 50.0), (72, energy), (74, 10.0)] {
            let bytes = value.to_be_bytes();
            registers[at] = u16::from_be_bytes([bytes[0], bytes[1]]);
            registers[at + 1] = u16::from_be_bytes([bytes[2], bytes[3]]);
        }
        let words =
            if address == 64_512 { vec![18, 54_919] } else { registers[address..address + count].to_vec() };
        let length = u8::try_from(words.len() * 2).unwrap();
        let mut bytes = vec![request[0], request[1], 0, 0, 0, length + 3, request[6], request[7], length];
        bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// The most memory that was resident at once.
fn most_memory_mb(process: &Child) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1_024.0 / 1e6
}

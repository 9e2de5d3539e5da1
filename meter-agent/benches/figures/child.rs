//! The agent whose process is measured: the program's own poller, outbox and publisher. The program itself
//! reads at slot boundaries, of which the shortest are 10 s apart; here they are a second apart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::{AgentId, CommunityId, MeterId};
use domain::slot::SlotLength;
use domain::time::Clock;
use meter_agent::MqttConfig;
use meter_agent::modbus::{Bus, BusTiming, Endpoint, ModbusMeter};
use meter_agent::ocmf::TimeStatus;
use meter_agent::outbox::Outbox;
use meter_agent::poll::{Group, PollTiming, PolledDevice, Poller, Signer};
use meter_agent::publish::{Publisher, WindowLimits};
use meter_agent::template::{Library, Template};
use p256::ecdsa::SigningKey;
use service::lifecycle::Shutdown;
use tokio::sync::{Mutex, Notify};

pub(crate) fn community() -> CommunityId {
    CommunityId::new("bench").unwrap()
}

pub(crate) fn agent() -> AgentId {
    AgentId::new("agent").unwrap()
}

/// Runs until it is killed. The file's lines are the broker's URL, the outbox, and each device's port.
pub(crate) fn run(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let mqtt = MqttConfig { url: lines.next().unwrap().to_owned(), ..MqttConfig::default() };
    let outbox = Arc::new(Outbox::open(Path::new(lines.next().unwrap()), 200_000, 1).unwrap());
    let template = Library::embedded().unwrap().get("eastron_sdm630").unwrap();
    let ports = lines.map(|port| port.parse().unwrap());
    let groups = ports.enumerate().map(|(number, port)| group(number, port, &template)).collect();
    meter_agent::cli::runtime().unwrap().block_on(poll(groups, outbox, mqtt));
}

fn group(number: usize, port: u16, template: &Arc<Template>) -> Group {
    let endpoint = Endpoint::Tcp { host: "127.0.0.1".to_owned(), port };
    let bus = Arc::new(Mutex::new(Bus::new(endpoint, BusTiming::from(&template.quirks))));
    let meter = ModbusMeter::new(bus, 1, template.clone(), Clock::System).unwrap();
    let meter_id = MeterId::new(&format!("meter-{number}")).unwrap();
    Group { devices: vec![PolledDevice::new(meter_id, "eastron_sdm630@1".to_owned(), Box::new(meter))] }
}

async fn poll(groups: Vec<Group>, outbox: Arc<Outbox>, mqtt: MqttConfig) {
    let signer = Signer {
        key: SigningKey::from_slice(&[7; 32]).unwrap(),
        community_id: community(),
        agent_id: agent(),
        boot_id: "boot".to_owned(),
        time_status: TimeStatus::Unknown,
    };
    let timing = PollTiming::new(SlotLength::from_seconds(10).unwrap());
    let stored = Arc::new(Notify::new());
    let limits =
        WindowLimits { oldest: 64, newest: 8, resend_after: Duration::from_secs(10), drain_per_s: 500 };
    let mut publisher = Publisher::new(outbox.clone(), &community(), &agent(), limits, stored.clone());
    let mut poller = Poller::new(timing, groups, outbox, Arc::new(signer), Clock::System, stored);
    let shutdown = Shutdown::new();
    let publish = publisher.run(mqtt.options("agent").unwrap(), 1, &shutdown);
    let read = async {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            let now = Clock::System.now().timestamp();
            poller.tick(DateTime::<Utc>::from_timestamp(now, 0).unwrap()).await;
        }
    };
    tokio::join!(publish, read);
}

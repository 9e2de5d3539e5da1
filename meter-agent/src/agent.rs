//! One agent: its devices, its outbox and its connection, put together and run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::time::Clock;
use p256::ecdsa::SigningKey;
use service::health::Heartbeat;
use service::lifecycle::Shutdown;
use tokio::sync::{Mutex, Notify};

use crate::config::{Access, AgentConfig, AgentPlan, DevicePlan};
use crate::curtail::{Curtailer, Keeper};
use crate::health::{self, Board, ClockState, Reporter};
use crate::link::{self, MqttConfig};
use crate::lost::{self, Gap, Lost};
use crate::modbus::{Bus, BusTiming, Endpoint, ModbusMeter, SharedBus};
use crate::mqtt_device::{self, Hub, MqttMeter};
use crate::ocmf::TimeStatus;
use crate::one_way::OneWayMeter;
use crate::outbox::Outbox;
use crate::poll::{Group, PolledDevice, Poller, Signer};
use crate::publish::Publisher;
use crate::source::MeterSource;
use crate::sunspec::SunSpecMeter;
use crate::template::Library;

const HEARTBEAT_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// What an agent is given.
#[derive(Clone)]
pub struct AgentDeps {
    /// The clock.
    pub clock: Clock,
    /// The agent's signing key; see [`crate::keys::load_or_create`].
    pub signing_key: SigningKey,
    /// Changes with every start; 1 to 64 characters.
    pub boot_id: String,
    /// Spreads the retries of many agents.
    pub jitter_seed: u64,
}

impl std::fmt::Debug for AgentDeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentDeps").field("boot_id", &self.boot_id).finish_non_exhaustive()
    }
}

/// Runs an agent until the service stops, its clock's state as configured. Several may run in one process.
///
/// # Errors
/// If the configuration, the outbox or the broker's section cannot be used; nothing was started then.
pub async fn run(
    config: AgentConfig,
    mqtt: MqttConfig,
    deps: AgentDeps,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    run_with_clock_state(config, mqtt, deps, Arc::new(TimeStatus::default), shutdown).await
}

/// Runs an agent; `clock_state` tells how the machine's clock is kept, unless the configuration says so.
///
/// # Errors
/// As [`run`].
pub async fn run_with_clock_state(
    config: AgentConfig,
    mqtt: MqttConfig,
    deps: AgentDeps,
    clock_state: ClockState,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let plan = AgentPlan::check(&config, &Library::embedded()?)?;
    let options = mqtt.options(plan.agent_id.as_str())?;
    let clock_state = match config.time_status {
        Some(configured) => Arc::new(move || configured),
        None => clock_state,
    };
    let board = Arc::new(Board::new(plan.devices.iter().map(|device| device.meter_id.clone())));
    let outbox = Arc::new(open_outbox(&plan, config.outbox_max_records, &deps, &board)?);
    let stored = Arc::new(Notify::new());
    let signer = Arc::new(Signer {
        key: deps.signing_key.clone(),
        community_id: plan.community_id.clone(),
        agent_id: plan.agent_id.clone(),
        boot_id: deps.boot_id.clone(),
        time_status: TimeStatus::default(),
    });
    let groups = connect(&plan, &deps, &board, &shutdown);
    tracing::info!(agent_id = %plan.agent_id, devices = plan.devices.len(), endpoints = groups.len(),
        waiting = outbox.depth()?, "the agent starts");
    let mut poller =
        Poller::new(plan.timing, groups, outbox.clone(), signer, deps.clock.clone(), stored.clone())
            .noting(board.clone())
            .with_clock_state(clock_state.clone());
    let (messages, line, reports) = health::reports(&plan.community_id, &plan.agent_id);
    let reporter = Reporter {
        community_id: plan.community_id.clone(),
        agent_id: plan.agent_id.clone(),
        key: deps.signing_key.clone(),
        board,
        outbox: outbox.clone(),
        slot_length: plan.timing.slot_length,
        certificate_file: mqtt.client_certificate_file.clone(),
        clock_state,
        metrics_file: config.metrics_file,
        clock: deps.clock.clone(),
        messages,
        line,
        wake: stored.clone(),
    };
    let mut publisher =
        Publisher::new(outbox, &plan.community_id, &plan.agent_id, plan.limits, stored).with_reports(reports);
    let heartbeat = Heartbeat::new(config.heartbeat_file);
    let beats = async {
        heartbeat.beat();
        while shutdown.sleep(HEARTBEAT_EVERY).await {
            heartbeat.beat();
        }
    };
    let certificate = link::watch_certificate(&mqtt, &deps.clock, &shutdown);
    let publish = publisher.run(options, deps.jitter_seed, &shutdown);
    let poll = async {
        tokio::select! {
            () = poller.probe() => {}
            () = shutdown.stopped() => {}
        }
        poller.run(&shutdown).await;
    };
    tokio::join!(poll, publish, reporter.run(&shutdown), beats, certificate);
    Ok(())
}

/// Opens the outbox; one that is damaged is set aside, and what is whole in it is taken over, which is an event.
fn open_outbox(
    plan: &AgentPlan,
    max_records: u64,
    deps: &AgentDeps,
    board: &Board,
) -> anyhow::Result<Outbox> {
    let now = deps.clock.now();
    let first_epoch = epoch_of(now);
    let (outbox, damaged) = Outbox::open_or_replace(&plan.outbox_file, max_records, first_epoch)?;
    if let Some(aside) = damaged {
        let state = |gap: &Gap| {
            let lost = Lost {
                community_id: plan.community_id.clone(),
                agent_id: plan.agent_id.clone(),
                gap: gap.clone(),
            };
            lost::sign(&lost, &deps.signing_key)
        };
        let saved = outbox.take_over(&aside, deps.signing_key.verifying_key(), state)?;
        let aside = aside.display();
        tracing::error!(%aside, first_epoch, recovered = saved.recovered, missing = saved.missing,
            "the outbox was damaged and is set aside; what is whole in it is delivered, and a new epoch begins");
        let words = format!(
            "set aside as {aside}; {} records in it were whole and are delivered, {} numbers between them are \
             missing, and every meter begins epoch {first_epoch}",
            saved.recovered, saved.missing
        );
        board.note_event("outbox_damaged", now, None, &words);
    }
    Ok(outbox)
}

/// The epoch that meters begin with which a new outbox does not know: minutes since 2020. An agent that
/// lost its outbox so never uses the numbers of an earlier epoch again.
#[must_use]
pub fn epoch_of(now: DateTime<Utc>) -> i32 {
    const START_OF_2020_S: i64 = 1_577_836_800;
    i32::try_from((now.timestamp() - START_OF_2020_S) / 60).unwrap_or(1).max(1)
}

/// A source for each device: one group an endpoint that is asked, one a device that speaks by itself.
fn connect(plan: &AgentPlan, deps: &AgentDeps, board: &Arc<Board>, shutdown: &Shutdown) -> Vec<Group> {
    let clock = &deps.clock;
    let hubs = listen(plan, clock, shutdown);
    let mut buses: BTreeMap<&Endpoint, (SharedBus, Group)> = BTreeMap::new();
    let mut groups = Vec::new();
    for device in &plan.devices {
        match &device.access {
            Access::Modbus { endpoint, unit } => {
                let timing = BusTiming::from(&device.template.quirks);
                let (bus, group) = buses.entry(endpoint).or_insert_with(|| {
                    let bus = Bus::new(endpoint.clone(), timing).with_jitter(deps.jitter_seed);
                    (Arc::new(Mutex::new(bus)), Group::default())
                });
                // Nobody else holds the lock before the first boundary.
                if let Ok(mut bus) = bus.try_lock() {
                    bus.be_patient(timing);
                }
                curtail(device, bus, clock, board, shutdown);
                group
                    .devices
                    .extend(modbus_source(device, bus.clone(), *unit, clock).map(|s| polled(device, s)));
            }
            Access::Mqtt { endpoint, topic } => {
                let Some(hub) = hubs.get(endpoint) else { continue };
                let meter = MqttMeter::new(hub.clone(), topic, device.template.clone());
                let devices = meter.into_iter().map(|meter| polled(device, Box::new(meter))).collect();
                groups.push(Group { devices });
            }
        }
    }
    groups.extend(buses.into_values().map(|(_, group)| group));
    groups
}

/// Keeps the limit of a device's power, if one is configured.
fn curtail(device: &DevicePlan, bus: &SharedBus, clock: &Clock, board: &Arc<Board>, shutdown: &Shutdown) {
    let Some(plan) = device.curtail else { return };
    // The template was checked with the configuration.
    let Ok(curtailer) = Curtailer::new(bus.clone(), plan.unit, device.template.clone()) else { return };
    let keeper = Keeper::new(device.meter_id.clone(), curtailer, plan.limit, board.clone(), clock.clone());
    tokio::spawn(keeper.run(shutdown.clone()));
}

/// One connection to each broker that devices publish to.
fn listen<'a>(plan: &'a AgentPlan, clock: &Clock, shutdown: &Shutdown) -> BTreeMap<&'a Endpoint, Arc<Hub>> {
    let mut topics: BTreeMap<&Endpoint, [BTreeSet<String>; 2]> = BTreeMap::new();
    for device in &plan.devices {
        if let Access::Mqtt { endpoint, topic } = &device.access {
            let own = mqtt_device::topics(&device.template, topic).unwrap_or_default();
            let [all, states] = topics.entry(endpoint).or_default();
            all.extend(own);
            states.extend(mqtt_device::state_topics(&device.template, topic));
        }
    }
    let mut hubs = BTreeMap::new();
    for (endpoint, [topics, states]) in topics {
        let hub = Arc::new(Hub::new(clock.clone(), topics).with_states(states));
        // An id of its own: a broker drops the older of two connections with one id.
        let client_id = format!("{}-devices", plan.agent_id);
        tokio::spawn(mqtt_device::listen(hub.clone(), endpoint.clone(), client_id, shutdown.clone()));
        hubs.insert(endpoint, hub);
    }
    hubs
}

/// A source for a unit on a Modbus endpoint.
#[must_use]
pub fn modbus_source(
    device: &DevicePlan,
    bus: SharedBus,
    unit: u8,
    clock: &Clock,
) -> Option<Box<dyn MeterSource>> {
    let template = device.template.clone();
    if template.sunspec.is_some() {
        SunSpecMeter::new(bus, unit, template, clock.clone()).map(|meter| Box::new(meter) as _)
    } else {
        ModbusMeter::new(bus, unit, template, clock.clone()).map(|meter| Box::new(meter) as _)
    }
}

fn polled(device: &DevicePlan, source: Box<dyn MeterSource>) -> PolledDevice {
    let template = &device.template;
    let own = if device.is_adapted { "+own" } else { "" };
    let name = format!("{}@{}{own}", template.id, template.version);
    let source = match device.one_way {
        Some(way) => Box::new(OneWayMeter::new(source, way)),
        None => source,
    };
    let mut polled = PolledDevice::new(device.meter_id.clone(), name, source);
    polled.sleeps_at_night = template.quirks.sleeps_at_night;
    polled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_outbox_begins_with_a_later_epoch() {
        let at = |s| DateTime::from_timestamp(s, 0).unwrap();
        assert!(epoch_of(at(1_795_000_060)) > epoch_of(at(1_795_000_000)));
        assert_eq!(epoch_of(at(0)), 1);
    }
}

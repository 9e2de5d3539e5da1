//! The simulated devices: their registers as a pure function, and what a client reads from them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use devnet::broker::{Broker, BrokerOptions};
use devnet::dataset::{DataSet, ProfileRow, Site, SitePower};
use devnet::fleet::bank::MeterBank;
use devnet::fleet::profile_clock::ProfileClock;
use devnet::fleet::{self, Device, DeviceKind, Endpoint, FleetHandle};
use domain::time::{Clock, ManualClock};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::time::timeout;
use tokio_modbus::client::{Context, Reader, tcp};
use tokio_modbus::{ExceptionCode, Slave};
use tokio_util::sync::CancellationToken;
use url::Url;

const SLOT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(20);

fn epoch() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn site(id: String, pv_peak_w: u32) -> Site {
    Site {
        id,
        connection_node: String::new(),
        load_kinds: Vec::new(),
        load_profiles: Vec::new(),
        load_peak_w: 5_000,
        pv_peak_w,
        battery_wh: 0,
        battery_w: 0,
    }
}

/// A made-up community: figures without any pattern that a wrong formula could meet by chance.
fn community(sites: u32, rows: u32) -> Arc<DataSet> {
    let power = |row: u32, site: u32| SitePower {
        load_w: (row * 7_919 + site * 104_729) % 9_973,
        pv_w: if site.is_multiple_of(3) { (row * 6_007 + site * 1_299_709) % 15_013 } else { 0 },
    };
    let rows = (0..rows).map(|row| ProfileRow {
        slot_start: epoch() + TimeDelta::seconds(900 * i64::from(row)),
        powers: (0..sites).map(|site| power(row, site)).collect(),
    });
    let sites = (0..sites).map(|n| site(format!("site-{n:03}"), if n % 3 == 0 { 16_000 } else { 0 }));
    Arc::new(DataSet { sites: sites.collect(), rows: rows.collect(), slot_seconds: 900 })
}

fn bank(data: &Arc<DataSet>, slot: Duration) -> MeterBank {
    let clock = ProfileClock::new(epoch(), slot, data.slot_seconds, data.rows.len()).unwrap();
    MeterBank::new(Arc::clone(data), clock)
}

/// Counts slot by slot what the bank computes at once.
fn check_against_a_running_count(data: &Arc<DataSet>, slots: u32) {
    let bank = bank(data, SLOT);
    let before = epoch() - TimeDelta::days(1);
    for index in 0..data.sites.len() {
        let start = bank.registers(index, before).unwrap();
        assert_eq!(start.power, SitePower::default());
        let (mut import, mut export, mut production) =
            (start.import_mwh, start.export_mwh, start.production_mwh);
        for slot in 0..slots {
            let row = usize::try_from(slot).unwrap() % data.rows.len();
            let power = data.rows[row].powers[index];
            let at = |micros: i64| {
                let since = TimeDelta::microseconds(10_000_000 * i64::from(slot) + micros);
                bank.registers(index, epoch() + since).unwrap()
            };
            let now = at(0);
            assert_eq!((now.import_mwh, now.export_mwh, now.production_mwh), (import, export, production));
            assert_eq!(now.power, power);
            // A quarter hour at 1 W is 250 mWh; half of it in half a slot.
            let half = at(5_000_000);
            assert_eq!(half.production_mwh, production + u64::from(power.pv_w) * 125);
            import += u64::from(power.load_w.saturating_sub(power.pv_w)) * 250;
            export += u64::from(power.pv_w.saturating_sub(power.load_w)) * 250;
            production += u64::from(power.pv_w) * 250;
            let last = at(9_999_999);
            assert!(last.import_mwh <= import && last.import_mwh >= half.import_mwh);
        }
    }
}

#[test]
fn registers_of_104_sites_equal_a_running_count_over_several_rounds_of_the_profile() {
    check_against_a_running_count(&community(104, 96), 300);
}

#[test]
fn registers_of_1000_sites_equal_a_running_count() {
    check_against_a_running_count(&community(1_000, 24), 60);
}

#[test]
fn a_restart_shows_the_same_registers_and_years_later_still_exact_ones() {
    let data = community(3, 96);
    let now = epoch() + TimeDelta::microseconds(123_456_789);
    assert_eq!(bank(&data, SLOT).registers(0, now), bank(&data, SLOT).registers(0, now));

    let years = epoch() + TimeDelta::days(20 * 365);
    let rounds = u64::try_from(20 * 365 * 8_640 / 96).unwrap();
    for index in 0..3 {
        let bank = bank(&data, SLOT);
        let at = |time| bank.registers(index, time).unwrap();
        let round = at(epoch() + TimeDelta::seconds(960)).import_mwh - at(epoch()).import_mwh;
        assert!(round > 0);
        assert_eq!(at(years).import_mwh - at(epoch()).import_mwh, round * rounds);
    }
}

#[test]
fn registers_never_go_back_whatever_the_slot_lengths() {
    let mut data = (*community(4, 7)).clone();
    data.slot_seconds = 300; // a third of a mWh is left over in each slot
    let data = Arc::new(data);
    let bank = bank(&data, Duration::from_secs(7));
    for index in 0..4 {
        let mut last = bank.registers(index, epoch()).unwrap();
        for step in 1..2_000 {
            let now = bank.registers(index, epoch() + TimeDelta::microseconds(step * 77_777)).unwrap();
            assert!(now.import_mwh >= last.import_mwh && now.export_mwh >= last.export_mwh);
            last = now;
        }
    }
    assert_eq!(bank.registers(4, epoch()), None, "there is no fifth site");
}

struct Running {
    bank: Arc<MeterBank>,
    clock: ManualClock,
    broker: Broker,
    fleet: FleetHandle,
    stop: CancellationToken,
}

impl Running {
    async fn start(data: Arc<DataSet>) -> Self {
        let broker = Broker::start(BrokerOptions::default()).await.unwrap();
        let bank = Arc::new(bank(&data, SLOT));
        let clock = ManualClock::new(epoch() + TimeDelta::seconds(3_604));
        let url = Url::parse(&broker.v4_url()).unwrap();
        let stop = CancellationToken::new();
        let fleet = fleet::start(Arc::clone(&bank), &url, Clock::Manual(clock.clone()), &stop).await.unwrap();
        Self { bank, clock, broker, fleet, stop }
    }

    fn first(&self, kind: DeviceKind) -> &Device {
        self.fleet.devices().iter().find(|device| device.kind == kind).unwrap()
    }
}

async fn connect(device: &Device) -> Context {
    let Endpoint::Modbus { address, unit_id } = device.endpoint else { panic!("{device:?}") };
    tcp::connect_slave(address, Slave(unit_id)).await.unwrap()
}

async fn input_f32(context: &mut Context, address: u16) -> f32 {
    let words = context.read_input_registers(address, 2).await.unwrap().unwrap();
    f32::from_bits(u32::from(words[0]) << 16 | u32::from(words[1]))
}

#[tokio::test]
async fn an_sdm630_answers_like_one() {
    let running = Running::start(community(6, 500)).await;
    let device = running.first(DeviceKind::Sdm630);
    let mut context = connect(device).await;
    let expected = running.bank.registers(device.site_index, running.clock.now()).unwrap();
    let near = |found: f32, expected: f64| {
        assert!((f64::from(found) - expected).abs() < 0.001, "{found} {expected}")
    };
    near(input_f32(&mut context, 0).await, 230.0);
    near(input_f32(&mut context, 70).await, 50.0);
    near(input_f32(&mut context, 52).await, f64::from(expected.power.load_w));
    let import_wh = f64::from(u32::try_from(expected.import_mwh / 1_000).unwrap());
    near(input_f32(&mut context, 72).await, import_wh / 1_000.0);
    near(input_f32(&mut context, 74).await, 0.0);
    let serial = context.read_holding_registers(64_512, 2).await.unwrap().unwrap();
    assert_eq!((u32::from(serial[0]) << 16 | u32::from(serial[1])).to_string(), device.serial);

    // The whole map in one request, as one instant.
    assert_eq!(context.read_input_registers(0, 76).await.unwrap().unwrap().len(), 76);
    assert_eq!(context.read_input_registers(76, 2).await.unwrap(), Err(ExceptionCode::IllegalDataAddress));
    assert_eq!(context.read_input_registers(75, 2).await.unwrap(), Err(ExceptionCode::IllegalDataAddress));
    assert_eq!(context.read_coils(0, 1).await.unwrap(), Err(ExceptionCode::IllegalFunction));
    tokio_modbus::client::Client::disconnect(&mut context).await.unwrap();

    let Endpoint::Modbus { address, .. } = device.endpoint else { panic!() };
    let mut nobody = tcp::connect_slave(address, Slave(99)).await.unwrap();
    assert_eq!(nobody.read_input_registers(0, 2).await.unwrap(), Err(ExceptionCode::GatewayTargetDevice));
    running.fleet.stop().await;
    assert!(nobody.read_input_registers(0, 2).await.is_err(), "a stopped endpoint hangs up");
}

/// Walks the models of a SunSpec device from its marker to its end.
async fn models(context: &mut Context) -> BTreeMap<u16, Vec<u16>> {
    let marker = context.read_holding_registers(40_000, 2).await.unwrap().unwrap();
    assert_eq!(marker, [0x5375, 0x6e53]);
    let mut found = BTreeMap::new();
    let mut address = 40_002;
    for _ in 0..20 {
        let header = context.read_holding_registers(address, 2).await.unwrap().unwrap();
        if header == [0xffff, 0] {
            return found;
        }
        let model = context.read_holding_registers(address, header[1] + 2).await.unwrap().unwrap();
        found.insert(header[0], model);
        address += header[1] + 2;
    }
    panic!("no end marker");
}

fn u32_at(model: &[u16], offset: usize) -> u64 {
    u64::from(model[offset]) << 16 | u64::from(model[offset + 1])
}

fn i16_at(model: &[u16], offset: usize) -> i64 {
    i64::from(i16::from_be_bytes(model[offset].to_be_bytes()))
}

#[tokio::test]
async fn a_sunspec_inverter_with_meter_answers_like_one() {
    let running = Running::start(community(6, 500)).await;
    let device = running.first(DeviceKind::SunSpec);
    let mut context = connect(device).await;
    let models = models(&mut context).await;
    assert_eq!(models.keys().copied().collect::<Vec<_>>(), [1, 103, 203]);
    let expected = running.bank.registers(device.site_index, running.clock.now()).unwrap();
    let serial: Vec<u8> = models[&1][50..66].iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!(String::from_utf8(serial).unwrap().trim_end_matches('\0'), device.serial);

    let inverter = &models[&103];
    assert_eq!(i16_at(inverter, 14), i64::from(expected.power.pv_w));
    assert_eq!((i16_at(inverter, 15), i16_at(inverter, 26)), (0, 0), "scale factors");
    assert_eq!(u32_at(inverter, 24), expected.production_mwh / 1_000);
    assert_eq!((inverter[16], i16_at(inverter, 17)), (5_000, -2));

    let meter = &models[&203];
    assert_eq!(i16_at(meter, 18), expected.power.net_w());
    assert_eq!(u32_at(meter, 38), expected.export_mwh / 1_000);
    assert_eq!(u32_at(meter, 46), expected.import_mwh / 1_000);
    assert_eq!((i16_at(meter, 22), i16_at(meter, 54)), (0, 0), "scale factors");

    // Time goes on: the next slot's end shows the next row's energy.
    running.clock.advance(TimeDelta::seconds(10));
    let later = running.bank.registers(device.site_index, running.clock.now()).unwrap();
    assert_ne!(later.production_mwh, expected.production_mwh);
    let production = context.read_holding_registers(40_002 + 68 + 24, 2).await.unwrap().unwrap();
    assert_eq!(u32_at(&production, 0), later.production_mwh / 1_000);
    assert_eq!(context.read_input_registers(40_000, 2).await.unwrap(), Err(ExceptionCode::IllegalFunction));
    assert_eq!(
        context.read_holding_registers(40_300, 1).await.unwrap(),
        Err(ExceptionCode::IllegalDataAddress)
    );
    running.stop.cancel();
    running.fleet.stop().await;
}

#[tokio::test]
async fn a_shelly_reports_over_mqtt_and_leaves_a_last_will() {
    let running = Running::start(community(6, 500)).await;
    let device = running.first(DeviceKind::ShellyPro3Em);
    let Endpoint::Mqtt { topic_prefix } = device.endpoint.clone() else { panic!() };
    let expected = running.bank.registers(device.site_index, running.clock.now()).unwrap();
    let port = Url::parse(&running.broker.v4_url()).unwrap().port().unwrap();
    let (client, mut events) = AsyncClient::new(MqttOptions::new("listener", "127.0.0.1", port), 10);
    client.subscribe(format!("{topic_prefix}/#"), QoS::AtLeastOnce).await.unwrap();
    let mut seen = BTreeMap::new();
    let collect = async {
        while seen.len() < 4 {
            if let Event::Incoming(Packet::Publish(message)) = events.poll().await.unwrap() {
                seen.insert(message.topic, String::from_utf8(message.payload.to_vec()).unwrap());
            }
        }
    };
    timeout(PATIENCE, collect).await.unwrap();
    let json = |topic: &str| -> serde_json::Value {
        serde_json::from_str(&seen[&format!("{topic_prefix}/{topic}")]).unwrap()
    };
    assert_eq!(seen[&format!("{topic_prefix}/online")], "true");
    assert_eq!(json("status/em:0")["total_act_power"].as_f64(), Some(f64::from(expected.power.load_w)));
    let wh = json("status/emdata:0")["total_act"].as_f64().unwrap();
    let expected_wh = f64::from(u32::try_from(expected.import_mwh / 1_000).unwrap());
    assert!((wh - expected_wh).abs() < 1.0, "{wh} {expected_wh}");
    assert_eq!(json("events/rpc")["src"], device.serial.as_str());

    running.fleet.stop().await;
    let gone = async {
        loop {
            if let Event::Incoming(Packet::Publish(message)) = events.poll().await.unwrap()
                && message.payload == "false"
            {
                return message.topic;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, gone).await.unwrap(), format!("{topic_prefix}/online"));
}

#[tokio::test]
async fn the_repositorys_community_has_a_device_at_every_site() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/simbench-lv-rural");
    let running = Running::start(Arc::new(DataSet::read(&dir).unwrap())).await;
    let kinds = |kind| running.fleet.devices().iter().filter(|device| device.kind == kind).count();
    assert_eq!(running.fleet.devices().len(), 13);
    assert_eq!(
        (kinds(DeviceKind::SunSpec), kinds(DeviceKind::Sdm630), kinds(DeviceKind::ShellyPro3Em)),
        (8, 3, 2)
    );
    // The greatest inverter needs a scale factor.
    let mut context = connect(&running.fleet.devices()[0]).await;
    let models = models(&mut context).await;
    assert_eq!(i16_at(&models[&103], 15), 1);
    running.fleet.stop().await;
}

#[tokio::test]
async fn groups_share_an_endpoint_with_a_unit_id_each() {
    let running = Running::start(community(104, 2)).await;
    let devices = running.fleet.devices();
    assert_eq!((devices.len(), devices[103].group), (104, 6));
    let mut seen = std::collections::HashSet::new();
    for device in devices {
        match &device.endpoint {
            Endpoint::Modbus { address, unit_id } => {
                assert!((1..=16).contains(unit_id) && seen.insert(format!("{address} {unit_id}")));
            }
            Endpoint::Mqtt { topic_prefix } => assert!(seen.insert(topic_prefix.clone())),
        }
    }
    let urls: std::collections::HashSet<_> = devices.iter().filter_map(Device::modbus_url).collect();
    assert_eq!(urls.len(), 7, "one endpoint a group");
    running.fleet.stop().await;
}

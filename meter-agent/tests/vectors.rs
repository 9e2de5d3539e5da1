//! Each template against a device that holds known registers, or messages: adding a device is a template
//! and a file in `vectors/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use common::{Answer, Request, device};
use domain::time::{Clock, ManualClock};
use meter_agent::modbus::{Bus, BusTiming, ModbusMeter};
use meter_agent::mqtt_device::{Hub, MqttMeter, topics};
use meter_agent::source::{MeterSource, Sample};
use meter_agent::sunspec::SunSpecMeter;
use meter_agent::template::{Library, Quirks, Template};
use serde::Deserialize;
use tokio::sync::Mutex;

/// A vector as it is in its file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    template: String,
    /// Function, first register, words in hexadecimal.
    #[serde(default)]
    registers: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    messages: BTreeMap<String, serde_json::Value>,
    expect: Expect,
}

/// What must come out: energies in mWh, power in W, positive on import.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Expect {
    import_energy: Option<i64>,
    export_energy: Option<i64>,
    production_energy: Option<i64>,
    power: Option<f64>,
    voltage: Option<f64>,
    frequency: Option<f64>,
    serial: Option<String>,
}

fn registers(vector: &Vector) -> BTreeMap<(u8, u16), u16> {
    let mut registers = BTreeMap::new();
    for (function, blocks) in &vector.registers {
        let function = match function.as_str() {
            "holding" => 3,
            "input" => 4,
            other => panic!("{other}"),
        };
        for (address, words) in blocks {
            for (offset, word) in (0..).zip(hex::decode(words).unwrap().chunks(2)) {
                let address: u16 = address.parse().unwrap();
                registers.insert((function, address + offset), u16::from_be_bytes([word[0], word[1]]));
            }
        }
    }
    registers
}

async fn over_modbus(vector: &Vector, template: Arc<Template>) -> Sample {
    let registers = registers(vector);
    let endpoint = device(move |request: Request| -> Answer {
        let asked = (0..request.count).map(|offset| request.address.checked_add(offset));
        let words: Option<Vec<u16>> =
            asked.map(|address| registers.get(&(request.function, address?)).copied()).collect();
        words.map_or_else(|| request.exception(2), |words| request.words(&words))
    })
    .await;
    let bus = Arc::new(Mutex::new(Bus::new(endpoint, BusTiming::from(&Quirks::default()))));
    let unit = template.default_unit();
    let mut source: Box<dyn MeterSource> = if template.sunspec.is_some() {
        Box::new(SunSpecMeter::new(bus, unit, template, Clock::System).unwrap())
    } else {
        Box::new(ModbusMeter::new(bus, unit, template, Clock::System).unwrap())
    };
    source.read(DateTime::UNIX_EPOCH, Duration::from_secs(5)).await.unwrap()
}

async fn over_mqtt(vector: &Vector, template: Arc<Template>) -> Sample {
    let clock = Clock::Manual(ManualClock::new(DateTime::UNIX_EPOCH));
    let hub = Arc::new(Hub::new(clock, topics(&template, &vector.topic).unwrap()));
    for (topic, payload) in &vector.messages {
        let payload = payload.as_str().map_or_else(|| payload.to_string(), str::to_owned);
        hub.accept(topic, payload.as_bytes(), false);
    }
    let mut meter = MqttMeter::new(hub, &vector.topic, template).unwrap();
    meter.read(DateTime::UNIX_EPOCH, Duration::from_millis(1)).await.unwrap()
}

async fn check(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let vector: Vector = serde_json::from_str(&text).unwrap();
    let template = Library::embedded().unwrap().get(&vector.template).unwrap();
    let sample = if template.mqtt.is_some() {
        over_mqtt(&vector, template).await
    } else {
        over_modbus(&vector, template).await
    };
    let mwh = |register: Option<domain::reading::Register>| register.map(|register| register.mwh());
    let got = Expect {
        import_energy: mwh(sample.import),
        export_energy: mwh(sample.export),
        production_energy: mwh(sample.production),
        power: sample.power_w,
        voltage: sample.voltage_v,
        frequency: sample.frequency_hz,
        serial: sample.device.serial,
    };
    assert_eq!(got, vector.expect, "{}", path.display());
    vector.template
}

/// A template's own vector has its name; others of it, for another firmware, begin with it and a dash.
#[tokio::test]
async fn every_template_reads_its_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    for template in Library::embedded().unwrap().iter() {
        assert_eq!(check(&folder.join(format!("{}.json", template.id))).await, template.id);
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(check(&path).await, name.split_once('-').map_or(name, |(template, _)| template));
    }
}

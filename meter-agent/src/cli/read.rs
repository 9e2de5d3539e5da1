//! `meter-agent read`: one device, once, for an installer who wants to see whether it works.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::reading::Register;
use domain::time::Clock;
use serde_json::{Value, json};
use service::lifecycle::Shutdown;
use tokio::sync::Mutex;

use crate::modbus::{Bus, BusTiming, Endpoint, ModbusMeter};
use crate::mqtt_device::{self, Hub, MqttMeter};
use crate::source::{MeterSource, Sample};
use crate::sunspec::SunSpecMeter;
use crate::template::{Library, Template};

/// Options of `meter-agent read`.
#[derive(Debug, clap::Args)]
pub(super) struct ReadArgs {
    /// The device template's id; `meter-agent templates` lists them.
    #[arg(long)]
    template: String,
    /// tcp://HOST:PORT, rtu+tcp://HOST:PORT, or mqtt://HOST:PORT of the broker it publishes to.
    #[arg(long)]
    endpoint: Endpoint,
    /// Its Modbus unit id; the template's default if it is not given.
    #[arg(long)]
    unit: Option<u8>,
    /// The prefix of its MQTT topics.
    #[arg(long)]
    topic: Option<String>,
    /// How long to wait for an MQTT device's next message, in seconds.
    #[arg(long, default_value_t = 70)]
    wait_s: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Reads a device and prints what it says.
pub(super) async fn read(args: &ReadArgs, clock: Clock) -> anyhow::Result<()> {
    let template = Library::embedded()?.get(&args.template)?;
    let now = clock.now();
    let shutdown = Shutdown::new();
    let mut source = source(args, template, clock, &shutdown)?;
    let sample = source.read(now, Duration::from_secs(args.wait_s)).await;
    shutdown.stop();
    let report = report(&sample?);
    super::print(&if args.json { format!("{report}\n") } else { lines(&report) })
}

fn source(
    args: &ReadArgs,
    template: Arc<Template>,
    clock: Clock,
    shutdown: &Shutdown,
) -> anyhow::Result<Box<dyn MeterSource>> {
    let wrong = || {
        let (id, protocol) = (&template.id, template.protocol());
        anyhow::anyhow!("template {id} is read over {protocol}, which {} is not", args.endpoint)
    };
    if template.mqtt.is_some() {
        let prefix =
            args.topic.as_deref().ok_or_else(|| anyhow::anyhow!("--topic is missing for {}", template.id))?;
        if !matches!(args.endpoint, Endpoint::Mqtt { .. }) {
            return Err(wrong());
        }
        let topics: BTreeSet<String> = mqtt_device::topics(&template, prefix)?;
        let hub = Arc::new(Hub::new(clock, topics));
        let client_id = format!("meter-agent-read-{}", std::process::id());
        tokio::spawn(mqtt_device::listen(hub.clone(), args.endpoint.clone(), client_id, shutdown.clone()));
        let meter = MqttMeter::new(hub, prefix, template.clone()).ok_or_else(wrong)?;
        return Ok(Box::new(meter));
    }
    if matches!(args.endpoint, Endpoint::Mqtt { .. }) {
        return Err(wrong());
    }
    let bus = Bus::new(args.endpoint.clone(), BusTiming::from(&template.quirks));
    let bus = Arc::new(Mutex::new(bus));
    let unit = args.unit.unwrap_or_else(|| template.default_unit());
    if template.sunspec.is_some() {
        let meter = SunSpecMeter::new(bus, unit, template.clone(), clock).ok_or_else(wrong)?;
        return Ok(Box::new(meter));
    }
    Ok(Box::new(ModbusMeter::new(bus, unit, template.clone(), clock).ok_or_else(wrong)?))
}

/// What a sample says, with null for what the device does not tell.
fn report(sample: &Sample) -> Value {
    // Half a watt-hour rounds up: this is for people and other readers, billing cuts.
    let wh = |register: Option<Register>| register.map(|register| register.mwh().saturating_add(500) / 1_000);
    let device = &sample.device;
    json!({
        "device": { "vendor": device.vendor, "model": device.model, "serial": device.serial },
        "import_wh": wh(sample.import),
        "export_wh": wh(sample.export),
        "production_wh": wh(sample.production),
        "power_w": sample.power_w,
        "voltage_v": sample.voltage_v,
        "frequency_hz": sample.frequency_hz,
        "resolution_wh": sample.resolution_mwh.map(resolution_wh),
        "quality": sample.quality,
        "raw": sample.raw,
    })
}

/// Milliwatt-hours as a JSON number of watt-hours, an integer where it is one.
#[allow(clippy::cast_precision_loss)] // for people; nothing is computed from it
fn resolution_wh(mwh: i64) -> Value {
    if mwh % 1_000 == 0 { json!(mwh / 1_000) } else { json!(mwh as f64 / 1_000.0) }
}

/// One line a value, for people.
fn lines(report: &Value) -> String {
    let mut text = String::new();
    for (name, value) in report.as_object().into_iter().flatten() {
        let value = if value.is_null() { "not known".to_owned() } else { value.to_string() };
        text.push_str(&format!("{name:<14} {value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Device;
    use chrono::DateTime;

    #[test]
    fn what_is_not_known_is_null_and_never_zero() {
        let mut sample = Sample::empty(Device::default(), DateTime::UNIX_EPOCH);
        sample.import = Some(Register::from_mwh(24_547_765_625).unwrap());
        sample.resolution_mwh = Some(1_954);
        let report = report(&sample);
        assert_eq!((&report["import_wh"], &report["resolution_wh"]), (&json!(24_547_766), &json!(1.954)));
        for name in ["export_wh", "power_w", "voltage_v", "frequency_hz"] {
            assert!(report[name].is_null(), "{name}");
        }
        assert!(lines(&report).contains("export_wh      not known"));
    }
}

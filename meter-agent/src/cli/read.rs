//! `meter-agent read`: one device, once, for an installer who wants to see whether it works.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::reading::Register;
use domain::time::Clock;
use serde_json::{Map, Value, json};
use service::lifecycle::Shutdown;
use tokio::sync::Mutex;

use crate::modbus::{Bus, BusError, BusTiming, Endpoint, ExceptionClass, ModbusMeter, SharedBus};
use crate::mqtt_device::{self, Hub, MqttMeter};
use crate::source::{MeterSource, Sample, SourceError};
use crate::sunspec::{Detail, SunSpecMeter};
use crate::template::{Library, RegistersFrom, Template};

const BROKER_TIMEOUT: Duration = Duration::from_secs(3);

/// Options of `meter-agent read`.
#[derive(Debug, clap::Args)]
pub(super) struct ReadArgs {
    /// The device template's id; `meter-agent templates` lists them.
    #[arg(long)]
    template: String,
    /// tcp://HOST:PORT, rtu+tcp://HOST:PORT, rtu:///DEVICE?baud=9600 (also parity=even, stop=2), or
    /// mqtt://HOST:PORT of the broker it publishes to.
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
    /// Print one JSON object on one line.
    #[arg(long)]
    json: bool,
}

/// Reads a device and prints what it says.
pub(super) async fn read(args: &ReadArgs, clock: Clock) -> anyhow::Result<()> {
    let template = Library::embedded()?.get(&args.template)?;
    let template = Arc::new(lenient(&template));
    let now = clock.now();
    let patience = Duration::from_secs(args.wait_s);
    if template.sunspec.is_some() {
        let bus = bus(args, &template)?;
        let unit = args.unit.unwrap_or_else(|| template.default_unit());
        let mut meter = SunSpecMeter::new(bus, unit, template.clone(), clock)
            .ok_or_else(|| wrong(args, &template))?
            .assuming();
        let sample = meter.read(now, patience).await?;
        let details = meter.details().await;
        return super::print_report(&report(&sample, &template, &details), args.json);
    }
    if template.mqtt.is_some() && matches!(args.endpoint, Endpoint::Mqtt { .. }) {
        broker_is_there(&args.endpoint).await?;
    }
    let shutdown = Shutdown::new();
    let mut source = source(args, template.clone(), clock.clone(), &shutdown)?;
    let mut sample = source.read(now, patience).await;
    shutdown.stop();
    if refuses_all(&sample) {
        sample = through_sunspec(args, &template, clock).await.unwrap_or(sample);
    }
    super::print_report(&report(&sample?, &template, &[]), args.json)
}

/// Says at once what would otherwise look like a device that says nothing.
async fn broker_is_there(endpoint: &Endpoint) -> Result<(), SourceError> {
    let connect = tokio::net::TcpStream::connect(endpoint.address());
    let reason = match tokio::time::timeout(BROKER_TIMEOUT, connect).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    let reason = format!("{reason}: is the broker running, and is that its address and port?");
    Err(BusError::Connect { endpoint: endpoint.to_string(), reason }.into())
}

/// Whether the device answers, but has none of the template's registers.
fn refuses_all(sample: &Result<Sample, SourceError>) -> bool {
    matches!(sample, Err(SourceError::Bus(error)) if error.exception() == Some(ExceptionClass::NotThere))
}

/// Many inverters hide their own registers behind a switch and still show their SunSpec models.
async fn through_sunspec(
    args: &ReadArgs,
    template: &Template,
    clock: Clock,
) -> Option<Result<Sample, SourceError>> {
    let any = Library::embedded().ok()?.get("sunspec").ok()?;
    let unit = args.unit.unwrap_or_else(|| template.default_unit());
    let mut meter = SunSpecMeter::new(bus(args, template).ok()?, unit, any, clock.clone())?;
    let mut sample = meter.read(clock.now(), Duration::from_secs(args.wait_s)).await.ok()?;
    sample.quality.push("read_through_sunspec".to_owned());
    Some(Ok(sample))
}

/// The template of somebody who looks rather than bills: whatever is missing is not known, and the rest
/// is shown.
fn lenient(template: &Template) -> Template {
    let mut template = template.clone();
    if let Some(modbus) = &mut template.modbus {
        modbus.points.values_mut().for_each(|point| point.optional = true);
    }
    if let Some(sunspec) = &mut template.sunspec
        && !sunspec.is_inverter_only()
    {
        sunspec.registers_from = RegistersFrom::Any;
    }
    template
}

fn wrong(args: &ReadArgs, template: &Template) -> anyhow::Error {
    let (id, protocol) = (&template.id, template.protocol());
    anyhow::anyhow!("template {id} is read over {protocol}, which {} is not", args.endpoint)
}

fn bus(args: &ReadArgs, template: &Template) -> anyhow::Result<SharedBus> {
    if matches!(args.endpoint, Endpoint::Mqtt { .. }) {
        return Err(wrong(args, template));
    }
    let bus = Bus::new(args.endpoint.clone(), BusTiming::from(&template.quirks));
    Ok(Arc::new(Mutex::new(bus)))
}

fn source(
    args: &ReadArgs,
    template: Arc<Template>,
    clock: Clock,
    shutdown: &Shutdown,
) -> anyhow::Result<Box<dyn MeterSource>> {
    let wrong = || wrong(args, &template);
    if template.mqtt.is_some() {
        if !matches!(args.endpoint, Endpoint::Mqtt { .. }) {
            return Err(wrong());
        }
        let id = &template.id;
        let prefix = args.topic.as_deref().ok_or_else(|| {
            anyhow::anyhow!("{id} is read over MQTT: say with --topic what its device's topics begin with")
        })?;
        let topics: BTreeSet<String> = mqtt_device::topics(&template, prefix)?;
        let hub = Arc::new(Hub::new(clock, topics));
        let client_id = format!("meter-agent-read-{}", std::process::id());
        tokio::spawn(mqtt_device::listen(hub.clone(), args.endpoint.clone(), client_id, shutdown.clone()));
        let meter = MqttMeter::new(hub, prefix, template.clone()).ok_or_else(wrong)?;
        return Ok(Box::new(meter));
    }
    let unit = args.unit.unwrap_or_else(|| template.default_unit());
    let bus = bus(args, &template)?;
    Ok(Box::new(ModbusMeter::new(bus, unit, template.clone(), clock).ok_or_else(wrong)?))
}

/// What a sample says, with null for what the device does not tell.
pub(super) fn report(sample: &Sample, template: &Template, details: &[Detail]) -> Value {
    // Half a watt-hour rounds up: this is for people and other readers, billing cuts.
    let wh = |register: Option<Register>| register.map(|register| register.mwh().saturating_add(500) / 1_000);
    let device = &sample.device;
    // A template for any vendor's devices does not know which one it is.
    let any = template.vendor.starts_with('(');
    let vendor = (!any || device.vendor != template.vendor).then_some(&device.vendor);
    let model = (!any || device.model != template.model).then_some(&device.model);
    let details: Map<String, Value> = details
        .iter()
        .map(|detail| (format!("model_{}_{}", detail.model, detail.name), json!(detail.value)))
        .collect();
    json!({
        "device": { "vendor": vendor, "model": model, "serial": device.serial },
        "import_wh": wh(sample.import),
        "export_wh": wh(sample.export),
        "production_wh": wh(sample.production),
        // Adding nought makes minus nought plain.
        "power_w": sample.power_w.map(|power| power + 0.0),
        "voltage_v": sample.voltage_v,
        "frequency_hz": sample.frequency_hz,
        "resolution_wh": sample.resolution_mwh.map(resolution_wh),
        "quality": sample.quality,
        "raw": sample.raw,
        "details": details,
    })
}

/// Milliwatt-hours as a JSON number of watt-hours, an integer where it is one.
#[allow(clippy::cast_precision_loss)] // for people; nothing is computed from it
fn resolution_wh(mwh: i64) -> Value {
    if mwh % 1_000 == 0 { json!(mwh / 1_000) } else { json!(mwh as f64 / 1_000.0) }
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
        let template = Library::embedded().unwrap().get("sunspec").unwrap();
        let report = report(&sample, &template, &[]);
        assert_eq!((&report["import_wh"], &report["resolution_wh"]), (&json!(24_547_766), &json!(1.954)));
        for name in ["export_wh", "power_w", "voltage_v", "frequency_hz"] {
            assert!(report[name].is_null(), "{name}");
        }
        sample.power_w = Some(-0.0);
        sample.device.vendor = template.vendor.clone();
        let report = super::report(&sample, &template, &[]);
        assert_eq!(
            (report["power_w"].to_string().as_str(), &report["device"]["vendor"]),
            ("0.0", &Value::Null)
        );
    }
}

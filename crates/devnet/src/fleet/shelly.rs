//! A Shelly Pro 3EM (Gen2) with "Generic status update over MQTT" and RPC notifications switched on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::time::Clock;
use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::FleetError;
use super::bank::{MeterBank, Registers};
use super::identity::Identity;

/// Messages that wait for the network; a device drops what does not fit, the next one is newer.
const QUEUE: usize = 16;
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// It reports ten times a slot, but not more often than this.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Where the broker is.
#[derive(Debug, Clone)]
pub(super) struct BrokerAddress {
    host: String,
    port: u16,
    login: Option<(String, String)>,
}

impl BrokerAddress {
    /// Reads `mqtt://[USER:PASSWORD@]HOST[:PORT]`.
    pub(super) fn parse(url: &Url) -> Result<Self, FleetError> {
        let refuse = || {
            let mut shown = url.clone();
            // The message may be logged.
            let _ = shown.set_password(None);
            FleetError::MqttUrl(shown)
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(refuse)?.to_owned();
        if !matches!(url.scheme(), "mqtt" | "tcp") {
            return Err(refuse());
        }
        let user = url.username().to_owned();
        let login = url.password().map(|password| (user, password.to_owned()));
        Ok(Self { host, port: url.port().unwrap_or(1_883), login })
    }
}

/// One simulated Shelly.
#[derive(Debug, Clone)]
pub(super) struct Shelly {
    topic_prefix: String,
    site_index: usize,
    bank: Arc<MeterBank>,
    clock: Clock,
}

impl Shelly {
    pub(super) fn new(identity: &Identity, site_index: usize, bank: &Arc<MeterBank>, clock: &Clock) -> Self {
        let topic_prefix = format!("shellypro3em-{}", identity.mac);
        Self { topic_prefix, site_index, bank: Arc::clone(bank), clock: clock.clone() }
    }

    /// Its topics begin with this, and it is its client id as well.
    pub(super) fn topic_prefix(&self) -> &str {
        &self.topic_prefix
    }

    /// Connects and reports until `stop`.
    pub(super) fn spawn(self, broker: &BrokerAddress, tasks: &TaskTracker, stop: &CancellationToken) {
        let online = format!("{}/online", self.topic_prefix);
        let mut options = MqttOptions::new(&self.topic_prefix, &broker.host, broker.port);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_last_will(LastWill::new(&online, "false", QoS::AtLeastOnce, true));
        if let Some((user, password)) = &broker.login {
            options.set_credentials(user, password);
        }
        let (client, events) = AsyncClient::new(options, QUEUE);
        let connected = Arc::new(AtomicBool::new(false));
        let link = Link { client, online, connected };
        let (connection, reports) = (link.clone(), stop.clone());
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(connection.keep(events)).await;
        });
        tasks.spawn(async move {
            reports.run_until_cancelled(self.report(link)).await;
        });
    }

    async fn report(self, link: Link) {
        let slot = Duration::from_micros(self.bank.clock().slot_us());
        let interval = (slot / 10).max(SHORTEST_INTERVAL);
        loop {
            sleep(self.bank.clock().pause(self.clock.now(), interval)).await;
            let now = self.clock.now();
            if let Some(registers) = self.bank.registers(self.site_index, now) {
                for (topic, payload) in messages(&self.topic_prefix, &registers, now) {
                    link.publish(topic, &payload);
                }
            }
        }
    }
}

/// The connection, seen from the half that sends.
#[derive(Clone)]
struct Link {
    client: AsyncClient,
    online: String,
    connected: Arc<AtomicBool>,
}

impl Link {
    /// Keeps the connection alive, for ever.
    async fn keep(self, mut events: EventLoop) {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    self.connected.store(true, Ordering::Relaxed);
                    if let Err(error) = self.client.try_publish(&self.online, QoS::AtLeastOnce, true, "true")
                    {
                        tracing::debug!(topic = self.online, %error, "not sent");
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    self.connected.store(false, Ordering::Relaxed);
                    tracing::debug!(topic = self.online, %error, "a simulated Shelly has no broker");
                    sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }

    /// Sends a status, or drops it: what waited for a connection would be old when it arrives.
    fn publish(&self, topic: String, payload: &Value) {
        if self.connected.load(Ordering::Relaxed)
            && let Err(error) = self.client.try_publish(topic, QoS::AtMostOnce, false, payload.to_string())
        {
            tracing::debug!(topic = self.online, %error, "a status was dropped");
        }
    }
}

/// The messages of one report, topic and payload.
fn messages(prefix: &str, registers: &Registers, now: DateTime<Utc>) -> [(String, Value); 3] {
    let em = em(registers);
    let emdata = emdata(registers);
    let seconds = decimal(now.timestamp_millis() / 10, 100.0);
    let notification = json!({
        "src": prefix,
        "dst": format!("{prefix}/events"),
        "method": "NotifyStatus",
        "params": { "ts": seconds, "em:0": em.clone() },
    });
    [
        (format!("{prefix}/status/em:0"), em),
        (format!("{prefix}/status/emdata:0"), emdata),
        (format!("{prefix}/events/rpc"), notification),
    ]
}

fn em(registers: &Registers) -> Value {
    let total_deciwatt = registers.net_w() * 10;
    let mut status = json!({
        "id": 0,
        "n_current": null,
        "total_act_power": decimal(total_deciwatt, 10.0),
        "total_aprt_power": decimal(total_deciwatt.abs(), 10.0),
        "total_current": decimal(total_deciwatt.abs() * 100 / 230, 1e3),
        "user_calibrated_phase": [],
    });
    for (phase, deciwatt) in PHASES.iter().zip(thirds(total_deciwatt)) {
        status[format!("{phase}_act_power")] = decimal(deciwatt, 10.0);
        status[format!("{phase}_aprt_power")] = decimal(deciwatt.abs(), 10.0);
        status[format!("{phase}_current")] = decimal(deciwatt.abs() * 100 / 230, 1e3);
        status[format!("{phase}_freq")] = json!(50.0);
        status[format!("{phase}_pf")] = json!(1.0);
        status[format!("{phase}_voltage")] = json!(230.0);
    }
    status
}

fn emdata(registers: &Registers) -> Value {
    let centi = |mwh: u64| i64::try_from(mwh / 10).unwrap_or(i64::MAX);
    let (import, export) = (centi(registers.import_mwh), centi(registers.export_mwh));
    let mut status =
        json!({ "id": 0, "total_act": decimal(import, 100.0), "total_act_ret": decimal(export, 100.0) });
    for (phase, (import, export)) in PHASES.iter().zip(thirds(import).into_iter().zip(thirds(export))) {
        status[format!("{phase}_total_act_energy")] = decimal(import, 100.0);
        status[format!("{phase}_total_act_ret_energy")] = decimal(export, 100.0);
    }
    status
}

const PHASES: [&str; 3] = ["a", "b", "c"];

/// Three parts whose sum is the whole.
fn thirds(whole: i64) -> [i64; 3] {
    let part = whole / 3;
    [whole - 2 * part, part, part]
}

/// A decimal number as the device prints it. The nearest float to a decimal of fewer than 16 digits prints as this
/// decimal, so nothing is lost.
#[allow(clippy::cast_precision_loss)] // fewer than 16 digits
fn decimal(value: i64, divisor: f64) -> Value {
    json!(value as f64 / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::SitePower;

    #[test]
    fn messages_look_like_the_devices_own() {
        let registers = Registers {
            import_mwh: 5_415_414_199,
            export_mwh: 10_000,
            production_mwh: 0,
            power: SitePower { load_w: 1_300, pv_w: 3_415 },
            battery_w: -300,
        };
        let now = "2026-03-01T12:00:00.257Z".parse().unwrap();
        let [(em_topic, em), (emdata_topic, emdata), (_, rpc)] = messages("shellypro3em-0a", &registers, now);
        assert_eq!(em_topic, "shellypro3em-0a/status/em:0");
        assert_eq!(em["total_act_power"], json!(-2_415.0));
        let phases = ["a_act_power", "b_act_power", "c_act_power"].map(|key| em[key].as_f64().unwrap());
        assert!((phases.iter().sum::<f64>() + 2_415.0).abs() < 0.001);
        assert_eq!(emdata_topic, "shellypro3em-0a/status/emdata:0");
        assert_eq!(emdata["total_act"].to_string(), "5415414.19", "hundredths of a Wh, rounded down");
        assert_eq!(emdata["total_act_ret"], json!(10.0));
        assert_eq!(rpc["src"], "shellypro3em-0a");
        assert_eq!(rpc["params"]["ts"].to_string(), "1772366400.25");
    }

    #[test]
    fn only_plain_mqtt_urls_are_taken() {
        let parse = |text: &str| BrokerAddress::parse(&Url::parse(text).unwrap());
        let broker = parse("mqtt://user:secret@broker.example").unwrap();
        assert_eq!((broker.host.as_str(), broker.port), ("broker.example", 1_883));
        assert_eq!(broker.login, Some(("user".to_owned(), "secret".to_owned())));
        let error = parse("https://user:secret@example.org").unwrap_err().to_string();
        assert!(error.contains("mqtt://HOST:PORT") && !error.contains("secret"), "{error}");
    }
}

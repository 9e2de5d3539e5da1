//! `meter-agent read-mqtt`: what a captured message of an MQTT device says.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use domain::time::Clock;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::mqtt_device::{self, Hub, MqttMeter, prefix_in};
use crate::source::Sample;
use crate::template::{Library, Template};

const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Options of `meter-agent read-mqtt`.
#[derive(Debug, clap::Args)]
pub(super) struct ReadMqttArgs {
    /// The device template's id; `meter-agent templates` lists them.
    #[arg(long)]
    template: String,
    /// The file with the message's payload; or with an object whose `messages` are many, each with its
    /// `topic` and `payload`.
    #[arg(long)]
    payload: PathBuf,
    /// The topic it came on, or the prefix of the device's topics.
    #[arg(long)]
    topic: String,
    /// Print one JSON object on one line.
    #[arg(long)]
    json: bool,
}

/// Decodes the payload and prints what it says.
///
/// # Errors
/// If the template, the topic or the file cannot be used; a [`crate::source::SourceError`] if the payload
/// holds nothing that the template knows.
pub(super) fn read_mqtt(args: &ReadMqttArgs, clock: Clock) -> anyhow::Result<()> {
    let template = Library::embedded()?.get(&args.template)?;
    let payload = load(&args.payload)?;
    let sample = decode(&template, &args.topic, &payload, clock)?;
    super::print_report(&super::read::report(&sample, &template, &[]), args.json)
}

fn load(path: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).with_context(cannot)?;
    let mut payload = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut payload).with_context(cannot)?;
    Ok(payload)
}

/// Messages as a capture keeps them.
#[derive(Deserialize)]
struct Capture<'a> {
    #[serde(borrow)]
    messages: Vec<Captured<'a>>,
}

#[derive(Deserialize)]
struct Captured<'a> {
    topic: String,
    #[serde(borrow)]
    payload: &'a RawValue,
}

fn decode(template: &Arc<Template>, topic: &str, payload: &[u8], clock: Clock) -> anyhow::Result<Sample> {
    let id = &template.id;
    anyhow::ensure!(template.mqtt.is_some(), "template {id} is read over {}, not MQTT", template.protocol());
    let captured: Vec<(String, Vec<u8>)> = match serde_json::from_slice::<Capture<'_>>(payload) {
        Ok(capture) => capture.messages.iter().map(|m| (m.topic.clone(), text_of(m.payload))).collect(),
        Err(_) => vec![(topic.to_owned(), payload.to_vec())],
    };
    let first = captured.iter().find_map(|(topic, _)| prefix_in(template, topic));
    let prefix = prefix_in(template, topic).or(first).unwrap_or_else(|| topic.to_owned());
    let topics = mqtt_device::topics(template, &prefix)?;
    let hub = Arc::new(Hub::new(clock, topics.clone()));
    let named = template.mqtt.iter().flat_map(|access| access.points.values()).all(|p| !p.pointer.is_empty());
    for (topic, payload) in &captured {
        if topics.contains(topic) {
            hub.accept(topic, payload, false);
        } else if captured.len() == 1 && named {
            // Only the prefix was given: the payload is whichever of the device's messages fits, which a
            // number without a name would always.
            topics.iter().for_each(|topic| hub.accept(topic, payload, false));
        }
    }
    let Some(meter) = MqttMeter::new(hub, &prefix, template.clone()) else {
        anyhow::bail!("template {id} is not of an MQTT device")
    };
    let sample = meter.look();
    let nothing = sample.import.is_none() && sample.export.is_none() && sample.production.is_none();
    if nothing && sample.power_w.is_none() && sample.voltage_v.is_none() && sample.frequency_hz.is_none() {
        return Err(crate::source::SourceError::Absent { topic: topic.to_owned() }.into());
    }
    Ok(sample)
}

/// A payload that the capture kept as text is that text; any other is itself.
fn text_of(payload: &RawValue) -> Vec<u8> {
    match serde_json::from_str::<String>(payload.get()) {
        Ok(text) => text.into_bytes(),
        Err(_) => payload.get().as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Library;

    fn say(template: &str, topic: &str, payload: &str) -> anyhow::Result<Sample> {
        let template = Library::embedded().unwrap().get(template).unwrap();
        decode(&template, topic, payload.as_bytes(), Clock::System)
    }

    fn wh(sample: &Sample) -> [Option<i64>; 2] {
        [sample.import, sample.export].map(|register| register.map(|register| register.mwh() / 1_000))
    }

    #[test]
    fn tasmota_in_all_its_forms() {
        let plain = r#"{"Time":"1970-01-01T00:00:01","ENERGY":{"Total":1.5,"Power":[10,20.5,null]}}"#;
        let sample = say("tasmota_energy", "tele/plug/SENSOR", plain).unwrap();
        assert_eq!((wh(&sample), sample.power_w), ([Some(1_500), None], None));
        let lists = r#"{"ENERGY":{"Total":[1.5,2.25],"Power":[10,20.5],"Voltage":[231,230],"Frequency":50}}"#;
        let sample = say("tasmota_energy", "tele/plug/SENSOR", lists).unwrap();
        assert_eq!(
            (wh(&sample), sample.power_w, sample.voltage_v),
            ([Some(3_750), None], Some(30.5), Some(231.0))
        );
        let wrapped = format!(r#"{{"StatusSNS":{plain}}}"#);
        for topic in ["stat/plug/STATUS8", "stat/plug/STATUS10", "tele/plug/SENSOR", "plug"] {
            assert_eq!(wh(&say("tasmota_energy", topic, &wrapped).unwrap()), [Some(1_500), None], "{topic}");
        }
    }

    #[test]
    fn a_script_chooses_its_names() {
        let two =
            r#"{"Time":"x","MT175":{"Total_in":12.345,"TOTAL_OUT":"0.5","Power_curr":-321,"Volt_p1":231.5}}"#;
        let sample = say("tasmota_sml", "tele/meter/SENSOR", two).unwrap();
        assert_eq!((wh(&sample), sample.power_w), ([Some(12_345), Some(500)], Some(-321.0)));
        assert_eq!(sample.voltage_v, Some(231.5));
        let both = r#"{"A":{"Total_in":1},"B":{"Total_in":2}}"#;
        assert!(say("tasmota_sml", "tele/meter/SENSOR", both).is_err());
    }

    #[test]
    fn a_script_may_tell_tariffs_and_phases_without_their_total() {
        let tariffs = r#"{"SML":{"Total_in_1":1.5,"Total_in_2":2,"Total_out_T1":0.25,"Total_out_T2":"1",
            "power_l1":60,"power_l2":-111.5,"power_l3":14,"Volt":[230.1,231,229]}}"#;
        let sample = say("tasmota_sml", "tele/meter/SENSOR", tariffs).unwrap();
        assert_eq!((wh(&sample), sample.power_w), ([Some(3_500), Some(1_250)], Some(-37.5)));
        assert_eq!(sample.voltage_v, Some(230.1));
        let partial = r#"{"SML":{"Total_in_1":1.5,"Power_p1":1,"Power_p2":2,"Power_curr":[1,null]}}"#;
        assert!(say("tasmota_sml", "tele/meter/SENSOR", partial).is_err());
        let list = r#"{"SML":{"Total_in":[1,2],"Power_curr":[1,2,-5.5]}}"#;
        let sample = say("tasmota_sml", "tele/meter/SENSOR", list).unwrap();
        assert_eq!((wh(&sample), sample.power_w), ([None, None], Some(-2.5)));
    }

    #[test]
    fn two_clamps_are_one_meter_and_neither_may_be_missing() {
        let both = r#"{"energy_a":3067,"energy_b":0.5,"energy_produced_a":61.58,"energy_produced_b":0,
            "power_a":500,"energy_flow_a":"producing","power_ab":-486.5,"voltage":237.1}"#;
        let sample = say("zigbee2mqtt", "zigbee2mqtt/clamp", both).unwrap();
        assert_eq!((wh(&sample), sample.power_w), ([Some(3_067_500), Some(61_580)], Some(-486.5)));
        let one = both.replace("0.5", "null").replace("energy_produced_b", "other").replace("power_ab", "x");
        let sample = say("zigbee2mqtt", "zigbee2mqtt/clamp", &one).unwrap();
        assert_eq!((wh(&sample), sample.power_w), ([None, None], None));
    }

    #[test]
    fn an_import_of_its_own_counts_before_a_total_of_both_directions() {
        let both = r#"{"ENERGY":{"Total":9.5,"ImportActive":[4,2],"ExportActive":[3,0.5]}}"#;
        let sample = say("tasmota_energy", "tele/plug/SENSOR", both).unwrap();
        assert_eq!(wh(&sample), [Some(6_000), Some(3_500)]);
    }

    #[test]
    fn one_topic_of_three_is_told_as_such() {
        let sample = say("shelly_3em_gen1", "shellies/em3/emeter/0/total", "10533.1").unwrap();
        assert_eq!(wh(&sample), [Some(10_533), None]);
        assert!(sample.quality.contains(&"import_energy_of_1_of_3_topics".to_owned()));
        let sample = say("shelly_3em_gen1", "shellies/em3/emeter/2/power", "-12.5").unwrap();
        assert_eq!((wh(&sample), sample.power_w), ([None, None], Some(-12.5)));
        let all = r#"{"messages":[{"topic":"a/emeter/0/total","payload":"1.5"},{"topic":"a/emeter/1/total","payload":2},
            {"topic":"a/emeter/2/total","payload":"3"},{"topic":"a/emeter/0/voltage","payload":"230.1"}]}"#;
        let sample = say("shelly_3em_gen1", "a", all).unwrap();
        assert_eq!((wh(&sample), sample.voltage_v), ([Some(6), None], Some(230.1)));
    }

    #[test]
    fn f34_watt_minutes_are_never_a_counter() {
        for topic in ["shellies/em3/emeter/0/energy", "shellies/em3/emeter/0/returned_energy"] {
            let sample = say("shelly_3em_gen1", topic, "123456");
            assert!(sample.is_err(), "{topic}");
        }
    }

    #[test]
    fn a_shelly_says_it_on_several_topics() {
        let event = r#"{"src":"s","method":"NotifyStatus","params":{"ts":1.61,"emdata:0":{"total_act":5,"total_act_ret":2}}}"#;
        let sample = say("shelly_pro_3em", "shelly-1/events/rpc", event).unwrap();
        assert_eq!((wh(&sample), sample.power_w), ([Some(5), Some(2)], None));
    }
}

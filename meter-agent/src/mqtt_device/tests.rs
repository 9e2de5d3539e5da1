use super::*;
use crate::template::Library;
use domain::time::{Clock, ManualClock};

const EMDATA: &str = "shelly-1/status/emdata:0";
const EM: &str = "shelly-1/status/em:0";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
}

fn meter(template: &str, prefix: &str) -> (MqttMeter, Arc<Hub>, ManualClock) {
    let template = Library::embedded().unwrap().get(template).unwrap();
    let clock = ManualClock::new(at(0));
    let hub = Arc::new(Hub::new(Clock::Manual(clock.clone()), topics(&template, prefix).unwrap()));
    (MqttMeter::new(hub.clone(), prefix, template).unwrap(), hub, clock)
}

async fn read(meter: &mut MqttMeter, since: i64) -> Result<Sample, SourceError> {
    meter.read(at(since), Duration::from_millis(1)).await
}

#[tokio::test]
async fn a_shelly_is_read_exactly() {
    let (mut meter, hub, clock) = meter("shelly_pro_3em", "shelly-1");
    hub.accept(EM, br#"{"total_act_power":2413.825,"a_voltage":227.0,"a_freq":49.9}"#, false);
    clock.set(at(10));
    hub.accept(EMDATA, br#"{"total_act":5415414.19,"total_act_ret":0.0}"#, false);
    let sample = read(&mut meter, 10).await.unwrap();
    let registers = sample.registers().unwrap();
    assert_eq!((registers.import.mwh(), registers.export.mwh()), (5_415_414_190, 0));
    assert_eq!((sample.power_w, sample.voltage_v), (Some(2_413.825), Some(227.0)));
    assert_eq!(sample.read_at, at(10));
}

#[tokio::test]
async fn f31_what_came_before_the_boundary_or_was_retained_does_not_count() {
    let (mut meter, hub, clock) = meter("shelly_pro_3em", "shelly-1");
    let message = br#"{"total_act":1.0,"total_act_ret":2.0}"#;
    hub.accept(EMDATA, message, false);
    clock.set(at(10));
    hub.accept(EMDATA, message, true);
    assert_eq!(read(&mut meter, 10).await.unwrap_err().class(), "stale");
    let waiting = tokio::spawn(async move { meter.read(at(10), Duration::from_secs(60)).await });
    tokio::task::yield_now().await;
    hub.accept(EMDATA, message, false);
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn f32_partial_null_and_broken_messages_are_errors_and_never_zero() {
    let (mut meter, hub, _) = meter("shelly_pro_3em", "shelly-1");
    for bad in [
        &br#"{"total_act":1.0}"#[..],
        br#"{"total_act":null,"total_act_ret":1}"#,
        br#"{"total_act":[1],"total_act_ret":1}"#,
        br#"{"total_act":"NaN","total_act_ret":1}"#,
        br#"{"total_act":-1,"total_act_ret":1}"#,
        br#"{"total_act":1e40,"total_act_ret":1}"#,
        b"{",
        b"\xff\xfe",
        b"",
    ] {
        hub.accept(EMDATA, bad, false);
        assert!(read(&mut meter, 0).await.is_err(), "{}", String::from_utf8_lossy(bad));
    }
    // What is larger than any message is not even kept, and nesting without end is no JSON.
    let good = r#"{"total_act":7,"total_act_ret":1"#;
    for bad in
        [format!("{good},\"x\":\"{}\"}}", "x".repeat(70_000)), format!("{good},\"x\":{}", "[".repeat(9_000))]
    {
        hub.accept(EMDATA, bad.as_bytes(), false);
        assert!(read(&mut meter, 0).await.is_err(), "{} bytes", bad.len());
    }
    hub.accept(EMDATA, br#"{"total_act":"12.5","total_act_ret":1}"#, false);
    let sample = read(&mut meter, 0).await.unwrap();
    assert_eq!((sample.import.unwrap().mwh(), sample.power_w), (12_500, None));
}

#[tokio::test]
async fn three_phases_are_added_when_all_have_come() {
    let (mut meter, hub, _) = meter("shelly_3em_gen1", "shellies/em3");
    for (phase, wh) in [(0, "1053.5"), (1, "10.0")] {
        hub.accept(&format!("shellies/em3/emeter/{phase}/total"), wh.as_bytes(), false);
        hub.accept(&format!("shellies/em3/emeter/{phase}/total_returned"), b"0.0", false);
    }
    assert_eq!(read(&mut meter, 0).await.unwrap_err().class(), "stale");
    hub.accept("shellies/em3/emeter/2/total", b"0.25", false);
    hub.accept("shellies/em3/emeter/2/total_returned", b"7", false);
    let registers = read(&mut meter, 0).await.unwrap().registers().unwrap();
    assert_eq!((registers.import.mwh(), registers.export.mwh()), (1_063_750, 7_000));
}

#[tokio::test]
async fn a_device_without_export_has_none() {
    let (mut meter, hub, _) = meter("tasmota_energy", "plug");
    hub.accept("tele/plug/SENSOR", br#"{"ENERGY":{"Total":1290.396,"Power":47.11,"Voltage":0}}"#, false);
    let sample = read(&mut meter, 0).await.unwrap();
    assert_eq!(sample.import.unwrap().mwh(), 1_290_396_000);
    assert_eq!(sample.registers().unwrap_err().class(), "missing_value");
}

#[test]
fn only_plain_prefixes_are_topics() {
    let template = Library::embedded().unwrap().get("shelly_pro_3em").unwrap();
    for bad in ["", "+", "a/#", "/a", "a/"] {
        assert!(topics(&template, bad).is_err(), "{bad}");
    }
    let all = topics(&template, "shelly-1").unwrap();
    assert!(
        all.contains(EM) && all.contains(EMDATA) && all.iter().all(|topic| topic.starts_with("shelly-1/"))
    );
}

#[tokio::test]
async fn f33_a_devices_own_clock_is_not_believed() {
    let (mut meter, hub, clock) = meter("tasmota_sml", "plug");
    clock.set(at(10));
    let message = br#"{"Time":"1970-01-01T00:00:00","SML":{"Total_in":1.5,"Total_out":0.25,"Power_curr":7}}"#;
    hub.accept("tele/plug/SENSOR", message, false);
    let sample = read(&mut meter, 10).await.unwrap();
    assert_eq!((sample.read_at, sample.import.unwrap().mwh()), (at(10), 1_500_000));
}

#[tokio::test]
async fn f34_counters_are_watt_hours_and_topics_of_watt_minutes_are_not_even_listened_to() {
    let template = Library::embedded().unwrap().get("shelly_3em_gen1").unwrap();
    let topics = topics(&template, "shellies/em3").unwrap();
    assert!(topics.iter().all(|topic| !topic.ends_with("energy")), "{topics:?}");
}

#[tokio::test]
async fn f35_a_late_direction_changes_no_register() {
    let (mut meter, hub, _) = meter("zigbee2mqtt", "zigbee2mqtt/clamp");
    // The sign of the power is that of the message before; the registers are right.
    let messages = [
        &br#"{"power":500,"energy":10.5,"produced_energy":1.5,"energy_flow":"consuming"}"#[..],
        br#"{"power":500,"energy":10.5,"produced_energy":1.6,"energy_flow":"consuming"}"#,
        br#"{"power":-500,"energy":10.5,"produced_energy":1.7,"energy_flow":"producing"}"#,
    ];
    let mut seen = Vec::new();
    for message in messages {
        hub.accept("zigbee2mqtt/clamp", message, false);
        let registers = read(&mut meter, 0).await.unwrap().registers().unwrap();
        seen.push((registers.import.mwh(), registers.export.mwh()));
    }
    assert_eq!(seen, [(10_500_000, 1_500_000), (10_500_000, 1_600_000), (10_500_000, 1_700_000)]);
}

#[tokio::test]
async fn f36_a_last_will_is_said_and_forgotten_with_the_next_message() {
    let template = Library::embedded().unwrap().get("tasmota_sml").unwrap();
    let clock = ManualClock::new(at(0));
    let states = state_topics(&template, "plug");
    let hub = Hub::new(Clock::Manual(clock.clone()), topics(&template, "plug").unwrap());
    let hub = Arc::new(hub.with_states(states));
    let mut meter = MqttMeter::new(hub.clone(), "plug", template).unwrap();
    // Also when the broker kept it from before.
    hub.accept("tele/plug/LWT", b"Offline", true);
    assert_eq!(read(&mut meter, 0).await.unwrap_err().class(), "offline");
    hub.accept("tele/plug/SENSOR", br#"{"SML":{"Total_in":1.5,"Total_out":0.25}}"#, false);
    assert!(read(&mut meter, 0).await.is_ok());
    clock.set(at(20));
    hub.accept("tele/plug/LWT", b"Online", true);
    assert_eq!(read(&mut meter, 20).await.unwrap_err().class(), "stale");
}

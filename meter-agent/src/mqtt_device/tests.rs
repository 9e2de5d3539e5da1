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
    assert_eq!(topics(&template, "shelly-1").unwrap().len(), 2);
}

use super::*;
use crate::outbox::Order;
use crate::source::{Device, MeterSource, Sample, SourceError};
use domain::ids::{AgentId, CommunityId, MeterId};
use domain::reading::Register;
use domain::time::ManualClock;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use p256::ecdsa::SigningKey;
use std::sync::Mutex;

/// What a fake device does at each read, the last one for ever.
#[derive(Debug, Clone, Copy)]
enum Act {
    Reads(i64),
    /// Of a counter that begins again after this.
    Counts(i64, i64),
    /// As the device with this serial number, while this power flows.
    Says(i64, &'static str, f64),
    Lacks,
    Sleeps,
    /// While it is read, the clock is set back before the boundary.
    SetsBack,
    Hangs,
    Refuses,
    /// Gives a value that cannot be.
    Raves,
}

struct Fake {
    acts: Vec<Act>,
    clock: Clock,
    log: Arc<Mutex<Vec<&'static str>>>,
    name: &'static str,
}

impl MeterSource for Fake {
    fn read(&mut self, _: DateTime<Utc>, _: Duration) -> BoxFuture<'_, Result<Sample, SourceError>> {
        self.log.lock().unwrap().push(self.name);
        let act = if self.acts.len() > 1 { self.acts.remove(0) } else { self.acts[0] };
        let mut sample = Sample::empty(Device::default(), self.clock.now());
        async move {
            match act {
                Act::Hangs => std::future::pending().await,
                Act::SetsBack => {
                    sample.read_at -= TimeDelta::seconds(1);
                    sample.import = Some(Register::from_mwh(1).unwrap());
                    sample.export = Some(Register::from_mwh(0).unwrap());
                    Ok(sample)
                }
                Act::Refuses => Err(SourceError::Missing { point: "answer" }),
                Act::Raves => {
                    let (template, hint) = ("a_meter".to_owned(), String::new());
                    Err(SourceError::Implausible { template, point: "voltage", value: 1e9, hint })
                }
                Act::Lacks => Ok(sample),
                Act::Sleeps => {
                    let (endpoint, reason) = ("tcp://inverter:502".to_owned(), "no answer".to_owned());
                    Err(SourceError::Bus(crate::modbus::BusError::Connect { endpoint, reason }))
                }
                Act::Says(mwh, serial, power_w) => {
                    sample.device.serial = Some(serial.to_owned());
                    sample.power_w = Some(power_w);
                    sample.import = Some(Register::from_mwh(mwh).unwrap());
                    sample.export = Some(Register::from_mwh(0).unwrap());
                    Ok(sample)
                }
                Act::Counts(mwh, span_mwh) => {
                    sample.span_mwh[0] = Some(span_mwh);
                    sample.import = Some(Register::from_mwh(mwh).unwrap());
                    sample.export = Some(Register::from_mwh(0).unwrap());
                    Ok(sample)
                }
                Act::Reads(mwh) => {
                    sample.import = Some(Register::from_mwh(mwh).unwrap());
                    sample.export = Some(Register::from_mwh(0).unwrap());
                    Ok(sample)
                }
            }
        }
        .boxed()
    }
}

struct Bench {
    poller: Poller,
    clock: ManualClock,
    outbox: Arc<Outbox>,
    log: Arc<Mutex<Vec<&'static str>>>,
    _folder: tempfile::TempDir,
}

fn boundary(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + number * 10, 0).unwrap()
}

type Named<'a> = (&'static str, &'a [Act]);

/// One group an endpoint, each of named devices.
fn bench(groups: &[&[Named<'_>]]) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Arc::new(Outbox::open(&folder.path().join("outbox.redb"), 1_000, 1).unwrap());
    let manual = ManualClock::new(boundary(0));
    let clock = Clock::Manual(manual.clone());
    let log = Arc::new(Mutex::new(Vec::new()));
    let device = |(name, acts): &Named<'_>| {
        let source = Fake { acts: acts.to_vec(), clock: clock.clone(), log: log.clone(), name };
        PolledDevice::new(MeterId::new(name).unwrap(), "t@1".to_owned(), Box::new(source))
    };
    let groups = groups.iter().map(|g| Group { devices: g.iter().map(device).collect() }).collect();
    let signer = Signer {
        key: SigningKey::from_slice(&[7; 32]).unwrap(),
        community_id: CommunityId::new("demo").unwrap(),
        agent_id: AgentId::new("agent-1").unwrap(),
        boot_id: "boot".to_owned(),
        time_status: crate::ocmf::TimeStatus::Unknown,
    };
    let timing = PollTiming {
        slot_length: SlotLength::from_seconds(10).unwrap(),
        tolerance: TimeDelta::milliseconds(50),
        max_power_w: 1_000_000,
        ask_again: Duration::from_secs(1), // longer than the tolerance: once
    };
    let stored = Arc::new(Notify::new());
    let poller = Poller::new(timing, groups, outbox.clone(), Arc::new(signer), clock.clone(), stored);
    Bench { poller, clock: manual, outbox, log, _folder: folder }
}

impl Bench {
    async fn tick(&mut self, number: i64) -> Outcome {
        self.clock.set(boundary(number));
        self.poller.tick(boundary(number)).await
    }

    fn records(&self) -> Vec<crate::ocmf::ParsedRecord> {
        let pending = self.outbox.pending(Order::OldestFirst, 100).unwrap();
        pending.iter().map(|p| crate::ocmf::parse(&p.record).unwrap()).collect()
    }
}

fn classes(outcome: &Outcome) -> Vec<&'static str> {
    outcome.failures.iter().map(|f| f.class).collect()
}

#[tokio::test]
async fn every_boundary_is_one_signed_record_a_meter() {
    let mut bench = bench(&[&[("a", &[Act::Reads(5), Act::Reads(9)])]]);
    assert_eq!(bench.tick(1).await.stored, 1);
    assert_eq!(bench.tick(2).await.stored, 1);
    let again = bench.tick(2).await;
    assert_eq!((again.stored, again.repeated), (0, 1));
    let seen: Vec<_> = bench
        .records()
        .iter()
        .map(|r| (r.reading.seq, r.reading.slot_end, r.reading.registers.import.mwh()))
        .collect();
    assert_eq!(seen, [(1, boundary(1), 5), (2, boundary(2), 9)]);
}

#[tokio::test]
async fn f01_a_device_that_hangs_does_not_delay_other_endpoints() {
    let mut bench = bench(&[&[("dead", &[Act::Hangs])], &[("alive", &[Act::Reads(1)])]]);
    let outcome = bench.tick(1).await;
    assert_eq!((outcome.stored, classes(&outcome)), (1, vec!["late"]));
}

#[tokio::test]
async fn f09_a_dead_unit_is_asked_after_the_others_of_its_line() {
    let mut bench = bench(&[&[("dead", &[Act::Refuses]), ("alive", &[Act::Reads(1)])]]);
    bench.tick(1).await;
    bench.log.lock().unwrap().clear();
    assert_eq!(bench.tick(2).await.stored, 1);
    assert_eq!(*bench.log.lock().unwrap(), ["alive", "dead"]);
}

#[tokio::test]
async fn a_missing_register_stores_nothing_and_the_next_boundary_closes_the_gap() {
    let mut bench = bench(&[&[("a", &[Act::Reads(5), Act::Lacks, Act::Reads(9)])]]);
    bench.tick(1).await;
    assert_eq!(classes(&bench.tick(2).await), ["missing_value"]);
    bench.tick(3).await;
    let seen: Vec<_> = bench.records().iter().map(|r| (r.reading.seq, r.reading.slot_end)).collect();
    assert_eq!(seen, [(1, boundary(1)), (2, boundary(3))]);
}

#[tokio::test]
async fn a_reading_that_is_too_late_is_not_that_boundarys() {
    let mut bench = bench(&[&[("a", &[Act::Reads(5)])]]);
    bench.clock.set(boundary(1) + TimeDelta::seconds(1));
    assert_eq!(classes(&bench.poller.tick(boundary(1)).await), ["late"]);
}

#[tokio::test]
async fn f21_f22_a_fallen_register_is_held_and_a_reset_is_a_new_epoch() {
    let acts = [100, 0, 101, 1, 2, 3].map(Act::Reads);
    let mut bench = bench(&[&[("a", &acts)]]);
    let mut stored = Vec::new();
    for number in 1..=6 {
        stored.push(bench.tick(number).await.stored);
    }
    assert_eq!(stored, [1, 0, 1, 0, 0, 1]);
    let seen: Vec<_> = bench
        .records()
        .iter()
        .map(|r| (r.reading.epoch, r.reading.seq, r.reading.registers.import.mwh()))
        .collect();
    assert_eq!(seen, [(1, 1, 100), (1, 2, 101), (2, 1, 3)]);
}

#[test]
fn the_default_tolerance_is_a_tenth_of_a_slot_and_at_least_two_seconds() {
    for (seconds, tolerance) in [(10, 2), (900, 90)] {
        let timing = PollTiming::new(SlotLength::from_seconds(seconds).unwrap());
        assert_eq!(timing.tolerance, TimeDelta::seconds(tolerance));
    }
}

#[tokio::test]
async fn f23_a_counter_that_rolled_over_is_carried_on_and_flagged() {
    let span = 1_000_000;
    let acts = [999_000, 500, 900, 950_000, 100].map(|mwh| Act::Counts(mwh, span));
    let mut bench = bench(&[&[("a", &acts)]]);
    for number in 1..=5 {
        assert_eq!(bench.tick(number).await.stored, 1, "{number}");
    }
    let records = bench.records();
    let mwh: Vec<_> = records.iter().map(|r| (r.reading.epoch, r.reading.registers.import.mwh())).collect();
    assert_eq!(mwh, [(1, 999_000), (1, 1_000_500), (1, 1_000_900), (1, 1_950_000), (1, 2_000_100)]);
    let flagged: Vec<_> =
        records.iter().map(|r| r.quality.contains(&"register_rolled_over".to_owned())).collect();
    assert_eq!(flagged, [false, true, false, false, true]);
}

#[tokio::test]
async fn f27_another_meter_is_a_new_epoch_with_a_flag() {
    let acts =
        [(500, "S1"), (5, "S2"), (6, "S2"), (7, "S2"), (8, "S2")].map(|(mwh, s)| Act::Says(mwh, s, 0.0));
    let mut bench = bench(&[&[("a", &acts)]]);
    let mut classes_seen = Vec::new();
    for number in 1..=5 {
        classes_seen.extend(classes(&bench.tick(number).await));
    }
    assert_eq!(classes_seen, ["meter_exchanged"; 2]);
    let records = bench.records();
    let places: Vec<_> = records.iter().map(|r| (r.reading.epoch, r.reading.seq)).collect();
    assert_eq!(places, [(1, 1), (2, 1), (2, 2)]);
    assert_eq!(records[1].quality, ["new_epoch_meter_exchanged"]);
}

/// A load may have begun just before a boundary, so that it takes two boundaries with power and no energy.
#[tokio::test]
async fn f26_a_stuck_counter_stores_nothing_and_says_so() {
    let acts = [(500, 0.0), (500, 90_000.0), (500, 90_000.0), (500, 90_000.0), (900, 90_000.0)]
        .map(|(mwh, w)| Act::Says(mwh, "S1", w));
    let mut bench = bench(&[&[("a", &acts)]]);
    assert_eq!([bench.tick(1).await.stored, bench.tick(2).await.stored], [1, 1]);
    assert_eq!(classes(&bench.tick(3).await), ["register_stuck"]);
    assert_eq!(classes(&bench.tick(4).await), ["register_stuck"]);
    assert_eq!(bench.tick(5).await.stored, 1);
}

#[tokio::test]
async fn f24_a_bogus_maximum_stores_nothing_and_says_so() {
    let mut bench = bench(&[&[("a", &[Act::Reads(5), Act::Reads(i64::MAX), Act::Reads(9)])]]);
    bench.tick(1).await;
    assert_eq!(classes(&bench.tick(2).await), ["register_jumped"]);
    assert_eq!(bench.tick(3).await.stored, 1);
}

#[tokio::test]
async fn f37_a_clock_that_steps_neither_doubles_nor_loses_a_boundary() {
    let mut bench = bench(&[&[("a", &[Act::Reads(5)])]]);
    let hour = 360;
    for number in [1, 2, 2 - hour, 3 - hour, 2, 3, 3 + hour, 4, 4 + hour] {
        bench.tick(number.max(-179_000_000)).await;
    }
    bench.clock.set(DateTime::UNIX_EPOCH);
    bench.poller.tick(DateTime::UNIX_EPOCH).await;
    let seen: Vec<_> = bench.records().iter().map(|r| (r.reading.seq, r.reading.slot_end)).collect();
    let ends = [1, 2, 3, 3 + hour, 4 + hour].map(boundary);
    assert_eq!(seen, (1..).zip(ends).collect::<Vec<_>>());
}

#[tokio::test]
async fn f37_boundaries_before_a_stored_one_are_failures_and_not_repeated() {
    let mut bench = bench(&[&[("a", &[Act::Reads(5)])]]);
    let hour = 360;
    bench.tick(1 + hour).await;
    let again = bench.tick(1 + hour).await;
    assert_eq!((again.repeated, classes(&again)), (1, vec![]));
    let back = bench.tick(2).await;
    assert_eq!((back.repeated, classes(&back)), (0, vec![CLOCK_WENT_BACK]));
    assert_eq!(bench.tick(2 + hour).await.stored, 1);
}

#[tokio::test]
async fn f37_a_clock_that_is_set_back_while_a_device_is_read_is_not_signed() {
    let mut bench = bench(&[&[("a", &[Act::SetsBack, Act::Reads(5)])]]);
    bench.poller.timing.ask_again = Duration::from_millis(1);
    assert_eq!(bench.tick(1).await.stored, 1);
    let records = bench.records();
    assert_eq!(records[0].reading.registers.import.mwh(), 5);
    assert!(records[0].reading.read_at >= records[0].reading.slot_end);
}

#[tokio::test]
async fn f05_a_device_that_fails_is_asked_again_after_the_others_and_within_the_tolerance() {
    let busy = [Act::Refuses, Act::Refuses, Act::Refuses, Act::Reads(1), Act::Refuses];
    let mut bench = bench(&[&[("busy", &busy), ("well", &[Act::Reads(1)])], &[("other", &[Act::Reads(1)])]]);
    bench.poller.timing.ask_again = Duration::from_millis(1);
    let asked = |bench: &Bench, wanted: &str| {
        bench.log.lock().unwrap().iter().filter(|name| **name == wanted).count()
    };
    assert_eq!(bench.tick(1).await.stored, 3);
    let in_turn: Vec<_> =
        bench.log.lock().unwrap().iter().filter(|name| **name != "other").copied().collect();
    assert_eq!(in_turn, ["busy", "well", "busy", "busy", "busy"]);
    // One that does not come back is given up when the tolerance ends, and costs the others nothing.
    let lost = bench.tick(2).await;
    assert_eq!((lost.stored, classes(&lost)), (2, vec!["missing_value"]));
    assert!((2..=7).contains(&(asked(&bench, "busy") - 4)), "1, 2, 4, 8 and 16 ms of 50 apart");
    assert_eq!(asked(&bench, "well"), 2);
}

#[tokio::test]
async fn f19_what_slept_at_the_last_boundary_is_asked_once() {
    let mut bench = bench(&[&[("a", &[Act::Sleeps])]]);
    bench.poller.timing.ask_again = Duration::from_millis(1);
    bench.poller.groups[0].devices[0].sleeps_at_night = true;
    bench.tick(1).await;
    assert!(bench.log.lock().unwrap().len() > 1);
    bench.log.lock().unwrap().clear();
    assert_eq!(classes(&bench.tick(2).await), ["asleep"]);
    assert_eq!(bench.log.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn f19_an_inverter_that_sleeps_is_no_alarm_and_the_morning_closes_the_gap() {
    let acts = [Act::Reads(5), Act::Sleeps, Act::Sleeps, Act::Reads(9)];
    let mut bench = bench(&[&[("a", &acts)]]);
    bench.poller.groups[0].devices[0].sleeps_at_night = true;
    assert_eq!(bench.tick(1).await.stored, 1);
    assert_eq!(classes(&bench.tick(2).await), ["asleep"]);
    assert_eq!(classes(&bench.tick(3).await), ["asleep"]);
    assert_eq!(bench.tick(4).await.stored, 1);
    let seen: Vec<_> = bench.records().iter().map(|r| (r.reading.seq, r.reading.slot_end)).collect();
    assert_eq!(seen, [(1, boundary(1)), (2, boundary(4))]);
}

#[tokio::test]
async fn f20_a_template_that_does_not_fit_is_said_at_the_start_and_nothing_is_stored() {
    let mut bench =
        bench(&[&[("well", &[Act::Reads(1)]), ("raves", &[Act::Raves])], &[("away", &[Act::Refuses])]]);
    let board = Arc::new(Board::new([]));
    bench.poller.board = Some(board.clone());
    bench.poller.probe().await;
    assert!(bench.log.lock().unwrap().is_empty(), "a boundary is near");
    bench.poller.timing.slot_length = SlotLength::from_seconds(900).unwrap();
    bench.poller.probe().await;
    let events = board.events();
    assert_eq!((events.len(), events[0].kind.as_str()), (1, "device_faulty"));
    assert!(events[0].words.contains("template a_meter: voltage"), "{events:?}");
    assert_eq!(bench.outbox.depth().unwrap(), 0);
}

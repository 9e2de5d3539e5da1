use super::*;
use crate::outbox::Draft;
use crate::poll::{Failure, Outcome};
use domain::reading::{Register, Registers};
use domain::time::ManualClock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

struct Bench {
    reporter: Option<Reporter>,
    reports: Reports,
    board: Arc<Board>,
    key: SigningKey,
    synchronised: Arc<AtomicBool>,
    folder: tempfile::TempDir,
    clock: ManualClock,
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_500, 0).unwrap()
}

fn meter(number: usize) -> MeterId {
    MeterId::new(&format!("meter-{number:03}")).unwrap()
}

fn bench(meters: usize) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let (community_id, agent_id) = (CommunityId::new("demo").unwrap(), AgentId::new("agent-1").unwrap());
    let (messages, line, reports) = reports(&community_id, &agent_id);
    let board = Arc::new(Board::new((0..meters).map(meter)));
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let clock = ManualClock::new(now());
    let synchronised = Arc::new(AtomicBool::new(true));
    let state = synchronised.clone();
    let reporter = Reporter {
        community_id,
        agent_id,
        key: key.clone(),
        board: board.clone(),
        outbox: Arc::new(Outbox::open(&folder.path().join("outbox.redb"), 100, 1).unwrap()),
        slot_length: SlotLength::from_seconds(900).unwrap(),
        certificate_file: None,
        clock_state: Arc::new(move || {
            if state.load(SeqCst) { TimeStatus::Synchronised } else { TimeStatus::Unsynchronised }
        }),
        metrics_file: Some(folder.path().join("agent.prom")),
        clock: Clock::Manual(clock.clone()),
        messages,
        line,
        wake: Arc::new(Notify::new()),
    };
    Bench { reporter: Some(reporter), reports, board, key, synchronised, folder, clock }
}

impl Bench {
    fn start(&mut self) -> Shutdown {
        let shutdown = Shutdown::new();
        let (reporter, stop) = (self.reporter.take().unwrap(), shutdown.clone());
        tokio::spawn(async move { reporter.run(&stop).await });
        shutdown
    }

    fn connect(&mut self) {
        self.reports.line.send_modify(|line| line.connected = true);
    }

    async fn next(&mut self) -> Health {
        let message = self.reports.messages.recv().await.unwrap();
        message::verify(message.as_bytes(), self.key.verifying_key(), now() + TimeDelta::days(1)).unwrap()
    }

    fn note(&self, class: Option<&'static str>) {
        let failures = class.map(|class| Failure { meter_id: meter(0), class, reason: "gone".to_owned() });
        let outcome = Outcome { failures: failures.into_iter().collect(), ..Outcome::default() };
        self.board.note(self.clock.now(), &outcome, self.clock.now());
        self.clock.advance(TimeDelta::minutes(15));
    }
}

#[tokio::test]
async fn nothing_is_told_without_a_connection_and_all_of_it_with_one() {
    let mut bench = bench(1);
    let shutdown = bench.start();
    bench.note(Some("timeout"));
    bench.note(None);
    tokio::task::yield_now().await;
    assert!(bench.reports.messages.try_recv().is_err());
    bench.connect();
    let health = bench.next().await;
    let kinds: Vec<_> = health.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["device_unreachable", "device_back"]);
    assert_eq!(health.devices[0].errors, BTreeMap::from([("timeout".to_owned(), 1)]));
    assert_eq!((health.agent.outbox_records, health.agent.clock), (Some(0), TimeStatus::Synchronised));
    shutdown.stop();
}

#[tokio::test]
async fn every_boundary_is_told_and_events_again_and_again() {
    let mut bench = bench(1);
    let shutdown = bench.start();
    bench.connect();
    bench.next().await;
    bench.note(Some("timeout"));
    for _ in 0..3 {
        assert_eq!(bench.next().await.events.len(), 1);
        bench.note(Some("timeout"));
    }
    shutdown.stop();
}

#[tokio::test]
async fn f38_a_clock_that_is_lost_and_found_is_told() {
    let mut bench = bench(1);
    bench.synchronised.store(false, SeqCst);
    let shutdown = bench.start();
    bench.connect();
    let lost = bench.next().await;
    assert_eq!(
        (lost.events[0].kind.as_str(), lost.agent.clock),
        ("clock_unsynchronised", TimeStatus::Unsynchronised)
    );
    bench.synchronised.store(true, SeqCst);
    bench.note(None);
    let mut found = bench.next().await;
    while found.events.len() < 2 {
        found = bench.next().await;
    }
    assert_eq!((found.events[1].kind.as_str(), found.events[1].since), ("clock_synchronised", Some(now())));
    shutdown.stop();
}

#[tokio::test]
async fn many_devices_share_several_messages_and_each_is_told_once() {
    let mut bench = bench(MAX_DEVICES * 2 + 1);
    let shutdown = bench.start();
    bench.connect();
    let mut told = Vec::new();
    for _ in 0..3 {
        told.extend(bench.next().await.devices.into_iter().map(|said| said.meter_id));
    }
    assert_eq!(told, (0..=MAX_DEVICES * 2).map(meter).collect::<Vec<_>>());
    shutdown.stop();
}

#[tokio::test]
async fn metrics_are_written_whole_and_count_what_waits() {
    let mut bench = bench(1);
    let zero = Register::from_mwh(0).unwrap();
    let draft = Draft {
        meter_id: meter(0),
        slot_end: now() - TimeDelta::seconds(500),
        registers: Registers { import: zero, export: zero, production: None },
        offset_mwh: [0; 2],
        serial: None,
        new_epoch: false,
    };
    let outbox = bench.reporter.as_ref().unwrap().outbox.clone();
    outbox.append(&[draft], |_, _| "not a record".to_owned()).unwrap();
    assert_eq!(outbox.days(&meter(0)).unwrap(), [(now().date_naive(), 1)]);
    let shutdown = bench.start();
    bench.connect();
    assert_eq!(bench.next().await.agent.outbox_records, Some(1));
    let text = std::fs::read_to_string(bench.folder.path().join("agent.prom")).unwrap();
    for line in [
        "busbar_agent_outbox_records 1",
        "busbar_agent_device_day_stored{meter=\"meter-000\",day=\"today\"} 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
    shutdown.stop();
}

#[test]
fn f48_a_certificate_near_its_end_is_told_once() {
    let kind = |before, now| certificate_event(before, now).map(|(kind, _)| kind);
    assert_eq!(kind(None, Some(200)), None);
    assert_eq!(kind(None, Some(29)), Some("certificate_expires"));
    assert_eq!(kind(Some(30), Some(29)), Some("certificate_expires"));
    assert_eq!(kind(Some(29), Some(28)), None);
    assert_eq!(kind(Some(0), Some(-1)), Some("certificate_expired"));
    assert_eq!(kind(Some(-1), Some(365)), Some("certificate_renewed"));
    assert_eq!(kind(Some(5), None), None);
}

#[test]
fn each_report_is_later_than_the_one_it_replaces() {
    let mut remembered = Remembered::default();
    let times: Vec<_> = [0, 0, 0, 5, -3_600_000]
        .map(|ms| (remembered.next(now() + TimeDelta::milliseconds(ms)) - now()).num_milliseconds())
        .into();
    assert_eq!(times, [0, 1, 2, 5, -3_600_000]);
}

use super::*;
use domain::reading::Register;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
}

fn draft(meter: &str, seconds: i64) -> Draft {
    let register = Register::from_mwh(seconds).unwrap();
    Draft {
        meter_id: MeterId::new(meter).unwrap(),
        slot_end: at(seconds),
        registers: Registers { import: register, export: register, production: None },
        offset_mwh: [0; 2],
        serial: None,
        new_epoch: false,
    }
}

fn ack(meter: &str, epoch: i32, stored_through_seq: i64) -> Acknowledgement {
    Acknowledgement { meter_id: MeterId::new(meter).unwrap(), epoch, stored_through_seq }
}

fn text(_: usize, position: &Position) -> String {
    format!("record {} {}", position.epoch, position.seq)
}

fn numbers(outbox: &Outbox, order: Order, limit: usize) -> Vec<(String, i32, i64)> {
    let pending = outbox.pending(order, limit).unwrap();
    pending.into_iter().map(|p| (p.meter_id.to_string(), p.epoch, p.seq)).collect()
}

#[test]
fn numbers_have_no_gap_and_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/outbox.redb");
    let outbox = Outbox::open(&path, 100, 5).unwrap();
    let first = outbox.append(&[draft("a", 10), draft("b", 10)], text).unwrap();
    assert_eq!(first[0], Some(Position { epoch: 5, seq: 1, previous: [0; 32] }));
    drop(outbox);
    let outbox = Outbox::open(&path, 100, 9).unwrap();
    let second = outbox.append(&[draft("a", 20)], text).unwrap()[0].unwrap();
    assert_eq!((second.epoch, second.seq, second.previous), (5, 2, sha256("record 5 1")));
    let name = |meter: &str, seq| (meter.to_owned(), 5, seq);
    assert_eq!(numbers(&outbox, Order::OldestFirst, 9), [name("a", 1), name("b", 1), name("a", 2)]);
    assert_eq!(numbers(&outbox, Order::NewestFirst, 2), [name("a", 2), name("b", 1)]);
}

#[test]
fn f37_a_boundary_is_never_stored_twice() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&folder.path().join("o"), 100, 1).unwrap();
    outbox.append(&[draft("a", 20)], text).unwrap();
    assert_eq!(outbox.append(&[draft("a", 20), draft("a", 10)], text).unwrap(), [None, None]);
    assert_eq!(outbox.append(&[draft("a", 30)], text).unwrap()[0].unwrap().seq, 2);
}

#[test]
fn a_new_epoch_counts_from_one_and_names_the_record_before() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&folder.path().join("o"), 100, 1).unwrap();
    outbox.append(&[draft("a", 10)], text).unwrap();
    let reset = Draft { new_epoch: true, ..draft("a", 20) };
    let position = outbox.append(&[reset], text).unwrap()[0].unwrap();
    assert_eq!((position.epoch, position.seq, position.previous), (2, 1, sha256("record 1 1")));
    let state = outbox.meter(&MeterId::new("a").unwrap()).unwrap().unwrap();
    assert_eq!((state.epoch, state.last.slot_end), (2, at(20)));
}

#[test]
fn acknowledged_records_are_forgotten_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&folder.path().join("o"), 100, 1).unwrap();
    for seconds in [10, 20, 30] {
        outbox.append(&[draft("a", seconds), draft("b", seconds)], text).unwrap();
    }
    assert_eq!(outbox.acknowledge(&[ack("a", 1, 1), ack("a", 1, 2)]).unwrap(), 2);
    assert_eq!(outbox.acknowledge(&[ack("a", 1, 2), ack("a", 2, 9), ack("c", 1, 9)]).unwrap(), 0);
    assert_eq!(outbox.depth().unwrap(), 4);
    assert!(!numbers(&outbox, Order::OldestFirst, 9).contains(&("a".to_owned(), 1, 2)));
}

#[test]
fn sequences_without_an_answer_take_no_places_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&folder.path().join("o"), 100, 1).unwrap();
    for seconds in 1..=20 {
        outbox.append(&[draft("dead", seconds)], text).unwrap();
    }
    for seconds in 1..=3 {
        outbox.append(&[draft("b", seconds), draft("a", seconds)], text).unwrap();
    }
    let sequence = |meter: &str, epoch| (MeterId::new(meter).unwrap(), epoch);
    let due = |unanswered: &[Sequence]| {
        let due = outbox.due(2, 3, &unanswered.iter().cloned().collect()).unwrap();
        [due.unanswered, due.newest, due.oldest]
            .map(|part| part.iter().map(|p| format!("{} {}", p.meter_id, p.seq)).collect::<Vec<_>>())
    };
    let none: [&str; 0] = [];
    assert_eq!(due(&[]), [&none[..], &["a 3", "b 3"], &["dead 1", "dead 2", "dead 3"]]);
    assert_eq!(
        due(&[sequence("dead", 1)]),
        [&["dead 1", "dead 2", "dead 3"][..], &["a 3", "b 3"], &["b 1", "a 1", "b 2"]]
    );
    // Another epoch of the same meter is another sequence.
    assert_eq!(due(&[sequence("dead", 2)])[2], ["dead 1", "dead 2", "dead 3"]);
    let both = due(&[sequence("a", 1), sequence("dead", 1)]);
    assert_eq!(both[0], ["a 1", "dead 1", "dead 2", "dead 3"], "each is tried, however many the other has");
    assert_eq!([&both[1], &both[2]], [&["b 3", "b 2"].to_vec(), &["b 1", "b 2", "b 3"].to_vec()]);
}

#[test]
fn f44_a_full_outbox_refuses_and_uses_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&folder.path().join("o"), 2, 1).unwrap();
    outbox.append(&[draft("a", 10), draft("b", 10)], text).unwrap();
    let full = outbox.append(&[draft("a", 20)], text);
    assert!(matches!(full, Err(OutboxError::Full { held: 2 })));
    assert_eq!(outbox.depth().unwrap(), 2);
    outbox.acknowledge(&[ack("a", 1, 1)]).unwrap();
    assert_eq!(outbox.append(&[draft("a", 20)], text).unwrap()[0].unwrap().seq, 2);
}

#[test]
fn a_second_agent_on_the_same_outbox_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o");
    let _first = Outbox::open(&path, 2, 1).unwrap();
    assert!(matches!(Outbox::open(&path, 2, 1), Err(OutboxError::Open { .. })));
}

#[test]
fn f45_a_damaged_outbox_is_set_aside_and_no_number_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let fill = |path: &Path| {
        let outbox = Outbox::open(path, 100, 5).unwrap();
        outbox.append(&[draft("a", 10), draft("b", 10)], text).unwrap();
    };
    fill(&path);
    let (whole, aside) = Outbox::open_or_replace(&path, 100, 6).unwrap();
    assert_eq!((whole.depth().unwrap(), aside), (2, None));
    drop(whole);
    let length = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // What a torn write leaves behind: the header is gone.
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 512], 0).unwrap();
    assert!(matches!(Outbox::open(&path, 100, 6), Err(OutboxError::Corrupt(_))), "{length}");
    let (fresh, aside) = Outbox::open_or_replace(&path, 100, 6).unwrap();
    assert!(aside.unwrap().exists());
    let position = fresh.append(&[draft("a", 20)], text).unwrap()[0].unwrap();
    assert_eq!((position.epoch, position.seq), (6, 1));
}

#[test]
fn f45_an_outbox_in_use_is_not_taken_for_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let _first = Outbox::open(&path, 2, 1).unwrap();
    assert!(matches!(Outbox::open_or_replace(&path, 2, 2), Err(OutboxError::Open { .. })));
    assert!(path.exists());
}

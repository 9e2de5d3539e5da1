//! F45: pages in the middle of the outbox that a power cut has torn.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/append.rs"]
mod append;
#[path = "common/community.rs"]
mod community;

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::Path;

use append::append;
use community::{agent, boundary, key, meter};
use domain::ids::MeterId;
use meter_agent::lost::Gap;
use meter_agent::ocmf;
use meter_agent::outbox::{Order, Outbox, Salvaged};

const METERS: usize = 5;
const SLOTS: i64 = 40;
const PAGE_BYTES: usize = 4_096;
const FIRST_EPOCH: i32 = 7;

fn meters() -> Vec<MeterId> {
    (1..=METERS).map(meter).collect()
}

fn fill(path: &Path) -> Vec<String> {
    let outbox = Outbox::open(path, 10_000, 1).unwrap();
    for number in 1..=SLOTS {
        append(&outbox, &agent(), &meters(), number, boundary(number)).unwrap();
    }
    outbox.pending(Order::OldestFirst, usize::MAX).unwrap().into_iter().map(|p| p.record).collect()
}

/// Where in the file a text begins, wherever it was copied to.
fn places(bytes: &[u8], text: &str) -> Vec<usize> {
    let wanted = text.as_bytes();
    (0..bytes.len() - wanted.len()).filter(|at| bytes[*at..].starts_with(wanted)).collect()
}

fn statement(gap: &Gap) -> String {
    format!("lost {gap:?}")
}

#[test]
fn f45_torn_pages_are_noticed_and_what_is_whole_is_recovered_and_the_gap_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let records = fill(&path);
    let bytes = std::fs::read(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // The pages of two records, in every copy the store ever wrote.
    for record in [&records[40], &records[150]] {
        let copies = places(&bytes, record);
        assert!(!copies.is_empty());
        for at in copies {
            let from = at / PAGE_BYTES * PAGE_BYTES;
            file.write_all_at(&[0xa5; PAGE_BYTES], u64::try_from(from).unwrap()).unwrap();
        }
    }
    let torn = std::fs::read(&path).unwrap();
    let whole: BTreeSet<&String> =
        records.iter().filter(|record| !places(&torn, record).is_empty()).collect();
    assert!(whole.len() < records.len() && whole.len() > records.len() / 2, "{}", whole.len());

    let (outbox, aside) = Outbox::open_or_replace(&path, 10_000, FIRST_EPOCH).unwrap();
    let aside = aside.expect("the damage is noticed");
    let saved = outbox.take_over(&aside, key().verifying_key(), statement).unwrap();
    let pending = outbox.pending(Order::OldestFirst, usize::MAX).unwrap();
    // Beside the records there is a statement for each gap, so that ingest can acknowledge what is behind it.
    let (statements, pending): (Vec<_>, Vec<_>) =
        pending.into_iter().partition(|pending| pending.record.starts_with("lost"));
    assert!(!statements.is_empty());
    let delivered: BTreeSet<&String> = pending.iter().map(|pending| &pending.record).collect();
    assert_eq!(delivered, whole, "every record that is whole, byte for byte, and no other");
    assert_eq!(saved.recovered, u64::try_from(whole.len()).unwrap());
    // The first and the last numbers are whole here, so that the gap is all there is between.
    assert_eq!(saved.missing, u64::try_from(records.len() - whole.len()).unwrap());
    // New records begin a new epoch: no number is used twice.
    append(&outbox, &agent(), &meters(), SLOTS + 1, boundary(SLOTS + 1)).unwrap();
    let newest = outbox.pending(Order::NewestFirst, 1).unwrap().remove(0);
    assert_eq!((newest.epoch, newest.seq), (FIRST_EPOCH, 1));
}

#[test]
fn f45_what_another_key_signed_is_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("outbox.redb"), folder.path().join("aside"));
    let records = fill(&path);
    std::fs::write(&aside, records.join("\n")).unwrap();
    let outbox = Outbox::open(&folder.path().join("new.redb"), 10_000, FIRST_EPOCH).unwrap();
    let other = p256::ecdsa::SigningKey::from_slice(&[8; 32]).unwrap();
    let none = Salvaged { recovered: 0, missing: 0 };
    assert_eq!(outbox.take_over(&aside, other.verifying_key(), statement).unwrap(), none);
    let all = outbox.take_over(&aside, key().verifying_key(), statement).unwrap();
    assert_eq!(all, Salvaged { recovered: u64::try_from(records.len()).unwrap(), missing: 0 });
    assert!(ocmf::parse(&outbox.pending(Order::OldestFirst, 1).unwrap()[0].record).is_ok());
}

//! The tables of settlement: statements, batches, transactions, deposits and the ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AccountId, BatchId, ClientId, CommunityId};
use domain::reading::Metered;
use domain::slot::SlotLength;
use domain::units::{Energy, Money};
use store::batches::{self, BatchRow, BatchStatus};
use store::communities::{self, Community};
use store::members::{self, Account};
use store::statements::StatementRow;
use store::transactions::{self, NewTransaction, Purpose, TransactionRow, TxState};
use store::{PgPool, ledger, slots, statements};

const SENDER: &str = "0x1111111111111111111111111111111111111111";
const BATCH: BatchId = BatchId([7; 32]);

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn nano(amounts: &[(&str, i64)]) -> Vec<(AccountId, Money)> {
    amounts.iter().map(|(name, nano)| (account(name), Money::from_nano(*nano))).collect()
}

/// A community with a slot and the accounts `a`, `b` and `reserve`.
async fn community(pool: &PgPool) -> CommunityId {
    let id = CommunityId::new("demo").unwrap();
    let community = Community {
        community_id: id.clone(),
        name: "Demo".to_owned(),
        currency: "EUR".to_owned(),
        slot_length: SlotLength::from_seconds(10).unwrap(),
        market_opens_at: at(0),
        open_lead: TimeDelta::seconds(10),
        gate_closure_lead: TimeDelta::zero(),
        metering_deadline: TimeDelta::seconds(10),
        max_order: Energy::from_wh(1_000),
        contract: None,
    };
    communities::insert(pool, &community).await.unwrap();
    for (i, (name, kind)) in
        [("a", "member"), ("b", "member"), ("reserve", "reserve")].into_iter().enumerate()
    {
        let chain_address = format!("0x{i:040x}");
        let account = Account { account_id: account(name), kind: kind.to_owned(), chain_address };
        members::insert_account(pool, &id, &account).await.unwrap();
    }
    slots::insert_scheduled(pool, &id, &[at(0)], at(0)).await.unwrap();
    id
}

async fn batch(pool: &PgPool, id: &CommunityId, owed: &[(&str, i64)]) {
    let status = BatchStatus::Prepared;
    let row = BatchRow { batch_id: BATCH, slot_start: at(0), revision: 0, statement_root: [9; 32], status };
    batches::insert(pool, id, &row, at(1)).await.unwrap();
    batches::insert_owed(pool, id, &BATCH, &nano(owed)).await.unwrap();
}

fn transaction(purpose: Purpose, nonce: i64, attempt: i32) -> NewTransaction {
    let tx_hash = format!("0x{nonce:032x}{attempt:032x}");
    let raw = vec![u8::try_from(nonce).unwrap(), u8::try_from(attempt).unwrap()];
    let sender = SENDER.to_owned();
    NewTransaction { purpose, sender, nonce, attempt, tx_hash, raw, max_fee_per_gas_wei: u128::MAX / 2 }
}

async fn in_flight(pool: &PgPool, id: &CommunityId) -> Vec<TransactionRow> {
    transactions::in_flight(pool, id, SENDER, 100).await.unwrap()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn statements_are_read_as_they_were_written_and_once(pool: PgPool) {
    let id = community(&pool).await;
    let (wh, money) = (Energy::from_wh, Money::from_nano);
    let statement = StatementRow {
        account_id: account("a"),
        chain_address: receipt::Address([0x11; 20]),
        metered: Metered { import: wh(1), export: wh(2), production: Some(wh(3)) },
        substituted: true,
        traded_bought: wh(4),
        traded_bought_money: money(-5),
        traded_sold: wh(6),
        traded_sold_money: money(7),
        closing_bought: wh(8),
        closing_bought_money: money(-9),
        closing_sold: wh(10),
        closing_sold_money: money(11),
        preferred_bought: wh(3),
        preferred_bought_money: money(-2),
        preferred_sold: wh(2),
        preferred_sold_money: money(1),
        residual_import: wh(12),
        residual_export: wh(13),
        residual_money: money(-14),
        curtailed: wh(19),
        over_limit: wh(20),
        network_fee: money(-15),
        platform_fee: money(-16),
        net: money(-41),
        base: money(17),
        salt: [18; 32],
    };
    let unknown = Metered { production: None, ..statement.metered };
    let other = StatementRow { account_id: account("b"), metered: unknown, ..statement.clone() };
    let both = [statement, other];
    statements::insert_all(&pool, &id, at(0), 0, &both).await.unwrap();
    assert_eq!(statements::of_slot(&pool, &id, at(0), 0).await.unwrap(), both);
    let nets = statements::nets(&pool, &id, at(0), 0).await.unwrap();
    assert_eq!(nets, nano(&[("a", -41), ("b", -41)]));
    assert!(statements::insert_all(&pool, &id, at(0), 0, &both).await.is_err());
    assert!(statements::nets(&pool, &id, at(0), 1).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_a_batch_cannot_settle_is_carried_until_it_can(pool: PgPool) {
    let id = community(&pool).await;
    batch(&pool, &id, &[("a", -10), ("b", 10)]).await;
    assert_eq!(batches::next_prepared(&pool, &id).await.unwrap().unwrap().batch_id, BATCH);
    batches::set_settled(&pool, &id, &BATCH, &nano(&[("b", 10), ("reserve", -10)])).await.unwrap();
    assert_eq!(batches::carried(&pool, &id).await.unwrap(), vec![], "it is not signed yet");
    let (prepared, signed) = (BatchStatus::Prepared, BatchStatus::Signed);
    assert!(batches::advance(&pool, &id, &BATCH, prepared, signed, at(2)).await.unwrap());
    assert!(!batches::advance(&pool, &id, &BATCH, prepared, signed, at(2)).await.unwrap());
    assert_eq!(batches::in_flight(&pool, &id).await.unwrap().unwrap().status, signed);
    assert_eq!(batches::carried(&pool, &id).await.unwrap(), nano(&[("a", -10), ("reserve", 10)]));
    let positions = batches::positions(&pool, &id, &BATCH).await.unwrap();
    let settled: Vec<_> = positions.iter().map(|p| (p.owed.nano(), p.settled.map(Money::nano))).collect();
    assert_eq!(settled, [(-10, Some(0)), (10, Some(10)), (0, Some(-10))]);
    batches::clear_settled(&pool, &id, &BATCH).await.unwrap();
    assert_eq!(batches::carried(&pool, &id).await.unwrap(), vec![]);
    assert_eq!(batches::owed(&pool, &id, &BATCH).await.unwrap().len(), 3);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_batch_is_booked_once(pool: PgPool) {
    let id = community(&pool).await;
    batch(&pool, &id, &[("a", -10), ("b", 10)]).await;
    batches::set_settled(&pool, &id, &BATCH, &nano(&[("a", -10), ("b", 10)])).await.unwrap();
    ledger::book_batch(&pool, &id, &BATCH, "0xabc").await.unwrap();
    assert!(ledger::book_batch(&pool, &id, &BATCH, "0xabc").await.is_err());
    let balances = ledger::balances(&pool, &id).await.unwrap();
    assert_eq!(balances.iter().map(|b| b.balance.nano()).collect::<Vec<_>>(), [-10, 10, 0]);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_deposit_is_requested_once_and_booked_once(pool: PgPool) {
    let id = community(&pool).await;
    let (client, amount) = (ClientId::new("first").unwrap(), Money::from_nano(5));
    assert!(ledger::request_deposit(&pool, &id, &account("a"), &client, amount).await.unwrap());
    assert!(!ledger::request_deposit(&pool, &id, &account("a"), &client, amount).await.unwrap());
    let requested = ledger::requested_deposits(&pool, &id, 10).await.unwrap();
    let deposit_id = requested[0].deposit_id;
    assert_eq!((requested.len(), requested[0].amount), (1, amount));
    assert_eq!(ledger::mark_deposits_signed(&pool, &id, &[deposit_id]).await.unwrap(), 1);
    assert_eq!(ledger::mark_deposits_signed(&pool, &id, &[deposit_id]).await.unwrap(), 0);
    assert_eq!(ledger::deposits_signed(&pool, &id).await.unwrap(), 1);
    ledger::reset_deposit(&pool, &id, deposit_id).await.unwrap();
    assert_eq!(ledger::open_deposits(&pool, &id).await.unwrap(), 1);
    ledger::mark_deposits_signed(&pool, &id, &[deposit_id]).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    ledger::finish_deposit(&mut connection, &id, deposit_id, "0xabc").await.unwrap();
    assert!(ledger::finish_deposit(&mut connection, &id, deposit_id, "0xabc").await.is_err());
    assert_eq!(ledger::open_deposits(&pool, &id).await.unwrap(), 0);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn of_several_attempts_the_mined_one_is_kept_and_replayed(pool: PgPool) {
    let id = community(&pool).await;
    batch(&pool, &id, &[("a", -10), ("b", 10)]).await;
    assert_eq!(transactions::last_nonce(&pool, SENDER).await.unwrap(), None);
    let (deploy, settle) = (Purpose::Deploy, Purpose::Settle(BATCH));
    for tx in [transaction(deploy, 0, 1), transaction(settle, 1, 1), transaction(settle, 1, 2)] {
        transactions::insert(&pool, &id, &tx, at(1)).await.unwrap();
    }
    assert!(transactions::insert(&pool, &id, &transaction(settle, 1, 2), at(1)).await.is_err());
    assert_eq!(transactions::last_nonce(&pool, SENDER).await.unwrap(), Some(1));
    let rows = in_flight(&pool, &id).await;
    assert_eq!(rows[1].signed, transaction(settle, 1, 1));
    assert_eq!(rows.len(), 3);

    batches::advance(&pool, &id, &BATCH, BatchStatus::Prepared, BatchStatus::Signed, at(1)).await.unwrap();
    let ids: Vec<i64> = rows.iter().map(|row| row.tx_id).collect();
    let mut tx = pool.begin().await.unwrap();
    transactions::lock_sender(&mut tx, SENDER).await.unwrap();
    transactions::mark_broadcast(&mut tx, &id, &ids).await.unwrap();
    transactions::finish(&mut tx, &id, &rows[1], TxState::Final, 5, 21_000).await.unwrap();
    tx.commit().await.unwrap();
    let batch = batches::find(&pool, &id, &BATCH).await.unwrap().unwrap();
    assert_eq!(batch.status, BatchStatus::Broadcast);
    let left = in_flight(&pool, &id).await;
    assert_eq!((left.len(), left[0].state), (1, TxState::Broadcast), "the other attempt is replaced");
    let replayed = transactions::replay(&pool, SENDER, 0, 10).await.unwrap();
    let replayed: Vec<_> = replayed.into_iter().map(|stored| (stored.nonce, stored.raw)).collect();
    assert_eq!(replayed, [(0, vec![0, 1]), (1, vec![1, 1])]);
    assert_eq!(transactions::deploy_steps(&pool, &id, SENDER).await.unwrap().len(), 1);
    transactions::replace(&pool, &id, SENDER, 0).await.unwrap();
    assert!(in_flight(&pool, &id).await.is_empty());
}

//! A database that was set back to an older backup while the chain knows more: what was sent meanwhile is sent with
//! the settler's key, and no row tells of it.

use std::sync::Arc;

use domain::ids::AccountId;
use settlement::chain::fake::FakeChain;
use settlement::chain::{Call, Chain, ChunkCall, Position, TxStatus, UnsignedTx};
use settlement::deploy::deploy;
use settlement::settler::Tick;
use store::slots::SlotStatus;
use store::{PgPool, batches, members};

use super::{UNIT_NANO, World, at, settings};

pub const SELLER_NANO: i64 = 200_000_000;
pub const BUYER_NANO: i64 = -232_000_000;
pub const CHUNK: usize = 3;

/// How far the batch had come when the backup was put back: its last step.
#[derive(Debug, Clone, Copy)]
pub enum Reached {
    Opened,
    Pushed(usize),
    Finalised,
    Released(usize),
    Abandoned,
    Returned(usize),
}

pub const EACH: [Reached; 8] = [
    Reached::Opened,
    Reached::Pushed(1),
    Reached::Pushed(3),
    Reached::Finalised,
    Reached::Released(1),
    Reached::Released(3),
    Reached::Abandoned,
    Reached::Returned(1),
];

/// The calls that the settler had sent by then.
pub fn sent(world: &World, reached: Reached, open: &Call, chunks: &[ChunkCall]) -> Vec<Call> {
    let Call::OpenBatch { credit, batch_id, .. } = *open else { panic!("{open:?}") };
    let push = |n: usize| chunks.iter().take(n).cloned().map(Call::PushChunk);
    let release = |n: usize| chunks.iter().take(n).cloned().map(Call::ReleaseChunk);
    let (finalise, abandon) =
        (Call::FinaliseBatch { credit, batch_id }, Call::AbandonBatch { credit, batch_id });
    assert_eq!(chunks.len(), 3, "{:?}", world.context.community_id);
    let mut calls = vec![open.clone()];
    match reached {
        Reached::Opened => {}
        Reached::Pushed(n) => calls.extend(push(n)),
        Reached::Finalised => calls.extend(push(3).chain([finalise])),
        Reached::Released(n) => calls.extend(push(3).chain([finalise]).chain(release(n))),
        Reached::Abandoned => calls.extend(push(2).chain([abandon])),
        Reached::Returned(n) => calls.extend(push(2).chain([abandon]).chain(release(n))),
    }
    calls
}

/// Prices a slot and says what its batch is: the call that opens it, and its chunks.
pub async fn batch(world: &World, slot: i64) -> (Call, Vec<ChunkCall>) {
    world.settler().await.tick().await.unwrap();
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let domain = world.settling().await.domain;
    let (credit, batch_id) = (domain.credit, domain.batch_id(at(slot), 0));
    let accounts = members::accounts(pool, id).await.unwrap();
    let address = |account: &AccountId| {
        accounts.iter().find(|a| a.account_id == *account).unwrap().chain_address.parse().unwrap()
    };
    let owed = batches::owed(pool, id, &batch_id).await.unwrap();
    let mut positions: Vec<Position> = owed
        .iter()
        .map(|(account, amount)| Position { account: address(account), amount: *amount })
        .collect();
    positions.sort_unstable();
    let chunks: Vec<Vec<Position>> = positions.chunks(CHUNK).map(<[Position]>::to_vec).collect();
    let (slot_from_s, slot_to_s, statement_root) = (1, 2, [7; 32]);
    let calls = (0_u32..).zip(chunks.clone());
    let calls = calls.map(|(index, positions)| ChunkCall { credit, batch_id, index, positions }).collect();
    (Call::OpenBatch { credit, batch_id, slot_from_s, slot_to_s, statement_root, chunks }, calls)
}

/// Sends calls with the settler's key, as its process did before the backup was put back: no row tells of them.
pub async fn forgotten(chain: &dyn Chain, calls: &[Call]) {
    let (first_nonce, fees) = (chain.mined_nonce(1).await.unwrap(), chain.fees().await.unwrap());
    for (nonce, call) in (first_nonce..).zip(calls) {
        let tx = UnsignedTx { nonce, gas_limit: 1_000_000, fees, call: call.clone() };
        let signed = chain.sign(&tx).unwrap();
        chain.broadcast(&signed.raw).await.unwrap();
        loop {
            match chain.status(&signed.hash).await.unwrap() {
                TxStatus::Mined { succeeded, .. } => break assert!(succeeded, "{call:?}"),
                TxStatus::Pending | TxStatus::Unknown => {}
            }
        }
    }
}

/// Settles with a new settler each time. The clock stands still: nonces that are used are passed over and not
/// waited for.
pub async fn finish(world: &World, slot: i64) {
    for _ in 0..20 {
        if world.settle().await == Tick::Idle && world.status(slot).await == SlotStatus::Settled {
            return;
        }
    }
    panic!("the batch does not end");
}

pub async fn assert_exact(world: &World, what: &str) {
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + SELLER_NANO, "{what}");
    assert_eq!(world.balance("m001").await, 100 * UNIT_NANO + BUYER_NANO, "{what}");
    world.assert_ledger_equals_chain().await;
}

/// A community of its own for each point, on one chain each.
pub async fn set_back(pool: &PgPool, number: usize, reached: Reached) -> (World, FakeChain) {
    let mut sender = [0x11; 20];
    sender[..2].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
    let chain = FakeChain::new(settlement::chain::Address(sender));
    chain.faults(|f| f.mine_at_once = true);
    let world = World::named(&format!("c-{number}"), pool.clone(), Arc::new(chain.clone()), 6, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    assert_eq!(world.settle().await, Tick::Idle);
    world.meter(0, 1_000).await;
    let (open, chunks) = batch(&world, 0).await;
    forgotten(&chain, &sent(&world, reached, &open, &chunks)).await;
    (world, chain)
}

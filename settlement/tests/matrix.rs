//! Every way in which a chain misbehaves, times a kill at every point of the settler: nothing is paid
//! twice, nothing is forgotten, and the ledger equals the chain account by account.
//!
//! `BUSBAR_FAULT_SEEDS` says how many random runs of each kind there are, and how many of the points of
//! the undisturbed run are tried: 20 tries each of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod common;

use std::sync::Arc;

use chrono::TimeDelta;
use common::crashing::{ALL, MAX_TURNS, seeds, settle};
use common::{UNIT_NANO, World, settings};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use settlement::chain::Address;
use settlement::chain::fake::FakeChain;
use settlement::deploy::deploy;
use store::PgPool;
use store::slots::SlotStatus;

const CONFIRMATIONS: u64 = 3;
const SLOTS: i64 = 2;
/// Blocks that take a slot in one call, and blocks so small that it takes several chunks.
const WAYS: [(&str, u64); 2] = [("call", 0), ("chunks", 470_000)];

struct Run {
    world: World,
    chain: FakeChain,
}

impl Run {
    /// A community of its own with deposits asked for and slots metered; nothing of that is signed.
    async fn new(pool: &PgPool, name: &str, block_gas_limit: u64) -> Self {
        let mut sender = [0x11; 20];
        for (byte, letter) in sender.iter_mut().zip(name.bytes()) {
            *byte = letter;
        }
        let chain = FakeChain::new(Address(sender));
        chain.faults(|f| (f.mine_at_once, f.block_gas_limit) = (true, block_gas_limit));
        let mut world = World::named(name, pool.clone(), Arc::new(chain.clone()), 10, 1).await;
        deploy(&world.context, &settings()).await.unwrap();
        chain.faults(|f| f.mine_at_once = false);
        world.context.policy.watch.confirmations = CONFIRMATIONS;
        world.context.policy.fee_cap_wei = 1_000_000;
        world.deposit_all(10).await;
        for slot in 0..SLOTS {
            world.meter(slot, 1_000).await;
        }
        Self { world, chain }
    }

    /// See [`common::crashing::settle`].
    async fn settle(&self, last_point: u64) -> (u64, bool) {
        settle(&self.world, &self.chain, last_point).await
    }

    /// Whether nothing is left to do.
    async fn is_done(&self) -> bool {
        for slot in 0..SLOTS {
            if self.world.status(slot).await != SlotStatus::Settled {
                return false;
            }
        }
        self.world.ledger_sum().await == 12 * 10 * UNIT_NANO
    }

    /// On a chain that behaves again, until all is settled.
    async fn finish(&self) {
        self.chain.faults(|f| {
            let block_gas_limit = f.block_gas_limit;
            *f = settlement::chain::fake::Faults { block_gas_limit, ..Default::default() };
        });
        for _ in 0..MAX_TURNS {
            let (_, rests) = self.settle(u64::MAX).await;
            if rests && self.is_done().await {
                return;
            }
            self.chain.mine();
            self.world.clock.advance(TimeDelta::seconds(61));
        }
        panic!("it does not come to its end");
    }

    /// How many chunks the first slot took; none if it was one call.
    async fn chunks(&self) -> usize {
        let settling = self.world.settling().await;
        let batch_id = settling.domain.batch_id(common::at(0), 0);
        let (pool, id) = (&self.world.context.pool, &self.world.context.community_id);
        store::batches::chunks::find(pool, id, &batch_id).await.unwrap().len()
    }

    async fn assert_exact(&self, what: &str) {
        assert_eq!(i64::try_from(self.chain.settled_batches()), Ok(SLOTS), "{what}: each batch once");
        assert_eq!(self.world.balance("m000").await, 10 * UNIT_NANO + SLOTS * 200_000_000, "{what}");
        assert_eq!(self.world.balance("m001").await, 10 * UNIT_NANO - SLOTS * 232_000_000, "{what}");
        assert_eq!(self.world.ledger_sum().await, 12 * 10 * UNIT_NANO, "{what}: each deposit once");
        self.world.assert_ledger_equals_chain().await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn killed_at_each_point_it_goes_on(pool: PgPool) {
    for (way, gas_limit) in WAYS {
        let whole = Run::new(&pool, &format!("{way}-whole"), gas_limit).await;
        let mut points = 0;
        for _ in 0..MAX_TURNS {
            let (passed, rests) = whole.settle(u64::MAX).await;
            points += passed;
            if rests && whole.is_done().await {
                break;
            }
            whole.chain.mine();
        }
        whole.assert_exact(way).await;
        assert_eq!(whole.chunks().await > 2, gas_limit > 0, "{way}");
        assert!(points > 100, "{way}: {points}");

        // With fewer seeds, every so many points; always the same ones, so that a failure is found again.
        let step = usize::try_from(ALL.div_ceil(seeds()).min(ALL) * 3 / 2).unwrap();
        let step = if seeds() >= ALL { 1 } else { step };
        for point in (0..points).step_by(step) {
            let run = Run::new(&pool, &format!("{way}-{point}"), gas_limit).await;
            let mut left = point;
            loop {
                let (passed, rests) = run.settle(left).await;
                if passed > left || (rests && run.is_done().await) {
                    break;
                }
                left -= passed;
                run.chain.mine();
            }
            run.finish().await;
            run.assert_exact(&format!("{way}, killed at point {point} of {points}")).await;
        }
    }
}

/// Another branch takes the place of the newest blocks, and is as long: what had three blocks on it stays.
fn reorganise(chain: &FakeChain, depth: usize, forget: bool) {
    let height = chain.height();
    chain.reorganise(depth, forget);
    while chain.height() < height {
        chain.mine();
    }
}

/// Lets something go wrong, or right again.
fn misbehave(run: &Run, random: &mut StdRng) {
    let chain = &run.chain;
    match random.random_range(0..16_u32) {
        0 => chain.faults(|f| f.away = !f.away),
        1 => chain.faults(|f| f.drop_next = 2),
        2 => chain.faults(|f| f.revert_next = 1),
        // Never as deep as what counts as final; that has a test of its own.
        3 => reorganise(chain, 2, false),
        4 => reorganise(chain, 1, true),
        5 => chain.clear_mempool(),
        // A spike that the cap allows, and one that it does not.
        6 => chain.faults(|f| f.lowest_fee_wei = 20_000),
        7 => chain.faults(|f| f.lowest_fee_wei = 2_000_000),
        8 => chain.faults(|f| f.lowest_fee_wei = 0),
        9 => chain.faults(|f| f.nonce_error = [-2, 0, 3][random.random_range(0..3)]),
        10 => chain.faults(|f| f.paused = !f.paused),
        11 => run.world.clock.advance(TimeDelta::seconds(61)),
        12 => chain.faults(|f| f.refuses_cheap = !f.refuses_cheap),
        13 => chain.faults(|f| f.mine_at_once = !f.mine_at_once),
        // As after a database was set back: a transaction of this key that no row knows.
        14 => chain.spend_nonce_elsewhere(),
        _ => chain.faults(|f| (f.away, f.paused) = (false, false)),
    }
}

/// Below what counts as final, even below the contract: everything of ours is told again in the same order, so that it
/// comes to the same.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn reorganised_below_finality_and_killed_it_goes_on(pool: PgPool) {
    for seed in 0..seeds() {
        let (way, gas_limit) = WAYS[usize::try_from(seed % 2).unwrap()];
        let mut random = StdRng::seed_from_u64(seed);
        let run = Run::new(&pool, &format!("{way}-deep-{seed}"), gas_limit).await;
        for _ in 0..60 {
            match random.random_range(0..6_u32) {
                0 => {
                    let depth = random.random_range(3..run.chain.height().max(4));
                    reorganise(&run.chain, depth, random.random_range(0..3) > 0);
                }
                1 => run.chain.clear_mempool(),
                2 => run.chain.faults(|f| f.drop_next = 2),
                3 => run.world.clock.advance(TimeDelta::seconds(61)),
                _ => {}
            }
            let last_point =
                if random.next_u32().is_multiple_of(2) { random.random_range(0..40) } else { u64::MAX };
            run.settle(last_point).await;
            run.chain.mine_some(random.random_range(1..6));
        }
        run.finish().await;
        // What is told again has to be mined, and deep, once more.
        for _ in 0..=CONFIRMATIONS {
            run.chain.mine();
            run.settle(u64::MAX).await;
        }
        run.assert_exact(&format!("{way}, deep, seed {seed}")).await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn whatever_the_chain_does_and_wherever_it_is_killed_the_sums_hold(pool: PgPool) {
    for seed in 0..seeds().max(6) {
        let (way, gas_limit) = WAYS[usize::try_from(seed % 2).unwrap()];
        let mut random = StdRng::seed_from_u64(seed);
        let run = Run::new(&pool, &format!("{way}-seed-{seed}"), gas_limit).await;
        for _ in 0..120 {
            misbehave(&run, &mut random);
            // Half of the settlers are killed, the others rest.
            let last_point =
                if random.next_u32().is_multiple_of(2) { random.random_range(0..40) } else { u64::MAX };
            run.settle(last_point).await;
            if random.random_range(0..3) > 0 {
                run.chain.mine_some(random.random_range(1..6));
            }
        }
        run.finish().await;
        run.assert_exact(&format!("{way}, seed {seed}")).await;
    }
}

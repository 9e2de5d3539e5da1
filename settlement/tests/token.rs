//! A currency token that is coarser than nano-currency, and a configuration that names the wrong one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::anvil::{Anvil, deployed_on};
use common::{UNIT_NANO, World, account, settings};
use domain::ids::ClientId;
use domain::units::Money;
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, Chain, TokenScale};
use settlement::deploy::{DeploySettings, deploy};
use settlement::error::SettleError;
use settlement::settler::Tick;
use settlement::{deposits, token};
use store::{PgPool, batches};

const SENDER: Address = Address([0x11; 20]);

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_a_coarse_token_cannot_move_is_carried_until_it_can(pool: PgPool) {
    // Two decimals: cents of ten million nano-currency.
    let cents = TokenScale::new(2).unwrap();
    let chain = FakeChain::with_scale(SENDER, cents);
    chain.faults(|f| f.mine_at_once = true);
    let world = World::new(pool, Arc::new(chain.clone()), 2, 1).await;
    // The demonstration's currency has 18 decimals: it takes one that is there already.
    let refused = deploy(&world.context, &settings()).await.unwrap_err();
    assert!(matches!(refused, SettleError::WrongToken(_)), "{refused}");
    let currency = Address([3; 20]);
    chain.place_contract(currency);
    deploy(&world.context, &DeploySettings { currency: Some(currency), ..settings() }).await.unwrap();
    for name in ["m000", "m001", "grid", "reserve"] {
        chain
            .move_elsewhere(settlement::chain::MovementKind::Deposit, world.address(name).await, units(10))
            .unwrap();
    }
    // A slot of 7 Wh: far below a cent for every account.
    let slots = 40;
    for slot in 0..slots {
        world.meter(slot, 7).await;
        assert_eq!(world.settle().await, Tick::Idle);
        world.assert_ledger_equals_chain().await;
    }
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    // 7 Wh at 200 a kWh a slot: 56 000 000 in all, of which five cents are moved.
    assert_eq!(world.balance("m000").await, 10 * UNIT_NANO + 50_000_000);
    let carried = batches::carried(pool, id).await.unwrap();
    let own = carried.iter().find(|(account, _)| account.as_str() == "m000").unwrap();
    assert_eq!(own.1, Money::from_nano(slots * 1_400_000 - 50_000_000));
    assert!(Money::checked_sum(carried.iter().map(|(_, open)| *open)).unwrap().is_zero());

    let (client, odd) = (ClientId::new("odd").unwrap(), Money::from_nano(1));
    let refused = deposits::request(&world.context, &account("m000"), &client, odd).await.unwrap_err();
    assert!(refused.to_string().contains("no multiple of 10000000"), "{refused}");
}

fn units(units: i64) -> Money {
    Money::from_nano(units * UNIT_NANO)
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_configuration_with_another_token_sends_nothing(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (chain, mut world) = deployed_on(&anvil, &folder.path().join("key"), pool, 2).await;
    let credit = world.settling().await.domain.credit;
    token::check(&world.context, &credit).await.unwrap();
    world.context.policy.currency = Some(chain.contract_address(0));
    token::check(&world.context, &credit).await.unwrap();

    world.context.policy.currency = Some(Address([7; 20]));
    world.meter(0, 1_000).await;
    let mut settler = world.settler().await;
    assert_eq!(settler.tick().await.unwrap(), Tick::Progress, "pricing needs no chain");
    let nonce = chain.mined_nonce(1).await.unwrap();
    let refused = settler.tick().await.unwrap_err().to_string();
    assert!(refused.contains("currency_address says 0x0707"), "{refused}");
    assert_eq!(chain.mined_nonce(1).await.unwrap(), nonce);

    // Decimals, and what is no token at all.
    let six = Anvil::chain_with(&[anvil.url()], &folder.path().join("key"), TokenScale::new(6).unwrap());
    world.context.chain = Arc::new(six);
    world.context.policy.currency = None;
    let refused = world.settler().await.tick().await.unwrap_err().to_string();
    assert!(refused.contains("has 18 decimals, but [chain] currency_decimals says 6"), "{refused}");
    assert!(token::decimals(&world.context, &Address([7; 20])).await.is_err());
}

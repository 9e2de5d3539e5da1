use chrono::TimeDelta;
use sqlx::PgPool;

use super::*;
use crate::views::fixtures;

fn demo() -> CommunityId {
    CommunityId::new("demo").unwrap()
}

fn site(id: &str) -> SiteId {
    SiteId::new(id).unwrap()
}

fn run(site_id: &str, slots: i64, battery: bool) -> Run {
    let step = |number| Step { charge_wh: 100, discharge_wh: 0, loss_wh: 5, stored_wh: 1_095 + 95 * number };
    Run {
        site_id: site(site_id),
        made_at: fixtures::now(),
        first_slot_start: fixtures::now() - TimeDelta::minutes(20),
        learned_slots: 7,
        share_percent: 80,
        residual: (0..slots).map(|n| Quantiles { p10_wh: -n, p50_wh: n, p90_wh: 2 * n }).collect(),
        reserve_wh: 500,
        stored_before_wh: if battery { 1_000 } else { 0 },
        battery: if battery { (0..slots).map(step).collect() } else { vec![] },
    }
}

async fn stored(pool: &PgPool, runs: &[Run]) {
    let mut tx = pool.begin().await.unwrap();
    keep(&mut tx, &demo(), runs).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_newest_run_of_a_site_is_kept_whole(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    assert_eq!(find(&pool, &demo(), &site("a1")).await.unwrap(), None);
    stored(&pool, &[run("a1", 3, false), run("b1", 3, false)]).await;
    stored(&pool, &[run("a1", 4, true)]).await;
    assert_eq!(find(&pool, &demo(), &site("a1")).await.unwrap(), Some(run("a1", 4, true)));
    assert_eq!(find(&pool, &demo(), &site("b1")).await.unwrap(), Some(run("b1", 3, false)));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_is_learned_is_without_the_planned_battery_and_without_what_was_substituted(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    stored(&pool, &[run("a1", 2, true)]).await;
    let (from, to) = (fixtures::now() - TimeDelta::days(1), fixtures::now());
    let all = [site("a1"), site("b1"), site("c1")];
    let slots = metered(&pool, &demo(), &all, from, to).await.unwrap();
    let seen: Vec<_> =
        slots.iter().map(|s| (s.site_id.as_str(), s.observed.map(|seen| seen.net_wh))).collect();
    assert_eq!(
        seen,
        [("a1", Some(1_100)), ("b1", Some(-800)), ("c1", None)],
        "1,000 Wh were exported while 100 Wh went into the battery"
    );
    let none = metered_in(&pool, &demo(), &all, &[from]).await.unwrap();
    assert_eq!(
        (metered_in(&pool, &demo(), &all, &[from, slots[0].slot_start]).await.unwrap(), none),
        (slots.clone(), vec![])
    );
    let steps = battery_steps(&pool, &demo(), from, to).await.unwrap();
    let step = steps[&(site("a1"), slots[0].slot_start)];
    assert_eq!((step.net_wh, step.stored_wh), (-100, 1_095));
    assert_eq!(forget_steps(&pool, &demo(), to).await.unwrap(), 1);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn past_slots_hold_what_the_site_and_the_community_did(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let (from, to) = (fixtures::now() - TimeDelta::days(1), fixtures::now());
    let sums = volumes(&pool, &demo(), from, to).await.unwrap();
    let all = Volumes { import_wh: 1_300, export_wh: 1_000, local_wh: 1_000 };
    assert_eq!(sums, [(from + TimeDelta::days(1) - TimeDelta::minutes(20), all)]);
    let anna = past(&pool, &demo(), &site("a1"), from, to).await.unwrap();
    assert_eq!(anna.len(), 1);
    // 400 Wh at 20 ct, 200 Wh at 19 ct and 400 Wh in closing at 18.4 ct.
    assert_eq!(
        (anna[0].local_net_wh, anna[0].local_net_nano, anna[0].local_bought_wh),
        (1_000, 191_600_000, 0)
    );
    assert_eq!(anna[0].trade_price.map(|price| price.micro_per_kwh()), Some(196_666));
    assert_eq!(anna[0].closing_price.map(|price| price.micro_per_kwh()), Some(184_000));
    assert_eq!(anna[0].volumes, all);
    let ben = past(&pool, &demo(), &site("b1"), from, to).await.unwrap();
    assert_eq!((ben[0].local_net_wh, ben[0].local_bought_wh, ben[0].import_wh), (-714, 714, 800));
    let cara = past(&pool, &demo(), &site("c1"), from, to).await.unwrap();
    assert_eq!((anna[0].is_own, cara[0].is_own), (true, false), "what was substituted is not learned");
    assert_eq!(past(&pool, &demo(), &site("zz"), from, to).await.unwrap(), []);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn past_slots_know_the_fees_of_the_site_s_zone(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let (from, to) = (fixtures::now() - TimeDelta::days(1), fixtures::now());
    let of = async |id: &str| {
        let slot = past(&pool, &demo(), &site(id), from, to).await.unwrap().pop().unwrap();
        let micro = |price: domain::units::Price| price.micro_per_kwh();
        (slot.network_fee_nano, micro(slot.network_fee), micro(slot.bounds.highest_bid))
    };
    assert_eq!(of("b1").await, (714 * 30_000, 30_000, 288_000), "without zones the tariff's fee holds");
    // Cara moves to the north, which buys from the main zone for 5 ct, and at home for 1 ct.
    for query in [
        "UPDATE sites SET zone_id = 'north' WHERE site_id = 'c1'",
        "INSERT INTO network_fees (community_id, from_zone, to_zone, valid_from, fee_micro_per_kwh, set_at) VALUES
             ('demo', 'main', 'north', '2026-02-01Z', 70000, '2026-02-01Z'),
             ('demo', 'main', 'north', '2026-03-01Z', 50000, '2026-02-01Z'),
             ('demo', 'main', 'north', '2026-03-02Z', 90000, '2026-02-01Z'),
             ('demo', 'north', 'north', '2026-02-01Z', 10000, '2026-02-01Z'),
             ('demo', 'main', 'main', '2026-02-01Z', 12000, '2026-02-01Z')",
    ] {
        sqlx::query(query).execute(&pool).await.unwrap();
    }
    assert_eq!(of("c1").await, (286 * 50_000, 50_000, 268_000));
    // From the north it would pay the tariff's fee, which bounds it.
    assert_eq!(of("b1").await, (714 * 12_000, 12_000, 288_000));
    assert_eq!(of("a1").await, (0, 12_000, 288_000), "what its zone paid, though it bought nothing itself");
    sqlx::query("UPDATE sites SET zone_id = 'south' WHERE site_id = 'a1'").execute(&pool).await.unwrap();
    assert_eq!(of("a1").await, (0, 30_000, 288_000), "nobody there bought: the highest that it may pay");
}

use chrono::TimeDelta;
use domain::ids::{CommunityId, SiteId};
use pilot::battery::Step;
use pilot::quantile::Quantiles;
use serde_json::{Value, json};
use sqlx::PgPool;
use store::forecasts::{self, Run};
use store::views::fixtures;

use crate::support::{Answer, Client, bearer, with_server};

const ANNA: &str = "/api/v1/communities/demo/members/anna/sites/a1";

async fn put(client: &Client, token: &str, body: &Value) -> Answer {
    let headers = [token, "Content-Type: application/json"];
    client.send("PUT", &format!("{ANNA}/autopilot"), &headers, &body.to_string()).await
}

/// A run of two slots: 400 Wh left over, then lacking, and a battery that takes 100 Wh of the first.
async fn foresee(pool: &PgPool) {
    foresee_for(pool, "a1").await;
}

async fn foresee_for(pool: &PgPool, site: &str) {
    let quantiles = |p50_wh: i64| Quantiles { p10_wh: p50_wh - 100, p50_wh, p90_wh: p50_wh + 100 };
    let step =
        |charge_wh, discharge_wh, loss_wh, stored_wh| Step { charge_wh, discharge_wh, loss_wh, stored_wh };
    let run = Run {
        site_id: SiteId::new(site).unwrap(),
        made_at: fixtures::now(),
        first_slot_start: fixtures::now() + TimeDelta::minutes(10),
        learned_slots: 1_344,
        share_percent: 80,
        residual: vec![quantiles(400), quantiles(-400)],
        reserve_wh: 1_600,
        stored_before_wh: 1_600,
        battery: vec![step(100, 0, 5, 1_695), step(0, 90, 5, 1_600)],
    };
    let mut tx = pool.begin().await.unwrap();
    forecasts::keep(&mut tx, &CommunityId::new("demo").unwrap(), &[run]).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn settings_are_versioned_and_setting_them_again_changes_nothing(pool: PgPool) {
    with_server(pool, async |client| {
        let before = client.get(&format!("{ANNA}/autopilot")).await.json();
        assert_eq!((&before["version"], &before["history"]), (&json!(0), &json!([])));
        assert_eq!(before["bounds"]["highest_limit_micro_per_kwh"], "288000");
        assert_eq!(before["battery"], json!({"capacity_wh": 8_000, "power_w": 3_000}));
        let own = json!({"preset": "cheapest", "paused": false, "bid_limit_micro_per_kwh": "200000",
            "battery_reserve_percent": 20, "follows_battery_plan": true});
        for _ in 0..2 {
            let answer = put(&client, &bearer(), &own).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.json()["version"], 1);
        }
        let paused = json!({"preset": "cheapest", "paused": true, "expected_version": 0});
        let stale = put(&client, &bearer(), &paused).await;
        assert_eq!((stale.status, &stale.json()["type"]), (409, &json!("/problems/version-changed")));
        let paused = json!({"preset": "cheapest", "paused": true, "expected_version": 1});
        assert_eq!(put(&client, &bearer(), &paused).await.json()["version"], 2);
        let after = client.get(&format!("{ANNA}/autopilot")).await.json();
        assert_eq!((&after["paused"], &after["bid_limit_micro_per_kwh"]), (&json!(true), &Value::Null));
        assert_eq!((&after["history"][1]["version"], &after["changed_by"]), (&json!(1), &json!("operator")));
        let member = client.get("/api/v1/communities/demo/members/anna").await.json();
        assert_eq!(member["preset"], "paused", "the member's page shows it");
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_member_sets_its_own_sites_alone(pool: PgPool) {
    with_server(pool, async |client| {
        let body = json!({"preset": "greenest", "paused": false});
        for (member, status) in [("anna", 200), ("ben", 403)] {
            let path = format!("/api/v1/communities/demo/members/{member}/tokens");
            let token = client.post(&path, "").await.json()["token"].as_str().unwrap().to_owned();
            let answer = put(&client, &format!("Authorization: Bearer {token}"), &body).await;
            assert_eq!(answer.status, status, "{}", answer.body);
        }
        assert_eq!(put(&client, "Authorization: Bearer nobody", &body).await.status, 401);
        assert_eq!(client.get(&format!("{ANNA}/autopilot")).await.json()["changed_by"], "anna");
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_cannot_hold_is_refused_and_changes_nothing(pool: PgPool) {
    with_server(pool, async |client| {
        for (body, status, kind) in [
            (json!({"preset": "paused", "paused": false}), 400, "invalid-request"),
            (json!({"preset": "cheapest"}), 400, "invalid-request"),
            (json!({"preset": "cheapest", "paused": false, "colour": 1}), 400, "invalid-request"),
            (
                json!({"preset": "cheapest", "paused": false, "battery_reserve_percent": 101}),
                400,
                "invalid-request",
            ),
            (
                json!({"preset": "cheapest", "paused": false, "bid_limit_micro_per_kwh": "288001"}),
                400,
                "invalid-limit",
            ),
            (
                json!({"preset": "cheapest", "paused": false, "offer_limit_micro_per_kwh": "79999"}),
                400,
                "invalid-limit",
            ),
            (
                json!({"preset": "cheapest", "paused": false, "offer_limit_micro_per_kwh": "1.5"}),
                400,
                "invalid-request",
            ),
        ] {
            let answer = put(&client, &bearer(), &body).await;
            assert_eq!(
                (answer.status, answer.json()["type"].as_str()),
                (status, Some(&*format!("/problems/{kind}"))),
                "{body}"
            );
        }
        for bad in [
            "days=0",
            "days=32",
            "preset=dearest",
            "battery_reserve_percent=300",
            "bid_limit_micro_per_kwh=1",
        ] {
            assert_eq!(client.get(&format!("{ANNA}/autopilot/what-if?{bad}")).await.status, 400, "{bad}");
        }
        for path in ["ben/sites/a1", "anna/sites/zz", "anna/sites/a%20b"] {
            let answer = client.get(&format!("/api/v1/communities/demo/members/{path}/autopilot")).await;
            assert_eq!(
                (answer.status, &answer.json()["type"]),
                (404, &json!("/problems/unknown-site")),
                "{path}"
            );
        }
        assert_eq!(client.get(&format!("{ANNA}/autopilot")).await.json()["version"], 0);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_forecast_and_the_orders_it_leads_to_are_shown(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        let empty = client.get(&format!("{ANNA}/forecast")).await.json();
        assert_eq!((&empty["made_at"], &empty["slots"], &empty["battery_plan"]), (&Value::Null, &json!([]), &Value::Null));
        let none = client.get(&format!("{ANNA}/autopilot/preview")).await.json();
        assert!(none["none_because"].as_str().unwrap().starts_with("There is no forecast yet"), "{none}");
        foresee(&pool).await;
        insta::assert_json_snapshot!("forecast", client.get(&format!("{ANNA}/forecast")).await.json());
        let preview = format!("{ANNA}/autopilot/preview?preset=cheapest&follows_battery_plan=true&offer_limit_micro_per_kwh=150000");
        insta::assert_json_snapshot!("preview", client.get(&preview).await.json());
        let greenest = client.get(&format!("{ANNA}/autopilot/preview?preset=greenest")).await.json();
        assert_eq!((&greenest["orders"][0]["energy_wh"], &greenest["orders"][1]["side"]), (&json!(400), &json!("bid")));
        put(&client, &bearer(), &json!({"preset": "cheapest", "paused": true})).await;
        let paused = client.get(&format!("{ANNA}/autopilot/preview")).await.json();
        assert_eq!((&paused["orders"], &paused["none_because"]), (&json!([]), &json!("The autopilot is paused.")));
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_a_setting_would_have_saved_is_told_beside_what_was_saved(pool: PgPool) {
    with_server(pool, async |client| {
        let found = client.get(&format!("{ANNA}/autopilot/what-if?preset=greenest&days=1")).await.json();
        assert_eq!((&found["slots"], &found["none_because"]), (&json!(1), &Value::Null));
        // The statement of the slot says the same of what was.
        assert_eq!(
            (&found["actual_net_nano"], &found["base_net_nano"]),
            (&json!("191600000"), &json!("80000000"))
        );
        // Without a day of history nothing is traded ahead: all 1,000 Wh close, since all were served.
        assert_eq!((&found["closing_wh"], &found["what_if_net_nano"]), (&json!(1_000), &json!("184000000")));
        assert_eq!(found["difference_nano"], "-7600000");
        let ben = "/api/v1/communities/demo/members/ben/sites/b1/autopilot/what-if";
        let ben = client.get(ben).await.json();
        assert_eq!((&ben["actual_net_nano"], &ben["battery"]), (&json!("-189344000"), &Value::Null));
        let preview = "/api/v1/communities/demo/members/ben/sites/b1/autopilot/preview?days=7";
        assert_eq!(client.get(preview).await.status, 400, "days say nothing about the orders to come");
        let cara = "/api/v1/communities/empty/members/cara/sites/c1/autopilot/what-if";
        assert_eq!(client.get(cara).await.status, 404);
    })
    .await;
}

/// Ben's site pays up to `fee_micro_per_kwh` to the network, a site in the north next to nothing.
async fn zones(pool: &PgPool, fee_micro_per_kwh: i64) {
    let fees = format!(
        "INSERT INTO network_fees (community_id, from_zone, to_zone, valid_from, fee_micro_per_kwh, set_at)
         VALUES ('demo', 'main', 'far', '2026-02-01Z', {fee_micro_per_kwh}, '2026-02-01Z'),
             ('demo', 'main', 'north', '2026-02-01Z', 5000, '2026-02-01Z'),
             ('demo', 'far', 'north', '2026-02-01Z', 5000, '2026-02-01Z'),
             ('demo', 'north', 'north', '2026-02-01Z', 5000, '2026-02-01Z')"
    );
    for query in [
        "UPDATE sites SET zone_id = 'far' WHERE site_id = 'b1'",
        "UPDATE sites SET zone_id = 'north' WHERE site_id = 'c1'",
        "DELETE FROM network_fees",
        &fees,
    ] {
        sqlx::query(sqlx::AssertSqlSafe(query.to_owned())).execute(pool).await.unwrap();
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn limits_are_bounded_by_the_fees_of_the_zone_as_in_the_market(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        let ben = "/api/v1/communities/demo/members/ben/sites/b1";
        foresee_for(&pool, "b1").await;
        let limits = async || {
            let preview = client.get(&format!("{ben}/autopilot/preview?preset=greenest")).await.json();
            let orders = preview["orders"].as_array().unwrap().clone();
            orders
                .into_iter()
                .map(|order| (order["side"].clone(), order["last_limit_micro_per_kwh"].clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(limits().await, [(json!("offer"), json!("80000")), (json!("bid"), json!("288000"))]);
        zones(&pool, 100_000).await;
        // The retail tariff of 32 ct less 0.2 ct and the 10 ct that it may pay; somebody in the north can pay 31.3 ct.
        let bounds = client.get(&format!("{ben}/autopilot")).await.json()["bounds"].clone();
        assert_eq!(bounds["highest_limit_micro_per_kwh"], "218000");
        assert_eq!(bounds["highest_offer_limit_micro_per_kwh"], "313000");
        assert_eq!(limits().await[1], (json!("bid"), json!("218000")));
        for (limit, status) in [
            ("bid_limit_micro_per_kwh=218001", 400),
            ("bid_limit_micro_per_kwh=218000", 200),
            ("offer_limit_micro_per_kwh=313000", 200),
            ("offer_limit_micro_per_kwh=313001", 400),
        ] {
            for page in ["preview", "what-if"] {
                let answer = client.get(&format!("{ben}/autopilot/{page}?{limit}")).await;
                assert_eq!(answer.status, status, "{page} {limit}: {}", answer.body);
            }
        }
        let high = json!({"preset": "greenest", "paused": false, "bid_limit_micro_per_kwh": "218001"});
        let headers = [&*bearer(), "Content-Type: application/json"];
        let refused = client.send("PUT", &format!("{ben}/autopilot"), &headers, &high.to_string()).await;
        assert_eq!((refused.status, &refused.json()["type"]), (400, &json!("/problems/invalid-limit")));
        // The book of a slot says the same of its zones.
        let book = client.get("/api/v1/communities/demo/slots/2026-03-01T12:30:00Z/depth").await.json();
        let of = |zone: &str, micro: &str| json!({"zone_id": zone, "highest_limit_micro_per_kwh": micro});
        assert_eq!(
            book["bid_limits"],
            json!([of("far", "218000"), of("main", "288000"), of("north", "313000")])
        );
        assert_eq!(book["highest_limit_micro_per_kwh"], "313000");
        // A zone that came while the slot took orders has no part in it, neither as a buyer nor as a seller.
        let joined = "INSERT INTO zone_changes (community_id, change_id, site_id, zone_id, joined_after)
            VALUES ('demo', 900, 'a1', 'main', '2026-03-01T12:30:00Z')";
        sqlx::query(joined).execute(&pool).await.unwrap();
        let book = client.get("/api/v1/communities/demo/slots/2026-03-01T12:30:00Z/depth").await.json();
        assert_eq!(book["bid_limits"][0], of("far", "288000"), "far pays the tariff's fee to what is left");
        assert_eq!(book["bid_limits"].as_array().unwrap().len(), 2);
        // So dear that no neighbour can sell to it: it does not bid at all, but still offers.
        zones(&pool, 250_000).await;
        let sides: Vec<_> = limits().await.into_iter().map(|(side, _)| side).collect();
        assert_eq!(sides, [json!("offer")]);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_what_if_pays_what_its_zone_paid(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        let ben = "/api/v1/communities/demo/members/ben/sites/b1/autopilot/what-if";
        let nano = |found: &Value, name: &str| found[name].as_str().unwrap().parse::<i64>().unwrap();
        let before = client.get(ben).await.json();
        zones(&pool, 40_000).await;
        let after = client.get(ben).await.json();
        // He bought 714 Wh from the main zone: 1 ct/kWh more than before; and would have bought what closes.
        assert_eq!(nano(&before, "actual_net_nano") - nano(&after, "actual_net_nano"), 714 * 10_000);
        let closing_wh = before["closing_wh"].as_i64().unwrap();
        assert!(closing_wh > 0 && after["closing_wh"] == before["closing_wh"]);
        assert_eq!(nano(&before, "what_if_net_nano") - nano(&after, "what_if_net_nano"), closing_wh * 10_000);
        assert_eq!(before["base_net_nano"], after["base_net_nano"]);
    })
    .await;
}

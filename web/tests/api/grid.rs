use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Client, bearer, with_server};

const DEMO: &str = "/api/v1/communities/demo";

async fn put(client: &Client, path: &str, body: &Value) -> Answer {
    let headers = [&*bearer(), "Content-Type: application/json"];
    client.send("PUT", &format!("{DEMO}{path}"), &headers, &body.to_string()).await
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["type"].as_str().unwrap().to_owned())
}

fn problem(status: u16, code: &str) -> (u16, String) {
    (status, format!("/problems/{code}"))
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_utility_limits_slots_that_have_not_begun(pool: PgPool) {
    with_server(pool, async |client| {
        let limit = |start: &str, export: i64| json!({"slot_start": start, "export_limit_wh": export});
        let of = |source: &str, limits: Vec<Value>| json!({"source": source, "limits": limits});
        let body = of("utility", vec![limit("2026-03-01T12:30:00Z", 500), limit("2026-03-01T12:45:00Z", 0)]);
        let first = put(&client, "/grid-limits", &body).await;
        assert_eq!(first.status, 200, "{}", first.body);
        let again = put(&client, "/grid-limits", &body).await;
        assert_eq!(again.json(), first.json());
        put(&client, "/grid-limits", &of("connection", vec![limit("2026-03-01T12:30:00Z", 400)])).await;
        let shown = client.get(&format!("{DEMO}/grid-limits")).await.json();
        let limits = shown["limits"].as_array().unwrap();
        assert_eq!(limits.len(), 2);
        assert_eq!(
            (&limits[0]["export_limit_wh"], &limits[0]["import_limit_wh"]),
            (&json!(400), &Value::Null)
        );
        assert_eq!(limits[0]["sources"][1]["export_limit_wh"], 500);
        let slot = client.get(&format!("{DEMO}/slots/2026-03-01T12:30:00Z")).await.json();
        assert_eq!(
            slot["grid"],
            json!({"import_limit_wh": null, "export_limit_wh": 400, "curtailed_wh": 0, "over_limit_wh": 0})
        );
        for (body, expected) in [
            (of("utility", vec![limit("2026-03-01T12:15:00Z", 1)]), problem(422, "slot-begun")),
            (of("utility", vec![limit("+262142-12-31T23:45:00Z", 1)]), problem(400, "invalid-slot")),
            (of("utility", vec![limit("2026-03-01T12:31:00Z", 1)]), problem(400, "invalid-slot")),
            (of("utility", vec![limit("2026-03-01T12:45:00Z", -1)]), problem(400, "invalid-request")),
            (of("utility", vec![]), problem(400, "invalid-request")),
            (of("weather", vec![limit("2026-03-01T12:45:00Z", 1)]), problem(400, "invalid-request")),
            (of("utility", vec![limit("2026-03-01T12:45:00Z", 1); 2]), problem(400, "invalid-request")),
        ] {
            assert_eq!(refused(&put(&client, "/grid-limits", &body).await), expected, "{body}");
        }
        assert_eq!(client.get(&format!("{DEMO}/grid-limits")).await.json(), shown, "nothing changed");
        let without_token = client
            .send("PUT", &format!("{DEMO}/grid-limits"), &["Content-Type: application/json"], "{}")
            .await;
        assert_eq!(without_token.status, 401);
        let backwards = format!("{DEMO}/grid-limits?from=2026-03-01T12:30:00Z&to=2026-03-01T12:15:00Z");
        assert_eq!(refused(&client.get(&backwards).await), problem(400, "invalid-request"));
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn network_fees_hold_from_slots_on_that_take_no_orders_yet(pool: PgPool) {
    with_server(pool, async |client| {
        let fee = |to: &str, from: &str, micro: &str| {
            json!({"fees": [{"from_zone": "main", "to_zone": to, "valid_from": from, "fee_micro_per_kwh": micro}]})
        };
        let set = put(&client, "/network-fees", &fee("main", "2026-03-01T12:45:00Z", "12000")).await;
        assert_eq!(set.status, 200, "{}", set.body);
        assert_eq!(set.json()["zones"], json!(["main"]));
        assert_eq!(set.json()["fees"][0]["fee_micro_per_kwh"], "12000");
        for (body, expected) in [
            (fee("main", "2026-03-01T12:30:00Z", "1"), problem(422, "slot-begun")),
            (fee("main", "+262142-12-31T23:45:00Z", "1"), problem(400, "invalid-request")),
            (fee("moon", "2026-03-01T12:45:00Z", "1"), problem(400, "invalid-request")),
            (fee("main", "2026-03-01T12:45:00Z", "-1"), problem(400, "invalid-limit")),
            (fee("main", "2026-03-01T12:45:00Z", "238001"), problem(400, "invalid-limit")),
            (fee("main", "2025-03-01T12:45:00Z", "1"), problem(400, "invalid-request")),
            (json!({"fees": []}), problem(400, "invalid-request")),
        ] {
            assert_eq!(refused(&put(&client, "/network-fees", &body).await), expected, "{body}");
        }
        assert_eq!(client.get(&format!("{DEMO}/network-fees")).await.json(), set.json());
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_standing_order_stays_within_the_tariffs(pool: PgPool) {
    with_server(pool, async |client| {
        const OF_BEN: &str = "/members/ben/sites/b1/standing-order";
        let before = client.get(&format!("{DEMO}{OF_BEN}")).await.json();
        assert_eq!(
            before,
            json!({
                "site_id": "b1", "zone_id": "main", "offer_limit_micro_per_kwh": null, "bid_limit_micro_per_kwh": null,
                "prefers": "any", "partners": [], "premium_micro_per_kwh": "0", "valid_from": null,
                "bounds": {
                    "lowest_limit_micro_per_kwh": "80000", "highest_limit_micro_per_kwh": "288000",
                    "highest_premium_micro_per_kwh": "208000",
                },
            })
        );
        let order = json!({
            "bid_limit_micro_per_kwh": "250000", "prefers": "partners", "partners": ["cara", "anna"],
            "premium_micro_per_kwh": "5000",
        });
        let set = put(&client, OF_BEN, &order).await;
        assert_eq!(set.status, 200, "{}", set.body);
        let shown = set.json();
        assert_eq!((&shown["partners"], &shown["valid_from"]), (&json!(["cara", "anna"]), &json!("2026-03-01T12:20:00Z")));
        for (body, expected) in [
            (json!({"bid_limit_micro_per_kwh": "288001"}), problem(400, "invalid-limit")),
            (json!({"offer_limit_micro_per_kwh": "79999"}), problem(400, "invalid-limit")),
            (json!({"prefers": "local", "premium_micro_per_kwh": "208001"}), problem(400, "invalid-limit")),
            (json!({"prefers": "local", "premium_micro_per_kwh": "-1"}), problem(400, "invalid-request")),
            (json!({"premium_micro_per_kwh": "1"}), problem(400, "invalid-request")),
            (json!({"prefers": "cheap"}), problem(400, "invalid-request")),
            (json!({"prefers": "partners"}), problem(400, "invalid-request")),
            (json!({"prefers": "partners", "partners": ["ben"]}), problem(400, "invalid-request")),
            (json!({"prefers": "partners", "partners": ["eve"]}), problem(404, "unknown-member")),
            (json!({"colour": "green"}), problem(400, "invalid-request")),
        ] {
            assert_eq!(refused(&put(&client, OF_BEN, &body).await), expected, "{body}");
        }
        assert_eq!(put(&client, OF_BEN, &order).await.json(), shown);
        let elsewhere = put(&client, "/members/ben/sites/a1/standing-order", &order).await;
        assert_eq!(refused(&elsewhere), problem(404, "unknown-site"));
        let stranger = client.send("PUT", &format!("{DEMO}{OF_BEN}"), &["Content-Type: application/json"], "{}").await;
        assert_eq!(stranger.status, 401);
    })
    .await;
}

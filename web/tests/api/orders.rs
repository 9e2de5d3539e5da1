use serde_json::{Value, json};
use sqlx::PgPool;
use store::views::fixtures;
use web::WebConfig;

use crate::support::{bearer, with_config, with_server};

const ORDERS: &str = "/api/v1/communities/demo/orders";

fn order(client_id: &str, energy_wh: i64) -> String {
    json!({
        "member_id": "ben", "site_id": "b1", "client_id": client_id, "slot_start": "2026-03-01T12:30:00Z",
        "side": "bid", "energy_wh": energy_wh, "limit_micro_per_kwh": "150000",
        "time_in_force": "good-till-gate",
    })
    .to_string()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_order_reaches_the_market_once(pool: PgPool) {
    with_server(pool, async |client| {
        let first = client.post(ORDERS, &order("x1", 100)).await;
        assert_eq!(first.status, 202);
        assert_eq!(first.json(), json!({"command_id": 100, "status": "submitted", "refusal": null}));
        let again = client.post(ORDERS, &order("x1", 100)).await;
        assert_eq!((again.status, again.json()), (202, first.json()));
        let other = client.post(ORDERS, &order("x1", 101)).await;
        assert_eq!((other.status, other.json()["type"].clone()), (409, json!("/problems/client-id-reused")));
        let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM commands WHERE client_id = 'x1'")
            .fetch_one(&client.pool)
            .await
            .unwrap();
        assert_eq!(stored, 1);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_answer_waits_for_the_decision(pool: PgPool) {
    let config = WebConfig { decision_wait_ms: 10_000, ..WebConfig::default() };
    with_config(pool, config, async |client| {
        let market = tokio::spawn({
            let pool = client.pool.clone();
            async move { while fixtures::refuse_waiting_commands(&pool).await.unwrap() == 0 {} }
        });
        let answer = client.post(ORDERS, &order("x2", 100)).await.json();
        market.await.unwrap();
        assert_eq!(answer["status"], "refused");
        assert_eq!(answer["refusal"]["code"], "gate_closed");
        let later = client.get(&format!("/api/v1/communities/demo/commands/{}", answer["command_id"])).await;
        assert_eq!(later.json(), answer);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_order_is_cancelled_by_its_member_only(pool: PgPool) {
    with_server(pool, async |client| {
        let answer = client.delete(&format!("{ORDERS}/3?member_id=ben&client_id=c1")).await;
        assert_eq!((answer.status, answer.json()["status"].clone()), (202, json!("submitted")));
        let again = client.delete(&format!("{ORDERS}/3?member_id=ben&client_id=c1")).await;
        assert_eq!(again.json(), answer.json());
        let reused = client.delete(&format!("{ORDERS}/2?member_id=ben&client_id=c1")).await;
        assert_eq!(reused.status, 409);
        for path in ["3?member_id=anna&client_id=c1", "999?member_id=ben&client_id=c2"] {
            let answer = client.delete(&format!("{ORDERS}/{path}")).await;
            assert_eq!(
                (answer.status, answer.json()["type"].clone()),
                (404, json!("/problems/unknown-order"))
            );
        }
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn writing_needs_the_token(pool: PgPool) {
    with_server(pool, async |client| {
        let json = "Content-Type: application/json";
        for headers in
            [vec![json], vec![json, "Authorization: Bearer wrong"], vec![json, "Authorization: Basic eDp5"]]
        {
            let answer = client.send("POST", ORDERS, &headers, &order("x3", 1)).await;
            assert_eq!(
                (answer.status, answer.json()["type"].clone()),
                (401, json!("/problems/unauthorized"))
            );
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"busbar\""));
        }
        let cancel = client.send("DELETE", &format!("{ORDERS}/3?member_id=ben&client_id=c"), &[], "").await;
        assert_eq!(cancel.status, 401);
        let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM commands WHERE status = 'submitted'")
            .fetch_one(&client.pool)
            .await
            .unwrap();
        assert_eq!(stored, 0);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_cannot_be_an_order_is_refused_with_the_reason(pool: PgPool) {
    with_server(pool, async |client| {
        let changed = |key: &str, value: Value| {
            let mut order: Value = serde_json::from_str(&order("x4", 1)).unwrap();
            order[key] = value;
            order.to_string()
        };
        let cases = [
            (changed("slot_start", json!("2026-03-01T12:31:00Z")), 400, "not the start of a slot"),
            (changed("side", json!("buy")), 400, "unknown variant"),
            (changed("limit_micro_per_kwh", json!(150_000)), 400, "expected a string"),
            (changed("energy_wh", json!(1.5)), 400, "expected i64"),
            (changed("colour", json!("green")), 400, "unknown field"),
            (changed("client_id", json!("a b")), 400, "client id"),
            (changed("member_id", json!("eve")), 404, "no member"),
            (format!("{{\"a\":\"{}\"}}", "x".repeat(70_000)), 413, "too large"),
            ("{".to_owned(), 400, "the body"),
        ];
        for (body, status, detail) in cases {
            let answer = client.post(ORDERS, &body).await;
            assert_eq!(answer.status, status, "{}", answer.body);
            assert!(answer.body.contains(detail), "{detail}: {}", answer.body);
        }
        let answer = client.send("POST", ORDERS, &[&bearer(), "Content-Type: text/plain"], "{}").await;
        assert_eq!(answer.status, 415);
    })
    .await;
}

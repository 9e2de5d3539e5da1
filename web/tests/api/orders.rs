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
        let answer = client.post(ORDERS, &order("x2", 100)).await;
        market.await.unwrap();
        let problem = answer.json();
        assert_eq!((answer.status, problem["type"].clone()), (422, json!("/problems/gate-closed")));
        let later =
            client.get(&format!("/api/v1/communities/demo/commands/{}", problem["command_id"])).await.json();
        assert_eq!((&later["status"], &later["refusal"]["code"]), (&json!("refused"), &json!("gate_closed")));
        assert_eq!(
            (&later["refusal"]["type"], &later["refusal"]["detail"]),
            (&problem["type"], &problem["detail"])
        );
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

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_credential_that_sends_too_much_is_told_when_to_try_again(pool: PgPool) {
    let config = WebConfig {
        decision_wait_ms: 0,
        max_commands_per_second: std::num::NonZeroU32::MIN,
        ..WebConfig::default()
    };
    with_config(pool, config, async |client| {
        assert_eq!(client.post(ORDERS, &order("l1", 1)).await.status, 202);
        // A bucket of one fills in a second; sooner or later one of these comes too early.
        let mut answer = client.post(ORDERS, &order("l2", 1)).await;
        for number in 3..50 {
            if answer.status == 429 {
                break;
            }
            answer = client.post(ORDERS, &order(&format!("l{number}"), 1)).await;
        }
        assert_eq!(
            (answer.status, answer.json()["type"].clone()),
            (429, json!("/problems/too-many-requests"))
        );
        assert_eq!(answer.header("retry-after"), Some("1"));
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_key_of_a_request_may_stand_for_its_client_id(pool: PgPool) {
    with_server(pool, async |client| {
        let mut body: Value = serde_json::from_str(&order("k9", 5)).unwrap();
        body.as_object_mut().unwrap().remove("client_id");
        let json = "Content-Type: application/json";
        let send = async |key: &str, body: &Value| {
            let headers = [&bearer(), json, &format!("Idempotency-Key: {key}")];
            client.send("POST", ORDERS, &headers, &body.to_string()).await
        };
        let first = send("k9", &body).await;
        assert_eq!((first.status, send("k9", &body).await.json()), (202, first.json()));
        // In the body it is the same id, and another one is a mistake.
        assert_eq!(client.post(ORDERS, &order("k9", 5)).await.json(), first.json());
        body["client_id"] = json!("other");
        assert_eq!(send("k9", &body).await.status, 400);
        body["client_id"] = json!("k9");
        body["energy_wh"] = json!(6);
        assert_eq!(send("k9", &body).await.status, 409);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_is_polled_is_sent_once(pool: PgPool) {
    with_server(pool, async |client| {
        let path = "/api/v1/communities/demo/slots/2026-03-01T12:30:00Z/depth";
        let first = client.get(path).await;
        let tag = first.header("etag").unwrap().to_owned();
        let known = format!("If-None-Match: {tag}");
        let again = client.send("GET", path, &[&known], "").await;
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag.as_str())));
        sqlx::query("UPDATE orders SET remaining_wh = 200 WHERE order_id = 3")
            .execute(&client.pool)
            .await
            .unwrap();
        let changed = client.send("GET", path, &[&known], "").await;
        assert_eq!((changed.status, changed.json()["bids_wh"].clone()), (200, json!(200)));
        assert_ne!(changed.header("etag"), Some(tag.as_str()));
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn own_orders_and_trades_are_listed_by_page_slot_and_status(pool: PgPool) {
    with_server(pool, async |client| {
        let ben = "/api/v1/communities/demo/members/ben";
        let get = async |path: &str| client.get(&format!("{ben}{path}")).await.json();
        let numbers = |page: &Value, list: &str, key: &str| -> Vec<i64> {
            page[list].as_array().unwrap().iter().map(|entry| entry[key].as_i64().unwrap()).collect()
        };
        let first = get("/orders?limit=1").await;
        assert_eq!(numbers(&first, "orders", "order_id"), [3]);
        let second = get(&format!("/orders?limit=1&cursor={}", first["next_cursor"].as_str().unwrap())).await;
        assert_eq!(numbers(&second, "orders", "order_id"), [2]);
        assert_eq!(numbers(&get("/orders?status=open").await, "orders", "order_id"), [3]);
        assert_eq!(numbers(&get("/orders?slot=2026-03-01T12:00:00Z").await, "orders", "order_id"), [2]);
        let trades = get("/trades?limit=1").await;
        assert_eq!(numbers(&trades, "trades", "trade_id"), [2]);
        assert_eq!(
            (&trades["trades"][0]["counterpart"], &trades["trades"][0]["side"]),
            (&json!("Amber Kite"), &json!("bid"))
        );
        let rest = get(&format!("/trades?cursor={}", trades["next_cursor"].as_str().unwrap())).await;
        assert_eq!(
            (numbers(&rest, "trades", "trade_id"), rest["next_cursor"].clone()),
            (vec![1], Value::Null)
        );
        for bad in [
            "/orders?status=lost",
            "/orders?cursor=x",
            "/trades?cursor=x",
            "/trades?limit=0",
            "/orders?slot=noon",
        ] {
            assert_eq!(client.get(&format!("{ben}{bad}")).await.status, 400, "{bad}");
        }
    })
    .await;
}

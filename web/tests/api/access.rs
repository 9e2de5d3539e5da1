use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Client, with_server};

const DEMO: &str = "/api/v1/communities/demo";

async fn token(client: &Client, member: &str) -> String {
    let answer = client.post(&format!("{DEMO}/members/{member}/tokens"), "").await;
    format!("Authorization: Bearer {}", answer.json()["token"].as_str().unwrap())
}

async fn send(client: &Client, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let headers = [token, "Content-Type: application/json", "Idempotency-Key: access-1"];
    client.send(method, &format!("{DEMO}{path}"), &headers, &body.to_string()).await
}

/// Everything that these requests could change, counted.
async fn changes(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM commands) + (SELECT count(*) FROM request_keys)
           + (SELECT count(*) FROM autopilot_settings) + (SELECT count(*) FROM standing_orders)",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

/// What Ben may do for himself, and nobody but him and the operator.
fn requests() -> Vec<(&'static str, &'static str, Value)> {
    let order = json!({"member_id": "ben", "site_id": "b1", "slot_start": "2026-03-01T12:30:00Z", "side": "bid",
        "energy_wh": 100, "limit_micro_per_kwh": "150000", "time_in_force": "good-till-gate"});
    let mut one_of_many = order.clone();
    one_of_many["client_id"] = json!("many-1");
    vec![
        ("POST", "/orders", order),
        ("POST", "/orders:batch", json!({"orders": [one_of_many]})),
        ("PATCH", "/orders/3", json!({"member_id": "ben", "client_id": "access-1", "energy_wh": 10})),
        ("DELETE", "/orders/3?member_id=ben&client_id=access-2", Value::Null),
        ("PUT", "/members/ben/sites/b1/autopilot", json!({"preset": "greenest", "paused": false})),
        ("PUT", "/members/ben/sites/b1/standing-order", json!({"bid_limit_micro_per_kwh": "200000"})),
    ]
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn nobody_acts_with_another_members_token_and_nothing_changes(pool: PgPool) {
    with_server(pool, async |client| {
        let (anna, before) = (token(&client, "anna").await, changes(&client.pool).await);
        for (method, path, body) in requests() {
            for (token, status, kind) in
                [(&*anna, 403, "forbidden"), ("Authorization: Bearer nobody", 401, "unauthorized")]
            {
                let answer = send(&client, token, method, path, &body).await;
                let problem = answer.json();
                let expected = (status, json!(format!("/problems/{kind}")));
                assert_eq!((answer.status, problem["type"].clone()), expected, "{method} {path}: {problem}");
            }
        }
        assert_eq!(changes(&client.pool).await, before);
        let left: i64 = sqlx::query_scalar("SELECT remaining_wh FROM orders WHERE order_id = 3")
            .fetch_one(&client.pool)
            .await
            .unwrap();
        assert_eq!(left, 300);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_member_acts_for_itself_but_not_for_others_in_the_same_request(pool: PgPool) {
    with_server(pool, async |client| {
        let ben = token(&client, "ben").await;
        let before = changes(&client.pool).await;
        let mut mixed = requests()[1].2.clone();
        let mut of_anna = mixed["orders"][0].clone();
        of_anna["member_id"] = json!("anna");
        of_anna["client_id"] = json!("many-2");
        mixed["orders"].as_array_mut().unwrap().push(of_anna);
        let answer = send(&client, &ben, "POST", "/orders:batch", &mixed).await;
        assert_eq!((answer.status, &answer.json()["type"]), (403, &json!("/problems/forbidden")));
        assert_eq!(changes(&client.pool).await, before, "all of the request is refused");
        for (method, path, body) in requests() {
            // A key of a request stands for one request alone.
            let key = format!("Idempotency-Key: {}", body["client_id"].as_str().unwrap_or("own"));
            let key = if method == "DELETE" { "Idempotency-Key: access-2".to_owned() } else { key };
            let headers = [&*ben, "Content-Type: application/json", &*key];
            let answer = client.send(method, &format!("{DEMO}{path}"), &headers, &body.to_string()).await;
            assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.body);
        }
    })
    .await;
}

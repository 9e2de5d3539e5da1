use serde_json::Value;
use sqlx::PgPool;

use crate::support::with_server;

const SLOTS: &str = "/api/v1/communities/demo/slots";

fn starts(page: &Value) -> Vec<&str> {
    page["slots"].as_array().unwrap().iter().map(|slot| slot["slot_start"].as_str().unwrap()).collect()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn slots_are_paged_newest_first(pool: PgPool) {
    with_server(pool, async |client| {
        let first = client.get(&format!("{SLOTS}?limit=3")).await.json();
        assert_eq!(starts(&first), ["2026-03-01T12:45:00Z", "2026-03-01T12:30:00Z", "2026-03-01T12:15:00Z"]);
        let cursor = first["next_before"].as_str().unwrap();
        let second = client.get(&format!("{SLOTS}?limit=3&before={cursor}")).await.json();
        assert_eq!(starts(&second), ["2026-03-01T12:00:00Z"]);
        assert_eq!(second["next_before"], Value::Null);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_settled_slot_is_shown_down_to_its_transaction(pool: PgPool) {
    with_server(pool, async |client| {
        let slot = client.get(&format!("{SLOTS}/2026-03-01T12:00:00Z")).await.json();
        assert_eq!(slot["money_sum_nano"], "0");
        insta::assert_json_snapshot!(slot);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_open_slot_has_no_statements_yet(pool: PgPool) {
    with_server(pool, async |client| {
        // The same instant in another notation.
        let slot = client.get(&format!("{SLOTS}/2026-03-01T13:30:00%2B01:00")).await.json();
        assert_eq!(slot["slot"]["open_bids_wh"], 300);
        assert_eq!(slot["slot"]["production_wh"], Value::Null);
        assert_eq!(slot["statements"], serde_json::json!([]));
        assert_eq!(slot["transaction"], Value::Null);
    })
    .await;
}

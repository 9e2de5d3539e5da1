use serde_json::Value;
use sqlx::PgPool;

use crate::support::with_server;

const MEMBERS: &str = "/api/v1/communities/demo/members";

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn members_are_listed_with_balance_and_savings(pool: PgPool) {
    with_server(pool, async |client| {
        insta::assert_json_snapshot!(client.get(MEMBERS).await.json());
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_member_is_shown_in_full(pool: PgPool) {
    with_server(pool, async |client| {
        insta::assert_json_snapshot!("anna", client.get(&format!("{MEMBERS}/anna")).await.json());
        let dora = client.get(&format!("{MEMBERS}/dora")).await.json();
        assert_eq!(dora["sites"], serde_json::json!([]));
        assert_eq!(dora["totals"]["savings_nano"], "0");
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_meter_that_never_reported_has_no_age(pool: PgPool) {
    with_server(pool, async |client| {
        let cara = client.get(&format!("{MEMBERS}/cara")).await.json();
        assert_eq!(cara["sites"][0]["meter"]["age_s"], Value::Null);
        let ben = client.get(&format!("{MEMBERS}/ben")).await.json();
        assert_eq!(ben["sites"][0]["meter"]["age_s"], 299);
        assert_eq!(cara["open_receivable_nano"], "30256000");
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn statements_are_paged_and_carry_their_batch(pool: PgPool) {
    with_server(pool, async |client| {
        let page = client.get(&format!("{MEMBERS}/ben/statements?limit=1")).await.json();
        assert_eq!(page["next_before"], "2026-03-01T12:00:00Z");
        insta::assert_json_snapshot!("ben_statements", page);
        let last = client.get(&format!("{MEMBERS}/ben/statements?before=2026-03-01T12:00:00Z")).await.json();
        assert_eq!(last, serde_json::json!({"statements": [], "next_before": null}));
    })
    .await;
}

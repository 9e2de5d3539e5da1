use sqlx::PgPool;

use crate::support::with_server;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn communities_are_listed(pool: PgPool) {
    with_server(pool, async |client| {
        insta::assert_json_snapshot!(client.get("/api/v1/communities").await.json());
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_community_shows_its_totals_and_slots(pool: PgPool) {
    with_server(pool, async |client| {
        insta::assert_json_snapshot!(client.get("/api/v1/communities/demo").await.json());
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_empty_community_has_no_ratios_and_no_slots(pool: PgPool) {
    with_server(pool, async |client| {
        insta::assert_json_snapshot!(client.get("/api/v1/communities/empty").await.json());
        let slots = client.get("/api/v1/communities/empty/slots").await.json();
        assert_eq!(slots, serde_json::json!({"slots": [], "next_before": null}));
        let members = client.get("/api/v1/communities/empty/members").await.json();
        assert_eq!(members, serde_json::json!({"members": []}));
    })
    .await;
}

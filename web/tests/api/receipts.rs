use receipt::Receipt;
use receipt::document::hex32;
use sqlx::PgPool;

use crate::support::with_server;

const MEMBERS: &str = "/api/v1/communities/demo/members";
const SETTLED: &str = "2026-03-01T12:00:00Z";

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_receipt_is_a_file_that_leads_to_the_root_of_the_batch(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        let answer = client.get(&format!("{MEMBERS}/anna/receipts/{SETTLED}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let name = "attachment; filename=\"receipt-anna-20260301T120000Z-r0.json\"";
        assert_eq!(answer.header("content-disposition"), Some(name));
        let receipt = Receipt::parse(&answer.body).unwrap();
        assert_eq!(receipt.statement.net_nano.0, 191_600_000);
        let root: Vec<u8> =
            sqlx::query_scalar("SELECT statement_root FROM batches").fetch_one(&pool).await.unwrap();
        assert_eq!(hex32(&receipt.check().unwrap().root), format!("0x{}", hex::encode(root)));
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_has_no_receipt_says_why(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        for (path, status, kind) in [
            (format!("dora/receipts/{SETTLED}"), 404, "unknown-receipt"),
            ("anna/receipts/2026-03-01T12:15:00Z".to_owned(), 404, "unknown-receipt"),
            (format!("anna/receipts/{SETTLED}?revision=1"), 404, "unknown-receipt"),
            (format!("anna/receipts/{SETTLED}?revision=x"), 400, "invalid-request"),
            ("anna/receipts/2026-03-01T12:01:00Z".to_owned(), 400, "invalid-slot"),
            (format!("zoe/receipts/{SETTLED}"), 404, "unknown-member"),
        ] {
            let answer = client.get(&format!("{MEMBERS}/{path}")).await;
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.json()["type"], format!("/problems/{kind}"), "{path}");
        }
        // Statements that somebody changed afterwards prove nothing, and no receipt pretends to.
        sqlx::query("UPDATE statements SET import_wh = import_wh + 1 WHERE account_id = 'anna'")
            .execute(&pool)
            .await
            .unwrap();
        assert_eq!(client.get(&format!("{MEMBERS}/anna/receipts/{SETTLED}")).await.status, 500);
    })
    .await;
}

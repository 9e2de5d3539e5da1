use sqlx::PgPool;

use crate::support::with_server;

/// Holds with and without a built front end: the tests do not build one.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_first_page_is_the_dashboard_or_says_how_to_build_it(pool: PgPool) {
    with_server(pool, async |client| {
        let page = client.get("/").await;
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        match page.status {
            200 => assert_eq!(page.header("cache-control"), Some("no-cache")),
            503 => assert!(page.body.contains("make dashboard")),
            status => panic!("{status}"),
        }
        let policy = page.header("content-security-policy").unwrap();
        // Receipts are checked against a node of the reader's choice.
        assert!(
            policy.contains("connect-src 'self' https: http://127.0.0.1:* http://localhost:*;"),
            "{policy}"
        );
        assert!(
            policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn files_outside_the_front_end_are_not_served(pool: PgPool) {
    with_server(pool, async |client| {
        for path in
            ["/../package.json", "/%2e%2e/package.json", "/assets/../../package.json", "/..%2fpackage.json"]
        {
            assert_eq!(client.get(path).await.status, 404, "{path}");
        }
    })
    .await;
}

use serde_json::{Value, json};
use sqlx::PgPool;

use web::WebConfig;

use crate::support::{with_config, with_server};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn every_error_is_a_problem_document(pool: PgPool) {
    with_server(pool, async |client| {
        let requests = [
            ("GET", "/api/v1/nothing"),
            ("GET", "/api/v1/communities/nowhere"),
            ("GET", "/api/v1/communities/no%20where"),
            ("GET", "/api/v1/communities/nowhere/slots"),
            ("GET", "/api/v1/communities/nowhere/members"),
            ("GET", "/api/v1/communities/nowhere/live"),
            ("GET", "/api/v1/communities/demo/slots/now"),
            ("GET", "/api/v1/communities/demo/slots/2026-03-01T12:00:01Z"),
            ("GET", "/api/v1/communities/demo/slots/2020-03-01T12:00:00Z"),
            ("GET", "/api/v1/communities/demo/slots?limit=0"),
            ("GET", "/api/v1/communities/demo/slots?limit=501"),
            ("GET", "/api/v1/communities/demo/slots?limit=many"),
            ("GET", "/api/v1/communities/demo/slots?before=yesterday"),
            ("GET", "/api/v1/communities/demo/slots?page=2"),
            ("GET", "/api/v1/communities/demo/members/eve"),
            ("GET", "/api/v1/communities/demo/members/eve/statements"),
            ("GET", "/api/v1/communities/demo/commands/999"),
            ("GET", "/api/v1/communities/demo/commands/first"),
            ("PUT", "/api/v1/communities/demo"),
            ("GET", "/api/v1/communities/demo/orders"),
            ("POST", "/"),
            ("GET", "/problems/nothing"),
        ];
        let mut answers = Vec::new();
        for (method, path) in requests {
            let answer = client.send(method, path, &[], "").await;
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}");
            let problem = answer.json();
            assert_eq!(problem["status"], answer.status, "{method} {path}");
            let known = client.get(problem["type"].as_str().unwrap()).await;
            assert_eq!(known.status, 200, "{method} {path}");
            answers.push(json!({
                "request": format!("{method} {path}"),
                "allow": answer.header("allow"),
                "problem": problem,
            }));
        }
        insta::assert_json_snapshot!(Value::Array(answers));
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_catalogue_explains_each_type(pool: PgPool) {
    with_server(pool, async |client| {
        let list = client.get("/problems").await;
        assert!(list.body.contains("/problems/client-id-reused"));
        let page = client.get("/problems/client-id-reused").await;
        assert!(page.body.contains("HTTP status 409"), "{}", page.body);
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_lost_database_is_said_to_be_unavailable(pool: PgPool) {
    with_server(pool, async |client| {
        client.pool.close().await;
        let answer = client.get("/api/v1/communities").await;
        assert_eq!((answer.status, answer.json()["type"].clone()), (503, json!("/problems/unavailable")));
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(client.get("/healthz").await.status, 200);
        assert_eq!(client.get("/readyz").await.status, 503);
        assert!(client.get("/metrics").await.body.contains("busbar_database_up 0"));
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_request_that_takes_too_long_is_given_up(pool: PgPool) {
    let config = WebConfig { request_timeout_s: 1, ..WebConfig::default() };
    with_config(pool, config, async |client| {
        let mut lock = client.pool.begin().await.unwrap();
        sqlx::raw_sql("LOCK TABLE communities IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
        let answer = client.get("/api/v1/communities").await;
        assert_eq!((answer.status, answer.json()["type"].clone()), (504, json!("/problems/timeout")));
        lock.rollback().await.unwrap();
        assert_eq!(client.get("/api/v1/communities").await.status, 200);
    })
    .await;
}

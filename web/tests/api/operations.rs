use std::net::SocketAddr;

use service::lifecycle::Shutdown;
use sqlx::PgPool;
use web::{StartError, WebConfig};

use crate::support::{deps, with_server};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_server_tells_how_it_is(pool: PgPool) {
    with_server(pool, async |client| {
        assert_eq!(client.get("/healthz").await.body, "ok\n");
        assert_eq!(client.get("/readyz").await.body, "ready\n");
        insta::assert_json_snapshot!(client.get("/api/v1/stack").await.json());
        let addr = client.addr;
        tokio::task::spawn_blocking(move || web::healthcheck::check(addr)).await.unwrap().unwrap();
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn metrics_count_requests_by_route_and_rows_by_community(pool: PgPool) {
    with_server(pool, async |client| {
        client.get("/api/v1/communities/demo").await;
        client.get("/api/v1/communities/nowhere").await;
        client.get("/whatever").await;
        let text = client.get("/metrics").await.body;
        for line in [
            "busbar_http_requests_total{method=\"GET\",route=\"/api/v1/communities/{community_id}\",status=\"200\"} 1",
            "busbar_http_requests_total{method=\"GET\",route=\"/api/v1/communities/{community_id}\",status=\"404\"} 1",
            "busbar_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
            "busbar_slots{community=\"demo\",status=\"settled\"} 1",
            "busbar_readings_stored{community=\"demo\"} 4",
            "busbar_readings_stored{community=\"empty\"} 0",
            "busbar_database_up 1",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_port_in_use_and_a_public_address_are_refused(pool: PgPool) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen_addr = taken.local_addr().unwrap();
    let config = WebConfig { listen_addr, ..WebConfig::default() };
    let Err(error) = web::bind(&config, deps(&pool), &Shutdown::new()) else { panic!("it is taken") };
    assert!(matches!(error, StartError::PortInUse { addr } if addr == listen_addr));
    assert!(error.to_string().contains("the port is in use"), "{error}");
    let public = WebConfig { listen_addr: SocketAddr::from(([0, 0, 0, 0], 0)), ..WebConfig::default() };
    let Err(error) = web::bind(&public, deps(&pool), &Shutdown::new()) else { panic!("it is public") };
    assert!(error.to_string().contains("allow_public_listen"), "{error}");
}

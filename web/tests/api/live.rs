use std::time::Duration;

use domain::ids::CommunityId;
use serde_json::{Value, json};
use sqlx::PgPool;
use store::notify::{self, Event, Kind};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use web::WebConfig;

use crate::support::{bearer, with_config, with_server};

const LIVE: &str = "/api/v1/communities/demo/live";

/// Reads until `wanted` was seen.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut bytes = [0_u8; 1_024];
    while !text.contains(wanted) {
        let count = stream.read(&mut bytes).await.unwrap();
        assert!(count > 0, "the stream ended: {text}");
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    text
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_commit_reaches_a_live_client(pool: PgPool) {
    with_server(pool, async |client| {
        let mut stream = client.open("GET", LIVE, &["Accept-Encoding: gzip"], "").await;
        let head = read_until(&mut stream, ": heartbeat").await;
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        let event = Event::new(Kind::Slot, &CommunityId::new("demo").unwrap(), None);
        let data = "data: {\"kind\":\"slot\",\"community_id\":\"demo\",\"slot_start\":null}\n\n";
        // The server may not listen to the database yet: the hint is sent again until it arrives.
        let text = loop {
            notify::send(&client.pool, &event).await.unwrap();
            let arrived = read_until(&mut stream, data);
            if let Ok(text) = tokio::time::timeout(Duration::from_millis(100), arrived).await {
                break text;
            }
        };
        assert!(text.contains("event: slot\n"), "{text}");
    })
    .await;
}

/// A change of each setting, another one for each `number`.
fn changes(number: i64) -> [(&'static str, Value); 4] {
    let slot = "2026-03-01T12:45:00Z";
    let settings = json!({"preset": "cheapest", "paused": false, "battery_reserve_percent": number % 100});
    let standing = json!({"prefers": "local", "premium_micro_per_kwh": number.to_string()});
    let limit = json!({"slot_start": slot, "export_limit_wh": number});
    let fee = json!({"from_zone": "main", "to_zone": "main", "valid_from": slot,
        "fee_micro_per_kwh": number.to_string()});
    [
        ("/members/anna/sites/a1/autopilot", settings),
        ("/members/anna/sites/a1/standing-order", standing),
        ("/grid-limits", json!({"source": "utility", "limits": [limit]})),
        ("/network-fees", json!({"fees": [fee]})),
    ]
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn every_setting_that_changes_is_told(pool: PgPool) {
    with_server(pool, async |client| {
        let mut stream = client.open("GET", LIVE, &[], "").await;
        read_until(&mut stream, ": heartbeat").await;
        for setting in 0..4 {
            // The server may not listen to the database yet: another change follows until one arrives.
            for number in 1.. {
                let (path, body) = changes(number)[setting].clone();
                let headers = [&*bearer(), "Content-Type: application/json"];
                let path = format!("/api/v1/communities/demo{path}");
                let answer = client.send("PUT", &path, &headers, &body.to_string()).await;
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
                let arrived = read_until(&mut stream, "event: settings\n");
                if tokio::time::timeout(Duration::from_secs(1), arrived).await.is_ok() {
                    break;
                }
            }
        }
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn live_clients_are_bounded_and_leave_their_place(pool: PgPool) {
    let config = WebConfig { max_live_clients: 1, ..WebConfig::default() };
    with_config(pool, config, async |client| {
        let mut first = client.open("GET", LIVE, &[], "").await;
        read_until(&mut first, ": heartbeat").await;
        let second = client.get(LIVE).await;
        assert_eq!(
            (second.status, second.json()["type"].clone()),
            (503, "/problems/too-many-clients".into())
        );
        drop(first);
        loop {
            let mut third = client.open("GET", LIVE, &[], "").await;
            let head = read_until(&mut third, "\r\n\r\n").await;
            if head.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    })
    .await;
}

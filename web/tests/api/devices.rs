use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::ids::{AgentId, CommunityId, MeterId};
use serde_json::{Value, json};
use sqlx::PgPool;
use store::device_events::{self, NewEvent};
use store::device_health::{self, DayRead, DeviceHealth, Said};
use store::views::fixtures;

use crate::support::with_server;

const DEVICES: &str = "/api/v1/communities/demo/devices";

fn health(meter: &str, state: &str) -> DeviceHealth {
    DeviceHealth {
        agent_id: AgentId::new("agent-1").unwrap(),
        meter_id: MeterId::new(meter).unwrap(),
        said: Said {
            said_at: fixtures::now() - TimeDelta::minutes(5),
            state: state.to_owned(),
            state_since: Some(fixtures::now() - TimeDelta::minutes(20)),
            error_class: (state == "failing").then(|| "timeout".to_owned()),
            last_success_at: None,
            errors: BTreeMap::from([("connect".to_owned(), 1), ("timeout".to_owned(), 7)]),
            days: vec![DayRead { day: fixtures::now().date_naive(), stored: 48, due: 49 }],
            outbox_records: Some(3),
            outbox_oldest_at: None,
            certificate_days: Some(12),
            clock: "unsynchronised".to_owned(),
        },
    }
}

fn event(number: i64, meter: Option<&str>, kind: &str) -> NewEvent {
    NewEvent {
        agent_id: AgentId::new("agent-1").unwrap(),
        meter_id: meter.map(|meter| MeterId::new(meter).unwrap()),
        kind: kind.to_owned(),
        at: fixtures::now() - TimeDelta::minutes(number),
        since: None,
        words: format!("event {number}"),
        once: number.to_string(),
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn devices_are_shown_with_what_is_known_of_them(pool: PgPool) {
    with_server(pool, async |client| {
        let demo = CommunityId::new("demo").unwrap();
        device_health::upsert(&client.pool, &demo, &[health("m-b1", "failing")]).await.unwrap();
        let devices = client.get(DEVICES).await.json();
        let of = |meter: &str| {
            let mut all = devices["devices"].as_array().unwrap().iter();
            all.find(|device| device["meter_id"] == meter).cloned().unwrap()
        };
        let (read, failing, new) = (of("m-a1"), of("m-b1"), of("m-c1"));
        assert_eq!((&read["state"], &read["clock"]), (&json!("ok"), &Value::Null));
        assert_eq!(read["completeness"], json!([{ "day": "2026-03-01", "stored": 2, "due": 2 }]));
        assert_eq!((&failing["state"], &failing["error_class"]), (&json!("failing"), &json!("timeout")));
        assert_eq!(
            failing["errors"],
            json!([{ "class": "timeout", "count": 7 }, { "class": "connect", "count": 1 }])
        );
        assert_eq!(failing["read_by_agent"], json!([{ "day": "2026-03-01", "stored": 48, "due": 49 }]));
        assert_eq!((&failing["certificate_days"], &failing["outbox_records"]), (&json!(12), &json!(3)));
        assert_eq!(
            (&new["state"], &new["last_slot_end"], &new["completeness"]),
            (&json!("unknown"), &Value::Null, &json!([]))
        );
        let own = client.get(&format!("{DEVICES}?member_id=ben")).await.json();
        assert_eq!(own["devices"].as_array().unwrap().len(), 1);
        for (query, status) in
            [("?member_id=nobody", 404), ("?days=0", 400), ("?days=32", 400), ("?what=1", 400)]
        {
            assert_eq!(client.get(&format!("{DEVICES}{query}")).await.status, status, "{query}");
        }
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn events_are_paged_newest_first(pool: PgPool) {
    with_server(pool, async |client| {
        let demo = CommunityId::new("demo").unwrap();
        let said = [
            event(1, Some("m-a1"), "device_back"),
            event(2, Some("m-a1"), "device_unreachable"),
            event(3, None, "certificate_expires"),
        ];
        device_events::insert(&client.pool, &demo, &said).await.unwrap();
        let events = format!("{DEVICES}/events");
        let first = client.get(&format!("{events}?limit=2")).await.json();
        let severities: Vec<_> = first["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["severity"].as_str().unwrap())
            .collect();
        assert_eq!(severities, ["info", "alarm"]);
        assert_eq!(first["events"][0]["member_id"], "anna");
        let cursor = first["next_before"].as_str().unwrap();
        let second = client.get(&format!("{events}?limit=2&before={cursor}")).await.json();
        assert_eq!(
            (&second["events"][0]["kind"], &second["next_before"]),
            (&json!("certificate_expires"), &Value::Null)
        );
        let count = async |query: &str| {
            let page = client.get(&format!("{events}?{query}")).await.json();
            page["events"].as_array().unwrap().len()
        };
        assert_eq!(
            (count("member_id=anna").await, count("member_id=ben").await, count("meter_id=m-a1").await),
            (2, 0, 2)
        );
        for (query, status) in
            [("before=x", 400), ("limit=501", 400), ("meter_id=a%20b", 400), ("member_id=nobody", 404)]
        {
            assert_eq!(client.get(&format!("{events}?{query}")).await.status, status, "{query}");
        }
    })
    .await;
}

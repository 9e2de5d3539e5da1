use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::with_server;

const MEMBERS: &str = "/api/v1/communities/demo/members";

fn sum(items: &Value, side: &str) -> i64 {
    let of_side = items.as_array().unwrap().iter().filter(|item| item["side"] == side);
    of_side.map(|item| item["energy_wh"].as_i64().unwrap()).sum()
}

/// What a member's purchases pay for the network.
fn network_fees_nano(trace: &Value) -> i64 {
    let items = ["trades", "closing_pairs"].into_iter().flat_map(|items| trace[items].as_array().unwrap());
    let bought = items.filter(|item| item["side"] == "bought");
    bought
        .map(|item| {
            let fee: i64 = item["network_fee_micro_per_kwh"].as_str().unwrap().parse().unwrap();
            fee * item["energy_wh"].as_i64().unwrap()
        })
        .sum()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn each_line_of_a_statement_adds_up_from_what_it_goes_back_to(pool: PgPool) {
    with_server(pool, async |client| {
        for member in ["anna", "ben", "cara"] {
            let path = format!("{MEMBERS}/{member}/statements");
            let trace = client.get(&format!("{path}/2026-03-01T12:00:00Z/trace")).await;
            assert_eq!(trace.status, 200, "{}", trace.body);
            let trace = trace.json();
            let page = client.get(&path).await.json();
            let statement = &page["statements"][0];
            assert_eq!(trace["slot_start"], statement["slot_start"]);
            for (line, items, side) in [
                ("traded_bought_wh", "trades", "bought"),
                ("traded_sold_wh", "trades", "sold"),
                ("closing_bought_wh", "closing_fills", "bid"),
                ("closing_sold_wh", "closing_fills", "offer"),
            ] {
                assert_eq!(json!(sum(&trace[items], side)), statement[line], "{member} {line}");
            }
            assert_eq!(
                json!((-network_fees_nano(&trace)).to_string()),
                statement["network_fee_nano"],
                "{member}"
            );
            for (line, side) in [("closing_bought_wh", "bought"), ("closing_sold_wh", "sold")] {
                assert_eq!(json!(sum(&trace["closing_pairs"], side)), statement[line], "{member} {line}");
            }
            assert_eq!(trace["batch"]["tx_hash"], statement["batch"]["tx_hash"]);
            let readings: Vec<String> = trace["readings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| format!("{}/{}/{}", r["meter_id"].as_str().unwrap(), r["epoch"], r["seq"]))
                .collect();
            assert_eq!(json!(readings), statement["readings"]);
            let receipt = client.get(trace["receipt"].as_str().unwrap()).await;
            assert_eq!(receipt.json()["chain_address"], trace["chain_address"]);
        }
        let trace = client.get(&format!("{MEMBERS}/anna/statements/2026-03-01T12:00:00Z/trace")).await.json();
        assert_eq!(trace["readings"][1]["record"], "OCMF|2");
        assert_eq!(
            trace["closing_pairs"][0],
            json!({
                "site_id": "a1", "side": "sold", "counterparty": "Blue Heron", "energy_wh": 114,
                "network_fee_micro_per_kwh": "30000", "preferred_wh": 0, "premium_micro_per_kwh": "0",
            })
        );
        assert_eq!(trace["tariff"]["retail_micro_per_kwh"], "320000");
        assert!(trace["statement_root"].as_str().unwrap().starts_with("0x"));
        for (path, status, kind) in [
            ("anna/statements/2026-03-01T12:15:00Z/trace", 404, "unknown-statement"),
            ("dora/statements/2026-03-01T12:00:00Z/trace", 404, "unknown-statement"),
            ("anna/statements/2026-03-01T12:01:00Z/trace", 400, "invalid-slot"),
            ("zoe/statements/2026-03-01T12:00:00Z/trace", 404, "unknown-member"),
        ] {
            let answer = client.get(&format!("{MEMBERS}/{path}")).await;
            assert_eq!(
                (answer.status, &answer.json()["type"]),
                (status, &json!(format!("/problems/{kind}"))),
                "{path}"
            );
        }
    })
    .await;
}

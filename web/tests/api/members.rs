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
        assert_eq!(last, serde_json::json!({"statements": [], "periods": [], "next_before": null}));
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn statements_add_up_by_day_and_month(pool: PgPool) {
    with_server(pool, async |client| {
        let slot = client.get(&format!("{MEMBERS}/ben/statements")).await.json();
        for (period, start) in [("day", "2026-03-01T00:00:00Z"), ("month", "2026-03-01T00:00:00Z")] {
            let page = client.get(&format!("{MEMBERS}/ben/statements?period={period}")).await.json();
            let sums = &page["periods"][0];
            assert_eq!(sums["period_start"], start);
            assert_eq!((&sums["slots"], &sums["settled_slots"]), (&1.into(), &1.into()));
            for figure in ["net_nano", "base_nano", "import_wh", "closing_bought_wh", "production_wh"] {
                assert_eq!(sums[figure], slot["statements"][0][figure], "{period}: {figure}");
            }
            assert_eq!(page["statements"], serde_json::json!([]));
        }
        let before = format!("{MEMBERS}/ben/statements?period=day&before=2026-03-01T00:00:00Z");
        assert_eq!(client.get(&before).await.json()["periods"], serde_json::json!([]));
        for bad in ["period=week", "format=xml", "limit=0"] {
            assert_eq!(client.get(&format!("{MEMBERS}/ben/statements?{bad}")).await.status, 400, "{bad}");
        }
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn statements_are_given_as_csv(pool: PgPool) {
    with_server(pool, async |client| {
        let answer = client.get(&format!("{MEMBERS}/anna/statements?format=csv&limit=1")).await;
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
        let next = answer.header("x-next-before").unwrap();
        assert_eq!(next, "2026-03-01T12:00:00Z");
        let second = client.get(&format!("{MEMBERS}/anna/statements?format=csv&before={next}")).await;
        assert_eq!(second.status, 200, "the header's value goes into the query as it is");
        let lines: Vec<&str> = answer.body.lines().collect();
        let cells: Vec<Vec<&str>> = lines.iter().map(|line| line.split(',').collect()).collect();
        assert_eq!(cells.len(), 2);
        assert_eq!(cells[0].len(), cells[1].len());
        let cell = |name: &str| cells[1][cells[0].iter().position(|head| *head == name).unwrap()];
        assert_eq!((cell("net_nano"), cell("import_wh"), cell("production_wh")), ("191600000", "0", "1200"));
        assert_eq!((cell("trade_ids"), cell("readings")), ("1 2", "m-a1/1/1 m-a1/1/2"));
        assert_eq!((cell("batch_status"), cell("block_number")), ("final", "42"));
        let days = client.get(&format!("{MEMBERS}/anna/statements?format=csv&period=month")).await.body;
        assert!(days.starts_with("period_start,slots,settled_slots,import_wh,"), "{days}");
        assert!(days.contains("2026-03-01T00:00:00Z,1,1,0,1000,1200,false,"), "{days}");
    })
    .await;
}

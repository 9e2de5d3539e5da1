//! Orders over HTTP with a real market behind them: each thing that can be wrong with one is a problem of a kind in the
//! catalogue, and nothing has changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../market/tests/support/mod.rs"]
mod world;

use std::net::SocketAddr;

use domain::time::Clock;
use market::{Deps as MarketDeps, MarketConfig};
use reqwest::Method;
use serde_json::{Value, json};
use service::lifecycle::Shutdown;
use service::secret::Secret;
use store::PgPool;
use tokio::task::JoinHandle;
use web::{Deps, Mode, StackInfo, WebConfig};
use world::{World, at, site_id, slot};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A community with its market and its server.
struct Served {
    world: World,
    base: String,
    http: reqwest::Client,
    shutdown: Shutdown,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Served {
    async fn new(pool: PgPool) -> Self {
        let world = World::new(pool.clone(), "demo", 3).await;
        let shutdown = Shutdown::new();
        let market = MarketDeps { pool: pool.clone(), clock: world.clock() };
        let config = MarketConfig { autopilot: false, poll_interval_ms: 50, ..MarketConfig::default() };
        let market = tokio::spawn(market::run(config, market, shutdown.clone()));
        let config = WebConfig {
            listen_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1,
            decision_wait_ms: 10_000,
            ..WebConfig::default()
        };
        let bound = web::bind(&config, deps(&pool, world.clock()), &shutdown).unwrap();
        let base = format!("http://{}/api/v1/communities/demo", bound.addr());
        let _ = rustls::crypto::ring::default_provider().install_default();
        let web = tokio::spawn(bound.serve());
        let http = reqwest::Client::new();
        Self { world, base, http, shutdown, tasks: vec![market, web] }
    }

    /// The status and the body of an answer.
    async fn send(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(TOKEN);
        let request = request.header("Content-Type", "application/json").body(body.to_owned());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    async fn post(&self, order: &Value) -> (u16, Value) {
        self.send(Method::POST, "/orders", &order.to_string()).await
    }

    /// All that an accepted command changes.
    async fn state(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT orders::text FROM orders UNION ALL SELECT trades::text FROM trades
             UNION ALL SELECT command_id::text FROM commands WHERE status = 'accepted' ORDER BY 1",
        )
        .fetch_all(&self.world.pool)
        .await
        .unwrap()
    }

    async fn stop(self) {
        self.shutdown.stop();
        for task in self.tasks {
            task.await.unwrap().unwrap();
        }
    }
}

fn deps(pool: &PgPool, clock: Clock) -> Deps {
    let started_at = clock.now();
    Deps {
        pool: pool.clone(),
        clock,
        token: Secret::new(TOKEN.to_owned()),
        stack: StackInfo {
            mode: Mode::Demonstration,
            notes: vec![],
            started_at,
            profile_seconds_per_slot: None,
        },
    }
}

fn order(site: usize, client_id: &str, changes: Value) -> Value {
    let mut order = json!({
        "member_id": format!("m{site}"), "site_id": site_id(site).to_string(), "client_id": client_id,
        "slot_start": slot(2), "side": "bid", "energy_wh": 300, "limit_micro_per_kwh": "150000",
        "time_in_force": "good-till-gate",
    });
    for (key, value) in changes.as_object().unwrap() {
        order[key] = value.clone();
    }
    order
}

/// What is wrong with an order, its status and the kind of problem.
fn wrong_orders() -> Vec<(&'static str, Value, u16, &'static str)> {
    let far = i64::MAX;
    vec![
        ("zero energy", json!({"energy_wh": 0}), 422, "not-positive"),
        ("negative energy", json!({"energy_wh": -5}), 422, "not-positive"),
        ("huge energy", json!({"energy_wh": far}), 422, "order-too-large"),
        ("over the community's largest", json!({"energy_wh": 100_001}), 422, "order-too-large"),
        ("half a watt-hour", json!({"energy_wh": 1.5}), 400, "invalid-request"),
        ("energy beyond 64 bits", json!({"energy_wh": 1e30}), 400, "invalid-request"),
        ("energy as text", json!({"energy_wh": "300"}), 400, "invalid-request"),
        ("below feed-in", json!({"limit_micro_per_kwh": "79999"}), 422, "below-feed-in"),
        ("negative price", json!({"limit_micro_per_kwh": "-1"}), 422, "below-feed-in"),
        ("above retail less the fees", json!({"limit_micro_per_kwh": "288001"}), 422, "above-retail"),
        ("huge price", json!({"limit_micro_per_kwh": far.to_string()}), 422, "above-retail"),
        ("price as a number", json!({"limit_micro_per_kwh": 150_000}), 400, "invalid-request"),
        ("no slot starts then", json!({"slot_start": at(3)}), 400, "invalid-slot"),
        (
            "a slot before all calendars",
            json!({"slot_start": "-200000-01-01T00:00:00Z"}),
            400,
            "invalid-slot",
        ),
        ("a slot of long ago", json!({"slot_start": slot(-90)}), 404, "unknown-slot"),
        ("a slot far ahead", json!({"slot_start": slot(9_000)}), 404, "unknown-slot"),
        ("a slot not open yet", json!({"slot_start": slot(4)}), 422, "slot-not-open"),
        ("a slot that is closed", json!({"slot_start": slot(0)}), 422, "gate-closed"),
        ("another's site", json!({"site_id": "s1"}), 422, "not-your-site"),
        ("no such member", json!({"member_id": "eve"}), 404, "unknown-member"),
        (
            "not covered",
            json!({"energy_wh": 100_000, "member_id": "m2", "site_id": "s2"}),
            422,
            "insufficient-credit",
        ),
        ("fill or kill", json!({"time_in_force": "fill-or-kill"}), 422, "cannot-fill"),
        ("an attribute", json!({"prefers": "green"}), 400, "attributes-not-traded"),
        ("a premium", json!({"premium_micro_per_kwh": "5000"}), 400, "attributes-not-traded"),
        ("not a side", json!({"side": "buy"}), 400, "invalid-request"),
        ("no client id", json!({"client_id": null}), 400, "invalid-request"),
    ]
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn whatever_is_wrong_is_a_problem_of_a_known_kind_and_changes_nothing(pool: PgPool) {
    let served = Served::new(pool).await;
    // Almost all of member 2's credits are bound by one bid for slot 1.
    let bound = json!({"energy_wh": 99_999, "limit_micro_per_kwh": "288000", "slot_start": slot(1)});
    for number in 0..3 {
        assert_eq!(served.post(&order(2, &format!("bound-{number}"), bound.clone())).await.0, 202);
    }
    let (_, resting) = served.post(&order(0, "resting", json!({}))).await;
    let id = resting["command_id"].as_i64().unwrap();
    let before = served.state().await;
    for (number, (what, change, status, kind)) in wrong_orders().into_iter().enumerate() {
        let mut wrong = order(0, &format!("wrong-{number}"), change);
        if wrong["client_id"].is_null() {
            wrong.as_object_mut().unwrap().remove("client_id");
        }
        let answer = served.post(&wrong).await;
        assert_eq!(
            (answer.0, &answer.1["type"]),
            (status, &json!(format!("/problems/{kind}"))),
            "{what}: {answer:?}"
        );
    }
    let about = |member: &str, client: &str| format!("/orders/{id}?member_id={member}&client_id={client}");
    let change = |member: &str, client: &str, wh: i64| json!({"member_id": member, "client_id": client, "energy_wh": wh});
    let (delete, patch, post) = (Method::DELETE, Method::PATCH, Method::POST);
    let others = [
        (delete.clone(), about("m1", "c1"), String::new(), 404, "unknown-order"),
        (patch.clone(), format!("/orders/{id}"), change("m1", "c2", 10).to_string(), 404, "unknown-order"),
        (patch.clone(), format!("/orders/{id}"), change("m0", "c3", 0).to_string(), 422, "not-positive"),
        (
            patch.clone(),
            format!("/orders/{id}"),
            change("m0", "resting", 5).to_string(),
            409,
            "client-id-reused",
        ),
        (
            patch,
            format!("/orders/{id}"),
            json!({"member_id": "m0", "client_id": "c4"}).to_string(),
            400,
            "invalid-request",
        ),
        (delete, "/orders/999999?member_id=m0&client_id=c5".to_owned(), String::new(), 404, "unknown-order"),
        (
            post.clone(),
            "/orders".to_owned(),
            order(0, "resting", json!({"energy_wh": 7})).to_string(),
            409,
            "client-id-reused",
        ),
        (post, "/orders".to_owned(), "{".to_owned(), 400, "invalid-request"),
    ];
    for (method, path, body, status, kind) in others {
        let answer = served.send(method, &path, &body).await;
        assert_eq!(
            (answer.0, &answer.1["type"]),
            (status, &json!(format!("/problems/{kind}"))),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(served.state().await, before);
    // The same once more is the same answer, refused or not.
    let again = served.post(&order(0, "wrong-0", json!({"energy_wh": 0}))).await;
    assert_eq!((again.0, again.1["type"].clone()), (422, json!("/problems/not-positive")));
    assert_eq!(served.post(&order(0, "resting", json!({}))).await, (202, resting));
    served.stop().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn orders_are_placed_matched_changed_and_cancelled_over_http(pool: PgPool) {
    let served = Served::new(pool).await;
    let (_, bid) = served.post(&order(0, "bid", json!({}))).await;
    let (_, offer) = served.post(&order(1, "offer", json!({"side": "offer", "energy_wh": 100}))).await;
    assert_eq!((&bid["status"], &offer["status"]), (&json!("accepted"), &json!("accepted")));
    let start = slot(2).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let depth = served.send(Method::GET, &format!("/slots/{start}/depth"), "").await.1;
    let level = json!([{"limit_micro_per_kwh": "150000", "energy_wh": 200, "orders": 1}]);
    assert_eq!((&depth["bids"], &depth["offers"]), (&level, &json!([])));
    assert_eq!((&depth["bids_wh"], &depth["last_trade"]["energy_wh"]), (&json!(200), &json!(100)));
    let id = bid["command_id"].as_i64().unwrap();
    let change =
        json!({"member_id": "m0", "client_id": "less", "energy_wh": 150, "limit_micro_per_kwh": "160000"});
    let (status, _) = served.send(Method::PATCH, &format!("/orders/{id}"), &change.to_string()).await;
    assert_eq!(status, 202);
    let own = served.send(Method::GET, "/members/m0/orders?status=open", "").await.1;
    let order = &own["orders"][0];
    assert_eq!((&order["energy_wh"], &order["remaining_wh"]), (&json!(150), &json!(50)));
    assert_eq!(order["gate_closes_at"], json!(slot(2)));
    let trades = served.send(Method::GET, "/members/m0/trades", "").await.1;
    assert_eq!(trades["trades"][0]["counterpart"], "P1");
    let (status, _) =
        served.send(Method::DELETE, &format!("/orders/{id}?member_id=m0&client_id=off"), "").await;
    assert_eq!(status, 202);
    let own = served.send(Method::GET, "/members/m0/orders", "").await.1;
    assert_eq!(
        (&own["orders"][0]["status"], &own["orders"][0]["end_reason"]),
        (&json!("cancelled"), &json!("member"))
    );
    let all = served.send(Method::GET, "/trades", "").await.1;
    assert_eq!((&all["slots"][0]["trades"], &all["slots"][0]["energy_wh"]), (&json!(1), &json!(100)));
    served.stop().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_batch_is_answered_order_by_order_and_its_key_names_one_request(pool: PgPool) {
    let served = Served::new(pool).await;
    let orders = json!({"orders": [
        order(0, "b0", json!({})), order(0, "b1", json!({"energy_wh": 0})), order(9, "b2", json!({})),
        order(1, "b3", json!({"slot_start": at(3)})), order(1, "b4", json!({"side": "offer"})),
    ]});
    let send = async |key: &str, body: &Value| {
        let request = served.http.post(format!("{}/orders:batch", served.base)).bearer_auth(TOKEN);
        let answer = request.header("Idempotency-Key", key).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, first) = send("k1", &orders).await;
    assert_eq!(status, 202, "{first}");
    let kind = |place: usize| first["results"][place]["problem"]["type"].as_str();
    assert_eq!(first["results"][0]["command"]["status"], "accepted");
    assert_eq!(kind(1), Some("/problems/not-positive"));
    assert_eq!(kind(2), Some("/problems/unknown-member"));
    assert_eq!(kind(3), Some("/problems/invalid-slot"));
    assert_eq!(first["results"][4]["command"]["status"], "accepted");
    assert_eq!(send("k1", &orders).await, (202, first));
    let (status, other) = send("k1", &json!({"orders": [order(0, "b9", json!({}))]})).await;
    assert_eq!((status, &other["type"]), (409, &json!("/problems/idempotency-key-reused")));
    let none = send("k2", &json!({"orders": []})).await;
    assert_eq!((none.0, &none.1["type"]), (400, &json!("/problems/invalid-request")));
    let stored: i64 =
        sqlx::query_scalar("SELECT count(*) FROM commands").fetch_one(&served.world.pool).await.unwrap();
    assert_eq!(stored, 3, "b0, b1 and b4, once each");
    served.stop().await;
}

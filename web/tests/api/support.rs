//! A server for one test, and the smallest client that can talk to it.

use std::net::SocketAddr;

use domain::time::{Clock, ManualClock};
use serde_json::Value;
use service::lifecycle::Shutdown;
use service::secret::Secret;
use sqlx::PgPool;
use store::views::fixtures;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use web::{Deps, Mode, StackInfo, WebConfig};

pub(crate) const TOKEN: &str = "0123456789abcdef";

/// A client of the server under test.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) addr: SocketAddr,
    pub(crate) pool: PgPool,
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Starts a server on a free port with the fixture's rows, runs `test` and stops the server.
pub(crate) async fn with_server(pool: PgPool, test: impl AsyncFnOnce(Client)) {
    with_config(pool, WebConfig { decision_wait_ms: 50, ..WebConfig::default() }, test).await;
}

pub(crate) async fn with_config(pool: PgPool, config: WebConfig, test: impl AsyncFnOnce(Client)) {
    fixtures::insert(&pool).await.unwrap();
    let config = WebConfig { listen_addr: SocketAddr::from(([127, 0, 0, 1], 0)), workers: 1, ..config };
    let shutdown = Shutdown::new();
    let bound = web::bind(&config, deps(&pool), &shutdown).unwrap();
    let client = Client { addr: bound.addr(), pool };
    let server = tokio::spawn(bound.serve());
    test(client).await;
    shutdown.stop();
    server.await.unwrap().unwrap();
}

pub(crate) fn deps(pool: &PgPool) -> Deps {
    Deps {
        pool: pool.clone(),
        clock: Clock::Manual(ManualClock::new(fixtures::now())),
        token: Secret::new(TOKEN.to_owned()),
        stack: StackInfo {
            mode: Mode::Demonstration,
            notes: vec!["port 8080 was taken, the dashboard is on 8081".to_owned()],
            started_at: fixtures::now(),
            profile_seconds_per_slot: Some(900),
        },
    }
}

impl Client {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// Sends JSON with the right token.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[&bearer(), "Content-Type: application/json"], body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[&bearer()], "").await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = self.open(method, path, headers, body).await;
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Sends a request and leaves the answer to be read.
    pub(crate) async fn open(&self, method: &str, path: &str, headers: &[&str], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

pub(crate) fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

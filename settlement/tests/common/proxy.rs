//! A way to a chain's node on which one chosen request, before it reaches the node or before its answer
//! comes back, is the last one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub struct Proxy {
    pub address: SocketAddr,
    /// Points that are still passed: two a request, before and after it.
    left: Arc<AtomicI64>,
    stopped: Arc<Notify>,
}

impl Proxy {
    pub async fn before(node: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (left, stopped) = (Arc::new(AtomicI64::new(i64::MAX)), Arc::new(Notify::new()));
        let (points, stop) = (left.clone(), stopped.clone());
        tokio::spawn(async move {
            let client = reqwest::Client::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (client, node) = (client.clone(), node.clone());
                let (points, stop) = (points.clone(), stop.clone());
                tokio::spawn(async move { serve(stream, &client, &node, &points, &stop).await });
            }
        });
        Self { address, left, stopped }
    }

    /// Lets so many points pass and no more.
    pub fn stop_after(&self, points: i64) {
        self.left.store(points, Ordering::SeqCst);
    }

    /// Ends when that point has come.
    pub async fn stopped(&self) {
        self.stopped.notified().await;
    }
}

/// Answers one request and closes; `None` if whoever asked has gone, or a point was the last.
async fn serve(
    mut stream: TcpStream,
    client: &reqwest::Client,
    node: &str,
    points: &AtomicI64,
    stop: &Notify,
) -> Option<()> {
    let mut read = Vec::new();
    let body = loop {
        let mut part = [0; 4_096];
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length =
            text[..head].split("content-length: ").nth(1)?.split("\r\n").next()?.parse::<usize>().ok()?;
        if read.len() >= head + 4 + length {
            break read[head + 4..head + 4 + length].to_vec();
        }
    };
    passed(points, stop)?;
    let request = client.post(node).header("content-type", "application/json").body(body);
    let answer = request.send().await.ok()?.bytes().await.ok()?;
    passed(points, stop)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&answer).await.ok()
}

fn passed(points: &AtomicI64, stop: &Notify) -> Option<()> {
    if points.fetch_sub(1, Ordering::SeqCst) > 0 {
        return Some(());
    }
    stop.notify_one();
    None
}

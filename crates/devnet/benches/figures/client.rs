//! A keep-alive HTTP/1.1 client that costs little beside the server it loads.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, answer: Vec::with_capacity(4_096) }
    }

    /// Posts a JSON body; returns the status and the body of the answer.
    pub(crate) async fn post(&mut self, path: &str, token: &str, key: &str, body: &str) -> (u16, &str) {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.answer.clear();
        loop {
            let count = self.stream.read_buf(&mut self.answer).await.unwrap();
            assert!(count > 0, "the server closed the connection");
            if let Some(head_end) = end_of_head(&self.answer)
                && self.answer.len() >= head_end + content_length(&self.answer[..head_end])
            {
                let text = std::str::from_utf8(&self.answer).unwrap();
                let status = text[9..12].parse().unwrap();
                return (status, &text[head_end..]);
            }
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn content_length(head: &[u8]) -> usize {
    let text = std::str::from_utf8(head).unwrap().to_ascii_lowercase();
    let line = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    line.expect("every answer has a length").trim().parse().unwrap()
}

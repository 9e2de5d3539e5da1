use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const REVERT: &str =
    r#"{"id": 7, "error": {"code": -32603, "message": "execution reverted", "data": "0x01"}}"#;
const INTERNAL: &str = r#"{"id": 7, "error": {"code": -32603, "message": "Internal error"}}"#;

fn said(status: u16, body: &str) -> Result<Value, TransportError> {
    answer_to(7, StatusCode::from_u16(status).unwrap(), body.as_bytes())
}

#[test]
fn a_failure_of_the_node_is_told_from_an_answer_about_the_call() {
    for (status, body) in [
        (403, r#"{"message": "API key not allowed"}"#),
        (429, r#"{"message": "Too many requests"}"#),
        (429, r#"{"id": 7, "error": {"code": -32000, "message": "already known"}}"#),
        (401, REVERT),
        (503, INTERNAL),
        (200, INTERNAL),
        (200, r#"{"id": 7, "error": {"code": -32005, "message": "limit exceeded"}}"#),
        (502, r#"{"id": 7, "result": "0x1"}"#),
        (200, "{}"),
        (200, "[]"),
        (200, ""),
        (200, "<html>"),
        (200, r#"{"id": 7}"#),
        (200, r#"{"id": 6, "result": "0x1"}"#),
        (200, r#"{"id": 7, "error": "broken"}"#),
    ] {
        let failed = said(status, body).expect_err(body);
        assert!(failed.is_of_the_node(), "{status} {body}: {failed}");
    }
    for (status, body) in [
        (200, REVERT),
        (500, REVERT),
        (400, r#"{"id": 7, "error": {"code": -32000, "message": "nonce too low"}}"#),
        (200, r#"{"id": 7, "error": {"code": -32603, "message": "insufficient funds for gas"}}"#),
        (200, r#"{"id": 7, "error": {"code": -32602, "message": "invalid params"}}"#),
    ] {
        let answered = said(status, body).expect_err(body);
        assert!(!answered.is_of_the_node(), "{status} {body}: {answered}");
    }
    assert_eq!(said(200, r#"{"id": 7, "error": null, "result": "0x1"}"#).unwrap(), "0x1");
    assert_eq!(said(200, r#"{"id": 7, "result": null}"#).unwrap(), Value::Null);
}

/// A node that answers every request so, with the request's id for `ID`.
async fn node(status: &'static str, body: &'static str) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = Vec::new();
            let id = loop {
                let mut part = [0; 4_096];
                let count = stream.read(&mut part).await.unwrap();
                assert!(count > 0, "the request ends early");
                read.extend_from_slice(&part[..count]);
                let text = String::from_utf8_lossy(&read);
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
                if let Ok(request) = serde_json::from_str::<Value>(body) {
                    break request["id"].to_string();
                }
            };
            let (body, close) =
                (body.replace("ID", &id), "connection: close\r\ncontent-type: application/json");
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\n{close}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn the_next_node_is_asked_when_a_provider_fails() {
    let good = node("200 OK", r#"{"id": ID, "result": "0x2a"}"#).await;
    for (status, body) in [
        ("403 Forbidden", r#"{"message": "forbidden"}"#),
        ("429 Too Many Requests", r#"{"message": "slow down"}"#),
        ("200 OK", "{}"),
        ("503 Service Unavailable", r#"{"id": ID, "error": {"code": -32603, "message": "Internal error"}}"#),
    ] {
        let nodes = vec![node(status, body).await, good.clone()];
        let transport = Transport::new(nodes, None, Duration::from_secs(5)).unwrap();
        let answer: String = transport.request("eth_blockNumber", ()).await.unwrap();
        assert_eq!(answer, "0x2a", "{status} {body}");
    }
}

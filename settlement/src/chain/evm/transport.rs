//! JSON-RPC over HTTP with time-outs, a bound on what is read and failover, for ethers' provider.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ethers::providers::{JsonRpcClient, JsonRpcError, ProviderError, RpcError};
use reqwest::StatusCode;
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Value, json};
use url::Url;

use super::errors;
use crate::chain::ChainError;

#[cfg(test)]
mod tests;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Receipts and balances are small; a node that sends more than this is not one.
const MAX_RESPONSE_BYTES: usize = 8 * 1024 * 1024;
/// What a provider answers to whom it does not serve (now): unknown, unpaid, refused, too many requests.
const REFUSED_BY_PROVIDER: [u16; 4] = [401, 402, 403, 429];
const CHAIN_ID_METHOD: &str = "eth_chainId";

/// A connection to a node, and to others that stand in for it.
///
/// The node in use stays in use until it fails; then the next of the list is tried, once round. What
/// one node says is not compared with another: the state machine above expects a node to lag, and
/// believes only what is deep enough.
#[derive(Debug)]
pub(super) struct Transport {
    client: reqwest::Client,
    nodes: Vec<Node>,
    current: AtomicUsize,
    expected_chain_id: Option<u64>,
    next_id: AtomicU64,
}

/// One endpoint.
#[derive(Debug)]
struct Node {
    url: Url,
    /// Whether it has said that it serves the expected chain since it last failed.
    is_trusted: AtomicBool,
}

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// No answer, or no HTTP answer.
    #[error("{0}")]
    Http(String),
    /// More than [`MAX_RESPONSE_BYTES`].
    #[error("the answer is larger than 8 MiB")]
    TooLarge,
    /// Not JSON, or not what was asked for.
    #[error("the answer is not what the JSON-RPC standard says: {0}")]
    Json(#[from] serde_json::Error),
    /// The node's own error.
    #[error("{0}")]
    Node(#[from] JsonRpcError),
    /// It stands in for another node, but for another chain.
    #[error("it serves chain {actual} instead of {expected}")]
    WrongChain {
        /// What it serves.
        actual: String,
        /// The configured chain id.
        expected: u64,
    },
    /// There is more than one node, and each of them failed.
    #[error("every node of [chain] rpc_urls failed: {0}")]
    Every(String),
}

impl TransportError {
    /// Whether another node may do better. What a node answers about a call it would answer again.
    fn is_of_the_node(&self) -> bool {
        match self {
            Self::Http(_) | Self::TooLarge | Self::Json(_) | Self::WrongChain { .. } | Self::Every(_) => true,
            Self::Node(error) => errors::is_of_the_node(error),
        }
    }
}

impl From<TransportError> for ProviderError {
    fn from(error: TransportError) -> Self {
        Self::JsonRpcClientError(Box::new(error))
    }
}

impl RpcError for TransportError {
    fn as_error_response(&self) -> Option<&JsonRpcError> {
        if let Self::Node(error) = self { Some(error) } else { None }
    }

    fn as_serde_error(&self) -> Option<&serde_json::Error> {
        if let Self::Json(error) = self { Some(error) } else { None }
    }
}

impl Transport {
    /// Sets up a client; nothing is sent. With an expected chain id, a node that stands in for another
    /// must say first that it serves that chain.
    ///
    /// # Errors
    /// [`ChainError::Setup`] if there is no node, or TLS cannot be set up.
    pub(super) fn new(
        urls: Vec<Url>,
        expected_chain_id: Option<u64>,
        timeout: Duration,
    ) -> Result<Self, ChainError> {
        if urls.is_empty() {
            return Err(ChainError::Setup("no chain node is configured: set [chain] rpc_url".to_owned()));
        }
        // Whoever installs a provider first wins; any is as good, and a second try changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                ChainError::Setup(format!("cannot set up the connection to the chain: {error}"))
            })?;
        let is_only = urls.len() == 1;
        let nodes = urls.into_iter().map(|url| Node { url, is_trusted: AtomicBool::new(is_only) }).collect();
        let (current, next_id) = (AtomicUsize::new(0), AtomicU64::new(1));
        Ok(Self { client, nodes, current, expected_chain_id, next_id })
    }

    /// Asks one node, after its chain if that is not known yet.
    async fn ask(&self, node: &Node, method: &str, params: &Value) -> Result<Value, TransportError> {
        if let Some(expected) = self.expected_chain_id
            && method != CHAIN_ID_METHOD
            && !node.is_trusted.load(Ordering::Relaxed)
        {
            let actual = self.post(&node.url, CHAIN_ID_METHOD, &json!([])).await?;
            let actual = actual.as_str().unwrap_or_default().to_owned();
            if actual != format!("{expected:#x}") {
                return Err(TransportError::WrongChain { actual, expected });
            }
            node.is_trusted.store(true, Ordering::Relaxed);
        }
        self.post(&node.url, method, params).await
    }

    /// Asks the node in use, and then each other one until one can answer.
    async fn ask_any(&self, method: &str, params: &Value) -> Result<Value, TransportError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for turn in 0..self.nodes.len() {
            let at = (first + turn) % self.nodes.len();
            let Some(node) = self.nodes.get(at) else { break };
            match self.ask(node, method, params).await {
                Err(error) if error.is_of_the_node() => {
                    if self.nodes.len() == 1 {
                        return Err(error);
                    }
                    node.is_trusted.store(false, Ordering::Relaxed);
                    let name = super::host_and_port(&node.url);
                    tracing::warn!(node = name, %error, "a chain node failed; the next one is asked");
                    failures.push(format!("{name}: {error}"));
                }
                answer => {
                    self.current.store(at, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(TransportError::Every(failures.join("; ")))
    }

    async fn post(&self, url: &Url, method: &str, params: &Value) -> Result<Value, TransportError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let (status, bytes) = self.exchange(url, &body).await?;
        answer_to(id, status, &bytes)
    }

    async fn exchange(&self, url: &Url, body: &Value) -> Result<(StatusCode, Vec<u8>), TransportError> {
        let http = |error: reqwest::Error| TransportError::Http(service::cli::one_line(&error.without_url()));
        let mut response = self.client.post(url.clone()).json(body).send().await.map_err(http)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(http)? {
            if bytes.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(TransportError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, bytes))
    }
}

/// What an HTTP answer says to the request with an id. Some nodes answer an error of the call with a status of 4xx or
/// 5xx: then only what is about the call is believed, and anything else is a failure of the node.
fn answer_to(id: u64, status: StatusCode, body: &[u8]) -> Result<Value, TransportError> {
    let parsed = well_formed(id, body);
    if status.is_success() {
        return parsed;
    }
    let is_refused = REFUSED_BY_PROVIDER.contains(&status.as_u16());
    match parsed {
        Err(TransportError::Node(error)) if !is_refused && errors::is_about_the_call(&error) => {
            Err(TransportError::Node(error))
        }
        _ => Err(TransportError::Http(format!("HTTP status {status}"))),
    }
}

fn well_formed(id: u64, body: &[u8]) -> Result<Value, TransportError> {
    let mut answer: Value = serde_json::from_slice(body)?;
    if answer.get("id").and_then(Value::as_u64) != Some(id) {
        return Err(serde_json::Error::custom("it is not to the request that was sent").into());
    }
    let error = answer.get_mut("error").map(Value::take).unwrap_or_default();
    if !error.is_null() {
        return Err(serde_json::from_value::<JsonRpcError>(error)?.into());
    }
    // A result of null is one, such as the receipt of what is not mined; none at all is not.
    let result = answer.get_mut("result").map(Value::take);
    result.ok_or_else(|| serde_json::Error::custom("it has neither a result nor an error").into())
}

#[async_trait]
impl JsonRpcClient for Transport {
    type Error = TransportError;

    async fn request<T, R>(&self, method: &str, params: T) -> Result<R, TransportError>
    where
        T: std::fmt::Debug + Serialize + Send + Sync,
        R: DeserializeOwned + Send,
    {
        // A method without parameters is called with an empty list, which all nodes take.
        let params = match serde_json::to_value(params)? {
            Value::Null => json!([]),
            params => params,
        };
        Ok(serde_json::from_value(self.ask_any(method, &params).await?)?)
    }
}

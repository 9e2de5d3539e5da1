//! JSON-RPC over HTTP with time-outs and a bound on what is read, for ethers' provider.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ethers::providers::{JsonRpcClient, JsonRpcError, ProviderError, RpcError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::chain::ChainError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Receipts and balances are small; a node that sends more than this is not one.
const MAX_RESPONSE_BYTES: usize = 8 * 1024 * 1024;

/// A connection to one node.
#[derive(Debug)]
pub(super) struct Transport {
    client: reqwest::Client,
    url: Url,
    next_id: AtomicU64,
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
    /// Sets up a client; nothing is sent.
    ///
    /// # Errors
    /// [`ChainError::Setup`] if TLS cannot be set up.
    pub(super) fn new(url: Url, timeout: Duration) -> Result<Self, ChainError> {
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
        Ok(Self { client, url, next_id: AtomicU64::new(1) })
    }

    async fn post(&self, body: &Value) -> Result<Vec<u8>, TransportError> {
        let http = |error: reqwest::Error| TransportError::Http(service::cli::one_line(&error.without_url()));
        let mut response = self.client.post(self.url.clone()).json(body).send().await.map_err(http)?;
        // Some nodes answer an error of the call with a status of 4xx or 5xx and JSON all the same.
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(http)? {
            if bytes.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(TransportError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        if bytes.is_empty() { Err(TransportError::Http(format!("HTTP status {status}"))) } else { Ok(bytes) }
    }
}

#[async_trait]
impl JsonRpcClient for Transport {
    type Error = TransportError;

    async fn request<T, R>(&self, method: &str, params: T) -> Result<R, TransportError>
    where
        T: std::fmt::Debug + Serialize + Send + Sync,
        R: DeserializeOwned + Send,
    {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        // A method without parameters is called with an empty list, which all nodes take.
        let params = match serde_json::to_value(params)? {
            Value::Null => json!([]),
            params => params,
        };
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut answer: Value = serde_json::from_slice(&self.post(&body).await?)?;
        let error = answer.get_mut("error").map(Value::take).unwrap_or_default();
        if !error.is_null() {
            return Err(serde_json::from_value::<JsonRpcError>(error)?.into());
        }
        Ok(serde_json::from_value(answer.get_mut("result").map(Value::take).unwrap_or_default())?)
    }
}

//! The few JSON-RPC calls that setting up a local chain takes.

use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a call to the local node failed.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The HTTP client could not be made, or the node could not be reached.
    #[error("the local chain does not answer ({0}); start again")]
    Http(#[from] reqwest::Error),
    /// The node refused.
    #[error("the local chain refused `{method}`: {message}")]
    Refused {
        /// The method that was called.
        method: &'static str,
        /// The node's words.
        message: String,
    },
    /// The answer is not what the method returns.
    #[error("the local chain's answer to `{0}` is not understood; is it anvil?")]
    Answer(&'static str),
    /// An address that is none.
    #[error("`{0}` is no address; give 0x and 40 hex digits")]
    Address(String),
}

/// A client of one node.
#[derive(Debug, Clone)]
pub(super) struct Rpc {
    client: Client,
    url: Url,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Rpc {
    /// A client of the node at `url` on this machine.
    pub(super) fn new(url: Url) -> Result<Self, RpcError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster, with the same result.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        // Plain HTTP on loopback: no proxy, no certificates.
        let client = Client::builder().no_proxy().tls_certs_only([]).timeout(TIMEOUT).build()?;
        Ok(Self { client, url })
    }

    pub(super) async fn chain_id(&self) -> Result<u64, RpcError> {
        let method = "eth_chainId";
        let result = self.call(method, json!([])).await?;
        let digits = result.as_str().and_then(|text| text.strip_prefix("0x"));
        digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(RpcError::Answer(method))
    }

    pub(super) async fn set_balance(&self, address: &str, balance_wei: u128) -> Result<(), RpcError> {
        let digits = address.strip_prefix("0x").unwrap_or_default();
        if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(RpcError::Address(address.chars().take(60).collect()));
        }
        self.call("anvil_setBalance", json!([address, format!("{balance_wei:#x}")])).await?;
        Ok(())
    }

    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let response = self.client.post(self.url.clone()).json(&request).send().await?;
        let answer: Answer = response.error_for_status()?.json().await?;
        match answer.error {
            Some(Refusal { message }) => Err(RpcError::Refused { method, message }),
            None => Ok(answer.result),
        }
    }
}

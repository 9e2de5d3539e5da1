//! Section `[web]` of the configuration.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// Far above what a member sends, and below what keeps others waiting.
const COMMANDS_PER_SECOND: NonZeroU32 = match NonZeroU32::new(1_000) {
    Some(count) => count,
    None => NonZeroU32::MIN,
};

/// Section `[web]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Where the server listens; loopback, unless `allow_public_listen` is set. Port 0 takes a free one.
    pub listen_addr: SocketAddr,
    /// Whether `listen_addr` may be reachable from other machines. Reading needs no token, so put a
    /// proxy that asks for one in front.
    pub allow_public_listen: bool,
    /// Holds the bearer token of the routes that write; made at first start.
    pub token_file: PathBuf,
    /// Scheme and host that members see, such as `https://energy.example`, if a proxy stands in front:
    /// what they sign to link an address names it. Without it, the host that a request was sent to.
    pub public_origin: Option<String>,
    /// A node of the chain that browsers reach and that answers pages of this server, such as
    /// `https://rpc.example`: where the dashboard checks receipts unless its reader chooses another one.
    pub public_rpc_url: Option<String>,
    /// Threads that serve requests.
    pub workers: usize,
    /// The most connections open at once, a worker.
    pub max_connections: usize,
    /// The most clients that follow live events at once.
    pub max_live_clients: usize,
    /// How long a request may take before it is given up.
    pub request_timeout_s: u64,
    /// How long the answer to an order waits for the market's decision.
    pub decision_wait_ms: u64,
    /// How many orders, changes and cancellations one credential may send a second.
    pub max_commands_per_second: NonZeroU32,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen_addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_public_listen: false,
            token_file: PathBuf::from("data/web.token"),
            public_origin: None,
            public_rpc_url: None,
            workers: 2,
            max_connections: 1_024,
            max_live_clients: 256,
            request_timeout_s: 15,
            decision_wait_ms: 2_000,
            max_commands_per_second: COMMANDS_PER_SECOND,
        }
    }
}

/// A setting of `[web]` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidWebConfig {
    /// The address is public and nobody said that it may be.
    #[error(
        "[web] listen_addr {0} can be reached from other machines: listen on 127.0.0.1, or set \
         allow_public_listen = true if a proxy guards it"
    )]
    Public(SocketAddr),
    /// The origin is none.
    #[error("[web] public_origin must be a scheme and a host such as https://energy.example, without a path")]
    Origin,
    /// A bound is zero or far beyond use.
    #[error("[web] {key} must be {from} to {to}, but is {value}")]
    OutOfRange {
        /// Which setting.
        key: &'static str,
        /// Its value.
        value: u64,
        /// The least.
        from: u64,
        /// The most.
        to: u64,
    },
}

impl WebConfig {
    /// Checks what the types alone cannot.
    ///
    /// # Errors
    /// [`InvalidWebConfig`] with the setting to mend.
    pub fn validate(&self) -> Result<(), InvalidWebConfig> {
        if !self.listen_addr.ip().is_loopback() && !self.allow_public_listen {
            return Err(InvalidWebConfig::Public(self.listen_addr));
        }
        let is_origin = |text: &String| {
            let host =
                text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
        };
        if !self.public_origin.as_ref().is_none_or(is_origin) {
            return Err(InvalidWebConfig::Origin);
        }
        let counts = |key, count: usize, to| (key, u64::try_from(count).unwrap_or(u64::MAX), 1, to);
        for (key, value, from, to) in [
            counts("workers", self.workers, 64),
            counts("max_connections", self.max_connections, 65_536),
            counts("max_live_clients", self.max_live_clients, 65_536),
            ("request_timeout_s", self.request_timeout_s, 1, 300),
            ("decision_wait_ms", self.decision_wait_ms, 0, 10_000),
        ] {
            if !(from..=to).contains(&value) {
                return Err(InvalidWebConfig::OutOfRange { key, value, from, to });
            }
        }
        Ok(())
    }

    /// How long a request may take.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s)
    }

    /// How long an order's answer waits for the market.
    #[must_use]
    pub const fn decision_wait(&self) -> Duration {
        Duration::from_millis(self.decision_wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use service::config::ConfigFile;

    use super::*;

    fn web(text: &str) -> WebConfig {
        ConfigFile::parse(text).unwrap().section("web").unwrap()
    }

    #[test]
    fn a_public_address_needs_a_word() {
        assert!(web("").validate().is_ok());
        let public = "[web]\nlisten_addr = '0.0.0.0:80'\n";
        let error = web(public).validate().unwrap_err().to_string();
        assert!(error.contains("allow_public_listen"), "{error}");
        assert!(web(&format!("{public}allow_public_listen = true")).validate().is_ok());
    }

    #[test]
    fn bounds_are_bounded() {
        let error = web("[web]\nworkers = 0").validate().unwrap_err().to_string();
        assert_eq!(error, "[web] workers must be 1 to 64, but is 0");
    }
}

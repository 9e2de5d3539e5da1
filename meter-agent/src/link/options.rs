//! Section `[mqtt]`: where the platform's broker is, and how it is known to be it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rumqttc::v5::MqttOptions;
use rumqttc::{TlsConfiguration, Transport};
use serde::Deserialize;
use url::Url;

const KEEP_ALIVE: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT_S: u64 = 10;
/// Records and acknowledgements are far smaller.
const MAX_PACKET_BYTES: u32 = 64 * 1024;

/// Section `[mqtt]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MqttConfig {
    /// `mqtt://HOST:PORT`, or `mqtts://HOST:PORT` for TLS.
    pub url: String,
    /// PEM file of the authority that signed the broker's certificate; needed for `mqtts`.
    pub ca_file: Option<PathBuf>,
    /// PEM file of this client's certificate; its common name is the agent's id.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file of this client's TLS key, which is not its signing key.
    pub client_key_file: Option<PathBuf>,
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self {
            url: "mqtt://127.0.0.1:1883".to_owned(),
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
        }
    }
}

/// The broker's section cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBroker {
    /// The URL is not one of a broker.
    #[error("[mqtt] url {url:?} is not mqtt://HOST:PORT or mqtts://HOST:PORT")]
    Url {
        /// What it is.
        url: String,
    },
    /// A file cannot be read.
    #[error("[mqtt] {key} {path}: {source}")]
    File {
        /// Which key names it.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// TLS without what it needs.
    #[error("[mqtt] {0}")]
    Tls(&'static str),
}

impl MqttConfig {
    /// The client library's options for a client id.
    ///
    /// # Errors
    /// [`InvalidBroker`] with the key to mend.
    pub fn options(&self, client_id: &str) -> Result<MqttOptions, InvalidBroker> {
        let wrong = || InvalidBroker::Url { url: self.url.chars().take(100).collect() };
        let url = Url::parse(&self.url).map_err(|_| wrong())?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let tls = match url.scheme() {
            "mqtt" | "tcp" => false,
            "mqtts" => true,
            _ => return Err(wrong()),
        };
        let port = url.port().unwrap_or(if tls { 8_883 } else { 1_883 });
        let mut options = MqttOptions::new(client_id, host.trim_matches(['[', ']']), port);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_connection_timeout(CONNECT_TIMEOUT_S);
        options.set_max_packet_size(Some(MAX_PACKET_BYTES));
        // The outbox remembers what is to be sent; the broker need not.
        options.set_clean_start(true);
        if let Some(password) = url.password() {
            options.set_credentials(url.username(), password);
        }
        if tls {
            options.set_transport(Transport::tls_with_config(self.tls()?));
        }
        Ok(options)
    }

    fn tls(&self) -> Result<TlsConfiguration, InvalidBroker> {
        let ca_file = self.ca_file.as_deref();
        let ca_file =
            ca_file.ok_or(InvalidBroker::Tls("ca_file is missing: mqtts needs the broker's authority"))?;
        let client_auth = match (&self.client_certificate_file, &self.client_key_file) {
            (Some(certificate), Some(key)) => {
                Some((read("client_certificate_file", certificate)?, read("client_key_file", key)?))
            }
            (None, None) => None,
            _ => {
                return Err(InvalidBroker::Tls(
                    "client_certificate_file and client_key_file belong together",
                ));
            }
        };
        Ok(TlsConfiguration::Simple { ca: read("ca_file", ca_file)?, alpn: None, client_auth })
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, InvalidBroker> {
    std::fs::read(path).map_err(|source| InvalidBroker::File { key, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> MqttConfig {
        MqttConfig { url: url.to_owned(), ..MqttConfig::default() }
    }

    #[test]
    fn urls_have_default_ports() {
        let address = |url| config(url).options("agent-1").map(|options| options.broker_address());
        assert_eq!(address("mqtt://broker").unwrap(), ("broker".to_owned(), 1_883));
        assert_eq!(address("mqtt://[::1]:77").unwrap(), ("::1".to_owned(), 77));
        for bad in ["broker", "http://broker", "mqtt://", "mqtts://broker"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_file_is_named_with_its_key() {
        let config = MqttConfig { ca_file: Some("/nonexistent/ca".into()), ..config("mqtts://broker") };
        let error = config.options("agent-1").unwrap_err().to_string();
        assert!(error.contains("ca_file") && error.contains("/nonexistent/ca"), "{error}");
    }
}

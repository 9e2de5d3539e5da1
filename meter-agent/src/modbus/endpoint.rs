//! Where a device is reached.

use std::fmt;
use std::str::FromStr;

/// An address of a device or of the gateway it is behind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `tcp://host:port`, Modbus TCP.
    Tcp {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `rtu+tcp://host:port`, Modbus RTU frames over a TCP connection.
    RtuOverTcp {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `mqtt://host:port`, the broker that the device publishes to.
    Mqtt {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// A text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an endpoint: {reason}; use tcp://HOST:PORT, rtu+tcp://HOST:PORT or mqtt://HOST:PORT"
)]
pub struct InvalidEndpoint {
    /// The refused text, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let error = |reason| InvalidEndpoint { text: text.chars().take(100).collect(), reason };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| error("it has no scheme"))?;
        let url =
            url::Url::parse(&format!("modbus://{rest}")).map_err(|_| error("host or port is not valid"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| error("it has no host"))?;
        let extra = !matches!(url.path(), "" | "/") || url.query().is_some() || !url.username().is_empty();
        if extra {
            return Err(error("only a host and a port belong there"));
        }
        let host = host.to_owned();
        let port = |default: u16| url.port().unwrap_or(default);
        match scheme {
            "tcp" => Ok(Self::Tcp { host, port: port(502) }),
            "rtu+tcp" => Ok(Self::RtuOverTcp { host, port: port(502) }),
            "mqtt" => Ok(Self::Mqtt { host, port: port(1883) }),
            "rtu" => Err(error("serial lines are not supported: put a gateway before them")),
            _ => Err(error("its scheme is not known")),
        }
    }
}

impl Endpoint {
    /// Host and port.
    #[must_use]
    pub fn address(&self) -> (&str, u16) {
        match self {
            Self::Tcp { host, port } | Self::RtuOverTcp { host, port } | Self::Mqtt { host, port } => {
                (host.trim_matches(['[', ']']), *port)
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::RtuOverTcp { host, port } => write!(f, "rtu+tcp://{host}:{port}"),
            Self::Mqtt { host, port } => write!(f, "mqtt://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_has_default_ports() {
        for text in
            ["tcp://127.0.0.1:1502", "rtu+tcp://gateway.lan:4196", "mqtt://broker:1884", "tcp://[::1]:502"]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("tcp://meter".parse::<Endpoint>().unwrap().address(), ("meter", 502));
        assert_eq!("tcp://[::1]:502".parse::<Endpoint>().unwrap().address(), ("::1", 502));
    }

    #[test]
    fn anything_else_says_what_to_write() {
        for bad in
            ["meter", "tcp://", "tcp://a:99999", "http://a", "tcp://a/b", "tcp://u@a", "rtu:///dev/ttyUSB0"]
        {
            let error = bad.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains("tcp://HOST:PORT"), "{error}");
        }
    }
}

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
    /// `rtu:///dev/ttyUSB0?baud=9600`, a serial line of this machine.
    Rtu(SerialLine),
    /// `mqtt://host:port`, the broker that the device publishes to.
    Mqtt {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// A serial line of this machine; eight data bits, always.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialLine {
    /// The device file.
    pub path: String,
    /// Its speed in baud.
    pub baud: u32,
    /// Its parity.
    pub parity: Parity,
    /// Whether it has two stop bits instead of one.
    pub two_stop_bits: bool,
}

/// The parity of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parity {
    /// None.
    None,
    /// Even, the protocol's own default.
    Even,
    /// Odd.
    Odd,
}

impl SerialLine {
    fn parse(url: &url::Url) -> Result<Self, &'static str> {
        if !url.path().starts_with('/')
            || url.path().len() < 2
            || url.host_str().is_some_and(|h| !h.is_empty())
        {
            return Err("a serial line is written rtu:///dev/NAME?baud=9600");
        }
        let mut line =
            Self { path: url.path().to_owned(), baud: 9_600, parity: Parity::None, two_stop_bits: false };
        for (key, value) in url.query_pairs() {
            match (key.as_ref(), value.as_ref()) {
                ("baud", baud) => {
                    let baud = baud.parse().ok().filter(|baud| (300..=1_000_000).contains(baud));
                    line.baud = baud.ok_or("baud must be 300 to 1000000")?;
                }
                ("parity", "none") => line.parity = Parity::None,
                ("parity", "even") => line.parity = Parity::Even,
                ("parity", "odd") => line.parity = Parity::Odd,
                ("stop", "1") => line.two_stop_bits = false,
                ("stop", "2") => line.two_stop_bits = true,
                _ => return Err("a serial line has baud=, parity=none|even|odd and stop=1|2, nothing else"),
            }
        }
        Ok(line)
    }
}

impl fmt::Display for SerialLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rtu://{}?baud={}", self.path, self.baud)?;
        match self.parity {
            Parity::None => {}
            Parity::Even => f.write_str("&parity=even")?,
            Parity::Odd => f.write_str("&parity=odd")?,
        }
        if self.two_stop_bits { f.write_str("&stop=2") } else { Ok(()) }
    }
}

/// A text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an endpoint: {reason}; use tcp://HOST:PORT, rtu+tcp://HOST:PORT, rtu:///DEVICE?baud=9600 or \
     mqtt://HOST:PORT"
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
        if scheme == "rtu" {
            return SerialLine::parse(&url).map(Self::Rtu).map_err(error);
        }
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
            _ => Err(error("its scheme is not known")),
        }
    }
}

impl Endpoint {
    /// Whether frames are those of a serial line, where only silence and order tell what belongs together.
    #[must_use]
    pub const fn is_serial(&self) -> bool {
        matches!(self, Self::RtuOverTcp { .. } | Self::Rtu(_))
    }

    /// Host and port; of a serial line its device file, and no port.
    #[must_use]
    pub fn address(&self) -> (&str, u16) {
        match self {
            Self::Tcp { host, port } | Self::RtuOverTcp { host, port } | Self::Mqtt { host, port } => {
                (host.trim_matches(['[', ']']), *port)
            }
            Self::Rtu(line) => (&line.path, 0),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::RtuOverTcp { host, port } => write!(f, "rtu+tcp://{host}:{port}"),
            Self::Rtu(line) => line.fmt(f),
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
    fn serial_lines_have_a_speed_and_a_parity() {
        for text in ["rtu:///dev/ttyUSB0?baud=19200&parity=even&stop=2", "rtu:///dev/pts/3?baud=9600"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        let plain = "rtu:///dev/ttyUSB0".parse::<Endpoint>().unwrap();
        assert!(plain.is_serial() && plain.to_string().ends_with("baud=9600"));
        for bad in ["rtu://host/dev", "rtu:///dev/a?baud=1", "rtu:///dev/a?speed=9600", "rtu://"] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn anything_else_says_what_to_write() {
        for bad in ["meter", "tcp://", "tcp://a:99999", "http://a", "tcp://a/b", "tcp://u@a"] {
            let error = bad.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains("tcp://HOST:PORT"), "{error}");
        }
    }
}

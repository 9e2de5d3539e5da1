//! Asks a running server whether it lives, over plain TCP, for images without any other tool.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(3);
const MAX_HEAD_BYTES: u64 = 64;

/// The server does not say that it lives.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Nothing answers.
    #[error("no answer from http://{addr}/healthz: {source}")]
    NoAnswer {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Something answers, but not that it lives.
    #[error("http://{addr}/healthz answers {answer:?}")]
    Other {
        /// Where.
        addr: SocketAddr,
        /// The start of the answer.
        answer: String,
    },
}

/// Checks the server that listens on `addr` of this machine.
///
/// # Errors
/// [`Unhealthy`] with the reason.
pub fn check(addr: SocketAddr) -> Result<(), Unhealthy> {
    let addr = reachable(addr);
    let answer = ask(addr).map_err(|source| Unhealthy::NoAnswer { addr, source })?;
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(Unhealthy::Other { addr, answer }) }
}

fn ask(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = Vec::new();
    stream.take(MAX_HEAD_BYTES).read_to_end(&mut head)?;
    Ok(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned())
}

/// A server that listens on every address is reached on loopback.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_means_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
        assert_eq!(reachable("[::]:80".parse().unwrap()), "[::1]:80".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:80".parse().unwrap()), "10.0.0.1:80".parse().unwrap());
    }

    #[test]
    fn nobody_there_is_unhealthy() {
        let error = check(SocketAddr::from(([127, 0, 0, 1], 1))).unwrap_err();
        assert!(matches!(error, Unhealthy::NoAnswer { .. }));
    }
}

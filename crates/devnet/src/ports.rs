//! Ports for children and listeners: the preferred one, or a free one in its place.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use tokio::net::TcpSocket;

/// A loopback port that is kept free until its user listens on it.
///
/// The socket is bound but never listens. Linux lets a second socket with `SO_REUSEADDR` (which PostgreSQL,
/// anvil and the broker set) bind and listen on the same port meanwhile, but gives it to nobody who asks for
/// any free port: so no other process can slip in between the choice and the child's start.
///
/// Two runs that prefer the same port could both bind it that way, until one of their children listens and the
/// other's cannot. So a preferred port is claimed with the UDP socket of its number as well, which only one can have.
#[derive(Debug)]
pub struct ReservedPort {
    socket: TcpSocket,
    claim: Option<UdpSocket>,
    port: u16,
    taken: Option<u16>,
}

impl ReservedPort {
    /// Reserves `preferred` on 127.0.0.1, or a free port if it is taken or none is preferred.
    ///
    /// # Errors
    /// When no port can be bound at all.
    pub fn new(preferred: Option<u16>) -> io::Result<Self> {
        if let Some(port) = preferred
            && port != 0
        {
            let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
            if let (Ok(claim), Ok(socket)) = (claim, bind(port)) {
                return Ok(Self { socket, claim: Some(claim), port, taken: None });
            }
            return Ok(Self { taken: Some(port), ..Self::new(None)? });
        }
        let socket = bind(0)?;
        let port = socket.local_addr()?.port();
        Ok(Self { socket, claim: None, port, taken: None })
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// 127.0.0.1 with the port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The preferred port, if it was taken and another one stands in for it.
    #[must_use]
    pub fn taken(&self) -> Option<u16> {
        self.taken
    }

    /// Gives the reservation up, once the user listens.
    pub fn release(self) {
        drop((self.socket, self.claim));
    }
}

fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_reserved_port_can_be_listened_on() {
        let reserved = ReservedPort::new(None).unwrap();
        let listener = TcpListener::bind(reserved.address()).await.unwrap();
        assert_eq!(listener.local_addr().unwrap().port(), reserved.port());
        assert_eq!(reserved.taken(), None);
        reserved.release();
    }

    #[tokio::test]
    async fn a_taken_port_is_replaced_and_reported() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = listener.local_addr().unwrap().port();
        let reserved = ReservedPort::new(Some(taken)).unwrap();
        assert_ne!(reserved.port(), taken);
        assert_eq!(reserved.taken(), Some(taken));
    }

    #[tokio::test]
    async fn two_that_prefer_the_same_port_before_either_listens_get_two() {
        let free = ReservedPort::new(None).unwrap();
        let port = free.port();
        free.release();
        let first = ReservedPort::new(Some(port)).unwrap();
        let second = ReservedPort::new(Some(port)).unwrap();
        assert_eq!((first.port(), second.taken()), (port, Some(port)));
        assert_ne!(second.port(), port);
    }

    #[tokio::test]
    async fn a_free_preferred_port_is_kept() {
        let free = ReservedPort::new(None).unwrap();
        let port = free.port();
        free.release();
        assert_eq!(ReservedPort::new(Some(port)).unwrap().port(), port);
    }
}

//! Opening a connection, and emptying it of answers that nobody waits for any more.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_modbus::client::{Context, rtu, tcp};
use tokio_serial::SerialStream;

use super::{BusError, BusTiming, Endpoint, Parity, SerialLine};

/// A silence this long ends a late answer.
const SILENCE: Duration = Duration::from_millis(50);

/// Connects. On serial framing, what arrives before `drain_until` is thrown away: no more is waited for
/// once a late answer has come.
pub(super) async fn connect(
    endpoint: &Endpoint,
    timing: BusTiming,
    drain_until: Option<Instant>,
) -> Result<Context, BusError> {
    let error = |reason: String| BusError::Connect { endpoint: endpoint.to_string(), reason };
    if let Endpoint::Rtu(line) = endpoint {
        let mut stream = open(line).map_err(|source| error(serial_reason(line, &source)))?;
        drain(&mut stream, drain_until).await;
        sleep(timing.connect_delay).await;
        return Ok(rtu::attach(stream));
    }
    let mut stream = match timeout(timing.connect, TcpStream::connect(endpoint.address())).await {
        Err(_) => return Err(error("no answer: is the address right, and the device on?".to_owned())),
        Ok(Err(source)) => return Err(error(tcp_reason(&source))),
        Ok(Ok(stream)) => stream,
    };
    // Requests are small and wait for their answers: nothing is gained by holding them back.
    stream.set_nodelay(true).map_err(|source| error(source.to_string()))?;
    sleep(timing.connect_delay).await;
    match endpoint {
        Endpoint::RtuOverTcp { .. } => {
            drain(&mut stream, drain_until).await;
            Ok(rtu::attach(stream))
        }
        Endpoint::Tcp { .. } => Ok(tcp::attach(stream)),
        Endpoint::Mqtt { .. } | Endpoint::Rtu(_) => Err(error("no Modbus endpoint over TCP".to_owned())),
    }
}

/// What a machine that cannot be reached says, and what to look at.
fn tcp_reason(source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::ConnectionRefused => format!(
            "{source}: nobody listens there; is Modbus enabled in the device, is the port right (502 or 1502, \
             most often), and is no other client connected?"
        ),
        _ => source.to_string(),
    }
}

/// What a line that cannot be opened says, and what to look at.
fn serial_reason(line: &SerialLine, source: &tokio_serial::Error) -> String {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    let advice = match source.kind() {
        tokio_serial::ErrorKind::NoDevice | tokio_serial::ErrorKind::Io(NotFound) => {
            "is the adapter plugged in? /dev/serial/by-id names those that are"
        }
        tokio_serial::ErrorKind::Io(PermissionDenied) => {
            "the user of this process may not open it: add it to the group that owns the device, often dialout"
        }
        _ => "is it a serial device?",
    };
    format!("{source}: {advice} ({})", line.path)
}

fn open(line: &SerialLine) -> Result<SerialStream, tokio_serial::Error> {
    let parity = match line.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits =
        if line.two_stop_bits { tokio_serial::StopBits::Two } else { tokio_serial::StopBits::One };
    SerialStream::open(&tokio_serial::new(&line.path, line.baud).parity(parity).stop_bits(stop_bits))
}

async fn drain(stream: &mut (impl AsyncRead + Unpin), until: Option<Instant>) {
    let Some(mut until) = until else { return };
    let mut buffer = [0; 256];
    while let Ok(Ok(1..)) = timeout_at(until, stream.read(&mut buffer)).await {
        until = until.min(Instant::now() + SILENCE);
    }
}

//! What the integration tests share: devices that answer as they are told to.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // each test uses its part

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use meter_agent::modbus::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A request that reached a fake device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) transaction: u16,
    pub(crate) unit: u8,
    pub(crate) function: u8,
    pub(crate) address: u16,
    pub(crate) count: u16,
    /// How many requests came before it, on any connection.
    pub(crate) number: usize,
}

/// What a fake device does with a request.
pub(crate) enum Answer {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Says nothing.
    Silence,
    /// Closes the connection.
    Close,
}

impl Request {
    /// A Modbus TCP frame around a PDU.
    pub(crate) fn frame(&self, pdu: &[u8]) -> Vec<u8> {
        let mut bytes = self.transaction.to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(u16::try_from(pdu.len() + 1).unwrap().to_be_bytes());
        bytes.push(self.unit);
        bytes.extend(pdu);
        bytes
    }

    /// The proper answer with these words.
    pub(crate) fn words(&self, words: &[u16]) -> Answer {
        let mut pdu = vec![self.function, u8::try_from(words.len() * 2).unwrap()];
        pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        Answer::Bytes(self.frame(&pdu))
    }

    /// An exception.
    pub(crate) fn exception(&self, code: u8) -> Answer {
        Answer::Bytes(self.frame(&[self.function | 0x80, code]))
    }
}

/// A Modbus TCP device on a free port of this machine, for as long as the test runs.
pub(crate) async fn device(answer: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint =
        Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
    let (answer, number) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, number) = (answer.clone(), number.clone());
            tokio::spawn(async move {
                let mut bytes = [0; 12];
                while stream.read_exact(&mut bytes).await.is_ok() {
                    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                    let request = Request {
                        transaction: word(0),
                        unit: bytes[6],
                        function: bytes[7],
                        address: word(8),
                        count: word(10),
                        number: number.fetch_add(1, Ordering::SeqCst),
                    };
                    match answer(request) {
                        Answer::Bytes(bytes) => stream.write_all(&bytes).await.unwrap(),
                        Answer::Silence => {}
                        Answer::Close => return,
                    }
                }
            });
        }
    });
    endpoint
}

/// The registers of an SDM630: 230.5 V, 50 Hz, import and export in kWh.
pub(crate) fn sdm630(request: &Request, import_kwh: f32, export_kwh: f32) -> Answer {
    let mut registers = [0_u16; 80];
    for (address, value) in [(0, 230.5), (52, -1_234.5), (70, 50.0), (72, import_kwh), (74, export_kwh)] {
        let bytes = value.to_be_bytes();
        registers[address] = u16::from_be_bytes([bytes[0], bytes[1]]);
        registers[address + 1] = u16::from_be_bytes([bytes[2], bytes[3]]);
    }
    if request.address == 64_512 {
        return request.words(&[0x0012, 0xd687]);
    }
    let from = usize::from(request.address);
    match registers.get(from..from + usize::from(request.count)) {
        Some(words) => request.words(words),
        None => request.exception(2),
    }
}

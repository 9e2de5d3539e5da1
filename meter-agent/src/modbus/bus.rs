//! The guarded connection to an endpoint.
//!
//! The protocol library has no timeouts, takes any number of words for an answer, and after one lost
//! answer every later one is off by one. So each call here has a time limit, its answer is counted,
//! and the connection is closed after everything but a proper answer. A call that is dropped half
//! way closes the connection too.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_modbus::client::{Client, Context};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_modbus::{Request, Response};

use super::{Endpoint, line};
use crate::template::{Function, Quirks};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Devices and routers forget idle connections without a word; ours is closed before that.
const IDLE_CLOSE: Duration = Duration::from_secs(45);

/// How an endpoint wants to be spoken to.
#[derive(Debug, Clone, Copy)]
pub struct BusTiming {
    /// How long the connection may take.
    pub connect: Duration,
    /// The silence after connecting.
    pub connect_delay: Duration,
    /// How long an answer may take.
    pub request: Duration,
    /// The silence between requests.
    pub request_gap: Duration,
    /// The silence before another unit is asked, on serial framing.
    pub unit_gap: Duration,
}

impl From<&Quirks> for BusTiming {
    fn from(quirks: &Quirks) -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            connect_delay: Duration::from_millis(quirks.connect_delay_ms),
            request: Duration::from_millis(quirks.request_timeout_ms),
            request_gap: Duration::from_millis(quirks.request_gap_ms),
            unit_gap: Duration::from_millis(quirks.unit_gap_ms),
        }
    }
}

impl BusTiming {
    /// The more patient of two, for devices of several models on one endpoint.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            connect: self.connect.max(other.connect),
            connect_delay: self.connect_delay.max(other.connect_delay),
            request: self.request.max(other.request),
            request_gap: self.request_gap.max(other.request_gap),
            unit_gap: self.unit_gap.max(other.unit_gap),
        }
    }
}

/// What an exception answer means for the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceptionClass {
    /// The device does not have that function or register: asking again does not help.
    NotThere,
    /// The device is busy or starting: ask again later.
    Busy,
    /// The device or what is behind the gateway has failed.
    Failed,
}

/// A request was not answered as it should be.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No connection.
    #[error("cannot connect to {endpoint}: {reason}")]
    Connect {
        /// Where to.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// No answer in time.
    #[error("unit {unit} at {endpoint} did not answer within {limit_ms} ms")]
    Timeout {
        /// Where.
        endpoint: String,
        /// Which unit.
        unit: u8,
        /// The time limit.
        limit_ms: u128,
    },
    /// The connection broke.
    #[error("the connection to {endpoint} broke: {source}")]
    Broken {
        /// Where.
        endpoint: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The answer does not belong to the request.
    #[error("unit {unit} at {endpoint} gave an answer that does not fit the request: {reason}")]
    Answer {
        /// Where.
        endpoint: String,
        /// Which unit.
        unit: u8,
        /// What does not fit.
        reason: String,
    },
    /// The device refused.
    #[error("unit {unit} at {endpoint} refused registers {address} to {last} with exception {code}")]
    Exception {
        /// Where.
        endpoint: String,
        /// Which unit.
        unit: u8,
        /// The first register asked for.
        address: u16,
        /// The last register asked for.
        last: u32,
        /// The exception's code.
        code: u8,
    },
}

impl BusError {
    /// A stable name of the kind of error, for logs and counters.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Timeout { .. } => "timeout",
            Self::Broken { .. } => "broken",
            Self::Answer { .. } => "bad_answer",
            Self::Exception { .. } => match self.exception() {
                Some(ExceptionClass::Busy) => "exception_busy",
                Some(ExceptionClass::NotThere) => "exception_not_there",
                _ => "exception_failed",
            },
        }
    }

    /// What the exception means, if it is one.
    #[must_use]
    pub const fn exception(&self) -> Option<ExceptionClass> {
        match self {
            Self::Exception { code: 1..=3, .. } => Some(ExceptionClass::NotThere),
            Self::Exception { code: 5 | 6, .. } => Some(ExceptionClass::Busy),
            Self::Exception { .. } => Some(ExceptionClass::Failed),
            _ => None,
        }
    }
}

/// The one connection to an endpoint.
pub struct Bus {
    endpoint: Endpoint,
    timing: BusTiming,
    /// Taken out during a call and put back after a proper answer only.
    connection: Option<Context>,
    /// When the last request was sent that has no proper answer.
    unanswered_since: Option<Instant>,
    last_used: Instant,
    last_unit: Option<u8>,
}

impl Bus {
    /// A connection that is opened with the first request.
    #[must_use]
    pub fn new(endpoint: Endpoint, timing: BusTiming) -> Self {
        Self {
            endpoint,
            timing,
            connection: None,
            unanswered_since: None,
            last_used: Instant::now(),
            last_unit: None,
        }
    }

    /// Makes the connection at least as patient as `timing`.
    pub fn be_patient(&mut self, timing: BusTiming) {
        self.timing = self.timing.max(timing);
    }

    /// Reads `count` registers of a unit. An old connection that turns out to be broken is renewed
    /// once; nothing else is retried here.
    ///
    /// # Errors
    /// [`BusError`]; after any but an exception the connection is closed.
    pub async fn read(
        &mut self,
        unit: u8,
        function: Function,
        address: u16,
        count: u16,
    ) -> Result<Vec<u16>, BusError> {
        if self.last_used.elapsed() > IDLE_CLOSE {
            self.close();
        }
        let reused = self.connection.is_some();
        match self.read_once(unit, function, address, count).await {
            Err(BusError::Broken { .. }) if reused => self.read_once(unit, function, address, count).await,
            result => result,
        }
    }

    /// Closes the connection, for devices that serve one client at a time.
    pub fn close(&mut self) {
        self.connection = None;
    }

    async fn read_once(
        &mut self,
        unit: u8,
        function: Function,
        address: u16,
        count: u16,
    ) -> Result<Vec<u16>, BusError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                // An answer that is on its way still would be taken for that of the next request.
                let drain_until = self.unanswered_since.map(|since| since + 2 * self.timing.request);
                let drain_until = drain_until.filter(|_| self.endpoint.is_serial());
                line::connect(&self.endpoint, self.timing, drain_until).await?
            }
        };
        self.keep_silence(unit).await;
        self.unanswered_since = Some(Instant::now());
        connection.set_slave(Slave(unit));
        let request = match function {
            Function::Holding => Request::ReadHoldingRegisters(address, count),
            Function::Input => Request::ReadInputRegisters(address, count),
        };
        let answer = timeout(self.timing.request, connection.call(request)).await;
        self.last_used = Instant::now();
        self.last_unit = Some(unit);
        let limit_ms = self.timing.request.as_millis();
        let endpoint = || self.endpoint.to_string();
        let unfit = |reason| BusError::Answer { endpoint: endpoint(), unit, reason };
        let result = match answer {
            Err(_) => Err(BusError::Timeout { endpoint: endpoint(), unit, limit_ms }),
            Ok(Err(tokio_modbus::Error::Transport(source)))
                if source.kind() == std::io::ErrorKind::InvalidData =>
            {
                Err(unfit(source.to_string()))
            }
            Ok(Err(tokio_modbus::Error::Transport(source))) => {
                Err(BusError::Broken { endpoint: endpoint(), source })
            }
            Ok(Err(tokio_modbus::Error::Protocol(error))) => {
                Err(unfit(error.to_string().chars().take(200).collect()))
            }
            Ok(Ok(Err(code))) => Err(BusError::Exception {
                endpoint: endpoint(),
                unit,
                address,
                last: u32::from(address) + u32::from(count.saturating_sub(1)),
                code: code.into(),
            }),
            Ok(Ok(Ok(Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words))))
                if words.len() == usize::from(count) =>
            {
                Ok(words)
            }
            Ok(Ok(Ok(_))) => Err(unfit(format!("not {count} words"))),
        };
        if matches!(result, Ok(_) | Err(BusError::Exception { .. })) {
            self.connection = Some(connection);
            self.unanswered_since = None;
        }
        result
    }

    async fn keep_silence(&mut self, unit: u8) {
        let other_unit = self.last_unit.is_some_and(|last| last != unit);
        let serial = self.endpoint.is_serial();
        let gap = if other_unit && serial {
            self.timing.unit_gap.max(self.timing.request_gap)
        } else {
            self.timing.request_gap
        };
        if self.last_unit.is_some() {
            sleep(gap.saturating_sub(self.last_used.elapsed())).await;
        }
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

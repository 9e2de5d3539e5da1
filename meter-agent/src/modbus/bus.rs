//! The guarded connection to an endpoint.
//!
//! The protocol library has no timeouts, takes any number of words for an answer, and after one lost
//! answer every later one is off by one. So each call here has a time limit, its answer is counted,
//! and the connection is closed after everything but a proper answer. A call that is dropped half
//! way closes the connection too.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_modbus::client::{Client, Context};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_modbus::{Request, Response};

use super::patience::Patience;
use super::{Endpoint, line};
use crate::template::{Function, Quirks};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Devices and routers forget idle connections without a word; ours is closed before that.
const IDLE_CLOSE: Duration = Duration::from_secs(45);
/// An endpoint that has failed is waited for if it is for no longer than this.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// A device that does not answer another number of registers this often in a row never does. By then the line has
/// been silent for longer than any answer takes.
const MAX_SILENCES: u8 = 2;

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
    /// On serial framing, units that owe an answer, so that what they say next may be that one; and how often
    /// they were silent since when asked which it is.
    owing: BTreeMap<u8, u8>,
    last_used: Instant,
    last_unit: Option<u8>,
    patience: Patience,
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
            owing: BTreeMap::new(),
            last_used: Instant::now(),
            last_unit: None,
            patience: Patience::new(0),
        }
    }

    /// The same connection, its tries after failures spread by `seed`.
    #[must_use]
    pub fn with_jitter(mut self, seed: u64) -> Self {
        self.patience = Patience::new(seed);
        self
    }

    /// The same connection, opened as often as it is asked for: for looking for units, most of which are not
    /// there.
    #[must_use]
    pub fn without_backoff(mut self) -> Self {
        self.patience = Patience::none();
        self
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
        let mut words = self.ask(unit, function, address, count).await?;
        let Some(silences) = self.owing.get(&unit).copied() else { return Ok(words) };
        if silences < MAX_SILENCES {
            words = match self.confirmed(unit, function, address, words).await {
                Err(error @ BusError::Timeout { .. }) => {
                    self.owing.insert(unit, silences + 1);
                    return Err(error);
                }
                words => words?,
            };
        }
        self.owing.remove(&unit);
        Ok(words)
    }

    /// The words, if they are the answer to the request just made and not to an earlier one, which on serial
    /// framing looks the same. A request for another number of words tells: were it a step behind, its answer
    /// would have as many words as those before.
    async fn confirmed(
        &mut self,
        unit: u8,
        function: Function,
        address: u16,
        words: Vec<u16>,
    ) -> Result<Vec<u16>, BusError> {
        let count = u16::try_from(words.len()).unwrap_or(u16::MAX);
        let other = if count > 1 { count - 1 } else { count + 1 };
        match self.ask(unit, function, address, other).await {
            Ok(_) => Ok(words),
            // A refusal may be that of the request before: then the answer to this one has too few words.
            Err(error) if error.exception().is_some() => self.ask(unit, function, address, count).await,
            Err(error) => Err(error),
        }
    }

    async fn ask(
        &mut self,
        unit: u8,
        function: Function,
        address: u16,
        count: u16,
    ) -> Result<Vec<u16>, BusError> {
        let request = || match function {
            Function::Holding => Request::ReadHoldingRegisters(address, count),
            Function::Input => Request::ReadInputRegisters(address, count),
        };
        let accept = |response| match response {
            Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words)
                if words.len() == usize::from(count) =>
            {
                Ok(words)
            }
            _ => Err(format!("not {count} words")),
        };
        self.call(unit, address, count, request, accept).await
    }

    /// Writes registers of a unit (function 16). Writing the same again must be harmless: a connection that
    /// turns out to be broken is renewed once.
    ///
    /// # Errors
    /// As [`Bus::read`].
    pub async fn write(&mut self, unit: u8, address: u16, words: &[u16]) -> Result<(), BusError> {
        let count = u16::try_from(words.len()).unwrap_or(u16::MAX);
        let request = || Request::WriteMultipleRegisters(address, Cow::Owned(words.to_vec()));
        let accept = |response| match response {
            Response::WriteMultipleRegisters(at, written) if (at, written) == (address, count) => Ok(()),
            _ => Err(format!("not the confirmation of {count} words at register {address}")),
        };
        self.call(unit, address, count, request, accept).await
    }

    async fn call<T>(
        &mut self,
        unit: u8,
        address: u16,
        count: u16,
        request: impl Fn() -> Request<'static>,
        accept: impl Fn(Response) -> Result<T, String>,
    ) -> Result<T, BusError> {
        if self.last_used.elapsed() > IDLE_CLOSE {
            self.close();
        }
        let reused = self.connection.is_some();
        if !reused {
            self.wait_after_failures().await?;
        }
        let result = match self.call_once(unit, address, count, request(), &accept).await {
            Err(BusError::Broken { .. }) if reused => {
                self.call_once(unit, address, count, request(), &accept).await
            }
            result => result,
        };
        match &result {
            Ok(_) | Err(BusError::Exception { .. }) => self.patience.answered(),
            Err(BusError::Connect { .. } | BusError::Broken { .. }) => self.patience.failed(Instant::now()),
            // A serial line is always open, however many of its units are dead.
            Err(_) if self.endpoint.is_serial() => {}
            Err(BusError::Timeout { .. } | BusError::Answer { .. }) => self.patience.silent(Instant::now()),
        }
        result
    }

    /// Waits for a short time, and gives up at once for a long one: other endpoints are waiting.
    async fn wait_after_failures(&mut self) -> Result<(), BusError> {
        let Some(wait) = self.patience.wait(Instant::now()) else { return Ok(()) };
        if wait > SHORT_WAIT {
            let reason = format!("it has just failed, the next try is in {} ms", wait.as_millis());
            return Err(BusError::Connect { endpoint: self.endpoint.to_string(), reason });
        }
        sleep(wait).await;
        Ok(())
    }

    /// Closes the connection, for devices that serve one client at a time.
    pub fn close(&mut self) {
        self.connection = None;
    }

    async fn call_once<T>(
        &mut self,
        unit: u8,
        address: u16,
        count: u16,
        request: Request<'static>,
        accept: &impl Fn(Response) -> Result<T, String>,
    ) -> Result<T, BusError> {
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
        let owed = self.owing.contains_key(&unit);
        if self.endpoint.is_serial() && !owed {
            self.owing.insert(unit, 0);
        }
        connection.set_slave(Slave(unit));
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
            Ok(Ok(Ok(response))) => accept(response).map_err(unfit),
        };
        if matches!(result, Ok(_) | Err(BusError::Exception { .. })) {
            self.connection = Some(connection);
            self.unanswered_since = None;
            if !owed {
                self.owing.remove(&unit);
            }
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

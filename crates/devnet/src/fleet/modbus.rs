//! A Modbus TCP endpoint with several devices behind it, told apart by unit id.

use std::future::{Ready, ready};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::time::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::Server;
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bank::MeterBank;
use super::identity::Identity;
use super::{DeviceKind, sdm630, sunspec};

/// Clients that an endpoint serves at once; more are hung up on.
const MAX_CLIENTS: usize = 32;
/// Greatest number of registers a request may ask for (Modbus application protocol V1.1b3, 6.3 and 6.4).
const MAX_WORDS: u16 = 125;
/// Pause after a failed accept, for example when all file handles are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The functions that a device may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// Function 3.
    ReadHolding,
    /// Function 4.
    ReadInput,
}

/// Registers that lie side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) function: Function,
    /// Address of the first one, counted from 0.
    pub(super) start: u16,
    pub(super) words: Vec<u16>,
}

/// A device behind the gateway.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) unit_id: u8,
    site_index: usize,
    kind: DeviceKind,
    identity: Identity,
    peak_w: u32,
}

/// The Modbus devices of one group of sites.
#[derive(Debug, Clone)]
pub(super) struct Gateway(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    units: Vec<Unit>,
    bank: Arc<MeterBank>,
    clock: Clock,
}

impl Gateway {
    /// The devices at the sites from `first_site` on; those whose kind is not on Modbus are left out.
    pub(super) fn new(first_site: usize, kinds: &[DeviceKind], bank: Arc<MeterBank>, clock: Clock) -> Self {
        let on_modbus = |kind: &DeviceKind| matches!(kind, DeviceKind::Sdm630 | DeviceKind::SunSpec);
        let sites = kinds.iter().enumerate().filter(|(_, kind)| on_modbus(kind));
        let unit = |(unit_id, (offset, &kind)): (u8, (usize, &DeviceKind))| {
            let site_index = first_site + offset;
            let identity = Identity::of(&bank.data().sites.get(site_index)?.id);
            Some(Unit { unit_id, site_index, kind, identity, peak_w: bank.peak_w(site_index) })
        };
        let units = (1_u8..).zip(sites).filter_map(unit).collect();
        Self(Arc::new(Inner { units, bank, clock }))
    }

    /// The device at a site.
    pub(super) fn unit_of(&self, site_index: usize) -> Option<Unit> {
        self.0.units.iter().find(|unit| unit.site_index == site_index).cloned()
    }

    /// Listens on a free port until `stop`; none if there is no device to serve.
    pub(super) async fn listen(
        &self,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> io::Result<Option<SocketAddr>> {
        if self.0.units.is_empty() {
            return Ok(None);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (gateway, stop) = (self.clone(), stop.clone());
        tasks.spawn(async move {
            stop.run_until_cancelled(gateway.serve(Server::new(listener))).await;
        });
        Ok(Some(address))
    }

    async fn serve(self, server: Server) {
        let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
        let on_connected = |stream: TcpStream, _| {
            let permit = Arc::clone(&clients).try_acquire_owned().ok();
            let client = permit.map(|permit| Client { gateway: self.clone(), _permit: permit });
            async move {
                stream.set_nodelay(true)?;
                Ok(client.map(|client| (client, stream)))
            }
        };
        let on_error = |error| tracing::debug!(%error, "a Modbus client of a simulated device went away");
        loop {
            // It returns only after an error, and then has let go of its clients: they connect again.
            if let Err(error) = server.serve(&on_connected, on_error).await {
                tracing::warn!(%error, "a simulated Modbus endpoint cannot accept clients");
            }
            sleep(ACCEPT_PAUSE).await;
        }
    }

    fn answer(&self, request: &SlaveRequest<'_>) -> Result<Response, ExceptionCode> {
        let unit = self.0.units.iter().find(|unit| unit.unit_id == request.slave);
        // A gateway says so when nobody answers behind it.
        let unit = unit.ok_or(ExceptionCode::GatewayTargetDevice)?;
        let (function, address, count) = match request.request {
            Request::ReadHoldingRegisters(address, count) => (Function::ReadHolding, address, count),
            Request::ReadInputRegisters(address, count) => (Function::ReadInput, address, count),
            _ => return Err(ExceptionCode::IllegalFunction),
        };
        let blocks = self.blocks(unit)?;
        let mut blocks = blocks.iter().filter(|block| block.function == function).peekable();
        if blocks.peek().is_none() {
            return Err(ExceptionCode::IllegalFunction);
        }
        if count == 0 || count > MAX_WORDS {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let words = blocks.find_map(|block| block.read(address, count));
        let words = words.ok_or(ExceptionCode::IllegalDataAddress)?;
        Ok(match function {
            Function::ReadHolding => Response::ReadHoldingRegisters(words),
            Function::ReadInput => Response::ReadInputRegisters(words),
        })
    }

    /// All registers of a device, taken at one instant so that they agree with each other.
    fn blocks(&self, unit: &Unit) -> Result<Vec<Block>, ExceptionCode> {
        let registers = self.0.bank.registers(unit.site_index, self.0.clock.now());
        let registers = registers.ok_or(ExceptionCode::ServerDeviceFailure)?;
        Ok(match unit.kind {
            DeviceKind::SunSpec => sunspec::blocks(&unit.identity, &registers, unit.peak_w),
            DeviceKind::Sdm630 | DeviceKind::ShellyPro3Em => sdm630::blocks(&unit.identity, &registers),
        })
    }
}

impl Block {
    fn read(&self, address: u16, count: u16) -> Option<Vec<u16>> {
        let from = usize::from(address.checked_sub(self.start)?);
        Some(self.words.get(from..from + usize::from(count))?.to_vec())
    }
}

/// One connected client.
struct Client {
    gateway: Gateway,
    _permit: OwnedSemaphorePermit,
}

impl Service for Client {
    type Request = SlaveRequest<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Response, ExceptionCode>>;

    fn call(&self, request: Self::Request) -> Self::Future {
        ready(self.gateway.answer(&request))
    }
}

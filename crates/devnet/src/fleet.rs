//! Simulated meters and inverters behind the protocols of real ones.
//!
//! What a device shows is a pure function of the data set, the demonstration's epoch and the time (see [`bank`]), so a
//! run that was killed goes on with the same registers; a battery keeps its state in a file ([`storage`]). Which device a site has follows from the site: with
//! photovoltaics a SunSpec inverter with its meter on Modbus TCP, otherwise by turns an Eastron SDM630 on Modbus TCP
//! and a Shelly Pro 3EM on MQTT. Modbus devices of a group of sites share one endpoint with a unit id each, as behind
//! a gateway.

pub mod bank;
mod identity;
mod modbus;
pub mod profile_clock;
mod sdm630;
mod shelly;
pub mod storage;
mod sunspec;

use std::net::SocketAddr;
use std::sync::Arc;

use domain::time::Clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::dataset::Site;
use bank::MeterBank;
use identity::Identity;
use modbus::{Gateway, Unit};

/// Greatest number of sites in a group, and so of unit ids on a Modbus endpoint.
pub const GROUP_SIZE: usize = 16;

/// The kind of device a site has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Eastron SDM630, Modbus.
    Sdm630,
    /// Three-phase inverter with a meter at the connection point, SunSpec models 1, 103 and 203.
    SunSpec,
    /// Shelly Pro 3EM, MQTT 3.1.1.
    ShellyPro3Em,
}

impl DeviceKind {
    /// Id of the meter agent's template for this kind.
    #[must_use]
    pub fn template_id(self) -> &'static str {
        match self {
            Self::Sdm630 => "eastron_sdm630",
            Self::SunSpec => "sunspec_inverter_meter",
            Self::ShellyPro3Em => "shelly_pro_3em",
        }
    }

    /// The kind of each site, in the order of `sites`.
    #[must_use]
    pub fn of_sites(sites: &[Site]) -> Vec<Self> {
        let mut without_pv = 0_usize;
        let kind = |site: &Site| {
            if site.pv_peak_w > 0 {
                return Self::SunSpec;
            }
            without_pv += 1;
            if without_pv % 2 == 1 { Self::Sdm630 } else { Self::ShellyPro3Em }
        };
        sites.iter().map(kind).collect()
    }
}

/// Where a device is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// On Modbus TCP.
    Modbus {
        /// Address of the endpoint, shared by the group.
        address: SocketAddr,
        /// The device's unit id on it.
        unit_id: u8,
    },
    /// On MQTT.
    Mqtt {
        /// The part of its topics before `/status/em:0`.
        topic_prefix: String,
    },
}

/// A simulated device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The site it measures.
    pub site_id: String,
    /// Position of the site in the data set.
    pub site_index: usize,
    /// Number of the group of up to [`GROUP_SIZE`] sites, from 0: one meter agent each.
    pub group: usize,
    /// What it is.
    pub kind: DeviceKind,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The serial number it reports.
    pub serial: String,
}

impl Device {
    /// The Modbus endpoint as a URL, `tcp://127.0.0.1:PORT`; none for a device on MQTT.
    #[must_use]
    pub fn modbus_url(&self) -> Option<String> {
        match &self.endpoint {
            Endpoint::Modbus { address, .. } => Some(format!("tcp://{address}")),
            Endpoint::Mqtt { .. } => None,
        }
    }
}

/// Why the devices could not be started.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A listener could not be made.
    #[error("no port for a simulated Modbus device ({0}); check the machine's network set-up and open files")]
    Listen(std::io::Error),
    /// The broker's URL cannot be used.
    #[error("`{0}` is no broker that a simulated Shelly can reach; give mqtt://HOST:PORT")]
    MqttUrl(Url),
}

/// The running devices. They stop with [`FleetHandle::stop`] or the token they were started with.
#[derive(Debug)]
pub struct FleetHandle {
    devices: Vec<Device>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl FleetHandle {
    /// One device a site, in the order of the data set.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Stops the devices and waits until they are gone.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Starts one device a site of `bank`. Those on MQTT publish to `mqtt_url` (MQTT 3.1.1); all of them show what `bank` says
/// at the time of `clock`. Must be called within a tokio runtime.
///
/// # Errors
/// When a listener cannot be made or the broker's URL cannot be used. A broker that is not there is no
/// error: the devices keep trying.
pub async fn start(
    bank: Arc<MeterBank>,
    mqtt_url: &Url,
    clock: Clock,
    stop: &CancellationToken,
) -> Result<FleetHandle, FleetError> {
    let broker = shelly::BrokerAddress::parse(mqtt_url)?;
    let kinds = DeviceKind::of_sites(&bank.data().sites);
    let stop = stop.child_token();
    let tasks = TaskTracker::new();
    let mut devices = Vec::with_capacity(kinds.len());
    for (group, kinds) in kinds.chunks(GROUP_SIZE).enumerate() {
        let first_site = group * GROUP_SIZE;
        let gateway = Gateway::new(first_site, kinds, Arc::clone(&bank), clock.clone());
        let address = gateway.listen(&tasks, &stop).await.map_err(FleetError::Listen)?;
        for (offset, &kind) in kinds.iter().enumerate() {
            let site_index = first_site + offset;
            let site_id = bank.data().sites[site_index].id.clone();
            let identity = Identity::of(&site_id);
            let (endpoint, serial) = match (kind, gateway.unit_of(site_index), address) {
                (DeviceKind::Sdm630, Some(Unit { unit_id, .. }), Some(address)) => {
                    (Endpoint::Modbus { address, unit_id }, identity.serial.to_string())
                }
                (_, Some(Unit { unit_id, .. }), Some(address)) => {
                    (Endpoint::Modbus { address, unit_id }, sunspec::serial(&identity))
                }
                _ => {
                    let shelly = shelly::Shelly::new(&identity, site_index, &bank, &clock);
                    let topic_prefix = shelly.topic_prefix().to_owned();
                    shelly.spawn(&broker, &tasks, &stop);
                    (Endpoint::Mqtt { topic_prefix: topic_prefix.clone() }, topic_prefix)
                }
            };
            devices.push(Device { site_id, site_index, group, kind, endpoint, serial });
        }
    }
    Ok(FleetHandle { devices, tasks, stop })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_from_the_site() {
        let site = |pv_peak_w| Site {
            id: "x".into(),
            connection_node: String::new(),
            load_kinds: Vec::new(),
            load_profiles: Vec::new(),
            load_peak_w: 1,
            pv_peak_w,
            battery_wh: 0,
            battery_w: 0,
        };
        let kinds = DeviceKind::of_sites(&[site(0), site(5), site(0), site(0), site(7)]);
        use DeviceKind::{Sdm630, ShellyPro3Em, SunSpec};
        assert_eq!(kinds, [Sdm630, SunSpec, ShellyPro3Em, Sdm630, SunSpec]);
    }
}

//! The meter agents of the demonstration: one for a group of sites, with a key and an outbox of its own.

use std::collections::BTreeMap;
use std::path::Path;

use domain::ids::{AgentId, CommunityId};
use meter_agent::keys;
use meter_agent::{AgentConfig, AgentDeps, DeviceConfig};
use rand::Rng;
use store::PgPool;

use crate::enrol::Enrolment;
use crate::fleet::{Device, Endpoint};
use crate::real_meter::RealMeter;

/// The file of an agent's signing key, in the agent's folder.
const KEY_FILE: &str = "signing-key.pem";

/// An agent that can be started: its configuration and what it is given.
pub struct Agent {
    /// What it reads.
    pub config: AgentConfig,
    /// Its key, clock and names.
    pub deps: AgentDeps,
}

/// Makes the keys that are missing and announces them all; then approves them, as an operator would who has
/// compared the fingerprints.
///
/// # Errors
/// When a key cannot be stored or the database does not answer.
pub async fn enrol(
    pool: &PgPool,
    community: &CommunityId,
    state: &Path,
    enrolments: &[Enrolment],
) -> anyhow::Result<()> {
    for agent_id in agent_ids(enrolments) {
        let key = keys::load_or_create(&key_file(state, &agent_id), &mut rand::rng())?;
        let public = keys::public_key(&key);
        store::agents::upsert_pending(pool, community, &agent_id, &public.sec1, &public.fingerprint).await?;
        if !store::agents::approve(pool, community, &agent_id, &public.fingerprint).await? {
            anyhow::bail!(
                "{agent_id} has another key than the one stored: its folder was replaced; start over with --fresh"
            );
        }
    }
    Ok(())
}

/// Puts the agents together: each reads the devices of its sites.
///
/// # Errors
/// When a key cannot be read.
pub fn assemble(
    state: &Path,
    community: &store::communities::Community,
    enrolments: &[Enrolment],
    devices: &[Device],
    real: &[RealMeter],
    device_mqtt_url: &str,
) -> anyhow::Result<Vec<Agent>> {
    let mut by_agent: BTreeMap<&AgentId, Vec<DeviceConfig>> = BTreeMap::new();
    for (enrolment, device) in enrolments.iter().zip(devices) {
        let config = match real.iter().find(|meter| meter.site_id == device.site_id) {
            Some(meter) => meter.device(enrolment),
            None => simulated(enrolment, device, device_mqtt_url),
        };
        by_agent.entry(&enrolment.meter.agent_id).or_default().push(config);
    }
    let agent = |(agent_id, devices): (&AgentId, Vec<DeviceConfig>)| {
        let signing_key = keys::load_or_create(&key_file(state, agent_id), &mut rand::rng())?;
        let data_dir = state.join("agents").join(agent_id.as_str());
        let section = serde_json::json!({
            "community_id": community.community_id.as_str(),
            "agent_id": agent_id.as_str(),
            "slot_length_s": community.slot_length.seconds(),
            "data_dir": data_dir,
            "resend_after_ms": 3_000,
        });
        let config = AgentConfig { devices, ..serde_json::from_value(section)? };
        let mut rng = rand::rng();
        let boot_id = format!("{:016x}", rng.next_u64());
        let deps = AgentDeps {
            clock: domain::time::Clock::System,
            signing_key,
            boot_id,
            jitter_seed: rng.next_u64(),
        };
        Ok(Agent { config, deps })
    };
    by_agent.into_iter().map(agent).collect()
}

fn simulated(enrolment: &Enrolment, device: &Device, device_mqtt_url: &str) -> DeviceConfig {
    let (endpoint, unit, topic) = match &device.endpoint {
        Endpoint::Modbus { address, unit_id } => (format!("tcp://{address}"), Some(*unit_id), None),
        Endpoint::Mqtt { topic_prefix } => (device_mqtt_url.to_owned(), None, Some(topic_prefix.clone())),
    };
    DeviceConfig {
        meter_id: enrolment.meter.meter_id.to_string(),
        site_id: device.site_id.clone(),
        template: device.kind.template_id().to_owned(),
        endpoint,
        unit,
        topic,
        one_way: None,
    }
}

fn agent_ids(enrolments: &[Enrolment]) -> Vec<AgentId> {
    let mut ids: Vec<_> = enrolments.iter().map(|enrolment| enrolment.meter.agent_id.clone()).collect();
    ids.dedup();
    ids
}

fn key_file(state: &Path, agent_id: &AgentId) -> std::path::PathBuf {
    state.join("agents").join(agent_id.as_str()).join(KEY_FILE)
}

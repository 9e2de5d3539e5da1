//! Prints a signed record, a line break and the public key in PEM form, for verifiers of other makers.

use std::collections::BTreeMap;
use std::io::Write;

use chrono::DateTime;
use domain::ids::{AgentId, CommunityId, MeterId};
use domain::reading::{Reading, Register, Registers};
use domain::units::Power;
use meter_agent::keys;
use meter_agent::ocmf::{self, Record, TimeStatus};
use meter_agent::source::Device;
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::Generate;

fn main() -> anyhow::Result<()> {
    let key = SigningKey::generate_from_rng(&mut rand::rng());
    let register = |mwh| Register::from_mwh(mwh);
    let record = Record {
        community_id: CommunityId::new("demo")?,
        agent_id: AgentId::new("agent-1")?,
        reading: Reading {
            meter_id: MeterId::new("meter-7")?,
            epoch: 1,
            seq: 12,
            slot_end: DateTime::from_timestamp(1_795_000_500, 0).unwrap_or_default(),
            read_at: DateTime::from_timestamp_millis(1_795_000_500_123).unwrap_or_default(),
            registers: Registers {
                import: register(24_547_765_625)?,
                export: register(10_250_000)?,
                production: Some(register(1)?),
            },
            power: Some(Power::from_w(-1_234)),
        },
        previous: [0; 32],
        boot_id: "boot".to_owned(),
        time_status: TimeStatus::Synchronised,
        template: "eastron_sdm630@1".to_owned(),
        device: Device {
            vendor: "Eastron".to_owned(),
            model: "SDM630".to_owned(),
            serial: Some("1234567".to_owned()),
        },
        raw: BTreeMap::from([("import_energy", "46BFC788".to_owned())]),
    };
    let text = format!("{}\n{}", ocmf::sign(&record, &key), keys::public_key_pem(key.verifying_key())?);
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

//! `meter-agent enrol`: makes the agent's key, announces it to the platform and says what the operator is
//! to approve; with `--rotate`, replaces it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use domain::time::Clock;
use p256::ecdsa::SigningKey;
use rand::RngExt;
use rumqttc::v5::mqttbytes::QoS;
use serde_json::json;
use service::config::ConfigFile;
use service::lifecycle::Shutdown;

use crate::config::AgentPlan;
use crate::enrolment::{Answer, announce};
use crate::link::{self, LinkEvent};
use crate::outbox::Outbox;
use crate::template::Library;
use crate::wire::{enrolment_answer_topic, enrolment_topic};
use crate::{AgentConfig, MqttConfig, agent, keys};

/// Options of `meter-agent enrol`.
#[derive(Debug, clap::Args)]
pub(super) struct EnrolArgs {
    /// Replace the approved key by a new one, which the old one signs. The agent must be stopped and its
    /// outbox empty: what waits there is signed by the old key.
    #[arg(long)]
    rotate: bool,
    /// How long to wait for the platform's answer, in seconds.
    #[arg(long, default_value_t = 15)]
    wait_s: u64,
    /// Print one JSON object on one line.
    #[arg(long)]
    json: bool,
}

/// Announces the key and prints what the platform says.
///
/// # Errors
/// If the configuration cannot be used, nobody answers, or the platform counts another key.
pub(super) async fn enrol(args: &EnrolArgs, file: &ConfigFile) -> anyhow::Result<()> {
    // An error means that a provider is installed already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let config: AgentConfig = file.section("meter-agent")?;
    let mqtt: MqttConfig = file.section("mqtt")?;
    let plan = AgentPlan::check(&config, &Library::embedded()?)?;
    let key = keys::load_or_create(&plan.key_file, &mut rand::rng())?;
    let next = if args.rotate { Some(next_key(&plan, config.outbox_max_records)?) } else { None };
    let (announced, message) = match &next {
        Some((_, next)) => (next, announce(&plan.community_id, &plan.agent_id, next, Some(&key))),
        None => (&key, announce(&plan.community_id, &plan.agent_id, &key, None)),
    };
    let fingerprint = keys::public_key(announced).fingerprint;
    let wait = Duration::from_secs(args.wait_s);
    let answer = tokio::time::timeout(wait, ask(&plan, &mqtt, &message)).await;
    let answer = answer.ok().with_context(|| {
        format!("fingerprint {fingerprint} was announced, but ingest did not answer within {} s", args.wait_s)
    })??;
    ensure!(
        answer.fingerprint == fingerprint,
        "the platform counts another key of {} ({}, {}): an operator must revoke it, or rotate with it",
        plan.agent_id,
        answer.fingerprint,
        answer.status
    );
    if let Some((path, _)) = next {
        ensure!(
            answer.status == "approved",
            "the platform did not take the new key: it is {}",
            answer.status
        );
        std::fs::rename(&path, &plan.key_file)
            .with_context(|| format!("cannot rename {}", path.display()))?;
    }
    let report = json!({
        "agent_id": plan.agent_id.as_str(),
        "fingerprint": fingerprint,
        "status": answer.status,
    });
    super::print_report(&report, args.json)
}

/// The key that is to follow; the same one if an earlier attempt had no answer.
fn next_key(plan: &AgentPlan, max_records: u64) -> anyhow::Result<(PathBuf, SigningKey)> {
    let waiting =
        Outbox::open(&plan.outbox_file, max_records, agent::epoch_of(Clock::System.now()))?.depth()?;
    if waiting > 0 {
        bail!("{waiting} records signed by the old key wait in the outbox: let the agent deliver them first");
    }
    let path = following(&plan.key_file);
    let key = keys::load_or_create(&path, &mut rand::rng())?;
    Ok((path, key))
}

fn following(key_file: &Path) -> PathBuf {
    key_file.with_extension("next.pem")
}

/// Announces and waits for the answer.
async fn ask(plan: &AgentPlan, mqtt: &MqttConfig, message: &str) -> anyhow::Result<Answer> {
    let options = mqtt.options(&format!("{}-enrol", plan.agent_id))?;
    let shutdown = Shutdown::new();
    let mut link = link::open(options, 8, 8, rand::rng().random(), shutdown.clone());
    let answers = enrolment_answer_topic(&plan.community_id, &plan.agent_id);
    let topic = enrolment_topic(&plan.community_id, &plan.agent_id);
    while let Some(event) = link.events.recv().await {
        match event {
            LinkEvent::Connected => {
                link.client.try_subscribe(&answers, QoS::AtLeastOnce).context("cannot subscribe")?;
                link.client
                    .try_publish(&topic, QoS::AtLeastOnce, false, message.to_owned())
                    .context("cannot publish")?;
            }
            LinkEvent::Message { payload, .. } => {
                if let Ok(answer) = serde_json::from_slice(&payload) {
                    shutdown.stop();
                    return Ok(answer);
                }
            }
            LinkEvent::Deaf { reason } => bail!("the broker refuses to tell us the answer: {reason}"),
            LinkEvent::Refused { reason } => bail!("the broker refuses the announcement: {reason}"),
            LinkEvent::Disconnected => {}
        }
    }
    bail!("the connection to the broker ended")
}

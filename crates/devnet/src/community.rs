//! The demonstration's community: made at the first start, found again at the next.

use anyhow::bail;
use domain::ids::CommunityId;
use domain::slot::SlotLength;
use market::enrolment::CommunityConfig;
use service::config::ConfigFile;
use store::PgPool;
use store::communities::{self, Community};
use store::members;

use crate::cli::DemoArgs;
use crate::dataset::DataSet;

/// The configuration that the demonstration starts from: the one of the repository.
const CONFIG: &str = include_str!("../../../config/busbar.toml");
/// How many slots a slot opens ahead, and how many it waits for readings.
const SLOTS_AHEAD: u32 = 4;
const DEADLINE_SLOTS: u32 = 6;
/// A quarter-hour at the largest connection of a low-voltage network.
const MAX_ORDER_WH: i64 = 1_000_000;

/// Reads the configuration and sets what the demonstration decides itself.
///
/// # Errors
/// A configuration that cannot be used.
pub fn config(args: &DemoArgs) -> anyhow::Result<ConfigFile> {
    let environment = std::env::vars();
    let mut config = match &args.config {
        Some(path) => ConfigFile::load(path, environment)?,
        None => ConfigFile::parse(CONFIG)?,
    };
    let slot_s = args.slot.seconds();
    let name = args.community_name();
    for (key, value) in [
        ("slot_length_s", i64::from(slot_s)),
        ("open_lead_s", i64::from(slot_s * SLOTS_AHEAD)),
        ("gate_closure_lead_s", 0),
        ("metering_deadline_s", i64::from(slot_s * DEADLINE_SLOTS)),
        ("max_order_wh", MAX_ORDER_WH),
    ] {
        config.set("community", key, value)?;
    }
    config.set("community", "community_id", name.clone())?;
    config.set("community", "name", name)?;
    Ok(config)
}

/// Reads every section once, so that a mistake in any of them is found before anything is made.
///
/// # Errors
/// The first section that cannot be used.
pub fn check(config: &ConfigFile) -> anyhow::Result<()> {
    config.section::<CommunityConfig>("community")?.community(chrono::DateTime::UNIX_EPOCH)?;
    config.section::<service::telemetry::TelemetryConfig>("telemetry")?;
    config.section::<service::database::DatabaseConfig>("database")?;
    config.section::<meter_agent::MqttConfig>("mqtt")?.options("check")?;
    config.section::<meter_agent::ingest::IngestConfig>("ingest")?;
    config.section::<market::MarketConfig>("market")?.check()?;
    config.section::<settlement::config::ChainConfig>("chain")?.validate()?;
    config.section::<settlement::config::SettlementConfig>("settlement")?.validate()?;
    config.section::<web::WebConfig>("web")?.validate()?;
    Ok(())
}

/// Finds the community, or makes it. A stored one must be of the same data and slot length.
///
/// # Errors
/// When what is stored does not fit what was asked for.
pub async fn find_or_insert(
    pool: &PgPool,
    config: &ConfigFile,
    data: &DataSet,
    args: &DemoArgs,
    now: chrono::DateTime<chrono::Utc>,
) -> anyhow::Result<Community> {
    let section: CommunityConfig = config.section("community")?;
    let opens_at = crate::cli::first_opening(now, args.slot);
    let (community, tariff) = section.community(opens_at)?;
    let mut tx = pool.begin().await?;
    if communities::insert(&mut *tx, &community).await? {
        communities::insert_tariff(&mut *tx, &community.community_id, opens_at, &tariff).await?;
    }
    tx.commit().await?;
    let stored = communities::find(pool, &community.community_id).await?.unwrap_or(community);
    check_slot(stored.slot_length, args.slot)?;
    check_sites(pool, &stored.community_id, data).await?;
    Ok(stored)
}

fn check_slot(stored: SlotLength, asked: SlotLength) -> anyhow::Result<()> {
    if stored != asked {
        bail!(
            "this community was started with slots of {} s: go on with --slot {}s, or start over with --fresh",
            stored.seconds(),
            stored.seconds()
        );
    }
    Ok(())
}

/// A community that has sites must have those of the data.
async fn check_sites(pool: &PgPool, id: &CommunityId, data: &DataSet) -> anyhow::Result<()> {
    let stored = members::sites(pool, id).await?;
    let same = stored.len() == data.sites.len()
        && stored.iter().all(|site| data.sites.iter().any(|new| new.id == site.site_id.as_str()));
    if !stored.is_empty() && !same {
        bail!(
            "the data folder has other sites than this community was started with: start over with --fresh"
        );
    }
    Ok(())
}

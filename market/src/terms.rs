//! The terms of a slot, as the rows hold them: what its orders are checked against, whoever asks.

use chrono::{DateTime, Utc};
use domain::fees::NetworkFees;
use store::communities::{self, Community};
use store::zones::SiteZone;
use store::{PgPool, network_fees, zones};

use crate::rules::SlotRules;
use crate::validate::SlotTerms;

/// The terms of a slot.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What orders are checked against. Zones go by their numbers in `fees`.
    pub(crate) terms: SlotTerms,
    /// The network fees among the zones that were given.
    pub(crate) fees: NetworkFees,
}

/// Reads the terms of the slot that starts at `slot_start`, with the fees among the zones of `sites`.
///
/// # Errors
/// The database's error, no tariff for the slot, too many zones, or fees that no price can hold.
pub(crate) async fn of_slot(
    pool: &PgPool,
    community: &Community,
    slot_start: DateTime<Utc>,
    sites: &[SiteZone],
) -> anyhow::Result<Loaded> {
    let id = &community.community_id;
    let gate_closure = SlotRules::of(community).gate_closure(slot_start);
    let tariff = communities::tariff_at(pool, id, slot_start).await?;
    let fees = network_fees::of_slot(pool, id, slot_start, &tariff, sites).await?;
    let late = zones::late(pool, id, slot_start).await?;
    let terms = SlotTerms::new(gate_closure, &tariff, community.max_order)?.with_network_fees(
        &fees,
        tariff.platform_fee(),
        &late,
    )?;
    Ok(Loaded { terms, fees })
}

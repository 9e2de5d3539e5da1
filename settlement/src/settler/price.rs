//! Pricing the next metered slot: statements, their Merkle root, and a batch of positions.

use std::collections::HashMap;

use domain::fees::NetworkFees;
use domain::ids::{AccountId, SiteId, ZoneId};
use rand::Rng;
use receipt::merkle::Tree;
use receipt::{Address, SlotRevision};
use store::StoreError;
use store::batches::{self, BatchRow, BatchStatus};
use store::metering::MeteredSite;
use store::notify::{self, Event, Kind};
use store::slots::{self, SlotRow, SlotStatus};
use store::statements::{self, SALT_BYTES, StatementRow};
use store::zones::{self, SiteZone};
use store::{communities, grid_limits, members, metering, network_fees, receipts, trades};

use crate::context::{Context, Settling};
use crate::error::SettleError;
use crate::finish::{advance, slot_settled};
use crate::netting::{self, Positions};
use crate::pricing::{self, SiteEnergy, SlotInput};
use crate::rows::statement_row;

/// How many slots are tried before one that can be priced; those that cannot stay `metered`.
const MAX_TRIED: i64 = 16;

/// Prices the earliest metered slot that can be, if there is one. A slot that moves no money is
/// settled at once.
pub(super) async fn next_slot(settling: &Settling, salts: &mut impl Rng) -> Result<bool, SettleError> {
    let context = &settling.context;
    let metered = SlotStatus::Metered;
    let mut failed = None;
    for slot in slots::with_status(&context.pool, &context.community_id, metered, MAX_TRIED).await? {
        match price(settling, &slot, salts).await {
            Ok(()) => return Ok(true),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(false), Err)
}

async fn price(settling: &Settling, slot: &SlotRow, salts: &mut impl Rng) -> Result<(), SettleError> {
    let rows = statements_of(&settling.context, slot, salts).await?;
    let owed = owed(&settling.context, slot, &rows).await?;
    store_batch(settling, slot, &rows, &owed).await
}

async fn statements_of(
    context: &Context,
    slot: &SlotRow,
    salts: &mut impl Rng,
) -> Result<Vec<StatementRow>, SettleError> {
    let (pool, community) = (&context.pool, &context.community_id);
    let (start, revision) = (slot.slot_start, slot.revision);
    let tariff = communities::tariff_at(pool, community, start).await?;
    let zones = zones::of_sites(pool, community).await?;
    let fees = network_fees::of_slot(pool, community, start, &tariff, &zones).await?;
    let sites = sites(context, slot, &fees, &zones).await?;
    let trades: Vec<_> =
        trades::of_slot(pool, community, start).await?.into_iter().map(|row| row.trade).collect();
    let input = SlotInput {
        tariff: &tariff,
        fees: &fees,
        limits: grid_limits::of_slot(pool, community, start).await?,
        sites: &sites,
        trades: &trades,
        fills: &metering::closing_fills(pool, community, start, revision).await?,
        pairs: &metering::closing_pairs(pool, community, start, revision).await?,
    };
    let statements =
        pricing::price(&input).map_err(|source| SettleError::Pricing { slot: start.to_rfc3339(), source })?;
    let addresses = addresses(context).await?;
    statements
        .into_iter()
        .map(|statement| {
            let mut salt = [0; SALT_BYTES];
            salts.fill_bytes(&mut salt);
            let address = addresses.get(&statement.account_id).copied().ok_or_else(|| {
                let account = &statement.account_id;
                SettleError::Inconsistent(format!(
                    "account {account} has no address on the chain: enrol it first"
                ))
            })?;
            Ok(statement_row(statement, address, salt))
        })
        .collect()
}

/// What each site metered, with its account and the number of its zone.
async fn sites(
    context: &Context,
    slot: &SlotRow,
    fees: &NetworkFees,
    zones: &[SiteZone],
) -> Result<Vec<SiteEnergy>, SettleError> {
    let (pool, community) = (&context.pool, &context.community_id);
    let zones: HashMap<&SiteId, &ZoneId> = zones.iter().map(|site| (&site.site_id, &site.zone_id)).collect();
    let enrolled: HashMap<SiteId, AccountId> = members::sites(pool, community)
        .await?
        .into_iter()
        .map(|site| Ok((site.site_id, AccountId::of_member(&site.member_id)?)))
        .collect::<Result<_, SettleError>>()?;
    let metered = metering::of_slot(pool, community, slot.slot_start, slot.revision).await?;
    let site = |site: MeteredSite| {
        let account_id = enrolled.get(&site.site_id).cloned();
        let zone = zones.get(&site.site_id).and_then(|zone| fees.number(zone));
        let (Some(account_id), Some(zone)) = (account_id, zone) else {
            let what = format!("site {} is metered but not enrolled", site.site_id);
            return Err(SettleError::Inconsistent(what));
        };
        let (site_id, metered, substituted) = (site.site_id, site.metered, site.substituted);
        Ok(SiteEnergy { site_id, account_id, zone, metered, substituted })
    };
    metered.into_iter().map(site).collect()
}

async fn addresses(context: &Context) -> Result<HashMap<AccountId, Address>, SettleError> {
    let accounts = members::accounts(&context.pool, &context.community_id).await?;
    let parsed = accounts.into_iter().map(|account| Ok((account.account_id, account.chain_address.parse()?)));
    parsed.collect()
}

/// What this revision owes beyond the one before.
async fn owed(context: &Context, slot: &SlotRow, rows: &[StatementRow]) -> Result<Positions, SettleError> {
    let mut previous = Positions::new();
    if slot.revision > 0 {
        let earlier = slot.revision - 1;
        previous = statements::nets(&context.pool, &context.community_id, slot.slot_start, earlier)
            .await?
            .into_iter()
            .collect();
        if previous.is_empty() {
            return Err(SettleError::Inconsistent(format!(
                "slot {} is at revision {} but has no statements of revision {earlier}: nothing is settled, so \
                 that nothing is paid twice",
                slot.slot_start, slot.revision
            )));
        }
    }
    let current = rows.iter().map(|row| (row.account_id.clone(), row.net)).collect();
    netting::differences(&current, &previous)
        .map_err(|source| SettleError::Netting { slot: slot.slot_start.to_rfc3339(), source })
}

async fn store_batch(
    settling: &Settling,
    slot: &SlotRow,
    rows: &[StatementRow],
    owed: &Positions,
) -> Result<(), SettleError> {
    let Settling { context, domain, .. } = settling;
    let (community, now) = (&context.community_id, context.clock.now());
    let (start, revision) = (slot.slot_start, slot.revision);
    let end = start + settling.slot_length.delta();
    let slot_revision = SlotRevision { start, end, revision };
    let tree = Tree::new(receipts::leaves(domain, &slot_revision, rows))
        .ok_or_else(|| SettleError::Inconsistent(format!("slot {start} has no statements")))?;
    let status = if owed.is_empty() { BatchStatus::Void } else { BatchStatus::Prepared };
    let batch_id = domain.batch_id(start, revision);
    let batch = BatchRow { batch_id, slot_start: start, revision, statement_root: tree.root(), status };
    let owed: Vec<_> = owed.iter().map(|(account, net)| (account.clone(), *net)).collect();

    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    let priced =
        slots::advance(&mut *tx, community, start, SlotStatus::Metered, SlotStatus::Priced, now).await?;
    advance(priced, "slot")?;
    statements::insert_all(&mut *tx, community, start, revision, rows).await?;
    batches::insert(&mut *tx, community, &batch, now).await?;
    batches::insert_owed(&mut *tx, community, &batch.batch_id, &owed).await?;
    if status == BatchStatus::Void {
        slot_settled(&mut tx, context, start, revision).await?;
    } else {
        notify::send(&mut *tx, &Event::new(Kind::Slot, community, Some(start))).await?;
    }
    notify::send(&mut *tx, &Event::new(Kind::Batch, community, Some(start))).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(slot = %start, revision, positions = owed.len(), status = status.as_str(), "priced a slot");
    Ok(())
}

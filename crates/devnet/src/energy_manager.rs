//! The energy managers of households with a battery: each asks the market for its battery's plan, as any member's
//! controller could, and lets the battery follow it.
//!
//! A plan is asked for in the middle of each slot and again just before the next one, which its first step is for.
//! An answer that does not come changes nothing: the battery goes on with the steps that it has, and then serves its
//! own site.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId, SiteId};
use domain::time::Clock;
use pilot::settings::{Preset, Settings};
use reqwest::Client;
use serde::Deserialize;
use service::lifecycle::Shutdown;
use store::{PgPool, StoreError, autopilot};
use url::Url;

use crate::enrol::Enrolment;
use crate::fleet::bank::MeterBank;
use crate::fleet::profile_clock::ProfileClock;
use crate::fleet::storage::{Plan, RESERVE_PERCENT};
use crate::real_meter::RealMeter;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Twice a slot, the second time when a tenth of it is left.
const LOOKS: (u32, u32) = (9, 20);

/// A household whose battery is managed.
#[derive(Debug, Clone)]
pub struct Household {
    /// Whose it is.
    pub member_id: MemberId,
    /// Its site.
    pub site_id: SiteId,
    /// The site's position in the data set.
    pub site_index: usize,
}

fn households(enrolments: &[Enrolment], bank: &MeterBank, real: &[RealMeter]) -> Vec<Household> {
    let household = |site_index: usize| {
        let site = &enrolments.get(site_index)?.site;
        let is_real = real.iter().any(|meter| meter.site_id == site.site_id.as_str());
        let (member_id, site_id) = (site.member_id.clone(), site.site_id.clone());
        (!is_real).then_some(Household { member_id, site_id, site_index })
    };
    bank.battery_sites().filter_map(household).collect()
}

/// Tells the autopilots of the households whose battery is simulated that it follows the plan, as their members would;
/// what a member has set since stays. Returns these households: all that have one, but for those with a real meter.
///
/// # Errors
/// When the database does not answer.
pub async fn switch_on(
    pool: &PgPool,
    community: &CommunityId,
    enrolments: &[Enrolment],
    (bank, real): (&MeterBank, &[RealMeter]),
    now: DateTime<Utc>,
) -> Result<Vec<Household>, StoreError> {
    const NEVER_SET: i32 = 0;
    let households = households(enrolments, bank, real);
    let mut tx = pool.begin().await?;
    for Household { member_id, site_id, site_index } in &households {
        let preset = enrolments.get(*site_index).and_then(|one| Preset::parse(&one.member.preset));
        let settings = Settings {
            follows_battery_plan: true,
            battery_reserve_percent: RESERVE_PERCENT,
            ..Settings::of_preset(preset)
        };
        let by = member_id.as_str();
        autopilot::change(&mut tx, community, site_id, &settings, Some(NEVER_SET), by, now).await?;
    }
    tx.commit().await?;
    Ok(households)
}

/// Asks for the plans of all households.
#[derive(Debug)]
pub struct EnergyManager {
    client: Client,
    api: Url,
    community_id: CommunityId,
    households: Vec<Household>,
    bank: Arc<MeterBank>,
    clock: Clock,
}

/// Why a plan was not had.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The server cannot be reached or does not answer as it says.
    #[error("the API gives no plan ({0}); the battery goes on without a newer one")]
    Http(#[from] reqwest::Error),
    /// The address cannot be made.
    #[error("the address of a forecast is not valid: {0}")]
    Address(#[from] url::ParseError),
}

/// What is read of the answer to `GET …/sites/{site}/forecast`.
#[derive(Debug, Deserialize)]
struct Forecast {
    battery_plan: Option<BatteryPlan>,
}

#[derive(Debug, Deserialize)]
struct BatteryPlan {
    reserve_wh: i64,
    slots: Vec<BatterySlot>,
}

#[derive(Debug, Deserialize)]
struct BatterySlot {
    slot_start: DateTime<Utc>,
    charge_wh: i64,
    discharge_wh: i64,
}

impl EnergyManager {
    /// Managers of `households` that ask the API at `api`, `http://HOST:PORT`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        api: Url,
        community_id: CommunityId,
        households: Vec<Household>,
        bank: Arc<MeterBank>,
        clock: Clock,
    ) -> Result<Self, PlanError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster, with the same result.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        Ok(Self { client, api, community_id, households, bank, clock })
    }

    /// Asks in every slot until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        let slot = Duration::from_micros(self.bank.clock().slot_us());
        let interval = slot * LOOKS.0 / LOOKS.1;
        while !shutdown.is_stopping() {
            shutdown.sleep(self.bank.clock().pause(self.clock.now(), interval)).await;
            // The rhythm begins anew with each slot, when there is nothing to ask for yet.
            if !shutdown.is_stopping() && !self.is_slots_beginning() {
                self.look().await;
            }
        }
    }

    fn is_slots_beginning(&self) -> bool {
        let clock = self.bank.clock();
        clock.position(self.clock.now()).is_none_or(|position| position.into_slot_us < clock.slot_us() / 4)
    }

    /// Asks once for every household, one after the other; returns how many plans there are.
    pub async fn look(&self) -> usize {
        let (mut plans, mut failed, mut last) = (0_usize, 0_usize, None);
        for household in &self.households {
            match self.plan(household).await {
                Ok(Some(plan)) => {
                    plans += 1;
                    self.bank.follow(household.site_index, plan);
                }
                Ok(None) => {}
                Err(error) => {
                    failed += 1;
                    last = Some(error);
                }
            }
        }
        if let Some(error) = last {
            tracing::warn!(failed, %error, "batteries have no new plan");
        }
        plans
    }

    async fn plan(&self, household: &Household) -> Result<Option<Plan>, PlanError> {
        let (community, member, site) = (&self.community_id, &household.member_id, &household.site_id);
        // Ids need no escaping: letters, digits, `-`, `_` and `.` are all that they may hold.
        let path = format!("api/v1/communities/{community}/members/{member}/sites/{site}/forecast");
        let answer = self.client.get(self.api.join(&path)?).send().await?.error_for_status()?;
        let forecast: Forecast = answer.json().await?;
        Ok(forecast.battery_plan.map(|plan| plan.by_slot(self.bank.clock())))
    }
}

impl BatteryPlan {
    /// By the slots of the profile's clock; what lies before its epoch is left out.
    fn by_slot(self, clock: &ProfileClock) -> Plan {
        let step = |slot: BatterySlot| {
            let position = clock.position(slot.slot_start)?;
            Some((position.slot, slot.charge_wh.saturating_sub(slot.discharge_wh)))
        };
        Plan { reserve_wh: self.reserve_wh, steps: self.slots.into_iter().filter_map(step).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_the_api_gives_it() {
        let answer = r#"{"site_id": "a", "made_at": null, "slot_length_s": 10, "learned_from_slots": 3, "slots": [],
            "battery_plan": {"capacity_wh": 10000, "power_w": 4000, "reserve_wh": 1000, "charge_permille": 950,
                "discharge_permille": 950, "stored_before_wh": 1000, "slots": [
                {"slot_start": "2026-03-01T11:59:50Z", "charge_wh": 1, "discharge_wh": 0, "loss_wh": 0, "stored_wh": 1},
                {"slot_start": "2026-03-01T12:00:00Z", "charge_wh": 500, "discharge_wh": 0, "loss_wh": 25,
                    "stored_wh": 1475},
                {"slot_start": "2026-03-01T12:00:20Z", "charge_wh": 0, "discharge_wh": 95, "loss_wh": 5,
                    "stored_wh": 1375}]}}"#;
        let forecast: Forecast = serde_json::from_str(answer).unwrap();
        let epoch = "2026-03-01T12:00:00Z".parse().unwrap();
        let clock = ProfileClock::new(epoch, Duration::from_secs(10), 900, 96).unwrap();
        let plan = forecast.battery_plan.unwrap().by_slot(&clock);
        assert_eq!(plan, Plan { reserve_wh: 1_000, steps: [(0, 500), (2, -95)].into() });
        let none: Forecast = serde_json::from_str(r#"{"battery_plan": null}"#).unwrap();
        assert!(none.battery_plan.is_none());
    }
}

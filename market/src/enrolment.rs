//! Section `[community]` of the configuration: a community's rules and its first tariff.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{CommunityId, InvalidId};
use domain::slot::{InvalidSlotLength, SlotLength};
use domain::tariff::{InvalidTariff, Tariff};
use domain::units::{Energy, Price};
use serde::Deserialize;
use store::communities::Community;

/// Section `[community]`. Prices are in micro-currency per kWh: 320 000 is 32 ct.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommunityConfig {
    /// Its id, 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`.
    pub community_id: String,
    /// Its name, as shown.
    pub name: String,
    /// The currency's code.
    pub currency: String,
    /// The length of a slot: 300 to 3600 in production, 10 and up in a demonstration; divides the hour.
    pub slot_length_s: u32,
    /// How long before its start a slot opens for orders.
    pub open_lead_s: u32,
    /// How long before its start a slot closes for orders.
    pub gate_closure_lead_s: u32,
    /// How long after its end a slot waits for readings.
    pub metering_deadline_s: u32,
    /// The largest order.
    pub max_order_wh: i64,
    /// What imported energy costs at the grid.
    pub retail_micro_per_kwh: i64,
    /// What exported energy earns at the grid.
    pub feed_in_micro_per_kwh: i64,
    /// Paid to the network by the buyer of local energy.
    pub network_fee_micro_per_kwh: i64,
    /// Paid to the platform by the buyer of local energy.
    pub platform_fee_micro_per_kwh: i64,
}

impl Default for CommunityConfig {
    fn default() -> Self {
        Self {
            community_id: "community".to_owned(),
            name: "Energy community".to_owned(),
            currency: "EUR".to_owned(),
            slot_length_s: 900,
            open_lead_s: 24 * 3_600,
            gate_closure_lead_s: 0,
            metering_deadline_s: 24 * 3_600,
            max_order_wh: 100_000,
            retail_micro_per_kwh: 320_000,
            feed_in_micro_per_kwh: 80_000,
            network_fee_micro_per_kwh: 30_000,
            platform_fee_micro_per_kwh: 2_000,
        }
    }
}

/// A value of `[community]` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommunity {
    /// Its id.
    #[error("[community] community_id: {0}")]
    Id(#[from] InvalidId),
    /// Its slot length.
    #[error("[community] slot_length_s: {0}")]
    Slot(#[from] InvalidSlotLength),
    /// Its prices.
    #[error("[community]: {0}")]
    Tariff(#[from] InvalidTariff),
    /// Its times or bounds do not fit together.
    #[error("[community] {0}")]
    Rules(&'static str),
}

impl CommunityConfig {
    /// The community, opening at `market_opens_at`, and the tariff that holds from then.
    ///
    /// # Errors
    /// [`InvalidCommunity`] with the key to mend.
    pub fn community(&self, market_opens_at: DateTime<Utc>) -> Result<(Community, Tariff), InvalidCommunity> {
        if self.open_lead_s <= self.gate_closure_lead_s {
            return Err(InvalidCommunity::Rules("open_lead_s must be more than gate_closure_lead_s"));
        }
        if self.metering_deadline_s == 0 || self.max_order_wh <= 0 {
            return Err(InvalidCommunity::Rules("metering_deadline_s and max_order_wh must be above zero"));
        }
        if !(3..=8).contains(&self.currency.len()) || !self.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(InvalidCommunity::Rules("currency must be a code such as EUR"));
        }
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(
            price(self.retail_micro_per_kwh),
            price(self.feed_in_micro_per_kwh),
            price(self.network_fee_micro_per_kwh),
            price(self.platform_fee_micro_per_kwh),
        )?;
        let seconds = |s: u32| TimeDelta::seconds(i64::from(s));
        let community = Community {
            community_id: CommunityId::new(&self.community_id)?,
            name: self.name.clone(),
            currency: self.currency.clone(),
            slot_length: SlotLength::from_seconds(self.slot_length_s)?,
            market_opens_at,
            open_lead: seconds(self.open_lead_s),
            gate_closure_lead: seconds(self.gate_closure_lead_s),
            metering_deadline: seconds(self.metering_deadline_s),
            max_order: Energy::from_wh(self.max_order_wh),
            contract: None,
        };
        Ok((community, tariff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_a_community() {
        let (community, tariff) = CommunityConfig::default().community(DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(community.slot_length.seconds(), 900);
        assert_eq!(tariff.highest_limit().unwrap().micro_per_kwh(), 288_000);
    }

    #[test]
    fn each_bad_value_is_named() {
        let base = CommunityConfig::default();
        for (config, named) in [
            (CommunityConfig { community_id: "a b".into(), ..base.clone() }, "community_id"),
            (CommunityConfig { slot_length_s: 7, ..base.clone() }, "slot_length_s"),
            (CommunityConfig { open_lead_s: 0, ..base.clone() }, "open_lead_s"),
            (CommunityConfig { currency: "euro".into(), ..base.clone() }, "currency"),
            (CommunityConfig { feed_in_micro_per_kwh: 400_000, ..base }, "tariff"),
        ] {
            let error = config.community(DateTime::UNIX_EPOCH).unwrap_err().to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
    }
}

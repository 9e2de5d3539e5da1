//! Section `[market]` of the configuration.

use std::path::PathBuf;

use serde::Deserialize;

/// How the market process runs; what its communities' rules are is in the database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarketConfig {
    /// How long a loop waits at most before it looks again, in milliseconds; hints end the wait
    /// earlier. A slot opens and closes at most this late.
    pub poll_interval_ms: u64,
    /// How many communities this process leads at most. Each holds one database connection.
    pub max_communities: usize,
    /// Lead only these communities; empty means any.
    pub communities: Vec<String>,
    /// Whether the autopilot places orders.
    pub autopilot: bool,
    /// How much of its forecast the autopilot trades for those who are hands-off, in per cent (1 to 100).
    pub forecast_share_percent: u8,
    /// A file that is touched while the loops turn, for a health check.
    pub heartbeat_file: Option<PathBuf>,
}

impl Default for MarketConfig {
    fn default() -> Self {
        Self {
            poll_interval_ms: 250,
            max_communities: 4,
            communities: Vec::new(),
            autopilot: true,
            forecast_share_percent: pilot::intent::USUAL_SHARE_PERCENT,
            heartbeat_file: None,
        }
    }
}

/// A value of `[market]` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[market] {key} = {value} is not possible: {expected}")]
pub struct InvalidMarketConfig {
    /// Which key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What it must be.
    pub expected: &'static str,
}

impl MarketConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`InvalidMarketConfig`] with the key that is wrong.
    pub fn check(&self) -> Result<(), InvalidMarketConfig> {
        let wrong = |key, value: String, expected| Err(InvalidMarketConfig { key, value, expected });
        if !(10..=60_000).contains(&self.poll_interval_ms) {
            return wrong("poll_interval_ms", self.poll_interval_ms.to_string(), "use 10 to 60000");
        }
        if !(1..=1_000).contains(&self.max_communities) {
            return wrong("max_communities", self.max_communities.to_string(), "use 1 to 1000");
        }
        if !(1..=100).contains(&self.forecast_share_percent) {
            return wrong("forecast_share_percent", self.forecast_share_percent.to_string(), "use 1 to 100");
        }
        for community in &self.communities {
            if domain::ids::CommunityId::new(community).is_err() {
                return wrong("communities", community.clone(), "name ids of communities");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_bad_values_are_named() {
        assert_eq!(MarketConfig::default().check(), Ok(()));
        let bad = MarketConfig { forecast_share_percent: 0, ..MarketConfig::default() };
        assert!(bad.check().unwrap_err().to_string().contains("forecast_share_percent = 0"));
        let bad = MarketConfig { communities: vec!["a b".to_owned()], ..MarketConfig::default() };
        assert_eq!(bad.check().unwrap_err().key, "communities");
    }
}

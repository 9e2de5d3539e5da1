//! How a member wants the autopilot to trade for a site.

use domain::order::Side;
use domain::tariff::Tariff;
use domain::units::{Overflow, Price};

use crate::bounds::Bounds;

/// How much is risked, and how early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Trades all of the likely energy locally, early and up to the last limit.
    Greenest,
    /// The middle: a share of the likely energy.
    HandsOff,
    /// Trades only what is all but certain, holds out for a good price, and leaves the rest to the closing
    /// auction.
    Cheapest,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Greenest, Self::HandsOff, Self::Cheapest];

    /// The name the database and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greenest => "greenest",
            Self::HandsOff => "hands-off",
            Self::Cheapest => "cheapest",
        }
    }

    /// Reads the form that [`Self::as_str`] writes; `None` for anything else, `paused` too.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == text)
    }
}

/// A site's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How it trades.
    pub preset: Preset,
    /// Whether it trades nothing.
    pub paused: bool,
    /// The most it pays, fees apart; the tariff's bound if `None`.
    pub bid_limit: Option<Price>,
    /// The least it takes; the tariff's bound if `None`.
    pub offer_limit: Option<Price>,
    /// What is kept back in the battery, in per cent of its capacity.
    pub battery_reserve_percent: u8,
    /// Whether the site's controller follows the battery plan, so that orders take it into account.
    pub follows_battery_plan: bool,
}

/// Settings that cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// A limit lies outside the tariffs.
    #[error(
        "the {what} limit of {limit} micro-currency per kWh is outside the tariffs: choose {lowest} to {highest} \
         (the feed-in tariff to the retail tariff less the fees)"
    )]
    Limit {
        /// `bid` or `offer`.
        what: &'static str,
        /// What was asked for.
        limit: i64,
        /// The lowest that is possible.
        lowest: i64,
        /// The highest that is possible.
        highest: i64,
    },
    /// More is to be kept back than there is.
    #[error("battery_reserve_percent is {0}: choose 0 to 100")]
    Reserve(u8),
    /// The tariff's prices are absurd.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

impl Settings {
    /// What holds for a site whose member set nothing but a preset; `None` is paused.
    #[must_use]
    pub const fn of_preset(preset: Option<Preset>) -> Self {
        let (preset, paused) = match preset {
            Some(preset) => (preset, false),
            None => (Preset::HandsOff, true),
        };
        Self {
            preset,
            paused,
            bid_limit: None,
            offer_limit: None,
            battery_reserve_percent: 0,
            follows_battery_plan: false,
        }
    }

    /// Checks the settings against the tariff that holds.
    ///
    /// # Errors
    /// [`InvalidSettings`] with the bound that is broken.
    pub fn check(&self, tariff: &Tariff) -> Result<(), InvalidSettings> {
        self.check_within(&Bounds::of_tariff(tariff)?)
    }

    /// Checks the settings against the bounds that hold for the site.
    ///
    /// # Errors
    /// [`InvalidSettings`] with the bound that is broken.
    pub fn check_within(&self, bounds: &Bounds) -> Result<(), InvalidSettings> {
        let lowest = bounds.lowest;
        let of_bids = ("bid", self.bid_limit, bounds.highest_bid.max(lowest));
        for (what, limit, highest) in [of_bids, ("offer", self.offer_limit, bounds.highest_offer)] {
            if let Some(limit) = limit.filter(|limit| *limit < lowest || *limit > highest) {
                return Err(InvalidSettings::Limit {
                    what,
                    limit: limit.micro_per_kwh(),
                    lowest: lowest.micro_per_kwh(),
                    highest: highest.micro_per_kwh(),
                });
            }
        }
        if self.battery_reserve_percent > 100 {
            return Err(InvalidSettings::Reserve(self.battery_reserve_percent));
        }
        Ok(())
    }

    /// The bounds between which the limit of a side moves: the tariff's, narrowed by the site's own
    /// limit. A limit that a later tariff left outside is taken as the nearest bound.
    #[must_use]
    pub fn bounds(&self, side: Side, lowest: Price, highest: Price) -> (Price, Price) {
        let within = |limit: Price| limit.clamp(lowest, highest.max(lowest));
        match side {
            Side::Bid => (lowest, self.bid_limit.map_or(highest, within)),
            Side::Offer => (self.offer_limit.map_or(lowest, within), highest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tariff() -> Tariff {
        let price = Price::from_micro_per_kwh;
        Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap()
    }

    #[test]
    fn limits_outside_the_tariffs_are_refused_with_the_bound() {
        let price = |micro| Some(Price::from_micro_per_kwh(micro));
        let usual = Settings::of_preset(Some(Preset::HandsOff));
        assert_eq!(usual.check(&tariff()), Ok(()));
        for fine in [80_000, 288_000] {
            assert_eq!(
                Settings { bid_limit: price(fine), offer_limit: price(fine), ..usual }.check(&tariff()),
                Ok(())
            );
        }
        let error = Settings { bid_limit: price(288_001), ..usual }.check(&tariff()).unwrap_err().to_string();
        assert!(error.contains("bid limit of 288001") && error.contains("80000 to 288000"), "{error}");
        let error =
            Settings { offer_limit: price(79_999), ..usual }.check(&tariff()).unwrap_err().to_string();
        assert!(error.contains("offer limit of 79999"), "{error}");
        assert_eq!(
            Settings { battery_reserve_percent: 101, ..usual }.check(&tariff()),
            Err(InvalidSettings::Reserve(101))
        );
    }

    #[test]
    fn each_side_has_its_own_bound() {
        let price = Price::from_micro_per_kwh;
        let mut bounds =
            Bounds { lowest: price(80_000), highest_bid: price(200_000), highest_offer: price(288_000) };
        let usual = Settings::of_preset(Some(Preset::HandsOff));
        let bid = |micro| Settings { bid_limit: Some(price(micro)), ..usual };
        let offer = Settings { offer_limit: Some(price(250_000)), ..usual };
        assert_eq!((bid(200_000).check_within(&bounds), offer.check_within(&bounds)), (Ok(()), Ok(())));
        let error = bid(200_001).check_within(&bounds).unwrap_err().to_string();
        assert!(error.contains("80000 to 200000"), "{error}");
        // Where the fees leave no room, the feed-in tariff is the one limit that a member can name.
        bounds.highest_bid = price(70_000);
        assert_eq!(bid(80_000).check_within(&bounds), Ok(()));
        assert!(bid(80_001).check_within(&bounds).is_err());
    }

    #[test]
    fn an_old_limit_never_leaves_a_new_tariff() {
        let price = Price::from_micro_per_kwh;
        let own = Settings {
            bid_limit: Some(price(400_000)),
            offer_limit: Some(price(150_000)),
            ..Settings::of_preset(Some(Preset::Cheapest))
        };
        let (low, high) = (price(80_000), price(288_000));
        assert_eq!(own.bounds(Side::Bid, low, high), (low, high));
        assert_eq!(own.bounds(Side::Offer, low, high), (price(150_000), high));
    }

    #[test]
    fn paused_is_no_preset() {
        assert_eq!(Preset::parse("paused"), None);
        assert!(Preset::ALL.iter().all(|preset| Preset::parse(preset.as_str()) == Some(*preset)));
        assert!(Settings::of_preset(None).paused);
    }
}

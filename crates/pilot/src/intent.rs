//! What a site orders for a slot, at what limit, and why.

use chrono::{DateTime, Utc};
use domain::order::Side;
use domain::units::{Energy, Price};

use crate::quantile::Quantiles;
use crate::reason::{Outcome, Reason};
use crate::settings::{Preset, Settings};

/// How much of the likely energy is traded by those who are hands-off, in per cent, unless the market is
/// configured otherwise.
pub const USUAL_SHARE_PERCENT: u8 = 80;

/// What a site is expected to do in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The slot.
    pub slot_start: DateTime<Utc>,
    /// The forecast of its residual, without the battery.
    pub residual: Quantiles,
    /// What the planned battery adds to its net export, in Wh; negative while it charges.
    pub battery_wh: i64,
}

/// An order that the autopilot wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Buys or sells.
    pub side: Side,
    /// How much; positive.
    pub energy: Energy,
    /// The forecast and what the preset makes of it, without the limit.
    because: Outcome,
}

impl Intent {
    /// The order for a slot. `share_percent` of the likely energy is traded by those who are hands-off.
    /// `None` where there is nothing to trade.
    ///
    /// | preset | trades |
    /// |---|---|
    /// | greenest | the median |
    /// | hands-off | `share_percent` of the median |
    /// | cheapest | what is left over, or lacking, nine times in ten |
    #[must_use]
    pub fn of(settings: &Settings, expected: &Expected, share_percent: u8, most: Energy) -> Option<Self> {
        if settings.paused {
            return None;
        }
        let net = expected.residual.shifted(expected.battery_wh);
        let wanted_wh = wanted_wh(settings.preset, &net, share_percent);
        let side = if wanted_wh < 0 { Side::Bid } else { Side::Offer };
        let energy = Energy::from_wh(wanted_wh.saturating_abs()).min(most);
        energy.is_positive().then(|| Self {
            side,
            energy,
            because: because(settings.preset, expected, &net, side, energy, share_percent),
        })
    }

    /// Why, with the limit of the first step.
    #[must_use]
    pub fn reason(&self, limit: Price) -> String {
        Reason::Forecast(self.because, limit).to_string()
    }
}

/// What a preset trades of a forecast, as a net sale in Wh.
#[must_use]
pub fn wanted_wh(preset: Preset, net: &Quantiles, share_percent: u8) -> i64 {
    match preset {
        Preset::Greenest => net.p50_wh,
        Preset::HandsOff => share(net.p50_wh, share_percent),
        Preset::Cheapest if net.p10_wh > 0 => net.p10_wh,
        Preset::Cheapest if net.p90_wh < 0 => net.p90_wh,
        Preset::Cheapest => 0,
    }
}

fn because(
    preset: Preset,
    expected: &Expected,
    net: &Quantiles,
    side: Side,
    energy: Energy,
    share_percent: u8,
) -> Outcome {
    let (low_wh, high_wh) = match side {
        Side::Offer => (net.p10_wh, net.p90_wh),
        Side::Bid => (net.p90_wh.saturating_neg(), net.p10_wh.saturating_neg()),
    };
    Outcome {
        slot_time: expected.slot_start.time(),
        side,
        likely_wh: net.p50_wh.saturating_abs(),
        low_wh,
        high_wh,
        battery_wh: expected.battery_wh,
        preset,
        share_percent: if preset == Preset::HandsOff { share_percent } else { 0 },
        energy_wh: energy.wh(),
    }
}

/// Why an order that rests gets another limit.
#[must_use]
pub fn reason_to_move(side: Side, energy: Energy, from: Price, to: Price) -> String {
    Reason::LimitMoved { side, energy_wh: energy.wh(), from, to }.to_string()
}

/// `share_percent` of an energy, towards zero: what is traded when the forecast may be wrong.
#[must_use]
pub fn share(energy_wh: i64, share_percent: u8) -> i64 {
    let wh = i128::from(energy_wh) * i128::from(share_percent.min(100)) / 100;
    i64::try_from(wh).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(preset: Preset, residual: (i64, i64, i64), battery_wh: i64) -> Option<Intent> {
        let (p10_wh, p50_wh, p90_wh) = residual;
        let expected = Expected {
            slot_start: "2026-03-01T14:15:00Z".parse().unwrap(),
            residual: Quantiles { p10_wh, p50_wh, p90_wh },
            battery_wh,
        };
        Intent::of(&Settings::of_preset(Some(preset)), &expected, 80, Energy::from_wh(10_000))
    }

    fn wh(intent: Option<Intent>) -> Option<i64> {
        intent.map(|intent| if intent.side == Side::Bid { -intent.energy.wh() } else { intent.energy.wh() })
    }

    #[test]
    fn presets_differ_in_what_they_risk() {
        let surplus = (300, 420, 500);
        assert_eq!(
            Preset::ALL.map(|preset| wh(intent(preset, surplus, 0))),
            [Some(420), Some(336), Some(300)]
        );
        let lack = (-500, -420, -300);
        assert_eq!(
            Preset::ALL.map(|preset| wh(intent(preset, lack, 0))),
            [Some(-420), Some(-336), Some(-300)]
        );
        let either = (-100, 50, 200);
        assert_eq!(Preset::ALL.map(|preset| wh(intent(preset, either, 0))), [Some(50), Some(40), None]);
        assert_eq!(wh(intent(Preset::HandsOff, (1, 1, 1), 0)), None, "80 % of 1 Wh is nothing to trade");
        let paused = Settings { paused: true, ..Settings::of_preset(Some(Preset::Greenest)) };
        let expected =
            Expected { slot_start: DateTime::UNIX_EPOCH, residual: Quantiles::certain(500), battery_wh: 0 };
        assert_eq!(Intent::of(&paused, &expected, 80, Energy::from_wh(10_000)), None);
    }

    #[test]
    fn a_reason_gives_the_figures_and_the_battery() {
        let price = Price::from_micro_per_kwh(225_600);
        assert_eq!(
            intent(Preset::HandsOff, (500, 620, 700), -200).unwrap().reason(price),
            "Forecast for 14:15:00 UTC: 420 Wh left over (300 to 500 Wh in eight of ten cases), with 200 Wh into the \
             battery; hands-off offers 80 % of it, 336 Wh, from 22.5 ct."
        );
        assert_eq!(
            intent(Preset::Cheapest, (-500, -420, -300), 100).unwrap().reason(price),
            "Forecast for 14:15:00 UTC: 320 Wh lacking (200 to 400 Wh in eight of ten cases), with 100 Wh from the \
             battery; cheapest bids for the 200 Wh that are all but certain, at up to 22.5 ct."
        );
    }

    #[test]
    fn shares_round_towards_zero() {
        assert_eq!((share(-7, 80), share(7, 255)), (-5, 7));
    }
}

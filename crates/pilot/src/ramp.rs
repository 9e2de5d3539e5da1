//! How the autopilot's price moves from the favourable limit towards its reservation as gate closure
//! nears. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use domain::order::Side;
use domain::units::Price;

use crate::settings::Preset;

/// In how many steps the price moves.
pub const STEPS: u8 = 4;

impl Preset {
    /// How much of the way from the favourable limit to the other one is given away at each step, in
    /// thousandths. Two who are hands-off meet at the second step, in the middle.
    const fn concession_permille(self, step: u8) -> i128 {
        let steps: [i128; STEPS as usize] = match self {
            Self::Greenest => [700, 1_000, 1_000, 1_000],
            Self::HandsOff => [300, 500, 700, 900],
            Self::Cheapest => [100, 250, 400, 600],
        };
        let last = STEPS - 1;
        steps[(if step < last { step } else { last }) as usize]
    }

    /// The limit price at a step, between the tariff's `lowest` and `highest`.
    #[must_use]
    pub fn limit(self, side: Side, step: u8, lowest: Price, highest: Price) -> Price {
        let (low, high) = (i128::from(lowest.micro_per_kwh()), i128::from(highest.micro_per_kwh()));
        let conceded = (high - low) * self.concession_permille(step) / 1_000;
        let micro = match side {
            Side::Bid => low + conceded,
            Side::Offer => high - conceded,
        };
        // Between two 64-bit prices lies a 64-bit price.
        i64::try_from(micro).map_or(lowest, Price::from_micro_per_kwh)
    }
}

/// The step at `now`, in the time `window` before `gate_closure`; `None` outside it.
#[must_use]
pub fn step(gate_closure: DateTime<Utc>, window: TimeDelta, now: DateTime<Utc>) -> Option<u8> {
    let passed_ms = (now - (gate_closure - window)).num_milliseconds();
    let window_ms = window.num_milliseconds();
    if now >= gate_closure || passed_ms < 0 || window_ms <= 0 {
        return None;
    }
    u8::try_from(passed_ms.saturating_mul(i64::from(STEPS)) / window_ms).ok().map(|step| step.min(STEPS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_stay_within_the_tariff_and_only_ever_concede() {
        let (low, high) = (Price::from_micro_per_kwh(80_000), Price::from_micro_per_kwh(288_000));
        for preset in Preset::ALL {
            for step in 0..STEPS {
                let bid = preset.limit(Side::Bid, step, low, high);
                let offer = preset.limit(Side::Offer, step, low, high);
                assert!(low <= bid && bid <= high && low <= offer && offer <= high);
                assert!(bid <= preset.limit(Side::Bid, step + 1, low, high));
                assert!(offer >= preset.limit(Side::Offer, step + 1, low, high));
            }
        }
        assert_eq!(Preset::HandsOff.limit(Side::Bid, 1, low, high), Price::from_micro_per_kwh(184_000));
        assert_eq!(Preset::HandsOff.limit(Side::Offer, 1, low, high), Price::from_micro_per_kwh(184_000));
    }

    #[test]
    fn steps_divide_the_window_before_gate_closure() {
        let gate = DateTime::from_timestamp(1_000, 0).unwrap();
        let at = |ms: i64| step(gate, TimeDelta::seconds(10), gate - TimeDelta::milliseconds(ms));
        let seen = [10_001, 10_000, 7_501, 7_500, 5_000, 1, 0].map(at);
        assert_eq!(seen, [None, Some(0), Some(0), Some(1), Some(2), Some(3), None]);
    }
}

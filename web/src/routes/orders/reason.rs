//! Why the autopilot placed an order, as a code and values beside its words: for clients that speak another language.

use domain::units::Price;
use pilot::reason::{Outcome, Reason};
use pilot::settings::Preset;
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::PriceMicro;

/// The reason of an order as a code and values; the side is the order's own.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ReasonParts {
    /// `forecast` (a forecast of the slot led to it) or `limit_moved` (it rested, and its limit moved as gate closure
    /// came nearer); null if the reason has only words, or there is none.
    #[schema(example = "forecast")]
    reason_code: Option<&'static str>,
    /// The values in the words; null without a code.
    reason_values: Option<ReasonValues>,
}

/// The values of a reason; those that its code does not have are null.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ReasonValues {
    /// What was ordered.
    #[schema(example = 336)]
    energy_wh: i64,
    /// The limit then; cut to a tenth of a hundredth of the currency unit.
    #[schema(value_type = Option<String>, example = "225000")]
    limit_micro_per_kwh: Option<PriceMicro>,
    /// `limit_moved`: the limit before; cut in the same way.
    #[schema(value_type = Option<String>, example = "225000")]
    from_limit_micro_per_kwh: Option<PriceMicro>,
    /// `forecast`: what is most likely left over (of an offer) or lacking (of a bid).
    #[schema(example = 420)]
    likely_wh: Option<i64>,
    /// `forecast`: one time in ten it is less.
    #[schema(example = 300)]
    low_wh: Option<i64>,
    /// `forecast`: one time in ten it is more.
    #[schema(example = 500)]
    high_wh: Option<i64>,
    /// `forecast`: what comes from the battery (positive) or goes into it (negative).
    #[schema(example = -200)]
    battery_wh: Option<i64>,
    /// `forecast`: `greenest` trades what is likely, `hands-off` a share of it, `cheapest` what is all but certain.
    #[schema(example = "hands-off")]
    preset: Option<&'static str>,
    /// `forecast` of `hands-off`: the share, in per cent.
    #[schema(example = 80)]
    share_percent: Option<u8>,
}

impl ReasonParts {
    /// The parts of a reason in words.
    pub(crate) fn of(words: &str) -> Self {
        let Ok(reason) = words.parse() else { return Self::default() };
        let (code, values) = match reason {
            Reason::Forecast(outcome, limit) => ("forecast", ReasonValues::of_forecast(&outcome, limit)),
            Reason::LimitMoved { side: _, energy_wh, from, to } => {
                let (limit, before) = (micro(to), micro(from));
                let values = ReasonValues {
                    energy_wh,
                    limit_micro_per_kwh: limit,
                    from_limit_micro_per_kwh: before,
                    ..ReasonValues::default()
                };
                ("limit_moved", values)
            }
        };
        Self { reason_code: Some(code), reason_values: Some(values) }
    }
}

impl ReasonValues {
    fn of_forecast(outcome: &Outcome, limit: Price) -> Self {
        Self {
            energy_wh: outcome.energy_wh,
            limit_micro_per_kwh: micro(limit),
            from_limit_micro_per_kwh: None,
            likely_wh: Some(outcome.likely_wh),
            low_wh: Some(outcome.low_wh),
            high_wh: Some(outcome.high_wh),
            battery_wh: Some(outcome.battery_wh),
            preset: Some(outcome.preset.as_str()),
            share_percent: (outcome.preset == Preset::HandsOff).then_some(outcome.share_percent),
        }
    }
}

const fn micro(price: Price) -> Option<PriceMicro> {
    Some(PriceMicro(price.micro_per_kwh()))
}

#[cfg(test)]
mod tests {
    use domain::order::Side;
    use domain::units::Energy;
    use pilot::intent::{Expected, Intent, reason_to_move};
    use pilot::quantile::Quantiles;
    use pilot::settings::Settings;
    use serde_json::{Value, json};

    use super::*;

    fn of(words: &str) -> Value {
        serde_json::to_value(ReasonParts::of(words)).unwrap()
    }

    #[test]
    fn what_the_autopilot_says_comes_as_values_too() {
        let residual = Quantiles { p10_wh: 500, p50_wh: 620, p90_wh: 700 };
        let slot_start = "2026-03-01T14:15:00Z".parse().unwrap();
        let expected = Expected { slot_start, residual, battery_wh: -200 };
        let settings = Settings::of_preset(Some(Preset::HandsOff));
        let intent = Intent::of(&settings, &expected, 80, Energy::from_wh(10_000)).unwrap();
        let price = Price::from_micro_per_kwh;
        assert_eq!(
            of(&intent.reason(price(225_600))),
            json!({"reason_code": "forecast", "reason_values": {"energy_wh": 336, "limit_micro_per_kwh": "225000",
                "from_limit_micro_per_kwh": null, "likely_wh": 420, "low_wh": 300, "high_wh": 500,
                "battery_wh": -200, "preset": "hands-off", "share_percent": 80}})
        );
        let moved = of(&reason_to_move(Side::Bid, Energy::from_wh(50), price(184_000), price(200_400)));
        assert_eq!(moved["reason_code"], "limit_moved");
        assert_eq!(moved["reason_values"]["from_limit_micro_per_kwh"], "184000");
        assert_eq!(moved["reason_values"]["limit_micro_per_kwh"], "200000");
        assert_eq!(of("You had 650 Wh left over."), json!({"reason_code": null, "reason_values": null}));
    }
}

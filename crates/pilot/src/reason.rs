//! Why the autopilot placed an order, or gave it another limit: as values, in plain words, and from these words
//! back to the values, so that a reason that was stored as words can be told in another language.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveTime;
use domain::order::Side;
use domain::units::Price;

use crate::settings::Preset;

/// How the words write a time of day.
const TIME: &str = "%H:%M:%S";
/// The words write a price in tenths of a hundredth of the currency unit, cut off.
const MICRO_A_TENTH: i64 = 1_000;

/// What is expected of a slot, and what a preset makes of it. Energy in Wh, all of it positive but for the battery's
/// and the ends of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// When the slot starts, in UTC.
    pub slot_time: NaiveTime,
    /// Sells what is left over, or buys what is lacking.
    pub side: Side,
    /// As likely more as less is left over, or lacking.
    pub likely_wh: i64,
    /// One time in ten it is less.
    pub low_wh: i64,
    /// One time in ten it is more.
    pub high_wh: i64,
    /// What the planned battery adds to it: positive from the battery, negative into it.
    pub battery_wh: i64,
    /// How the site trades.
    pub preset: Preset,
    /// How much of what is likely is traded, in per cent; for those who are hands-off only.
    pub share_percent: u8,
    /// What is ordered.
    pub energy_wh: i64,
}

/// Why there is an order, or why its limit changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A forecast led to it, at this first limit.
    Forecast(Outcome, Price),
    /// It rests, and gets another limit since gate closure is nearer.
    LimitMoved {
        /// Which side it is on.
        side: Side,
        /// The whole order's energy.
        energy_wh: i64,
        /// The limit before.
        from: Price,
        /// The limit from now on.
        to: Price,
    },
}

/// Words that are not those of a [`Reason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these are not the words of an autopilot's reason")]
pub struct OtherWords;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { likely_wh, low_wh, high_wh, battery_wh, share_percent, energy_wh, .. } = self;
        let name = if self.side == Side::Offer { "left over" } else { "lacking" };
        write!(
            f,
            "Forecast for {} UTC: {likely_wh} Wh {name} ({low_wh} to {high_wh} Wh in eight of ten cases)",
            self.slot_time.format(TIME)
        )?;
        match battery_wh {
            0 => {}
            1.. => write!(f, ", with {battery_wh} Wh from the battery")?,
            _ => write!(f, ", with {} Wh into the battery", battery_wh.saturating_neg())?,
        }
        let verb = verb(self.side);
        match self.preset {
            Preset::Greenest => write!(f, "; greenest {verb} {energy_wh} Wh"),
            Preset::HandsOff => write!(f, "; hands-off {verb} {share_percent} % of it, {energy_wh} Wh"),
            Preset::Cheapest => write!(f, "; cheapest {verb} the {energy_wh} Wh that are all but certain"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forecast(outcome, limit) => {
                write!(f, "{outcome}, {} {}.", bound(outcome.side), Cents(*limit))
            }
            Self::LimitMoved { side, energy_wh, from, to } => {
                let (from, to, bound) = (Cents(*from), Cents(*to), bound(*side));
                let nobody = nobody(*side);
                write!(
                    f,
                    "Gate closure is nearer and {nobody} all of your {energy_wh} Wh at {from}; now {bound} {to}."
                )
            }
        }
    }
}

impl FromStr for Reason {
    type Err = OtherWords;

    /// Reads what [`fmt::Display`] writes. Prices come back as they were written: cut to a tenth of a hundredth.
    fn from_str(words: &str) -> Result<Self, OtherWords> {
        forecast(words).or_else(|| limit_moved(words)).ok_or(OtherWords)
    }
}

fn forecast(words: &str) -> Option<Reason> {
    let (time, rest) = words.strip_prefix("Forecast for ")?.split_once(" UTC: ")?;
    let (likely, rest) = rest.split_once(" Wh ")?;
    let (side, rest) = match rest.strip_prefix("left over (") {
        Some(rest) => (Side::Offer, rest),
        None => (Side::Bid, rest.strip_prefix("lacking (")?),
    };
    let (low, rest) = rest.split_once(" to ")?;
    let (high, rest) = rest.split_once(" Wh in eight of ten cases)")?;
    let (battery_wh, rest) = battery(rest)?;
    let (what, limit) = rest.rsplit_once(&format!(", {} ", bound(side)))?;
    let (preset, what) = Preset::ALL.iter().find_map(|p| Some((*p, what.strip_prefix(p.as_str())?)))?;
    let what = what.strip_prefix(' ')?.strip_prefix(verb(side))?.strip_prefix(' ')?;
    let (share, energy) = match preset {
        Preset::Greenest => ("0", what.strip_suffix(" Wh")?),
        Preset::HandsOff => what.strip_suffix(" Wh")?.split_once(" % of it, ")?,
        Preset::Cheapest => ("0", what.strip_prefix("the ")?.strip_suffix(" Wh that are all but certain")?),
    };
    let outcome = Outcome {
        slot_time: NaiveTime::parse_from_str(time, TIME).ok()?,
        side,
        likely_wh: likely.parse().ok()?,
        low_wh: low.parse().ok()?,
        high_wh: high.parse().ok()?,
        battery_wh,
        preset,
        share_percent: share.parse().ok()?,
        energy_wh: energy.parse().ok()?,
    };
    Some(Reason::Forecast(outcome, cents(limit.strip_suffix('.')?)?))
}

/// The battery's part, if there is one, and what comes after it.
fn battery(rest: &str) -> Option<(i64, &str)> {
    let Some(rest) = rest.strip_prefix(", with ") else { return Some((0, rest.strip_prefix("; ")?)) };
    let (wh, rest) = rest.split_once(" Wh ")?;
    let wh: i64 = wh.parse().ok()?;
    match rest.strip_prefix("from the battery; ") {
        Some(rest) => Some((wh, rest)),
        None => Some((wh.checked_neg()?, rest.strip_prefix("into the battery; ")?)),
    }
}

fn limit_moved(words: &str) -> Option<Reason> {
    let rest = words.strip_prefix("Gate closure is nearer and ")?;
    let (side, rest) = [Side::Bid, Side::Offer]
        .into_iter()
        .find_map(|side| Some((side, rest.strip_prefix(nobody(side))?)))?;
    let (energy, rest) = rest.strip_prefix(" all of your ")?.split_once(" Wh at ")?;
    let (from, to) = rest.split_once("; now ")?;
    let to = to.strip_prefix(bound(side))?.strip_prefix(' ')?.strip_suffix('.')?;
    Some(Reason::LimitMoved { side, energy_wh: energy.parse().ok()?, from: cents(from)?, to: cents(to)? })
}

const fn verb(side: Side) -> &'static str {
    match side {
        Side::Offer => "offers",
        Side::Bid => "bids for",
    }
}

const fn bound(side: Side) -> &'static str {
    match side {
        Side::Offer => "from",
        Side::Bid => "at up to",
    }
}

const fn nobody(side: Side) -> &'static str {
    match side {
        Side::Offer => "nobody has taken",
        Side::Bid => "nobody has sold you",
    }
}

/// A price in hundredths of the currency unit per kWh, such as `21.3 ct`.
struct Cents(Price);

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.micro_per_kwh() / MICRO_A_TENTH;
        write!(f, "{}.{} ct", tenths / 10, tenths % 10)
    }
}

fn cents(text: &str) -> Option<Price> {
    let (whole, tenth) = text.strip_suffix(" ct")?.split_once('.')?;
    let tenths = whole.parse::<i64>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)?;
    Some(Price::from_micro_per_kwh(tenths.checked_mul(MICRO_A_TENTH)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn outcomes()(second in 0_u32..86_400, offers: bool, likely_wh in 0_i64..100_000, low_wh in -9_000_i64..9_000,
            high_wh in -9_000_i64..9_000, battery_wh in -5_000_i64..5_000, preset in 0_usize..3,
            share in 0_u8..=100, energy_wh in 1_i64..100_000) -> Outcome {
            let preset = Preset::ALL[preset];
            let share_percent = if preset == Preset::HandsOff { share } else { 0 };
            let slot_time = NaiveTime::from_num_seconds_from_midnight_opt(second, 0).unwrap();
            let side = if offers { Side::Offer } else { Side::Bid };
            Outcome { slot_time, side, likely_wh, low_wh, high_wh, battery_wh, preset, share_percent, energy_wh }
        }
    }

    proptest! {
        #[test]
        fn words_are_read_back(outcome in outcomes(), first in 0_i64..1_000_000, second in 0_i64..1_000_000) {
            let cut = |micro: i64| Price::from_micro_per_kwh(micro / MICRO_A_TENTH * MICRO_A_TENTH);
            let said = Reason::Forecast(outcome, Price::from_micro_per_kwh(first)).to_string();
            prop_assert_eq!(said.parse(), Ok(Reason::Forecast(outcome, cut(first))), "{}", said);
            let price = Price::from_micro_per_kwh;
            let (side, energy_wh) = (outcome.side, outcome.energy_wh);
            let moved = |from, to| Reason::LimitMoved { side, energy_wh, from, to };
            let said = moved(price(first), price(second)).to_string();
            prop_assert_eq!(said.parse(), Ok(moved(cut(first), cut(second))), "{}", said);
        }

        #[test]
        fn any_words_are_read_without_a_panic(words in ".{0,200}", start in 0_usize..60, noise in ".{0,9}") {
            let _ = words.parse::<Reason>();
            let mut said = "Forecast for 14:15:00 UTC: 42 Wh lacking (2 to 4 Wh in eight of ten cases); greenest bids".to_owned();
            said.insert_str(start, &noise);
            prop_assert_eq!(said.parse::<Reason>(), Err(OtherWords), "it has no end");
        }
    }

    #[test]
    fn other_words_are_told_apart() {
        for words in ["", "You had 650 Wh left over in the last quarter-hour.", "Forecast for noon"] {
            assert_eq!(words.parse::<Reason>(), Err(OtherWords), "{words}");
        }
    }
}

//! Standing orders: at which limits a site takes part in the closing auction, and what it asks for.

use crate::ids::MemberId;
use crate::order::Refusal;
use crate::units::Price;

/// The most partners a site may name.
pub const MAX_PARTNERS: usize = 16;

/// Which energy a site would rather buy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Preference {
    /// Whatever there is.
    #[default]
    Any,
    /// Energy from sites of its own zone.
    Local,
    /// Energy from sites whose generator is metered and made all that they export in the slot.
    Green,
    /// Energy from sites of these members, the first of them first.
    Partners(Vec<MemberId>),
}

impl Preference {
    /// `any`, `local`, `green` or `partners`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Local => "local",
            Self::Green => "green",
            Self::Partners(_) => "partners",
        }
    }

    /// Makes a preference from its name and the partners that it names.
    ///
    /// # Errors
    /// [`InvalidWish`] for another name, partners of a preference that has none, none or too many where there
    /// must be some, or a member named twice.
    pub fn new(name: &str, partners: Vec<MemberId>) -> Result<Self, InvalidWish> {
        let preference = match name {
            "any" => Self::Any,
            "local" => Self::Local,
            "green" => Self::Green,
            "partners" => {
                let distinct: std::collections::BTreeSet<&MemberId> = partners.iter().collect();
                let fits = (1..=MAX_PARTNERS).contains(&partners.len()) && distinct.len() == partners.len();
                return if fits { Ok(Self::Partners(partners)) } else { Err(InvalidWish::Partners) };
            }
            _ => return Err(InvalidWish::Unknown(name.chars().take(32).collect())),
        };
        if partners.is_empty() { Ok(preference) } else { Err(InvalidWish::NeedlessPartners) }
    }

    /// The members that it names.
    #[must_use]
    pub fn partners(&self) -> &[MemberId] {
        match self {
            Self::Partners(partners) => partners,
            _ => &[],
        }
    }
}

/// What a buyer asks for, and what it pays on top of the price for energy that is it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    preference: Preference,
    premium: Price,
}

/// A wish that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWish {
    /// No such preference.
    #[error("the preference {0:?} is none of any, local, green and partners")]
    Unknown(String),
    /// The partners are none, too many, or one of them twice.
    #[error("the preference `partners` names 1 to {MAX_PARTNERS} members, each once")]
    Partners,
    /// Partners for a preference that has none.
    #[error("only the preference `partners` names partners")]
    NeedlessPartners,
    /// A premium that is negative, or for nothing.
    #[error("the premium must not be negative, and the preference `any` has none")]
    Premium,
}

impl Wish {
    /// Makes a wish; the premium is per kWh.
    ///
    /// # Errors
    /// [`InvalidWish::Premium`] if the premium is negative, or there is one without a preference.
    pub fn new(preference: Preference, premium: Price) -> Result<Self, InvalidWish> {
        if premium.is_negative() || (premium.is_positive() && preference == Preference::Any) {
            return Err(InvalidWish::Premium);
        }
        Ok(Self { preference, premium })
    }

    /// Which energy it would rather have.
    #[must_use]
    pub const fn preference(&self) -> &Preference {
        &self.preference
    }

    /// The most that it pays on top of the price.
    #[must_use]
    pub const fn premium(&self) -> Price {
        self.premium
    }
}

/// What a site sends to the closing auction of every slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StandingOrder {
    /// The least it takes for energy it has left over; `None` is the feed-in tariff.
    pub offer_limit: Option<Price>,
    /// The most it pays for energy it lacks, fees apart; `None` is the bound of its zone.
    pub bid_limit: Option<Price>,
    /// What it asks for when it buys.
    pub wish: Wish,
}

impl StandingOrder {
    /// The limits that it sends where limits lie between `lowest` and `highest`: its own, or the bound where it
    /// has none or the tariffs have left its own behind.
    #[must_use]
    pub fn limits(&self, lowest: Price, highest: Price) -> (Price, Price) {
        (self.offer_limit.unwrap_or(lowest).max(lowest), self.bid_limit.unwrap_or(highest).min(highest))
    }

    /// Checks that its own limits lie between `lowest` and `highest`, both included, and that the premium is
    /// not above what lies between them.
    ///
    /// # Errors
    /// [`Refusal`] with the bound that was broken.
    pub fn check(&self, lowest: Price, highest: Price) -> Result<(), Refusal> {
        for limit in [self.offer_limit, self.bid_limit].into_iter().flatten() {
            if limit < lowest {
                return Err(Refusal::BelowFeedIn { bound_micro_per_kwh: lowest.micro_per_kwh() });
            }
            if limit > highest {
                return Err(Refusal::AboveRetail { bound_micro_per_kwh: highest.micro_per_kwh() });
            }
        }
        let most = highest.checked_sub(lowest).unwrap_or_default().max(Price::ZERO);
        if self.wish.premium() > most {
            return Err(Refusal::PremiumTooHigh { bound_micro_per_kwh: most.micro_per_kwh() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(micro: i64) -> Price {
        Price::from_micro_per_kwh(micro)
    }

    fn member(id: &str) -> MemberId {
        MemberId::new(id).unwrap()
    }

    #[test]
    fn preferences_round_trip_and_what_cannot_be_is_refused() {
        for (name, partners) in
            [("any", vec![]), ("local", vec![]), ("green", vec![]), ("partners", vec![member("a")])]
        {
            let preference = Preference::new(name, partners.clone()).unwrap();
            assert_eq!((preference.as_str(), preference.partners()), (name, &*partners));
        }
        let many = (0..17).map(|number| member(&format!("m{number}"))).collect();
        for partners in [vec![], vec![member("a"), member("a")], many] {
            assert_eq!(Preference::new("partners", partners), Err(InvalidWish::Partners));
        }
        assert_eq!(Preference::new("green", vec![member("a")]), Err(InvalidWish::NeedlessPartners));
        assert!(matches!(Preference::new("cheap", vec![]), Err(InvalidWish::Unknown(_))));
        assert_eq!(Wish::new(Preference::Local, price(-1)), Err(InvalidWish::Premium));
        assert_eq!(Wish::new(Preference::Any, price(1)), Err(InvalidWish::Premium));
    }

    #[test]
    fn limits_stay_between_the_bounds_whatever_the_tariffs_do_later() {
        let own = StandingOrder {
            offer_limit: Some(price(150)),
            bid_limit: Some(price(250)),
            ..Default::default()
        };
        assert_eq!(own.limits(price(80), price(288)), (price(150), price(250)));
        assert_eq!(own.limits(price(160), price(200)), (price(160), price(200)));
        assert_eq!(StandingOrder::default().limits(price(80), price(288)), (price(80), price(288)));
    }

    #[test]
    fn limits_off_the_bounds_are_refused_with_the_bound() {
        let of = |offer, bid, premium| StandingOrder {
            offer_limit: Some(price(offer)),
            bid_limit: Some(price(bid)),
            wish: Wish::new(Preference::Local, price(premium)).unwrap(),
        };
        let check = |order: StandingOrder| order.check(price(80), price(288));
        assert_eq!(check(of(80, 288, 208)), Ok(()));
        assert_eq!(check(of(79, 288, 0)), Err(Refusal::BelowFeedIn { bound_micro_per_kwh: 80 }));
        assert_eq!(check(of(80, 289, 0)), Err(Refusal::AboveRetail { bound_micro_per_kwh: 288 }));
        assert_eq!(check(of(80, 288, 209)), Err(Refusal::PremiumTooHigh { bound_micro_per_kwh: 208 }));
    }
}

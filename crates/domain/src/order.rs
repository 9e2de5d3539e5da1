//! Orders, and the reasons for which one is refused.

use crate::ids::{ClientId, MemberId, OrderId, SiteId};
use crate::units::{Energy, Price};

/// Which way an order trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Buys energy.
    Bid,
    /// Sells energy.
    Offer,
}

impl Side {
    /// The other side of the market.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Bid => Self::Offer,
            Self::Offer => Self::Bid,
        }
    }

    /// `bid` or `offer`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bid => "bid",
            Self::Offer => "offer",
        }
    }

    /// Reads `bid` or `offer`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Bid, Self::Offer].into_iter().find(|side| side.as_str() == text)
    }
}

/// How long an order may wait for a counterparty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeInForce {
    /// Rests in the book until gate closure.
    GoodTillGate,
    /// Trades what it can at once, the rest is cancelled.
    ImmediateOrCancel,
    /// Trades all of it at once, or nothing.
    FillOrKill,
}

impl TimeInForce {
    /// `good-till-gate`, `immediate-or-cancel` or `fill-or-kill`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GoodTillGate => "good-till-gate",
            Self::ImmediateOrCancel => "immediate-or-cancel",
            Self::FillOrKill => "fill-or-kill",
        }
    }

    /// Reads the form that [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::GoodTillGate, Self::ImmediateOrCancel, Self::FillOrKill]
            .into_iter()
            .find(|tif| tif.as_str() == text)
    }
}

/// An order for one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its number in the community.
    pub order_id: OrderId,
    /// Who placed it.
    pub member_id: MemberId,
    /// The connection point whose energy it trades.
    pub site_id: SiteId,
    /// The id the client gave it, unique a member.
    pub client_id: ClientId,
    /// Buys or sells.
    pub side: Side,
    /// How much; above zero.
    pub energy: Energy,
    /// The worst price it accepts.
    pub limit: Price,
    /// How long it may wait.
    pub time_in_force: TimeInForce,
}

/// Why a command was refused. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such slot is known to the community.
    #[error("unknown slot: name the start of a slot that is open for orders")]
    UnknownSlot,
    /// The slot does not take orders yet.
    #[error("the slot is not open for orders yet")]
    SlotNotOpen,
    /// Gate closure has passed.
    #[error("gate closure of the slot has passed: choose a later slot")]
    GateClosed,
    /// The energy is not a positive amount.
    #[error("the energy must be at least 1 Wh")]
    NotPositive,
    /// The energy is more than any connection point can carry in a slot.
    #[error("the energy is above the largest order of {max_wh} Wh")]
    TooLarge {
        /// The largest order accepted, in Wh.
        max_wh: i64,
    },
    /// The limit is below the feed-in tariff.
    #[error("the limit price is below the feed-in tariff of {bound_micro_per_kwh} micro-currency per kWh")]
    BelowFeedIn {
        /// The bound, in micro-currency per kWh.
        bound_micro_per_kwh: i64,
    },
    /// The limit is above the retail tariff less the fees.
    #[error(
        "the limit price is above the retail tariff less the fees, {bound_micro_per_kwh} micro-currency per kWh"
    )]
    AboveRetail {
        /// The bound, in micro-currency per kWh.
        bound_micro_per_kwh: i64,
    },
    /// The premium is more than lies between the tariffs.
    #[error(
        "the premium is above what lies between the tariffs less the fees, {bound_micro_per_kwh} micro-currency per kWh"
    )]
    PremiumTooHigh {
        /// The bound, in micro-currency per kWh.
        bound_micro_per_kwh: i64,
    },
    /// The bid would exceed the member's free credits.
    #[error("insufficient credit: the bid needs {needed_nano} nano-currency, {free_nano} are free")]
    InsufficientCredit {
        /// What the bid would cost at its limit, fees included, in nano-currency.
        needed_nano: i64,
        /// What is free, in nano-currency.
        free_nano: i64,
    },
    /// The client id was used before with other content.
    #[error("this client id was used before for another command: use a new one")]
    ClientIdReused,
    /// No such order, or not this member's.
    #[error("no open order of yours has this number")]
    UnknownOrder,
    /// The site is not this member's.
    #[error("the site is not one of yours")]
    NotYourSite,
    /// A fill-or-kill order could not be filled whole.
    #[error("fill-or-kill: the book cannot fill the whole order now")]
    CannotFill,
}

impl Refusal {
    /// A stable machine-readable name, as the database and the API use it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownSlot => "unknown_slot",
            Self::SlotNotOpen => "slot_not_open",
            Self::GateClosed => "gate_closed",
            Self::NotPositive => "not_positive",
            Self::TooLarge { .. } => "too_large",
            Self::BelowFeedIn { .. } => "below_feed_in",
            Self::AboveRetail { .. } => "above_retail",
            Self::PremiumTooHigh { .. } => "premium_too_high",
            Self::InsufficientCredit { .. } => "insufficient_credit",
            Self::ClientIdReused => "client_id_reused",
            Self::UnknownOrder => "unknown_order",
            Self::NotYourSite => "not_your_site",
            Self::CannotFill => "cannot_fill",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for side in [Side::Bid, Side::Offer] {
            assert_eq!(Side::parse(side.as_str()), Some(side));
        }
        for tif in [TimeInForce::GoodTillGate, TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill] {
            assert_eq!(TimeInForce::parse(tif.as_str()), Some(tif));
        }
        assert_eq!(Side::parse("ask"), None);
    }
}

//! An order as it comes over the wire.

use chrono::{DateTime, Utc};
use domain::ids::SiteId;
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use serde::Deserialize;
use serde::de::IgnoredAny;
use store::views::commands::{NewCommand, Request};
use utoipa::ToSchema;

use super::key::IdempotencyKey;
use crate::error::ApiError;
use crate::wire::PriceMicro;
use crate::{problems, routes};

/// An order for one slot.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrder {
    /// Who places it.
    #[schema(example = "ben")]
    member_id: String,
    /// The connection point whose energy it trades.
    #[schema(example = "site-001")]
    site_id: String,
    /// An id made before the first try, unique a member: sending the same order again returns the first one. The
    /// header Idempotency-Key may stand for it where the request is one order.
    #[schema(example = "order-2026-03-01-1")]
    client_id: Option<String>,
    /// The slot, by its start.
    slot_start: DateTime<Utc>,
    /// Buys or sells.
    side: WireSide,
    /// How much.
    #[schema(example = 300, minimum = 1)]
    energy_wh: i64,
    /// The worst price accepted.
    limit_micro_per_kwh: PriceMicro,
    /// How long it may wait for a counterparty.
    time_in_force: WireTimeInForce,
    /// Known, so that they can be refused with the reason: attributes belong to a site's standing order.
    #[schema(ignore)]
    prefers: Option<IgnoredAny>,
    #[schema(ignore)]
    premium_micro_per_kwh: Option<IgnoredAny>,
}

/// Which way an order trades.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WireSide {
    /// Buys energy.
    Bid,
    /// Sells energy.
    Offer,
}

/// How long an order may wait for a counterparty.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WireTimeInForce {
    /// Rests until gate closure.
    GoodTillGate,
    /// Trades what it can at once, the rest is cancelled.
    ImmediateOrCancel,
    /// Trades all of it at once, or nothing.
    FillOrKill,
}

impl NewOrder {
    /// The id the client gave it, if it is in the body.
    pub(crate) fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The command that places it.
    ///
    /// # Errors
    /// A problem that names what is not valid.
    pub(crate) fn command(self, key: &IdempotencyKey) -> Result<NewCommand, ApiError> {
        if self.prefers.is_some() || self.premium_micro_per_kwh.is_some() {
            let detail = "prefers and premium_micro_per_kwh belong to the standing order of the site";
            return Err(ApiError::new(problems::ATTRIBUTES_NOT_TRADED, detail));
        }
        Ok(NewCommand {
            member_id: routes::member_id(&self.member_id)?,
            client_id: key.or_body(self.client_id.as_deref())?,
            slot_start: self.slot_start,
            request: Request::Submit {
                site_id: SiteId::new(&self.site_id).map_err(ApiError::invalid)?,
                side: self.side.into(),
                energy: Energy::from_wh(self.energy_wh),
                limit: Price::from_micro_per_kwh(self.limit_micro_per_kwh.0),
                time_in_force: self.time_in_force.into(),
            },
        })
    }
}

impl From<WireSide> for Side {
    fn from(side: WireSide) -> Self {
        match side {
            WireSide::Bid => Self::Bid,
            WireSide::Offer => Self::Offer,
        }
    }
}

impl From<WireTimeInForce> for TimeInForce {
    fn from(time_in_force: WireTimeInForce) -> Self {
        match time_in_force {
            WireTimeInForce::GoodTillGate => Self::GoodTillGate,
            WireTimeInForce::ImmediateOrCancel => Self::ImmediateOrCancel,
            WireTimeInForce::FillOrKill => Self::FillOrKill,
        }
    }
}

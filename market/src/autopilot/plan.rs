//! What the autopilot does for one site at one step: submit, move its limit, or nothing. Pure.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, MemberId, SiteId};
use domain::order::Side;
use domain::units::{Energy, Price};
use store::orders::{AutopilotOrder, NewCommand, OrderStatus};

use super::ramp::Preset;
use crate::forecast::share;
use crate::validate::SlotTerms;

/// A slot at one step of its ramp.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// The slot whose energy is traded.
    pub slot_start: DateTime<Utc>,
    /// Its terms.
    pub terms: SlotTerms,
    /// The step.
    pub step: u8,
    /// How a slot is called in words: the slot length in seconds.
    pub slot_seconds: u32,
    /// How much of the forecast is traded, in per cent.
    pub forecast_share_percent: u8,
}

/// A site as the autopilot sees it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The site.
    pub site_id: &'a SiteId,
    /// Its member.
    pub member_id: &'a MemberId,
    /// How it trades.
    pub preset: Preset,
    /// What it delivered net in the last slot, if that is known.
    pub net_export: Option<Energy>,
    /// Its newest order for the slot.
    pub order: Option<&'a AutopilotOrder>,
}

/// The command to send, if any. The same site, slot and step always have the same client id, so that
/// a plan that is made twice is carried out once.
#[must_use]
pub fn plan(stage: &Stage, site: &Seen<'_>) -> Option<NewCommand> {
    match site.order {
        None => submit(stage, site),
        Some(order) if order.status == OrderStatus::Open => replace(stage, site, order),
        // It traded, or its member took it back: either way it is done.
        Some(_) => None,
    }
}

fn submit(stage: &Stage, site: &Seen<'_>) -> Option<NewCommand> {
    let seen = site.net_export?;
    let side = if seen.is_negative() { Side::Bid } else { Side::Offer };
    let seen = if seen.is_negative() { seen.checked_neg().ok()? } else { seen };
    let energy = share(seen, stage.forecast_share_percent).min(stage.terms.max_order);
    if !energy.is_positive() {
        return None;
    }
    let limit = site.preset.limit(side, stage.step, stage.terms.lowest, stage.terms.highest);
    let last = match stage.slot_seconds {
        900 => "quarter-hour".to_owned(),
        3_600 => "hour".to_owned(),
        seconds => format!("slot of {seconds} s"),
    };
    let reason = match side {
        Side::Offer => format!(
            "You had {} Wh left over in the last {last}; offering {} Wh from {}.",
            seen.wh(),
            energy.wh(),
            cents(limit)
        ),
        Side::Bid => format!(
            "You lacked {} Wh in the last {last}; bidding for {} Wh at up to {}.",
            seen.wh(),
            energy.wh(),
            cents(limit)
        ),
    };
    command(stage, site, side, energy, limit, reason)
}

fn replace(stage: &Stage, site: &Seen<'_>, order: &AutopilotOrder) -> Option<NewCommand> {
    let limit = site.preset.limit(order.side, stage.step, stage.terms.lowest, stage.terms.highest);
    if limit == order.limit {
        return None;
    }
    let reason = match order.side {
        Side::Offer => format!(
            "Gate closure is nearer and nobody has taken all of your {} Wh at {}; now from {}.",
            order.energy.wh(),
            cents(order.limit),
            cents(limit)
        ),
        Side::Bid => format!(
            "Gate closure is nearer and nobody has sold you all of your {} Wh at {}; now at up to {}.",
            order.energy.wh(),
            cents(order.limit),
            cents(limit)
        ),
    };
    let command = command(stage, site, order.side, order.energy, limit, reason)?;
    Some(NewCommand { replaces: Some(order.order_id), ..command })
}

fn command(
    stage: &Stage,
    site: &Seen<'_>,
    side: Side,
    energy: Energy,
    limit: Price,
    reason: String,
) -> Option<NewCommand> {
    Some(NewCommand {
        member_id: site.member_id.clone(),
        client_id: client_id(site.site_id, stage.slot_start, stage.step)?,
        slot_start: stage.slot_start,
        replaces: None,
        site_id: site.site_id.clone(),
        side,
        energy,
        limit,
        reason,
    })
}

fn client_id(site: &SiteId, slot_start: DateTime<Utc>, step: u8) -> Option<ClientId> {
    let slot = slot_start.timestamp();
    // A long site id leaves no room for the rest, so its digest stands for it.
    ClientId::new(&format!("auto-{site}-{slot}-{step}"))
        .or_else(|_| ClientId::new(&format!("auto-{:016x}-{slot}-{step}", mix(site, slot_start))))
        .ok()
}

/// A number that is different for each site and slot and the same at every try (FNV-1a). Commands are
/// sent in its order, so that no site is always first in the queue at its price.
#[must_use]
pub fn mix(site: &SiteId, slot_start: DateTime<Utc>) -> u64 {
    let bytes = slot_start.timestamp().to_le_bytes();
    let all = bytes.iter().chain(site.as_str().as_bytes());
    all.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A price in hundredths of the currency unit per kWh, such as `21.3 ct`.
fn cents(price: Price) -> String {
    let tenths = price.micro_per_kwh() / 1_000;
    format!("{}.{} ct", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use domain::ids::OrderId;
    use domain::tariff::Tariff;

    use super::*;

    fn stage(step: u8) -> Stage {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let gate = DateTime::from_timestamp(1_800, 0).unwrap();
        let terms = SlotTerms::new(gate, &tariff, Energy::from_wh(100_000)).unwrap();
        Stage { slot_start: gate, terms, step, slot_seconds: 900, forecast_share_percent: 80 }
    }

    fn plan_for(stage: &Stage, net_export_wh: i64, order: Option<&AutopilotOrder>) -> Option<NewCommand> {
        let (site_id, member_id) = (SiteId::new("s1").unwrap(), MemberId::new("m1").unwrap());
        let net_export = Some(Energy::from_wh(net_export_wh));
        let preset = Preset::HandsOff;
        plan(stage, &Seen { site_id: &site_id, member_id: &member_id, preset, net_export, order })
    }

    #[test]
    fn surplus_is_offered_and_a_lack_is_bid_for_with_the_reason() {
        let offer = plan_for(&stage(0), 420, None).unwrap();
        assert_eq!((offer.side, offer.energy.wh(), offer.limit.micro_per_kwh()), (Side::Offer, 336, 225_600));
        assert_eq!(
            offer.reason,
            "You had 420 Wh left over in the last quarter-hour; offering 336 Wh from 22.5 ct."
        );
        assert_eq!(offer.client_id.as_str(), "auto-s1-1800-0");
        let bid = plan_for(&stage(0), -420, None).unwrap();
        assert_eq!((bid.side, bid.energy.wh(), bid.limit.micro_per_kwh()), (Side::Bid, 336, 142_400));
        assert!(bid.reason.starts_with("You lacked 420 Wh"), "{}", bid.reason);
        assert_eq!(plan_for(&stage(0), 1, None), None, "80 % of 1 Wh is nothing to trade");
    }

    #[test]
    fn an_open_order_moves_its_limit_and_keeps_its_energy() {
        let mut order = AutopilotOrder {
            order_id: OrderId(9),
            site_id: SiteId::new("s1").unwrap(),
            member_id: MemberId::new("m1").unwrap(),
            side: Side::Offer,
            energy: Energy::from_wh(336),
            limit: Price::from_micro_per_kwh(225_600),
            status: OrderStatus::Open,
        };
        assert_eq!(plan_for(&stage(0), 500, Some(&order)), None, "nothing new at the same step");
        let moved = plan_for(&stage(1), 500, Some(&order)).unwrap();
        assert_eq!(
            (moved.replaces, moved.energy, moved.limit.micro_per_kwh()),
            (Some(OrderId(9)), order.energy, 184_000)
        );
        assert_eq!(moved.client_id.as_str(), "auto-s1-1800-1");
        for done in [OrderStatus::Filled, OrderStatus::Cancelled, OrderStatus::Expired] {
            order.status = done;
            assert_eq!(plan_for(&stage(2), 500, Some(&order)), None);
        }
    }

    #[test]
    fn a_long_site_id_still_makes_a_valid_client_id() {
        let site = SiteId::new(&"x".repeat(64)).unwrap();
        let id = client_id(&site, DateTime::UNIX_EPOCH, 3).unwrap();
        assert!(id.as_str().starts_with("auto-") && id.as_str().len() < 40, "{id}");
    }
}

//! What the autopilot does for one site at one step: submit, move its limit, or nothing. Pure.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, SiteId};
use domain::order::Side;
use domain::units::{Energy, Price};
use pilot::intent::{Expected, Intent, reason_to_move};
use store::autopilot::Piloted;
use store::orders::{AutopilotOrder, NewCommand, OrderStatus};

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
    /// How much of the forecast is traded by those who are hands-off, in per cent.
    pub forecast_share_percent: u8,
}

/// A site as the autopilot sees it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The site and how it is set.
    pub piloted: &'a Piloted,
    /// The number of its zone, which bounds its bids.
    pub zone: usize,
    /// What it is expected to do in the slot, if there is a forecast.
    pub expected: Option<Expected>,
    /// Its newest order for the slot.
    pub order: Option<&'a AutopilotOrder>,
}

/// The command to send, if any. The same site, slot, step and settings always have the same client id, so
/// that a plan that is made twice is carried out once.
#[must_use]
pub fn plan(stage: &Stage, site: &Seen<'_>) -> Option<NewCommand> {
    if site.piloted.settings.paused {
        return None;
    }
    match site.order {
        None => submit(stage, site),
        Some(order) if order.status == OrderStatus::Open => replace(stage, site, order),
        // It traded, or its member took it back: either way it is done.
        Some(_) => None,
    }
}

fn submit(stage: &Stage, site: &Seen<'_>) -> Option<NewCommand> {
    let settings = &site.piloted.settings;
    let intent = Intent::of(settings, &site.expected?, stage.forecast_share_percent, stage.terms.max_order)?;
    let limit = limit(stage, site, intent.side)?;
    command(stage, site, intent.side, intent.energy, limit, intent.reason(limit))
}

fn replace(stage: &Stage, site: &Seen<'_>, order: &AutopilotOrder) -> Option<NewCommand> {
    let limit = limit(stage, site, order.side)?;
    if limit == order.limit {
        return None;
    }
    let reason = reason_to_move(order.side, order.energy, order.limit, limit);
    let command = command(stage, site, order.side, order.energy, limit, reason)?;
    Some(NewCommand { replaces: Some(order.order_id), ..command })
}

/// `None` where the zone's fees leave no room to buy locally in this slot, or the zone came later than the slot's orders.
fn limit(stage: &Stage, site: &Seen<'_>, side: Side) -> Option<Price> {
    let settings = &site.piloted.settings;
    let terms = Some(&stage.terms).filter(|terms| terms.takes(site.zone))?;
    let highest = match side {
        Side::Bid => terms.highest_bid(site.zone).ok().filter(|highest| *highest >= terms.lowest)?,
        Side::Offer => terms.highest,
    };
    let (lowest, highest) = settings.bounds(side, terms.lowest, highest);
    Some(settings.preset.limit(side, stage.step, lowest, highest))
}

fn command(
    stage: &Stage,
    site: &Seen<'_>,
    side: Side,
    energy: Energy,
    limit: Price,
    reason: String,
) -> Option<NewCommand> {
    let piloted = site.piloted;
    Some(NewCommand {
        member_id: piloted.member_id.clone(),
        client_id: client_id(&piloted.site_id, stage.slot_start, stage.step, piloted.version)?,
        slot_start: stage.slot_start,
        replaces: None,
        site_id: piloted.site_id.clone(),
        side,
        energy,
        limit,
        reason,
    })
}

fn client_id(site: &SiteId, slot_start: DateTime<Utc>, step: u8, version: i32) -> Option<ClientId> {
    let slot = slot_start.timestamp();
    // A long site id leaves no room for the rest, so its digest stands for it.
    ClientId::new(&format!("auto-{site}-{slot}-{step}-{version}"))
        .or_else(|_| ClientId::new(&format!("auto-{:016x}-{slot}-{step}-{version}", mix(site, slot_start))))
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

#[cfg(test)]
mod tests {
    use domain::ids::{MemberId, OrderId};
    use domain::tariff::Tariff;
    use pilot::quantile::Quantiles;
    use pilot::settings::{Preset, Settings};

    use super::*;

    fn stage(step: u8) -> Stage {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let gate = DateTime::from_timestamp(1_800, 0).unwrap();
        let terms = SlotTerms::new(gate, &tariff, Energy::from_wh(100_000)).unwrap();
        Stage { slot_start: gate, terms, step, forecast_share_percent: 80 }
    }

    fn piloted(settings: Settings, version: i32) -> Piloted {
        let (site_id, member_id) = (SiteId::new("s1").unwrap(), MemberId::new("m1").unwrap());
        Piloted { site_id, member_id, settings, version, battery: None }
    }

    fn plan_for(
        stage: &Stage,
        piloted: &Piloted,
        net_wh: i64,
        order: Option<&AutopilotOrder>,
    ) -> Option<NewCommand> {
        let residual = Quantiles::certain(net_wh);
        let expected = Some(Expected { slot_start: stage.slot_start, residual, battery_wh: 0 });
        plan(stage, &Seen { piloted, zone: 0, expected, order })
    }

    fn hands_off() -> Piloted {
        piloted(Settings::of_preset(Some(Preset::HandsOff)), 0)
    }

    fn order(side: Side, status: OrderStatus) -> AutopilotOrder {
        AutopilotOrder {
            order_id: OrderId(9),
            site_id: SiteId::new("s1").unwrap(),
            member_id: MemberId::new("m1").unwrap(),
            side,
            energy: Energy::from_wh(336),
            limit: Price::from_micro_per_kwh(225_600),
            status,
        }
    }

    #[test]
    fn surplus_is_offered_and_a_lack_is_bid_for_with_the_reason() {
        let offer = plan_for(&stage(0), &hands_off(), 420, None).unwrap();
        assert_eq!((offer.side, offer.energy.wh(), offer.limit.micro_per_kwh()), (Side::Offer, 336, 225_600));
        assert!(
            offer.reason.ends_with("hands-off offers 80 % of it, 336 Wh, from 22.5 ct."),
            "{}",
            offer.reason
        );
        assert_eq!(offer.client_id.as_str(), "auto-s1-1800-0-0");
        let bid = plan_for(&stage(0), &hands_off(), -420, None).unwrap();
        assert_eq!((bid.side, bid.energy.wh(), bid.limit.micro_per_kwh()), (Side::Bid, 336, 142_400));
        assert_eq!(plan_for(&stage(0), &hands_off(), 1, None), None, "80 % of 1 Wh is nothing to trade");
    }

    #[test]
    fn an_open_order_moves_its_limit_and_keeps_its_energy() {
        let mut resting = order(Side::Offer, OrderStatus::Open);
        let site = hands_off();
        assert_eq!(plan_for(&stage(0), &site, 500, Some(&resting)), None, "nothing new at the same step");
        let moved = plan_for(&stage(1), &site, 500, Some(&resting)).unwrap();
        assert_eq!(
            (moved.replaces, moved.energy, moved.limit.micro_per_kwh()),
            (Some(OrderId(9)), resting.energy, 184_000)
        );
        assert_eq!(moved.client_id.as_str(), "auto-s1-1800-1-0");
        for done in [OrderStatus::Filled, OrderStatus::Cancelled, OrderStatus::Expired] {
            resting.status = done;
            assert_eq!(plan_for(&stage(2), &site, 500, Some(&resting)), None);
        }
    }

    #[test]
    fn own_limits_hold_at_every_step_and_move_a_resting_order_at_once() {
        let own = Price::from_micro_per_kwh(250_000);
        let settings = Settings { offer_limit: Some(own), ..Settings::of_preset(Some(Preset::Greenest)) };
        let site = piloted(settings, 3);
        for step in 0..4 {
            assert!(plan_for(&stage(step), &site, 500, None).unwrap().limit >= own);
        }
        let moved = plan_for(&stage(0), &site, 500, Some(&order(Side::Offer, OrderStatus::Open))).unwrap();
        assert!(moved.limit >= own);
        assert_eq!(moved.client_id.as_str(), "auto-s1-1800-0-3", "a new version is a new command");
    }

    #[test]
    fn a_bid_stays_within_what_its_zone_may_pay() {
        let price = Price::from_micro_per_kwh;
        let mut stage = stage(3);
        let bid = |stage: &Stage| {
            let (residual, battery_wh) = (Quantiles::certain(-500), 0);
            let expected = Some(Expected { slot_start: stage.slot_start, residual, battery_wh });
            plan(stage, &Seen { piloted: &hands_off(), zone: 1, expected, order: None })
        };
        stage.terms.zone_fees[1] = price(200_000);
        // Nine tenths of the way from 8 ct to 12 ct.
        assert_eq!(bid(&stage).unwrap().limit, price(116_000));
        stage.terms.zone_fees[1] = price(250_000);
        assert_eq!(bid(&stage), None, "at the grid it pays less than any neighbour may ask");
        stage.terms.zone_fees[1] = price(200_000);
        stage.terms.late_zones[1] = true;
        assert_eq!(bid(&stage), None, "its zone came when the slot took orders already");
    }

    #[test]
    fn a_paused_site_does_nothing() {
        let site = piloted(Settings::of_preset(None), 0);
        assert_eq!(plan_for(&stage(0), &site, 500, None), None);
        assert_eq!(plan_for(&stage(2), &site, 500, Some(&order(Side::Offer, OrderStatus::Open))), None);
    }

    #[test]
    fn a_long_site_id_still_makes_a_valid_client_id() {
        let site = SiteId::new(&"x".repeat(64)).unwrap();
        let id = client_id(&site, DateTime::UNIX_EPOCH, 3, 12).unwrap();
        assert!(id.as_str().starts_with("auto-") && id.as_str().len() < 40, "{id}");
    }
}

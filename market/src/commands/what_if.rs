//! `market what-if`: what a setting of a site's autopilot would have saved, from the stored rows.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use domain::ids::{CommunityId, SiteId};
use domain::units::Price;
use market::words::counted;
use pilot::bounds::Bounds;
use pilot::day::Days;
use pilot::settings::Settings;
use pilot::what_if::{Site, WhatIf, what_if};
use store::{PgPool, autopilot, communities, forecasts, places};

use super::{PresetArg, only_community, print};

/// `market what-if`.
#[derive(Args)]
pub(crate) struct WhatIfArgs {
    /// The community; may be left out where there is only one.
    #[arg(long)]
    community: Option<CommunityId>,
    /// The site.
    #[arg(long)]
    site: SiteId,
    /// How it would have traded.
    #[arg(long, value_enum)]
    preset: PresetArg,
    /// The most it would have paid, fees apart, in micro-currency per kWh.
    #[arg(long)]
    bid_limit_micro_per_kwh: Option<i64>,
    /// The least it would have taken.
    #[arg(long)]
    offer_limit_micro_per_kwh: Option<i64>,
    /// What would have been kept back in the battery, in per cent; its battery follows the plan then.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
    reserve_percent: Option<u8>,
    /// How many days to look back.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=31))]
    days: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Reads the rows, plays the setting and prints what it would have come to.
///
/// # Errors
/// An unknown community or site, a limit outside the bounds of the site's zone, or the database's error.
pub(crate) async fn run(
    args: WhatIfArgs,
    pool: &PgPool,
    share_percent: u8,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let id = match &args.community {
        Some(id) => id.clone(),
        None => only_community(pool).await?,
    };
    let Some(community) = communities::find(pool, &id).await? else {
        anyhow::bail!("the database holds no community {id}");
    };
    let Some(site) = autopilot::piloted(pool, &id, Some(&args.site)).await?.pop() else {
        anyhow::bail!("{id} has no site {}", args.site);
    };
    let settings = Settings {
        preset: args.preset.into(),
        paused: false,
        bid_limit: args.bid_limit_micro_per_kwh.map(Price::from_micro_per_kwh),
        offer_limit: args.offer_limit_micro_per_kwh.map(Price::from_micro_per_kwh),
        battery_reserve_percent: args.reserve_percent.unwrap_or_default(),
        follows_battery_plan: args.reserve_percent.is_some() && site.battery.is_some(),
    };
    let place = places::of_site(pool, &community, &args.site, now).await?;
    settings.check_within(&Bounds::of_zone(&place.tariff, &place.fees, &place.zone_id)?)?;
    let from = now - TimeDelta::days(args.days.into());
    let past = forecasts::past(pool, &id, &args.site, from, now).await?;
    let days = Days::new(community.slot_length.seconds());
    let found = what_if(&Site { settings: &settings, battery: site.battery, share_percent }, days, &past)?;
    print(&if args.json { json(&args.site, &settings, &found) } else { text(&args.site, args.days, &found) })
}

fn json(site: &SiteId, settings: &Settings, found: &WhatIf) -> String {
    let (base, actual, net) = (found.base_net_nano, found.actual_net_nano, found.what_if_net_nano);
    let WhatIf { slots, import_wh, export_wh, traded_wh, closing_wh, grid_wh, .. } = found;
    let battery = if settings.follows_battery_plan {
        let WhatIf { charged_wh, discharged_wh, loss_wh, .. } = found;
        format!("{{\"charged_wh\":{charged_wh},\"discharged_wh\":{discharged_wh},\"loss_wh\":{loss_wh}}}")
    } else {
        "null".to_owned()
    };
    format!(
        "{{\"site_id\":\"{site}\",\"preset\":\"{}\",\"slots\":{slots},\"import_wh\":{import_wh},\
         \"export_wh\":{export_wh},\"base_net_nano\":\"{base}\",\"actual_net_nano\":\"{actual}\",\
         \"actual_savings_nano\":\"{}\",\"what_if_net_nano\":\"{net}\",\"what_if_savings_nano\":\"{}\",\
         \"difference_nano\":\"{}\",\"traded_wh\":{traded_wh},\"closing_wh\":{closing_wh},\"grid_wh\":{grid_wh},\
         \"battery\":{battery}}}\n",
        settings.preset.as_str(),
        actual - base,
        net - base,
        net - actual
    )
}

fn text(site: &SiteId, days: u32, found: &WhatIf) -> String {
    if found.slots == 0 {
        return format!("{site}: no slot of the last {} has been metered yet\n", counted(days, "day"));
    }
    let (base, actual, net) = (found.base_net_nano, found.actual_net_nano, found.what_if_net_nano);
    format!(
        "{site}, {} of the last {}, in nano-currency:\n\
         at the tariffs alone {base}; saved {}; would have saved {}, a difference of {}\n\
         {} Wh would have been traded ahead, {} Wh in the closing auction, {} Wh with the grid\n",
        counted(found.slots, "slot"),
        counted(days, "day"),
        actual - base,
        net - base,
        net - actual,
        found.traded_wh,
        found.closing_wh,
        found.grid_wh
    )
}

#[cfg(test)]
mod tests {
    use pilot::settings::Preset;

    use super::*;

    #[test]
    fn money_is_text_and_an_empty_history_is_said() {
        let site = SiteId::new("s1").unwrap();
        let found = WhatIf {
            slots: 2,
            base_net_nano: -9,
            actual_net_nano: -5,
            what_if_net_nano: -6,
            ..WhatIf::default()
        };
        let line = json(&site, &Settings::of_preset(Some(Preset::Cheapest)), &found);
        assert!(line.contains("\"actual_savings_nano\":\"4\",\"what_if_net_nano\":\"-6\""), "{line}");
        assert!(line.contains("\"difference_nano\":\"-1\"") && line.contains("\"battery\":null"), "{line}");
        assert!(text(&site, 7, &WhatIf::default()).contains("no slot of the last 7 days"));
    }

    #[sqlx::test(migrator = "store::MIGRATOR")]
    async fn a_limit_is_bounded_by_the_zone_of_the_site(pool: PgPool) {
        store::views::fixtures::insert(&pool).await.unwrap();
        for query in [
            "UPDATE sites SET zone_id = 'north' WHERE site_id = 'c1'",
            "INSERT INTO network_fees (community_id, from_zone, to_zone, valid_from, fee_micro_per_kwh, set_at)
             VALUES ('demo', 'main', 'north', '2026-02-01Z', 50000, '2026-02-01Z')",
        ] {
            sqlx::query(query).execute(&pool).await.unwrap();
        }
        let asked = async |site: &str, bid_limit| {
            let args = WhatIfArgs {
                community: Some(CommunityId::new("demo").unwrap()),
                site: SiteId::new(site).unwrap(),
                preset: PresetArg::HandsOff,
                bid_limit_micro_per_kwh: Some(bid_limit),
                offer_limit_micro_per_kwh: None,
                reserve_percent: None,
                days: 1,
                json: true,
            };
            run(args, &pool, 80, store::views::fixtures::now()).await.map_err(|error| error.to_string())
        };
        assert_eq!((asked("c1", 268_000).await, asked("a1", 288_000).await), (Ok(()), Ok(())));
        // By the tariff alone up to 288,000 would do.
        let refused = asked("c1", 268_001).await.unwrap_err();
        assert!(refused.contains("choose 80000 to 268000"), "{refused}");
    }
}

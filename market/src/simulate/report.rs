//! A simulation's result as text, as JSON and as CSV.

use std::fmt::{Display, Write};

use chrono::SecondsFormat;

use super::{MemberResult, Simulated};

const CSV_HEADER: &str = "slot_start,consumption_wh,production_wh,import_wh,export_wh,trades,traded_wh,\
closing_wh,closing_price_micro_per_kwh,grid_import_wh,grid_export_wh";

/// One JSON object, on one line. Money is decimal strings of nano-currency, shares are numbers or null.
#[must_use]
pub fn json(simulated: &Simulated) -> String {
    let k = &simulated.kpis;
    let members: Vec<String> = simulated.members.iter().map(member_json).collect();
    format!(
        "{{\"mechanism\":\"{}\",\"slots\":{},\"sites\":{},\"consumption_wh\":{},\"production_wh\":{},\
         \"trades\":{},\"traded_wh\":{},\"closing_auction_wh\":{},\"grid_import_wh\":{},\"grid_export_wh\":{},\
         \"self_sufficiency\":{},\"self_consumption\":{},\"local_share\":{},\
         \"welfare_nano\":\"{}\",\"optimum_nano\":\"{}\",\"welfare_share\":{},\
         \"mean_price_micro_per_kwh\":{},\"base_cost_nano\":\"{}\",\"cost_nano\":\"{}\",\"savings_nano\":\"{}\",\
         \"savings_percent\":{},\"money_sum_nano\":{},\"members\":[{}]}}\n",
        simulated.mechanism.as_str(),
        k.slots,
        simulated.members.len(),
        k.consumption_wh,
        k.production_wh,
        k.trades,
        k.traded_wh,
        k.closing_wh,
        k.grid_import_wh,
        k.grid_export_wh,
        number(k.self_sufficiency()),
        number(k.self_consumption()),
        number(k.local_share()),
        k.welfare_nano,
        k.optimum_nano,
        number(k.welfare_share()),
        or_null(k.mean_price_micro_per_kwh),
        k.base_cost_nano,
        k.cost_nano,
        k.savings_nano,
        number(k.savings_percent()),
        k.money_sum_nano,
        members.join(",")
    )
}

fn member_json(member: &MemberResult) -> String {
    format!(
        "{{\"site_id\":\"{}\",\"bought_wh\":{},\"sold_wh\":{},\"base_cost_nano\":\"{}\",\"cost_nano\":\"{}\",\
         \"savings_nano\":\"{}\"}}",
        // Letters, digits, `-` and `_` only.
        member.site_id,
        member.bought_wh,
        member.sold_wh,
        -member.base_nano,
        -member.net_nano,
        member.savings_nano()
    )
}

/// A few lines for people.
#[must_use]
pub fn text(simulated: &Simulated) -> String {
    let k = &simulated.kpis;
    let percent =
        |share: Option<f64>| share.map_or("none".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let mut text = format!(
        "{} sites, {} slots, mechanism {}\n\
         used {} Wh, produced {} Wh; traded {} Wh in {} trades, {} Wh in the closing auction\n\
         from the grid {} Wh, to the grid {} Wh\n\
         self-sufficiency {}, self-consumption {}, local share {}\n\
         gains {} of {} nano-currency, {} of the optimum; mean price {} micro-currency per kWh\n",
        simulated.members.len(),
        k.slots,
        simulated.mechanism.as_str(),
        k.consumption_wh,
        k.production_wh,
        k.traded_wh,
        k.trades,
        k.closing_wh,
        k.grid_import_wh,
        k.grid_export_wh,
        percent(k.self_sufficiency()),
        percent(k.self_consumption()),
        percent(k.local_share()),
        k.welfare_nano,
        k.optimum_nano,
        percent(k.welfare_share()),
        or_null(k.mean_price_micro_per_kwh),
    );
    for member in &simulated.members {
        let savings = member.savings_nano();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}: bought {} Wh, sold {} Wh, saved {savings} nano-currency",
            member.site_id, member.bought_wh, member.sold_wh
        );
    }
    text
}

/// One line a slot, below a header.
#[must_use]
pub fn csv(simulated: &Simulated) -> String {
    let mut csv = format!("{CSV_HEADER}\n");
    for slot in &simulated.slots {
        let price = slot.closing_price_micro_per_kwh.map(|price| price.to_string()).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(
            csv,
            "{},{},{},{},{},{},{},{},{price},{},{}",
            slot.slot_start.to_rfc3339_opts(SecondsFormat::Secs, true),
            slot.consumption_wh,
            slot.production_wh,
            slot.import_wh,
            slot.export_wh,
            slot.trades,
            slot.traded_wh,
            slot.closing_wh,
            slot.grid_import_wh,
            slot.grid_export_wh
        );
    }
    csv
}

fn number(share: Option<f64>) -> String {
    share.map_or("null".to_owned(), |share| format!("{share:.6}"))
}

fn or_null(value: Option<impl Display>) -> String {
    value.map_or("null".to_owned(), |value| value.to_string())
}

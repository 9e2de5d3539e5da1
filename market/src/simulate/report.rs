//! A simulation's result as text, as JSON and as CSV.

use std::fmt::{Display, Write};

use chrono::SecondsFormat;

use super::{Batteries, MemberResult, Simulated};
use crate::words::counted;

const CSV_HEADER: &str = "slot_start,consumption_wh,production_wh,import_wh,export_wh,trades,traded_wh,\
closing_wh,closing_price_micro_per_kwh,grid_import_wh,grid_export_wh,curtailed_wh,over_limit_wh";

/// How many sites that were left out are named for people; the JSON has them all.
const NAMED_SITES: usize = 20;

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
         \"savings_percent\":{},\"preset\":\"{}\",\"forecast\":\"{}\",{},\"curtailed_wh\":{},\
         \"over_limit_wh\":{},\"slots_left_out\":{},\"sites_left_out\":[{}],\"batteries_in_data\":{},\
         \"money_sum_nano\":{},\"members\":[{}]}}\n",
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
        simulated.preset.as_str(),
        simulated.forecast.as_str(),
        battery_json(simulated),
        k.curtailed_wh,
        k.over_limit_wh,
        simulated.left_out.slots,
        simulated.left_out.sites.iter().map(quoted).collect::<Vec<_>>().join(","),
        simulated.batteries_in_data,
        k.money_sum_nano,
        members.join(",")
    )
}

fn battery_json(simulated: &Simulated) -> String {
    let used = &simulated.battery;
    let mode = used.batteries.as_str();
    if used.batteries == Batteries::None {
        return format!("\"batteries\":\"{mode}\",\"battery\":null");
    }
    let cost =
        |(batteries, nano): &(Batteries, i128)| format!("\"cost_{}_nano\":\"{nano}\"", batteries.as_str());
    let mut fields: Vec<String> = [
        ("count", i64::try_from(used.count).unwrap_or(i64::MAX)),
        ("stored_before_wh", used.stored_before_wh),
        ("charged_wh", used.charged_wh),
        ("discharged_wh", used.discharged_wh),
        ("loss_wh", used.loss_wh),
        ("stored_after_wh", used.stored_after_wh),
    ]
    .iter()
    .map(|(name, wh)| format!("\"{name}\":{wh}"))
    .collect();
    fields.extend(simulated.compared.iter().map(cost));
    format!("\"batteries\":\"{mode}\",\"battery\":{{{}}}", fields.join(","))
}

fn member_json(member: &MemberResult) -> String {
    format!(
        "{{\"site_id\":{},\"bought_wh\":{},\"sold_wh\":{},\"base_cost_nano\":\"{}\",\"cost_nano\":\"{}\",\
         \"savings_nano\":\"{}\",\"savings_percent\":{}}}",
        quoted(&member.site_id),
        member.bought_wh,
        member.sold_wh,
        -member.base_nano,
        -member.net_nano,
        member.savings_nano(),
        number(member.savings_percent())
    )
}

/// A few lines for people.
#[must_use]
pub fn text(simulated: &Simulated) -> String {
    let k = &simulated.kpis;
    let percent =
        |share: Option<f64>| share.map_or("none".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let mut text = format!(
        "{}, {}, mechanism {}\n\
         used {} Wh, produced {} Wh; traded {} Wh in {}, {} Wh in the closing auction\n\
         from the grid {} Wh, to the grid {} Wh\n\
         self-sufficiency {}, self-consumption {}, local share {}\n\
         gains {} of {} nano-currency, {} of the optimum; mean price {} micro-currency per kWh\n",
        counted(simulated.members.len(), "site"),
        counted(k.slots, "slot"),
        simulated.mechanism.as_str(),
        k.consumption_wh,
        k.production_wh,
        k.traded_wh,
        counted(k.trades, "trade"),
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
    if k.curtailed_wh > 0 || k.over_limit_wh > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "beyond the grid limits: {} Wh of export curtailed, {} Wh of import stated",
            k.curtailed_wh, k.over_limit_wh
        );
    }
    let used = &simulated.battery;
    if used.batteries != Batteries::None {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} batteries ({}): {} Wh in, {} Wh out, {} Wh lost, {} Wh stored, {} Wh at the start",
            used.count,
            used.batteries.as_str(),
            used.charged_wh,
            used.discharged_wh,
            used.loss_wh,
            used.stored_after_wh,
            used.stored_before_wh
        );
        for (batteries, cost_nano) in &simulated.compared {
            let gain = cost_nano - k.cost_nano;
            let _ = writeln!(
                text,
                "with batteries \"{}\" all would have paid {gain} nano-currency more",
                batteries.as_str()
            );
        }
    }
    text.push_str(&notes(simulated));
    for member in &simulated.members {
        let savings = member.savings_nano();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}: bought {} Wh, sold {} Wh, saved {savings} nano-currency",
            shown(&member.site_id),
            member.bought_wh,
            member.sold_wh
        );
    }
    text
}

/// What was not played although it is in the data: a sentence a line, none if everything was.
#[must_use]
pub fn notes(simulated: &Simulated) -> String {
    let (mut notes, left_out) = (String::new(), &simulated.left_out);
    // Writing to a string cannot fail.
    if left_out.slots > 0 {
        let slots = counted(left_out.slots, "slot");
        let _ = writeln!(notes, "{slots} left out, in which a site has no line or an empty cell");
    }
    if !left_out.sites.is_empty() {
        let more = left_out.sites.len().saturating_sub(NAMED_SITES);
        let named: Vec<_> = left_out.sites.iter().take(NAMED_SITES).map(shown).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let sites = counted(left_out.sites.len(), "site");
        let _ =
            writeln!(notes, "{sites} left out, without any line in profiles.csv: {}{more}", named.join(", "));
    }
    if simulated.batteries_in_data > 0 && simulated.battery.batteries == Batteries::None {
        let batteries = match simulated.batteries_in_data {
            1 => "1 battery of the data was".to_owned(),
            count => format!("{count} batteries of the data were"),
        };
        let _ = writeln!(notes, "{batteries} not played; --batteries own or --batteries planned plays them");
    }
    notes
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
            "{},{},{},{},{},{},{},{},{price},{},{},{},{}",
            slot.slot_start.to_rfc3339_opts(SecondsFormat::Secs, true),
            slot.consumption_wh,
            slot.production_wh,
            slot.import_wh,
            slot.export_wh,
            slot.trades,
            slot.traded_wh,
            slot.closing_wh,
            slot.grid_import_wh,
            slot.grid_export_wh,
            slot.curtailed_wh,
            slot.over_limit_wh
        );
    }
    csv
}

/// An id as a JSON string.
fn quoted(id: impl AsRef<str>) -> String {
    serde_json::Value::from(id.as_ref()).to_string()
}

/// An id for people: in quotes if it could be mistaken for something else.
fn shown(id: impl AsRef<str>) -> String {
    let id = id.as_ref();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.chars().all(plain) { id.to_owned() } else { quoted(id) }
}

fn number(share: Option<f64>) -> String {
    share.map_or("null".to_owned(), |share| format!("{share:.6}"))
}

fn or_null(value: Option<impl Display>) -> String {
    value.map_or("null".to_owned(), |value| value.to_string())
}

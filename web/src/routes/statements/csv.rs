//! Statements as CSV: one header, one line an entry, every amount a whole number of its unit.
//!
//! Every cell is a number, a time, an id or hex, none of which needs quoting.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Statement, Statements};

/// The columns that each entry has, in the order of [`cells`].
const FIGURES: &str = "import_wh,export_wh,production_wh,substituted,traded_bought_wh,traded_bought_nano,\
    traded_sold_wh,traded_sold_nano,closing_bought_wh,closing_bought_nano,closing_sold_wh,closing_sold_nano,\
    preferred_bought_wh,preferred_bought_nano,preferred_sold_wh,preferred_sold_nano,residual_import_wh,\
    residual_export_wh,residual_nano,curtailed_wh,over_limit_wh,network_fee_nano,platform_fee_nano,net_nano,base_nano";

/// The page as CSV; lists within a cell are separated by blanks.
pub(crate) fn write(page: &Statements, by_period: bool) -> String {
    let head = if by_period {
        format!("period_start,slots,settled_slots,{FIGURES}")
    } else {
        format!("slot_start,revision,{FIGURES},trade_ids,readings,batch_id,batch_status,tx_hash,block_number")
    };
    let periods = page.periods.iter().map(|p| {
        let start = time(p.period_start);
        format!("{start},{},{},{}", p.slots, p.settled_slots, cells(&p.statement))
    });
    let slots = page.statements.iter().map(|s| {
        let trades: Vec<String> = s.trade_ids.iter().map(i64::to_string).collect();
        let batch = s.batch.as_ref().map_or_else(
            || ",,,".to_owned(),
            |b| {
                let tx_hash = b.tx_hash.as_deref().unwrap_or_default();
                format!("{},{},{tx_hash},{}", b.batch_id, b.status, optional(b.block_number))
            },
        );
        let (start, figures) = (time(s.slot_start), cells(&s.statement));
        let (trades, readings) = (trades.join(" "), s.readings.join(" "));
        format!("{start},{},{figures},{trades},{readings},{batch}", s.revision)
    });
    let lines: Vec<String> = std::iter::once(head).chain(periods).chain(slots).collect();
    lines.join("\r\n") + "\r\n"
}

/// A time with a Z, as in JSON: pasted into an address, the `+` of `+00:00` would be a blank.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn cells(s: &Statement) -> String {
    let figures = [
        s.traded_bought_wh,
        s.traded_bought_nano.0,
        s.traded_sold_wh,
        s.traded_sold_nano.0,
        s.closing_bought_wh,
        s.closing_bought_nano.0,
        s.closing_sold_wh,
        s.closing_sold_nano.0,
        s.preferred_bought_wh,
        s.preferred_bought_nano.0,
        s.preferred_sold_wh,
        s.preferred_sold_nano.0,
        s.residual_import_wh,
        s.residual_export_wh,
        s.residual_nano.0,
        s.curtailed_wh,
        s.over_limit_wh,
        s.network_fee_nano.0,
        s.platform_fee_nano.0,
        s.net_nano.0,
        s.base_nano.0,
    ];
    let figures: Vec<String> = figures.iter().map(i64::to_string).collect();
    let production = optional(s.production_wh);
    format!("{},{},{production},{},{}", s.import_wh, s.export_wh, s.substituted, figures.join(","))
}

fn optional(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

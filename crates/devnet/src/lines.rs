//! One line a settled slot, for people.

use domain::units::Money;
use store::settled::SettledSlot;

/// The heading above the lines.
pub const HEADING: &str = "slot (UTC)  traded                          closing auction          grid in / out kWh     credits moved  transaction";

/// Describes a settled slot in one line of fixed columns.
#[must_use]
pub fn line(slot: &SettledSlot) -> String {
    let traded = match (slot.trades, slot.traded_wh) {
        (0, _) | (_, 0) => "nothing".to_owned(),
        (trades, wh) => {
            let noun = if trades == 1 { "trade" } else { "trades" };
            format!("{} kWh at {} ct, {trades} {noun}", kwh(wh), cents(slot.traded_nano / wh))
        }
    };
    let closing = match slot.closing_price_micro_per_kwh {
        Some(price) => format!("{} kWh at {} ct", kwh(slot.closing_auction_wh), cents(price)),
        None => "nothing".to_owned(),
    };
    let transaction = match (&slot.tx_hash, slot.block_number) {
        (Some(hash), Some(block)) => {
            format!("{} in block {block}, {} accounts", short(hash), slot.positions)
        }
        _ => "nothing to move".to_owned(),
    };
    let mut line = format!(
        "{}    {traded:<31} {closing:<24} {:>8} / {:<8} {:>14}  {transaction}",
        slot.slot_start.format("%H:%M:%S"),
        kwh(slot.grid_import_wh),
        kwh(slot.grid_export_wh),
        Money::from_nano(slot.moved_nano).to_string(),
    );
    if slot.revision > 0 {
        line.push_str(&format!(", revision {}", slot.revision));
    }
    if slot.substituted_sites > 0 {
        let noun = if slot.substituted_sites == 1 { "site" } else { "sites" };
        line.push_str(&format!(", {} {noun} without a reading", slot.substituted_sites));
    }
    line
}

/// Whether nothing happened in a slot because nothing was read: the demonstration did not run.
#[must_use]
pub fn is_silent(slot: &SettledSlot) -> bool {
    slot.substituted_sites > 0
        && (slot.trades, slot.closing_auction_wh, slot.moved_nano) == (0, 0, 0)
        && (slot.grid_import_wh, slot.grid_export_wh, slot.revision) == (0, 0, 0)
}

/// One line for a pause, from its first slot to its last.
#[must_use]
pub fn silent_line(first: &SettledSlot, last: &SettledSlot, slots: usize) -> String {
    format!(
        "{}    {slots} slots until {} without a reading: what flowed then is in the next one",
        first.slot_start.format("%H:%M:%S"),
        last.slot_start.format("%H:%M:%S")
    )
}

/// Kilowatt-hours with three decimals, from integers.
fn kwh(wh: i64) -> String {
    format!("{}.{:03}", wh / 1_000, wh % 1_000)
}

/// Hundredths of a currency unit per kWh with two decimals, rounded down, from micro-currency per kWh.
fn cents(micro_per_kwh: i64) -> String {
    let hundredths = micro_per_kwh / 100;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn short(hash: &str) -> String {
    hash.chars().take(10).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn slot() -> SettledSlot {
        SettledSlot {
            slot_start: DateTime::UNIX_EPOCH,
            revision: 1,
            final_at: DateTime::UNIX_EPOCH,
            trades: 3,
            traded_wh: 4_213,
            traded_nano: 4_213 * 191_500,
            closing_auction_wh: 50,
            closing_price_micro_per_kwh: Some(184_000),
            grid_import_wh: 3_200,
            grid_export_wh: 0,
            substituted_sites: 2,
            moved_nano: 1_234_567_890,
            positions: 13,
            tx_hash: Some(format!("0x{}", "ab".repeat(32))),
            block_number: Some(17),
        }
    }

    #[test]
    fn a_pause_is_one_line() {
        let silent = SettledSlot {
            revision: 0,
            trades: 0,
            closing_auction_wh: 0,
            grid_import_wh: 0,
            moved_nano: 0,
            ..slot()
        };
        assert!(is_silent(&silent) && !is_silent(&slot()));
        assert!(!is_silent(&SettledSlot { substituted_sites: 0, ..silent.clone() }), "a calm slot is a slot");
        let later = SettledSlot {
            slot_start: DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(30),
            ..silent.clone()
        };
        let text = silent_line(&silent, &later, 4);
        assert!(text.starts_with("00:00:00    4 slots until 00:00:30 without a reading"), "{text}");
    }

    #[test]
    fn a_line_says_what_happened() {
        let text = line(&slot());
        for part in [
            "00:00:00",
            "4.213 kWh at 19.15 ct, 3 trades",
            "0.050 kWh at 18.40 ct",
            "1.234567890",
            "0xabababab… in block 17, 13 accounts, revision 1, 2 sites without a reading",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

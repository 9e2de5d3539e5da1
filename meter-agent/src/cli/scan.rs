//! `meter-agent scan`: which units answer on an endpoint, and which SunSpec models they have.

use serde_json::{Value, json};

use crate::modbus::{Bus, BusError, BusTiming, Endpoint};
use crate::source::SourceError;
use crate::sunspec::{Found, SunSpecError, UnitReader, find};
use crate::template::{Library, Quirks, Template};

/// The unit ids that devices come with, most frequent first.
const USUAL_UNITS: &str = "1,126,2,3,71,100,127,200,240,247";

/// Options of `meter-agent scan`.
#[derive(Debug, clap::Args)]
pub(super) struct ScanArgs {
    /// tcp://HOST:PORT, rtu+tcp://HOST:PORT or rtu:///DEVICE?baud=9600.
    #[arg(long)]
    endpoint: Endpoint,
    /// The unit ids to ask, such as 1-10,71,200.
    #[arg(long, default_value = USUAL_UNITS)]
    units: String,
    /// How long each answer may take, in milliseconds.
    #[arg(long, default_value_t = 500)]
    timeout_ms: u64,
    /// Print one JSON object on one line.
    #[arg(long)]
    json: bool,
}

/// Asks each unit and prints what was found.
///
/// # Errors
/// If the units are no list, or nothing is connected there.
pub(super) async fn scan(args: &ScanArgs) -> anyhow::Result<()> {
    let units = units(&args.units)?;
    let quirks = Quirks { request_timeout_ms: args.timeout_ms.clamp(10, 30_000), ..Quirks::default() };
    if matches!(args.endpoint, Endpoint::Mqtt { .. }) {
        anyhow::bail!("only Modbus endpoints can be scanned, which {} is not", args.endpoint);
    }
    let template = Library::embedded()?.get("sunspec")?;
    let mut bus = Bus::new(args.endpoint.clone(), BusTiming::from(&quirks)).without_backoff();
    let mut found = Vec::new();
    for unit in units {
        if let Some(report) = ask(&mut bus, unit, &template).await? {
            found.push(report);
        }
    }
    let report = json!({ "endpoint": args.endpoint.to_string(), "units": found });
    super::print_report(&report, args.json)
}

/// What a unit is; `None` if it does not answer.
async fn ask(bus: &mut Bus, unit: u8, template: &Template) -> Result<Option<Value>, SourceError> {
    let Some(access) = template.sunspec.as_ref() else { return Ok(None) };
    let mut reader = UnitReader { bus, unit };
    match find(&mut reader, access, template).await {
        Ok(found) => Ok(Some(describe(unit, &found))),
        Err(SourceError::SunSpec(SunSpecError::NotFound { .. })) => {
            Ok(Some(json!({ "unit": unit, "sunspec": null })))
        }
        Err(SourceError::SunSpec(error)) => {
            Ok(Some(json!({ "unit": unit, "sunspec": null, "problem": error.to_string() })))
        }
        // Nobody there can be asked at all.
        Err(SourceError::Bus(error @ BusError::Connect { .. })) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

fn describe(unit: u8, found: &Found) -> Value {
    let known = |text: &str| if text.starts_with('(') { Value::Null } else { json!(text) };
    let models: Vec<Value> = found
        .map
        .models
        .iter()
        .map(|model| json!({ "id": model.id, "address": model.address, "length": model.length }))
        .collect();
    json!({
        "unit": unit,
        "device": {
            "vendor": known(&found.device.vendor),
            "model": if found.device.vendor.starts_with('(') { Value::Null } else { json!(found.device.model) },
            "serial": found.device.serial,
        },
        "sunspec": { "base": found.map.base, "models": models },
    })
}

/// `1-3,71` as a list of units, each once.
fn units(text: &str) -> anyhow::Result<Vec<u8>> {
    let wrong = || anyhow::anyhow!("--units {text:?} is not a list of unit ids 0 to 255 such as 1-10,71");
    let mut units = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let (first, last) =
            (first.parse::<u8>().map_err(|_| wrong())?, last.parse::<u8>().map_err(|_| wrong())?);
        if first > last {
            return Err(wrong());
        }
        for unit in first..=last {
            if !units.contains(&unit) {
                units.push(unit);
            }
        }
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_lists_and_ranges() {
        assert_eq!(units("1-3,71, 2").unwrap(), [1, 2, 3, 71]);
        assert_eq!(units(USUAL_UNITS).unwrap().len(), 10);
        for bad in ["", "a", "3-1", "256", "1-", "-1"] {
            assert!(units(bad).is_err(), "{bad}");
        }
    }
}

//! `meter-agent curtail`: limits a device's power once, for a while.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Mutex;

use crate::curtail::{Curtailer, Limit};
use crate::modbus::{Bus, BusTiming, Endpoint};
use crate::template::Library;

/// Options of `meter-agent curtail`.
#[derive(Debug, clap::Args)]
pub(super) struct CurtailArgs {
    /// The device template's id; it must have a [curtail] section.
    #[arg(long)]
    template: String,
    /// tcp://HOST:PORT, rtu+tcp://HOST:PORT or rtu:///DEVICE?baud=9600.
    #[arg(long)]
    endpoint: Endpoint,
    /// Its Modbus unit id; the template's default if it is not given.
    #[arg(long)]
    unit: Option<u8>,
    /// The limit in per cent of the rated power, 0 to 100.
    #[arg(long)]
    limit_percent: u8,
    /// After how many seconds the device ends the limit by itself, 1 to 65534.
    #[arg(long)]
    for_s: u16,
    /// Print one JSON object on one line.
    #[arg(long)]
    json: bool,
}

/// Limits a device and prints what it took.
///
/// # Errors
/// [`crate::curtail::CurtailError`] with what is wrong.
pub(super) async fn curtail(args: &CurtailArgs) -> anyhow::Result<()> {
    let template = Library::embedded()?.get(&args.template)?;
    if matches!(args.endpoint, Endpoint::Mqtt { .. }) {
        anyhow::bail!("only devices on Modbus can be limited, which {} is not", args.endpoint);
    }
    let unit = args.unit.unwrap_or_else(|| template.default_unit());
    let bus = Bus::new(args.endpoint.clone(), BusTiming::from(&template.quirks));
    let mut curtailer = Curtailer::new(Arc::new(Mutex::new(bus)), unit, template)?;
    curtailer.limit(Limit { percent: args.limit_percent, revert_s: args.for_s }).await?;
    let report = json!({
        "endpoint": args.endpoint.to_string(),
        "unit": unit,
        "limit_percent": args.limit_percent,
        "reverts_after_s": args.for_s,
    });
    super::print_report(&report, args.json)
}

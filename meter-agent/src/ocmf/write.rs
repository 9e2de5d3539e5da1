//! Printing the payload.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use domain::reading::Register;

use super::{KWH_PLACES, OBIS_EXPORT, OBIS_IMPORT, OBIS_PRODUCTION, Record};
use crate::decimal;

/// The most flags that a record carries.
const MAX_FLAGS: usize = 16;

/// The payload's bytes; always the same for the same record.
pub(super) fn payload(record: &Record) -> String {
    let reading = &record.reading;
    let mut out = String::with_capacity(1_024);
    let serial = record.device.serial.as_deref().unwrap_or("");
    let mut put = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = out.write_fmt(text);
    };
    put(format_args!(r#"{{"FV":"1.0","GI":"busbar meter-agent","GS":{},"#, text(record.agent_id.as_str())));
    put(format_args!(r#""GV":"{}","PG":"F{}","#, env!("CARGO_PKG_VERSION"), reading.seq));
    put(format_args!(r#""MV":{},"MM":{},"#, text(&record.device.vendor), text(&record.device.model)));
    put(format_args!(r#""MS":{},"IS":false,"IF":[],"IT":"NONE","ID":"","RD":["#, text(serial)));
    put(format_args!("{}", register(record, reading.registers.import, OBIS_IMPORT)));
    put(format_args!(",{}", register(record, reading.registers.export, OBIS_EXPORT)));
    if let Some(production) = reading.registers.production {
        put(format_args!(",{}", register(record, production, OBIS_PRODUCTION)));
    }
    put(format_args!(r#"],"XC":{},"#, text(record.community_id.as_str())));
    put(format_args!(r#""XM":{},"XE":{},"#, text(reading.meter_id.as_str()), reading.epoch));
    put(format_args!(r#""XS":"{}","#, reading.slot_end.format("%Y-%m-%dT%H:%M:%SZ")));
    if let Some(power) = reading.power {
        put(format_args!(r#""XP":{},"#, power.w()));
    }
    put(format_args!(r#""XH":"{}","XB":{},"#, hex::encode(record.previous), text(&record.boot_id)));
    if let Some(resolution_mwh) = record.resolution_mwh {
        put(format_args!(r#""XZ":{resolution_mwh},"#));
    }
    if !record.quality.is_empty() {
        let flags: Vec<String> = record.quality.iter().take(MAX_FLAGS).map(|flag| text(flag)).collect();
        put(format_args!(r#""XQ":[{}],"#, flags.join(",")));
    }
    put(format_args!(r#""XT":{},"XR":{{"#, text(&record.template)));
    for (index, (name, raw)) in record.raw.iter().enumerate() {
        put(format_args!(r#"{}"{name}":{}"#, if index == 0 { "" } else { "," }, text(raw)));
    }
    put(format_args!("}}}}"));
    out
}

fn register(record: &Record, register: Register, obis: &str) -> String {
    format!(
        r#"{{"TM":"{}","RV":{},"RI":"{obis}","RU":"kWh","RT":"AC","EF":"","ST":"G"}}"#,
        time(record.reading.read_at, record.time_status.letter()),
        decimal::print(register.mwh(), KWH_PLACES),
    )
}

/// Milliseconds after a comma, an offset without colon, and the letter of the clock's state.
fn time(time: DateTime<Utc>, letter: char) -> String {
    format!("{},{:03}+0000 {letter}", time.format("%Y-%m-%dT%H:%M:%S"), time.timestamp_subsec_millis())
}

/// A JSON string. A bar inside would end the payload too early.
fn text(text: &str) -> String {
    let plain: String = text.chars().take(100).map(|c| if c == '|' { '/' } else { c }).collect();
    serde_json::Value::String(plain).to_string()
}

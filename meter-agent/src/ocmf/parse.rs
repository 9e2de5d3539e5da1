//! Reading a record back, every field checked.

use chrono::{DateTime, Utc};
use domain::ids::{AgentId, CommunityId, MeterId};
use domain::reading::{Reading, Register, Registers};
use domain::units::Power;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{KWH_PLACES, OBIS_EXPORT, OBIS_IMPORT, OBIS_PRODUCTION, OcmfError, RecordHash, sign};
use crate::decimal;

/// What a record says, as far as the platform uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedRecord {
    /// The community it names.
    pub community_id: CommunityId,
    /// The agent it names.
    pub agent_id: AgentId,
    /// The reading.
    pub reading: Reading,
    /// The hash of the meter's record before; zeros for its first.
    pub previous: RecordHash,
    /// The agent's start it comes from.
    pub boot_id: String,
    /// The template it was read with.
    pub template: String,
    /// What is to be known about the reading.
    pub quality: Vec<String>,
}

/// Reads a record. The signature is not checked here: see [`super::verify`].
///
/// # Errors
/// [`OcmfError`] with the field that is wrong.
pub fn parse(text: &str) -> Result<ParsedRecord, OcmfError> {
    let (payload, _) = sign::parts(text)?;
    let payload: Payload<'_> = serde_json::from_str(payload)
        .map_err(|error| OcmfError::Json { part: "payload", reason: error.to_string() })?;
    ParsedRecord::try_from(payload)
}

/// The payload as it is on the wire. Keys that are not listed are for other readers.
#[derive(Debug, Deserialize)]
struct Payload<'a> {
    #[serde(rename = "GS")]
    gateway_serial: String,
    #[serde(rename = "PG")]
    pagination: String,
    #[serde(rename = "RD", borrow)]
    readings: Vec<RegisterEntry<'a>>,
    #[serde(rename = "XC")]
    community: String,
    #[serde(rename = "XM")]
    meter: String,
    #[serde(rename = "XE")]
    epoch: i32,
    #[serde(rename = "XS")]
    slot_end: String,
    #[serde(rename = "XP")]
    power_w: Option<i64>,
    #[serde(rename = "XH")]
    previous: String,
    #[serde(rename = "XB")]
    boot_id: String,
    #[serde(rename = "XT")]
    template: String,
    #[serde(rename = "XQ", default)]
    quality: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct RegisterEntry<'a> {
    #[serde(rename = "TM")]
    time: String,
    #[serde(rename = "RV", borrow)]
    value: &'a RawValue,
    #[serde(rename = "RI")]
    obis: String,
    #[serde(rename = "RU")]
    unit: String,
}

fn wrong(field: &'static str, reason: impl std::fmt::Display) -> OcmfError {
    OcmfError::Field { field, reason: reason.to_string() }
}

impl TryFrom<Payload<'_>> for ParsedRecord {
    type Error = OcmfError;

    fn try_from(payload: Payload<'_>) -> Result<Self, OcmfError> {
        let seq = payload.pagination.strip_prefix('F').and_then(|seq| seq.parse::<i64>().ok());
        let seq =
            seq.filter(|seq| *seq > 0).ok_or_else(|| wrong("PG", "it must be F and a number from 1"))?;
        if payload.epoch < 1 {
            return Err(wrong("XE", "an epoch counts from 1"));
        }
        if payload.boot_id.len() > 64 || payload.template.len() > 100 {
            return Err(wrong("XB", "boot id or template are too long"));
        }
        let slot_end = DateTime::parse_from_rfc3339(&payload.slot_end)
            .map_err(|error| wrong("XS", error))?
            .with_timezone(&Utc);
        let mut previous = RecordHash::default();
        hex::decode_to_slice(&payload.previous, &mut previous).map_err(|error| wrong("XH", error))?;
        Ok(Self {
            community_id: CommunityId::new(&payload.community).map_err(|error| wrong("XC", error))?,
            agent_id: AgentId::new(&payload.gateway_serial).map_err(|error| wrong("GS", error))?,
            reading: Reading {
                meter_id: MeterId::new(&payload.meter).map_err(|error| wrong("XM", error))?,
                epoch: payload.epoch,
                seq,
                slot_end,
                read_at: read_at(&payload.readings)?,
                registers: registers(&payload.readings)?,
                power: payload.power_w.map(Power::from_w),
            },
            previous,
            boot_id: payload.boot_id,
            template: payload.template,
            quality: payload.quality,
        })
    }
}

/// The one time of all the registers.
fn read_at(entries: &[RegisterEntry<'_>]) -> Result<DateTime<Utc>, OcmfError> {
    let first = entries.first().ok_or_else(|| wrong("RD", "there is no register"))?;
    if entries.iter().any(|entry| entry.time != first.time) {
        return Err(wrong("TM", "the registers were read at different times"));
    }
    let (time, status) =
        first.time.split_once(' ').ok_or_else(|| wrong("TM", "the clock's state is missing"))?;
    if !matches!(status, "U" | "I" | "S" | "R") {
        return Err(wrong("TM", "the clock's state must be U, I, S or R"));
    }
    let time = DateTime::parse_from_str(&time.replace(',', "."), "%Y-%m-%dT%H:%M:%S%.3f%z");
    time.map(|time| time.with_timezone(&Utc)).map_err(|error| wrong("TM", error))
}

fn registers(entries: &[RegisterEntry<'_>]) -> Result<Registers, OcmfError> {
    if entries.len() > 3 {
        return Err(wrong("RD", "there are more than three registers"));
    }
    Ok(Registers {
        import: register(entries, OBIS_IMPORT)?
            .ok_or_else(|| wrong("RD", "the import register is missing"))?,
        export: register(entries, OBIS_EXPORT)?
            .ok_or_else(|| wrong("RD", "the export register is missing"))?,
        production: register(entries, OBIS_PRODUCTION)?,
    })
}

fn register(entries: &[RegisterEntry<'_>], obis: &str) -> Result<Option<Register>, OcmfError> {
    let mut found = entries.iter().filter(|entry| entry.obis == obis);
    let (Some(entry), more) = (found.next(), found.next()) else { return Ok(None) };
    if more.is_some() || entry.unit != "kWh" {
        return Err(wrong("RD", "a register must be there once, in kWh"));
    }
    let places = i32::try_from(KWH_PLACES).map_err(|error| wrong("RV", error))?;
    let mwh = decimal::scaled(entry.value.get(), places).map_err(|error| wrong("RV", error))?;
    let mwh = i64::try_from(mwh).map_err(|error| wrong("RV", error))?;
    Register::from_mwh(mwh).map(Some).map_err(|error| wrong("RV", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"OCMF|{"GS":"agent-1","PG":"F12","RD":[
        {"TM":"2026-11-22T08:15:00,123+0000 S","RV":1.5,"RI":"01-00:01.08.00*FF","RU":"kWh"},
        {"TM":"2026-11-22T08:15:00,123+0000 S","RV":0.000001,"RI":"01-00:02.08.00*FF","RU":"kWh"}],
        "XC":"demo","XM":"meter-7","XE":1,"XS":"2026-11-22T08:15:00Z","XH":"0000000000000000000000000000000000000000000000000000000000000000",
        "XB":"b","XT":"t@1","ZZ":"for others"}|{}"#;

    #[test]
    fn a_good_one_is_read() {
        let parsed = parse(GOOD).unwrap();
        assert_eq!((parsed.reading.seq, parsed.reading.registers.import.mwh()), (12, 1_500_000));
        assert_eq!((parsed.reading.power, parsed.reading.registers.production), (None, None));
    }

    #[test]
    fn every_wrong_field_is_refused() {
        let cases = [
            (r#""F12""#, r#""F0""#),
            (r#""F12""#, r#""T12""#),
            (r#""F12""#, r#""F-1""#),
            (r#""XE":1"#, r#""XE":0"#),
            (r#""XE":1"#, r#""XE":1,"XE":2"#),
            (r#""RV":1.5"#, r#""RV":-1.5"#),
            (r#""RV":1.5"#, r#""RV":"1.5""#),
            (r#""RV":1.5"#, r#""RV":null"#),
            (r#""RV":1.5"#, r#""RV":1e300"#),
            (r#""kWh""#, r#""Wh""#),
            ("123+0000 S\",\"RV\":1.5", "124+0000 S\",\"RV\":1.5"),
            ("+0000 S", "+0000"),
            ("02.08.00", "01.08.00"),
            ("meter-7", "meter/7"),
            ("\"XH\":\"00", "\"XH\":\""),
            ("OCMF|", "OCMX|"),
            ("|{}", "|{}|"),
            ("2026-11-22T08:15:00Z", "tomorrow"),
        ];
        for (from, to) in cases {
            assert!(parse(&GOOD.replace(from, to)).is_err(), "{from} -> {to}");
        }
        assert!(parse(&"x".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,200}", at in 0_usize..600) {
            let _ = parse(&text);
            let mut changed = GOOD.to_owned();
            changed.insert_str(at.min(GOOD.len()), &text);
            let _ = parse(&changed);
        }
    }
}

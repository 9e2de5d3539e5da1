//! What must hold for a template beyond its syntax.

use super::{Capability, MessagePoint, PointName, RegisterPoint, RegistersFrom, Template};
use crate::decode::{Unit, ValueType};

const PROTOCOL_MAX_WORDS: u16 = 125;
const MAX_REQUEST_TIMEOUT_MS: u64 = 30_000;
const MAX_DELAY_MS: u64 = 10_000;

/// A template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It is not TOML, or has a key that no template has, or lacks one.
    #[error("not a template: {0}")]
    Syntax(String),
    /// A rule is broken.
    #[error("template {id}: {reason}")]
    Rule {
        /// Which template.
        id: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
}

/// Checks every rule.
pub(super) fn check(template: &Template) -> Result<(), InvalidTemplate> {
    let fail = |reason: String| InvalidTemplate::Rule { id: template.id.clone(), reason };
    let id_is_plain = template.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if template.id.is_empty() || template.id.len() > 64 || !id_is_plain {
        return Err(fail("the id must be 1 to 64 of a-z, 0-9 and '_'".to_owned()));
    }
    if template.sources.is_empty() {
        return Err(fail("name at least one source of its facts".to_owned()));
    }
    let quirks = &template.quirks;
    if !(1..=PROTOCOL_MAX_WORDS).contains(&quirks.max_block_words) {
        return Err(fail(format!("max_block_words must be 1 to {PROTOCOL_MAX_WORDS}")));
    }
    if !(1..=MAX_REQUEST_TIMEOUT_MS).contains(&quirks.request_timeout_ms) {
        return Err(fail(format!("request_timeout_ms must be 1 to {MAX_REQUEST_TIMEOUT_MS}")));
    }
    if [quirks.connect_delay_ms, quirks.request_gap_ms, quirks.unit_gap_ms]
        .iter()
        .any(|ms| *ms > MAX_DELAY_MS)
    {
        return Err(fail(format!("delays and gaps must be at most {MAX_DELAY_MS} ms")));
    }
    if let Some(curtail) = &template.curtail {
        super::curtail::check(curtail, template).map_err(fail)?;
    }
    let names: Vec<PointName> = match (&template.modbus, &template.sunspec, &template.mqtt) {
        (Some(modbus), None, None) => {
            for (name, point) in &modbus.points {
                register_point(*name, point, quirks.max_block_words).map_err(fail)?;
            }
            modbus.points.keys().copied().collect()
        }
        (None, Some(sunspec), None) => {
            if sunspec.base_addresses.is_empty() || sunspec.base_addresses.len() > 8 {
                return Err(fail("base_addresses must have 1 to 8 entries".to_owned()));
            }
            if sunspec.fixed_addresses.len() > 8 || sunspec.assumed_models.len() > 8 {
                return Err(fail(
                    "fixed_addresses and assumed_models must have at most 8 entries".to_owned(),
                ));
            }
            if sunspec.registers_from == RegistersFrom::Any && template.can_settle() {
                return Err(fail(
                    "registers from any model cannot be settled: name meter or inverter".to_owned(),
                ));
            }
            return Ok(());
        }
        (None, None, Some(mqtt)) => {
            for (name, point) in &mqtt.points {
                message_point(*name, point).map_err(fail)?;
            }
            mqtt.points.keys().copied().collect()
        }
        _ => return Err(fail("exactly one of [modbus], [sunspec] and [mqtt] must be there".to_owned())),
    };
    capabilities(template, &names).map_err(fail)
}

fn register_point(name: PointName, point: &RegisterPoint, max_block_words: u16) -> Result<(), String> {
    let name_text = name.as_str();
    let words = point.word_count();
    if point.value_type == ValueType::Str && point.words.is_none() {
        return Err(format!("{name_text}: a text needs its length in `words`"));
    }
    if words == 0 || words > max_block_words {
        return Err(format!("{name_text}: {words} words do not fit one request of {max_block_words}"));
    }
    if point.address.checked_add(words - 1).is_none() {
        return Err(format!("{name_text}: it ends beyond register 65535"));
    }
    if point.not_available.is_some() && point.not_available_bits().is_none() {
        return Err(format!("{name_text}: not_available must be a hexadecimal number such as 0xFFFFFFFF"));
    }
    if name.is_wide() && !point.optional {
        return Err(format!("{name_text}: a wider register must be optional"));
    }
    if name.is_phase_energy() && !point.optional {
        return Err(format!("{name_text}: the energy of a phase must be optional"));
    }
    if (name == PointName::Status) != point.must_equal.is_some() {
        return Err(format!("{name_text}: must_equal belongs to `status`, and to it alone"));
    }
    unit(name, point.unit, point.scale_pow10)
}

fn message_point(name: PointName, point: &MessagePoint) -> Result<(), String> {
    let name_text = name.as_str();
    if name.is_wide() || name.is_stand_in() {
        return Err(format!(
            "{name_text}: only Modbus registers have it; a message has `or` for other places"
        ));
    }
    if point.topics.is_empty() || point.topics.len() > 8 {
        return Err(format!("{name_text}: it needs 1 to 8 topics"));
    }
    if point.or.len() > 16 {
        return Err(format!("{name_text}: at most 16 other places"));
    }
    let others = point.or.iter();
    if others.clone().map(|o| &o.topic).chain(&point.topics).any(|topic| topic.contains(['+', '#'])) {
        return Err(format!("{name_text}: a topic cannot hold a wildcard"));
    }
    if others.map(|o| &o.pointer).chain([&point.pointer]).any(|p| !p.is_empty() && !p.starts_with('/')) {
        return Err(format!("{name_text}: a JSON pointer starts with '/'"));
    }
    unit(name, point.unit, point.scale_pow10)
}

fn unit(name: PointName, unit: Unit, scale_pow10: i32) -> Result<(), String> {
    let fits = match name {
        energy if energy.is_energy() || energy.is_phase_energy() => unit.mwh_pow10().is_some(),
        PointName::Voltage | PointName::VoltageOfInverter => unit == Unit::Volt,
        PointName::Frequency | PointName::FrequencyOfInverter => unit == Unit::Hertz,
        PointName::Serial | PointName::Status => unit == Unit::None,
        _ => matches!(unit, Unit::Watt | Unit::Kilowatt),
    };
    if !fits {
        return Err(format!("{}: its unit does not fit", name.as_str()));
    }
    if !(-9..=9).contains(&scale_pow10) {
        return Err(format!("{}: scale_pow10 must be -9 to 9", name.as_str()));
    }
    Ok(())
}

/// What is declared is what the points give, so that nobody relies on what is not there.
fn capabilities(template: &Template, names: &[PointName]) -> Result<(), String> {
    let has = |name| names.contains(&name);
    let power = has(PointName::ActivePower)
        || (has(PointName::PowerImport) && has(PointName::PowerExport))
        || (has(PointName::PowerL1) && has(PointName::PowerL2) && has(PointName::PowerL3));
    let given = [
        (Capability::Import, has(PointName::ImportEnergy)),
        (Capability::Export, has(PointName::ExportEnergy)),
        (Capability::Production, has(PointName::ProductionEnergy)),
        (Capability::Power, power),
        (Capability::Voltage, has(PointName::Voltage)),
        (Capability::Frequency, has(PointName::Frequency)),
        (Capability::Serial, has(PointName::Serial)),
    ];
    for (capability, given) in given {
        if template.can(capability) != given {
            let verb = if given { "lack" } else { "claim" };
            return Err(format!("the capabilities {verb} {capability:?}, against its points"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        id = "a_meter"
        version = 1
        vendor = "A"
        model = "M"
        kind = "meter"
        capabilities = ["import"]
        sources = ["its manual"]
        [modbus]
        default_unit = 1
        [modbus.points.import_energy]
        function = "holding"
        address = 10
        type = "u32"
        unit = "kWh"
        confidence = "unverified"
    "#;

    #[test]
    fn a_good_one_passes() {
        let template = Template::parse(GOOD).unwrap();
        assert!(!template.can_settle());
        assert_eq!(template.protocol(), "modbus");
    }

    #[test]
    fn each_mistake_is_named() {
        let cases = [
            ("address = 10", "adress = 10", "adress"),
            ("type = \"u32\"", "type = \"u33\"", "u33"),
            ("unit = \"kWh\"", "unit = \"V\"", "unit does not fit"),
            ("address = 10", "address = 65535", "beyond register"),
            ("[\"import\"]", "[\"import\", \"export\"]", "claim Export"),
            ("[\"import\"]", "[]", "lack Import"),
            ("sources = [\"its manual\"]", "sources = []", "source"),
            ("id = \"a_meter\"", "id = \"A meter\"", "id must be"),
            ("type = \"u32\"", "type = \"str\"", "length"),
            ("confidence", "not_available = \"FFFF\"\nconfidence", "not_available"),
            ("confidence", "must_equal = 1\nconfidence", "must_equal"),
            ("[modbus]", "[quirks]\nmax_block_words = 126\n[modbus]", "max_block_words"),
            ("[modbus]", "[mqtt]\nmax_age_s = 1\npoints = {}\n[modbus]", "exactly one"),
        ];
        for (from, to, named) in cases {
            let error = Template::parse(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(named), "{to}: {error}");
        }
    }
}

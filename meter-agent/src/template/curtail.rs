//! How the power of a device can be limited. Only devices that take the limit back by themselves after a
//! time are ever written to: what an agent set must not outlive the agent.

use serde::Deserialize;

use super::Template;
use crate::decode::{ValueType, WordOrder};

/// The SunSpec control models that are known.
const CONTROL_MODELS: [u16; 2] = [123, 704];

/// Section `[curtail]` of a template.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurtailAccess {
    /// The SunSpec models that control it, 123 or 704; the first that the device has is used.
    #[serde(default)]
    pub models: Vec<u16>,
    /// The registers that control it, for a device without such models.
    pub registers: Option<CurtailRegisters>,
}

/// Registers of a device that control its power.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurtailRegisters {
    /// The limit, in per cent of the rated power after the scale.
    pub limit: ControlPoint,
    /// Where 1 makes the limit count and 0 ends it.
    pub enable: ControlPoint,
    /// After how many seconds the device ends the limit by itself. A device without it is not written to.
    pub revert: Option<ControlPoint>,
}

/// A holding register that is written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlPoint {
    /// Its first register, counted from 0 as on the wire.
    pub address: u16,
    /// Its type: `u16` or `u32`.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// Which word comes first.
    #[serde(default)]
    pub word_order: WordOrder,
    /// The raw value times ten to this power is the value.
    #[serde(default)]
    pub scale_pow10: i32,
}

/// Checks the section against the rest of its template.
pub(super) fn check(curtail: &CurtailAccess, template: &Template) -> Result<(), String> {
    match &curtail.registers {
        None if template.sunspec.is_none() || curtail.models.is_empty() => {
            Err("[curtail] needs `models` for a SunSpec device, or `registers`".to_owned())
        }
        None if curtail.models.iter().any(|model| !CONTROL_MODELS.contains(model)) => {
            Err("[curtail] models must be 123 or 704".to_owned())
        }
        None => Ok(()),
        Some(_) if template.modbus.is_none() || !curtail.models.is_empty() => {
            Err("[curtail.registers] belongs to a template with [modbus], and has no `models` beside it"
                .to_owned())
        }
        Some(registers) => {
            let points = [Some(registers.limit), Some(registers.enable), registers.revert];
            for point in points.into_iter().flatten() {
                let fits = matches!(point.value_type, ValueType::U16 | ValueType::U32);
                if !fits || !(-4..=4).contains(&point.scale_pow10) || point.address == u16::MAX {
                    return Err("[curtail.registers] are u16 or u32 with a scale_pow10 of -4 to 4".to_owned());
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Library;

    #[test]
    fn mistakes_are_named() {
        let library = Library::embedded().unwrap();
        let (sunspec, meter) =
            (library.get("sunspec_inverter").unwrap(), library.get("eastron_sdm630").unwrap());
        let parse = |text: &str| toml::from_str::<CurtailAccess>(text).unwrap();
        let point = "{ address = 1, type = 'u16' }";
        let registers = format!("registers = {{ limit = {point}, enable = {point} }}");
        assert!(check(&parse("models = [123]"), &sunspec).is_ok());
        assert!(check(&parse(&registers), &meter).is_ok());
        for (text, template) in
            [("", &sunspec), ("models = [103]", &sunspec), ("models = [123]", &meter), (&registers, &sunspec)]
        {
            assert!(check(&parse(text), template).is_err(), "{text}");
        }
        assert!(check(&parse(&registers.replace("'u16'", "'f32'")), &meter).is_err());
    }
}

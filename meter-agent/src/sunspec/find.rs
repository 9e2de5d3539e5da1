//! Finding a unit's models, and which device it is.

use super::models::{INVERTERS, METERS};
use super::reading::words_of;
use super::walk::at_fixed;
use super::{HoldingReader, Map, ModelPlace, discover};
use crate::decode::{Scalar, ValueType, WordOrder, decode};
use crate::modbus::ExceptionClass;
use crate::source::{Device, SourceError};
use crate::template::{RegistersFrom, SunSpecAccess, Template};

const COMMON_MODEL: u16 = 1;
/// Offset and length of manufacturer, model and serial number in the common model.
const COMMON_TEXTS: [(usize, usize); 3] = [(2, 16), (18, 16), (50, 16)];

/// What discovery found; forgotten as soon as it turns out not to be so any more.
#[derive(Debug, Clone)]
pub struct Found {
    /// The models.
    pub map: Map,
    /// Which device it is.
    pub device: Device,
}

/// Finds a unit's models and reads which device it is.
///
/// # Errors
/// [`SourceError`] if there is no map, or the connection fails.
pub async fn find(
    reader: &mut dyn HoldingReader,
    access: &SunSpecAccess,
    template: &Template,
) -> Result<Found, SourceError> {
    let map = match discover(reader, &access.base_addresses).await {
        Err(SourceError::SunSpec(error)) if !access.fixed_addresses.is_empty() => {
            let known = [&[COMMON_MODEL][..], &INVERTERS, &METERS].concat();
            let map = at_fixed(reader, &access.fixed_addresses, &known).await?;
            if map.models.is_empty() { Err(error) } else { Ok(map) }?
        }
        map => map?,
    };
    let mut device = Device { vendor: template.vendor.clone(), model: template.model.clone(), serial: None };
    let first = map.first_of(&[COMMON_MODEL]);
    if let Some(place) = first {
        let [vendor, model, serial] = names(reader, place).await?;
        device.vendor = vendor.unwrap_or(device.vendor);
        device.model = model.unwrap_or(device.model);
        device.serial = serial;
    }
    // What is billed is the meter, which an inverter shows with a common model of its own: it is the one
    // whose exchange must be noticed.
    let own = map.common_before(&METERS).filter(|own| Some(*own) != first);
    if let (Some(place), RegistersFrom::Meter) = (own, access.registers_from)
        && let [vendor, model, Some(serial)] = names(reader, place).await?
    {
        device.vendor = vendor.unwrap_or(device.vendor);
        device.model = model.unwrap_or(device.model);
        device.serial = Some(serial);
    }
    Ok(Found { map, device })
}

/// Maker, model and serial number of a common model, as far as it goes: some are cut off in the middle of a text.
async fn names(
    reader: &mut dyn HoldingReader,
    place: ModelPlace,
) -> Result<[Option<String>; 3], SourceError> {
    let words = match words_of(reader, place).await {
        // A name is no reason to leave a meter unread: some devices and gateways hide it.
        Err(SourceError::Bus(error)) if error.exception() == Some(ExceptionClass::NotThere) => Vec::new(),
        words => words?,
    };
    Ok(COMMON_TEXTS.map(|(from, length)| {
        let own = words.get(from..words.len().min(from + length))?;
        match decode(own, ValueType::Str, WordOrder::Msw, None) {
            Ok(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }))
}

//! Finding the map and walking its chain of models.

use futures_util::future::BoxFuture;

use super::SunSpecError;
use crate::modbus::{BusError, ExceptionClass};
use crate::source::SourceError;

/// `SunS` in two registers.
const MARKER: [u16; 2] = [0x5375, 0x6e53];
const END_MODEL: u16 = 0xffff;
/// No device has anywhere near that many.
const MAX_MODELS: usize = 64;

/// Whatever can read holding registers; the port that lets the walk be tested without a socket.
pub trait HoldingReader: Send {
    /// Reads `count` registers from `address`.
    fn holding(&mut self, address: u16, count: u16) -> BoxFuture<'_, Result<Vec<u16>, BusError>>;
}

/// Where a model lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelPlace {
    /// The model's id.
    pub id: u16,
    /// The register of its id, the first of its header.
    pub address: u16,
    /// How many words follow its header of two.
    pub length: u16,
}

/// A device's models, in the order of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Where the marker is.
    pub base: u16,
    /// The models.
    pub models: Vec<ModelPlace>,
}

impl Map {
    /// The first model of the map that has one of `ids`, the earlier id first: a device that shows
    /// the same values in two models is read from one of them alone.
    #[must_use]
    pub fn first_of(&self, ids: &[u16]) -> Option<ModelPlace> {
        ids.iter().find_map(|id| self.models.iter().find(|model| model.id == *id)).copied()
    }

    /// The common model that names the first of `ids`: the last one before it.
    #[must_use]
    pub fn common_before(&self, ids: &[u16]) -> Option<ModelPlace> {
        let named = self.first_of(ids)?;
        self.models.iter().take_while(|model| **model != named).filter(|model| model.id == 1).last().copied()
    }

    /// The ids in it, for messages.
    #[must_use]
    pub fn ids(&self) -> String {
        self.models.iter().map(|model| model.id.to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// Finds the map at one of `bases` and walks it.
///
/// # Errors
/// [`SunSpecError::NotFound`] if none has the marker, [`SunSpecError::Endless`] if the chain does not
/// end, or the connection's error.
pub async fn discover(reader: &mut dyn HoldingReader, bases: &[u16]) -> Result<Map, SourceError> {
    let mut refused = None;
    for base in bases {
        match reader.holding(*base, 2).await {
            Ok(words) if words == MARKER => return walk(reader, *base).await,
            Ok(_) => {}
            // The device answers, but has nothing there.
            Err(error) if error.exception().is_some() => refused = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    // A gateway that says that its device is away speaks of all addresses.
    if let Some(error) = refused.filter(|error| error.exception() != Some(ExceptionClass::NotThere)) {
        return Err(error.into());
    }
    let tried = bases.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    Err(SunSpecError::NotFound { tried }.into())
}

/// The models at fixed addresses, for devices whose map cannot be found but whose layout is known.
///
/// # Errors
/// The connection's error; a refusal only means that the model is not there.
pub(super) async fn at_fixed(
    reader: &mut dyn HoldingReader,
    places: &[u16],
    ids: &[u16],
) -> Result<Map, SourceError> {
    let mut models = Vec::new();
    for address in places {
        match reader.holding(*address, 2).await {
            Ok(header) => match header[..] {
                [id, length] if ids.contains(&id) && (15..=200).contains(&length) => {
                    models.push(ModelPlace { id, address: *address, length });
                }
                _ => {}
            },
            Err(error) if error.exception().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Map { base: 0, models })
}

async fn walk(reader: &mut dyn HoldingReader, base: u16) -> Result<Map, SourceError> {
    let endless = SunSpecError::Endless { limit: MAX_MODELS };
    let mut models = Vec::new();
    let mut next = base.checked_add(2);
    while let Some(address) = next {
        if models.len() == MAX_MODELS {
            return Err(endless.into());
        }
        let header = match reader.holding(address, 2).await {
            Ok(header) => header,
            // Some maps just stop, without the end marker.
            Err(error) if error.exception().is_some() && !models.is_empty() => {
                return Ok(Map { base, models });
            }
            Err(error) => return Err(error.into()),
        };
        let [id, length] = header[..] else { return Err(endless.into()) };
        // Zeros are what is left behind a map that has no end marker.
        if id == END_MODEL || id == 0 {
            return Ok(Map { base, models });
        }
        models.push(ModelPlace { id, address, length });
        next = length.checked_add(2).and_then(|words| address.checked_add(words));
    }
    Err(endless.into())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::collections::BTreeMap;

    /// Registers in memory that answer as a device does.
    #[derive(Debug, Clone, Default)]
    pub(in crate::sunspec) struct Registers(pub(in crate::sunspec) BTreeMap<u16, u16>);

    impl Registers {
        pub(in crate::sunspec) fn put(&mut self, address: u16, words: &[u16]) -> &mut Self {
            for (offset, word) in (0..).zip(words) {
                self.0.insert(address + offset, *word);
            }
            self
        }
    }

    impl HoldingReader for Registers {
        fn holding(&mut self, address: u16, count: u16) -> BoxFuture<'_, Result<Vec<u16>, BusError>> {
            let words: Option<Vec<u16>> =
                (0..count).map(|offset| self.0.get(&address.checked_add(offset)?).copied()).collect();
            let refused = BusError::Exception {
                endpoint: "memory".to_owned(),
                unit: 1,
                address,
                last: u32::from(address) + u32::from(count),
                code: 2,
            };
            async move { words.ok_or(refused) }.boxed()
        }
    }

    async fn ids(registers: &mut Registers) -> Result<Vec<u16>, SourceError> {
        let map = discover(registers, &[40_000, 0, 50_000]).await?;
        Ok(map.models.iter().map(|model| model.id).collect())
    }

    #[tokio::test]
    async fn f12_every_base_is_found_and_a_missing_map_names_them() {
        for base in [40_000, 0, 50_000] {
            let mut device = Registers::default();
            device.put(base, &MARKER).put(base + 2, &[1, 1, 0]).put(base + 5, &[END_MODEL, 0]);
            assert_eq!(ids(&mut device).await.unwrap(), [1]);
        }
        let error = ids(&mut Registers::default()).await.unwrap_err().to_string();
        assert!(error.contains("40000, 0, 50000"), "{error}");
    }

    #[tokio::test]
    async fn f13_a_map_without_end_marker_and_with_an_empty_model_is_read() {
        let mut device = Registers::default();
        device.put(0, &MARKER).put(2, &[1, 2, 0, 0]).put(6, &[64_000, 0]).put(8, &[103, 1, 0]);
        assert_eq!(ids(&mut device).await.unwrap(), [1, 64_000, 103]);
    }

    #[tokio::test]
    async fn f13_a_chain_without_end_is_bounded() {
        let mut device = Registers::default();
        device.put(0, &MARKER);
        for step in 0..2_000 {
            device.put(2 + step * 2, &[7, 0]);
        }
        assert!(matches!(
            ids(&mut device).await,
            Err(SourceError::SunSpec(SunSpecError::Endless { limit: MAX_MODELS }))
        ));
        let mut over_the_edge = Registers::default();
        over_the_edge.put(0, &MARKER).put(2, &[7, 65_534]);
        assert!(ids(&mut over_the_edge).await.is_err());
    }
}

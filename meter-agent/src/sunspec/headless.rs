//! Models whose headers a device or gateway hides, for looking at it: some pass on only the registers that are
//! asked for most. Nothing is billed from a model that was only assumed.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::HoldingReader;
use super::models::words_needed;
use crate::modbus::{BusError, ExceptionClass};

const HEADER_WORDS: u16 = 2;
/// The common model's texts and its address, without the padding that many leave out.
const COMMON: (u16, u16) = (1, 65);

/// A reader that shows the headers of models as they would be.
pub(super) struct Headless<'a> {
    reader: &'a mut dyn HoldingReader,
    headers: BTreeMap<u16, [u16; 2]>,
}

impl<'a> Headless<'a> {
    /// Assumes those of `models` (register of the header, id) whose values the device tells; `None` if it tells
    /// none.
    ///
    /// # Errors
    /// The connection's; a refusal only means that the values are not there.
    pub(super) async fn over(
        reader: &'a mut dyn HoldingReader,
        models: &[(u16, u16)],
    ) -> Result<Option<Self>, BusError> {
        let mut headers = BTreeMap::new();
        for (address, id) in models {
            let needed = words_needed(*id).map(|needed| needed.saturating_sub(HEADER_WORDS));
            let length = needed.or_else(|| (*id == COMMON.0).then_some(COMMON.1));
            let (Some(length), Some(body)) = (length, address.checked_add(HEADER_WORDS)) else { continue };
            match reader.holding(body, length).await {
                Ok(_) => drop(headers.insert(*address, [*id, length])),
                Err(error) if error.exception() == Some(ExceptionClass::NotThere) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((!headers.is_empty()).then_some(Self { reader, headers }))
    }
}

impl HoldingReader for Headless<'_> {
    fn holding(&mut self, address: u16, count: u16) -> BoxFuture<'_, Result<Vec<u16>, BusError>> {
        let Some(header) = self.headers.get(&address) else { return self.reader.holding(address, count) };
        let mut words = header.to_vec();
        let rest = count.saturating_sub(HEADER_WORDS);
        let body = address.saturating_add(HEADER_WORDS);
        async move {
            words.truncate(count.into());
            if rest > 0 {
                words.extend(self.reader.holding(body, rest).await?);
            }
            Ok(words)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::models::tests::meter_203;
    use super::super::walk::tests::Registers;
    use super::*;

    #[tokio::test]
    async fn only_what_answers_is_assumed_and_shown_with_a_header() {
        let mut device = Registers::default();
        device.put(40_190, &meter_203(1_000, 2_000)[2..]);
        let models = [(40_069, 103), (40_188, 203)];
        let mut headless = Headless::over(&mut device, &models).await.unwrap().unwrap();
        let length = headless.headers[&40_188][1];
        assert_eq!(headless.holding(40_188, 2).await.unwrap(), [203, length]);
        let whole = headless.holding(40_188, length + 2).await.unwrap();
        assert_eq!(whole[2..], meter_203(1_000, 2_000)[2..usize::from(length) + 2]);
        assert!(headless.holding(40_069, 2).await.is_err());
        assert!(Headless::over(&mut Registers::default(), &models).await.unwrap().is_none());
    }
}

//! The bits of a value: words put in order and read as their type says.

use super::{DecodeError, ValueType, WordOrder};

/// A value as the device holds it, before scale and unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// An integer of any width and sign.
    Integer(i128),
    /// A finite float.
    Float {
        /// Its value.
        value: f64,
        /// The distance to the next larger float of the device's precision.
        step: f64,
    },
    /// Text without its padding; never empty.
    Text(String),
}

/// Reads a value from exactly its words.
///
/// `not_available` is the bit pattern, most significant word first, with which the device says that
/// it has no value.
///
/// # Errors
/// [`DecodeError`] if the word count is wrong, the device has no value, or a float is not finite.
pub fn decode(
    words: &[u16],
    value_type: ValueType,
    order: WordOrder,
    not_available: Option<u64>,
) -> Result<Scalar, DecodeError> {
    let Some(expected) = value_type.words() else { return text(words) };
    if words.len() != usize::from(expected) {
        return Err(DecodeError::WordCount { expected, got: words.len() });
    }
    let combine = |bits: u64, word: &u16| bits << 16 | u64::from(*word);
    let bits = match order {
        WordOrder::Msw => words.iter().fold(0, combine),
        WordOrder::Lsw => words.iter().rev().fold(0, combine),
    };
    if not_available == Some(bits) {
        return Err(DecodeError::NotAvailable);
    }
    number(bits, value_type)
}

/// The same bits, narrowed to their width and given their sign.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // bits are reinterpreted on purpose
fn number(bits: u64, value_type: ValueType) -> Result<Scalar, DecodeError> {
    let integer = match value_type {
        ValueType::U16 | ValueType::U32 | ValueType::U64 => i128::from(bits),
        ValueType::I16 => i128::from(bits as u16 as i16),
        ValueType::I32 => i128::from(bits as u32 as i32),
        ValueType::I64 => i128::from(bits as i64),
        ValueType::F32 => {
            let value = f32::from_bits(bits as u32);
            return float(f64::from(value), f64::from(value.abs().next_up()) - f64::from(value.abs()));
        }
        ValueType::F64 => {
            let value = f64::from_bits(bits);
            return float(value, value.abs().next_up() - value.abs());
        }
        ValueType::Str => return Err(DecodeError::WrongKind),
    };
    Ok(Scalar::Integer(integer))
}

fn float(value: f64, step: f64) -> Result<Scalar, DecodeError> {
    if value.is_finite() { Ok(Scalar::Float { value, step }) } else { Err(DecodeError::NotFinite) }
}

/// Printable ASCII up to the first NUL. Devices pad with NUL, spaces or 0xFF.
fn text(words: &[u16]) -> Result<Scalar, DecodeError> {
    let bytes = words.iter().flat_map(|word| word.to_be_bytes()).take_while(|b| *b != 0 && *b != 0xff);
    let text: String = bytes.map(char::from).filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    let text = text.trim();
    if text.is_empty() { Err(DecodeError::NotAvailable) } else { Ok(Scalar::Text(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MSW: WordOrder = WordOrder::Msw;
    const LSW: WordOrder = WordOrder::Lsw;

    fn integer(words: &[u16], value_type: ValueType, order: WordOrder) -> i128 {
        match decode(words, value_type, order, None).unwrap() {
            Scalar::Integer(value) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_integer_type_and_word_order() {
        assert_eq!(integer(&[0xfffe], ValueType::U16, MSW), 65_534);
        assert_eq!(integer(&[0xfffe], ValueType::I16, MSW), -2);
        assert_eq!(integer(&[0x0001, 0x0002], ValueType::U32, MSW), 65_538);
        assert_eq!(integer(&[0x0001, 0x0002], ValueType::U32, LSW), 131_073);
        assert_eq!(integer(&[0xffff, 0xff00], ValueType::I32, MSW), -256);
        assert_eq!(integer(&[0, 0, 1, 0], ValueType::U64, MSW), 65_536);
        assert_eq!(integer(&[0, 1, 0, 0], ValueType::U64, LSW), 65_536);
        assert_eq!(integer(&[0xffff; 4], ValueType::I64, LSW), -1);
    }

    #[test]
    fn floats_and_what_is_none() {
        let value = decode(&[0x4366, 0x8000], ValueType::F32, MSW, None).unwrap();
        assert!(matches!(value, Scalar::Float { value, .. } if (value - 230.5).abs() < 1e-9));
        let swapped = decode(&[0x8000, 0x4366], ValueType::F32, LSW, None).unwrap();
        assert_eq!(value, swapped);
        for not_finite in [[0x7fc0, 0], [0xffc0, 0], [0x7f80, 0], [0xff80, 0]] {
            assert_eq!(decode(&not_finite, ValueType::F32, MSW, None), Err(DecodeError::NotFinite));
        }
        let nan = f64::NAN.to_bits().to_be_bytes();
        let nan: Vec<u16> = nan.chunks(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect();
        assert_eq!(decode(&nan, ValueType::F64, MSW, None), Err(DecodeError::NotFinite));
    }

    #[test]
    fn the_not_available_pattern_is_no_value_in_either_word_order() {
        for order in [MSW, LSW] {
            let decoded = decode(&[0xffff, 0xffff], ValueType::U32, order, Some(0xffff_ffff));
            assert_eq!(decoded, Err(DecodeError::NotAvailable));
        }
        let lsw = decode(&[0x0000, 0x8000], ValueType::I32, LSW, Some(0x8000_0000));
        assert_eq!(lsw, Err(DecodeError::NotAvailable));
    }

    #[test]
    fn text_loses_its_padding() {
        let words = [0x534d, 0x4120, 0x0000, 0x5a5a];
        assert_eq!(decode(&words, ValueType::Str, MSW, None), Ok(Scalar::Text("SMA".to_owned())));
        assert_eq!(decode(&[0, 0], ValueType::Str, MSW, None), Err(DecodeError::NotAvailable));
    }

    #[test]
    fn a_missing_or_extra_word_is_an_error() {
        for count in [0, 1, 3] {
            assert!(decode(&vec![0; count], ValueType::U32, MSW, None).is_err());
        }
    }

    proptest! {
        #[test]
        fn decoding_never_panics(words in prop::collection::vec(any::<u16>(), 0..20), pick in 0_usize..9) {
            use ValueType::{F32, F64, I16, I32, I64, Str, U16, U32, U64};
            let value_type = [U16, I16, U32, I32, U64, I64, F32, F64, Str][pick];
            let _ = decode(&words, value_type, LSW, Some(7));
        }
    }
}

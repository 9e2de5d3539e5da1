//! What is written to limit a device, in which order: pure.

use super::{CurtailError, Limit};
use crate::decode::{ValueType, WordOrder};
use crate::sunspec::ModelPlace;
use crate::template::{ControlPoint, CurtailRegisters};

/// "Not implemented" of the unsigned types.
const NONE_U16: u16 = 0xffff;

/// Registers that are written together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) point: &'static str,
    pub(super) address: u16,
    pub(super) words: Vec<u16>,
    /// Whether it makes the limit count.
    pub(super) enables: bool,
    /// Whether it is a timer, which may have counted down already when it is read back.
    is_timer: bool,
}

impl Write {
    fn new(point: &'static str, address: u16, words: Vec<u16>) -> Self {
        Self { point, address, words, enables: false, is_timer: false }
    }

    fn timer(address: u16, words: Vec<u16>) -> Self {
        Self { is_timer: true, ..Self::new("revert timer", address, words) }
    }

    fn enable(address: u16, words: Vec<u16>) -> Self {
        Self { enables: true, ..Self::new("enable", address, words) }
    }

    /// Whether what is read back is what was written.
    pub(super) fn is_taken(&self, reads: &[u16]) -> bool {
        let number = |words: &[u16]| words.iter().fold(0_u64, |number, word| number << 16 | u64::from(*word));
        let counted_down = || (1..=number(&self.words)).contains(&number(reads));
        reads == self.words || (self.is_timer && reads.len() == self.words.len() && counted_down())
    }
}

/// Where the points of a control model lie, counted from its id.
struct Layout {
    words: u16,
    revert: (usize, ValueType),
    /// What holds after the revert: whether a limit is enabled.
    enable_after: Option<usize>,
    limit: usize,
    scale: usize,
    enable: usize,
}

const fn layout(model: u16) -> Option<Layout> {
    match model {
        123 => Some(Layout {
            words: 24,
            revert: (7, ValueType::U16),
            enable_after: None,
            limit: 5,
            scale: 23,
            enable: 9,
        }),
        704 => Some(Layout {
            words: 55,
            revert: (18, ValueType::U32),
            enable_after: Some(17),
            limit: 15,
            scale: 54,
            enable: 14,
        }),
        _ => None,
    }
}

/// How many words of a model, its header included, hold all that is used.
pub(super) fn words_needed(model: u16) -> u16 {
    layout(model).map_or(2, |layout| layout.words)
}

/// What to write to a control model whose words are known.
pub(super) fn model(place: ModelPlace, words: &[u16], limit: Limit) -> Result<Vec<Write>, CurtailError> {
    let unusable = |reason| CurtailError::Model { model: place.id, reason };
    let layout = layout(place.id).ok_or_else(|| unusable("it is no control model"))?;
    let word = |offset: usize| words.get(offset).copied().ok_or_else(|| unusable("it is too short"));
    let at = |offset: usize| {
        let offset = u16::try_from(offset).ok();
        offset
            .and_then(|offset| place.address.checked_add(offset))
            .ok_or_else(|| unusable("it ends too late"))
    };
    let (revert, revert_type) = layout.revert;
    let is_wide = revert_type == ValueType::U32;
    if word(revert)? == NONE_U16 && (!is_wide || word(revert + 1)? == NONE_U16) {
        let which = format!("model {} does not implement it", place.id);
        return Err(CurtailError::NoRevertTimer { which });
    }
    if word(layout.limit)? == NONE_U16 || word(layout.enable)? == NONE_U16 {
        return Err(unusable("it implements no limit"));
    }
    let scale = i16::from_be_bytes(word(layout.scale)?.to_be_bytes());
    let scale = Some(i32::from(scale)).filter(|scale| (-4..=2).contains(scale));
    let scale = scale.ok_or_else(|| unusable("the scale factor of its limit is none"))?;
    let raw = u16::try_from(scaled(limit.percent, scale)?).ok().filter(|raw| *raw != NONE_U16);
    let raw = raw.ok_or_else(|| unusable("the scale factor of its limit is too fine"))?;
    let timer = if is_wide { vec![0, limit.revert_s] } else { vec![limit.revert_s] };
    let mut writes = vec![Write::timer(at(revert)?, timer)];
    if let Some(after) =
        layout.enable_after.filter(|after| words.get(*after).is_some_and(|word| *word != NONE_U16))
    {
        writes.push(Write::new("enable after the revert", at(after)?, vec![0]));
    }
    writes.push(Write::new("limit", at(layout.limit)?, vec![raw]));
    writes.push(Write::enable(at(layout.enable)?, vec![1]));
    Ok(writes)
}

/// What to write to registers that a template names.
pub(super) fn registers(registers: &CurtailRegisters, limit: Limit) -> Result<Vec<Write>, CurtailError> {
    let revert = registers
        .revert
        .ok_or_else(|| CurtailError::NoRevertTimer { which: "its template names none".to_owned() })?;
    let too_large =
        CurtailError::Range("the value does not fit its register: check the template's scale_pow10");
    let words = |point: &ControlPoint, value: u32| match point.value_type {
        ValueType::U16 => u16::try_from(value).ok().map(|word| vec![word]),
        _ => {
            let [a, b, c, d] = value.to_be_bytes();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            Some(if point.word_order == WordOrder::Msw { vec![high, low] } else { vec![low, high] })
        }
    };
    let seconds = scaled_by(u32::from(limit.revert_s), revert.scale_pow10)?;
    let percent = scaled(limit.percent, registers.limit.scale_pow10)?;
    let all = [
        words(&revert, seconds).map(|words| Write::timer(revert.address, words)),
        words(&registers.limit, percent).map(|words| Write::new("limit", registers.limit.address, words)),
        words(&registers.enable, 1).map(|words| Write::enable(registers.enable.address, words)),
    ];
    all.into_iter().collect::<Option<Vec<_>>>().ok_or(too_large)
}

/// The raw value of a percentage; what a coarse register cannot show is cut off, so that it never lets
/// more through.
fn scaled(percent: u8, scale_pow10: i32) -> Result<u32, CurtailError> {
    scaled_by(u32::from(percent), scale_pow10)
}

fn scaled_by(value: u32, scale_pow10: i32) -> Result<u32, CurtailError> {
    let power = 10_u32.checked_pow(scale_pow10.unsigned_abs());
    let raw = power
        .and_then(|power| if scale_pow10 > 0 { value.checked_div(power) } else { value.checked_mul(power) });
    raw.ok_or(CurtailError::Range("the value does not fit its register"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { percent: 60, revert_s: 300 };

    fn place(id: u16) -> ModelPlace {
        ModelPlace { id, address: 40_200, length: 24 }
    }

    fn model_123(revert: u16, scale: i16) -> Vec<u16> {
        let mut words = vec![0; 26];
        (words[0], words[1], words[7]) = (123, 24, revert);
        words[23] = u16::from_be_bytes(scale.to_be_bytes());
        words
    }

    fn values(writes: &[Write]) -> Vec<(u16, Vec<u16>)> {
        writes.iter().map(|write| (write.address, write.words.clone())).collect()
    }

    #[test]
    fn f49_the_revert_timer_comes_first_and_the_enable_last() {
        let writes = model(place(123), &model_123(0, -2), LIMIT).unwrap();
        assert_eq!(values(&writes), [(40_207, vec![300]), (40_205, vec![6_000]), (40_209, vec![1])]);
        let mut words = vec![0; 61];
        (words[0], words[1], words[54]) = (704, 59, 0xffff); // scale -1
        let writes = model(place(704), &words, LIMIT).unwrap();
        let expected = [(40_218, vec![0, 300]), (40_217, vec![0]), (40_215, vec![600]), (40_214, vec![1])];
        assert_eq!(values(&writes), expected);
    }

    #[test]
    fn f49_a_device_without_a_revert_timer_is_refused() {
        let refused = model(place(123), &model_123(0xffff, 0), LIMIT);
        assert!(matches!(refused, Err(CurtailError::NoRevertTimer { .. })));
        let point = ControlPoint {
            address: 1,
            value_type: ValueType::U16,
            word_order: WordOrder::Msw,
            scale_pow10: 0,
        };
        let without = CurtailRegisters { limit: point, enable: point, revert: None };
        assert!(matches!(registers(&without, LIMIT), Err(CurtailError::NoRevertTimer { .. })));
        let wide = ControlPoint { value_type: ValueType::U32, word_order: WordOrder::Lsw, ..point };
        let with = CurtailRegisters {
            limit: ControlPoint { scale_pow10: -1, ..point },
            revert: Some(wide),
            ..without
        };
        let writes = registers(&with, LIMIT).unwrap();
        assert_eq!(values(&writes), [(1, vec![300, 0]), (1, vec![600]), (1, vec![1])]);
    }

    #[test]
    fn models_that_are_broken_are_refused() {
        let unusable =
            |words: &[u16]| matches!(model(place(123), words, LIMIT), Err(CurtailError::Model { .. }));
        assert!(unusable(&model_123(0, i16::MIN)));
        assert!(unusable(&model_123(0, -3)[..20]));
        let mut none = model_123(0, 0);
        none[5] = 0xffff;
        assert!(unusable(&none));
        assert!(matches!(model(place(103), &model_123(0, 0), LIMIT), Err(CurtailError::Model { .. })));
    }

    #[test]
    fn a_timer_may_have_counted_down_and_nothing_else_may_differ() {
        let writes = model(place(123), &model_123(0, 0), LIMIT).unwrap();
        assert!(writes[0].is_taken(&[299]) && writes[0].is_taken(&[300]));
        assert!(!writes[0].is_taken(&[0]) && !writes[0].is_taken(&[301]) && !writes[0].is_taken(&[]));
        assert!(writes[1].is_taken(&[60]) && !writes[1].is_taken(&[59]));
    }
}

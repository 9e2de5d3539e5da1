//! What else a device's models tell: ratings, limits, storage and strings of panels. For an installer who
//! looks, never for billing.

use crate::decode::{Scalar, Unit, ValueType, WordOrder, decode, to_quantity};

/// A value with its unit in its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// The model it is from.
    pub model: u16,
    /// Its name, its unit at the end; repeated blocks are numbered from 1.
    pub name: String,
    /// Its value.
    pub value: f64,
}

/// Where a value lies: name, offset from the model's id, type, offset of its scale factor.
type Entry = (&'static str, usize, ValueType, Option<usize>);

/// A block that repeats: where its count is, if it is not what fits; where it begins; its length.
struct Repeating {
    count: Option<usize>,
    from: usize,
    words: usize,
    entries: &'static [Entry],
}

/// More blocks than any device has.
const MAX_BLOCKS: usize = 32;

/// The models whose details are read.
pub(super) const MODELS: [u16; 8] = [120, 121, 122, 124, 160, 713, 714, 802];

const fn entries(model: u16) -> &'static [Entry] {
    use ValueType::{I16, U16, U64};
    match model {
        120 => &[("rated_power_w", 3, U16, Some(4)), ("rated_storage_wh", 19, U16, Some(20))],
        121 => &[("max_power_w", 2, U16, Some(22))],
        122 => &[("lifetime_wh", 5, U64, None)],
        124 => &[
            ("max_charge_w", 2, U16, Some(18)),
            ("charge_percent", 8, U16, Some(22)),
            ("discharge_rate_percent", 12, I16, Some(25)),
            ("charge_rate_percent", 13, I16, Some(25)),
        ],
        713 => &[
            ("rated_storage_wh", 2, U16, Some(7)),
            ("stored_wh", 3, U16, Some(7)),
            ("charge_percent", 4, U16, Some(8)),
            ("health_percent", 5, U16, Some(8)),
        ],
        714 => &[
            ("dc_w", 6, I16, Some(17)),
            ("dc_delivered_wh", 7, U64, Some(18)),
            ("dc_absorbed_wh", 11, U64, Some(18)),
        ],
        802 => &[
            ("rated_storage_wh", 3, U16, Some(53)),
            ("charge_percent", 11, U16, Some(56)),
            ("health_percent", 13, U16, Some(58)),
            ("dc_v", 34, U16, Some(59)),
            ("dc_w", 47, I16, Some(63)),
        ],
        _ => &[],
    }
}

const fn repeating(model: u16) -> Option<Repeating> {
    use ValueType::{I16, U16, U32, U64};
    match model {
        160 => Some(Repeating {
            count: Some(8),
            from: 10,
            words: 20,
            entries: &[("dc_v", 10, U16, Some(3)), ("dc_w", 11, U16, Some(4)), ("dc_wh", 12, U32, Some(5))],
        }),
        714 => Some(Repeating {
            count: Some(4),
            from: 20,
            words: 25,
            entries: &[
                ("dc_v", 11, U16, Some(16)),
                ("dc_w", 12, I16, Some(17)),
                ("dc_delivered_wh", 13, U64, Some(18)),
            ],
        }),
        _ => None,
    }
}

/// The details in a model's words, header included; those that are not implemented are left out.
#[must_use]
pub fn details(model: u16, words: &[u16]) -> Vec<Detail> {
    let mut found: Vec<Detail> = entries(model)
        .iter()
        .filter_map(|entry| {
            let value = value(words, 0, entry, model)?;
            Some(Detail { model, name: entry.0.to_owned(), value })
        })
        .collect();
    let Some(block) = repeating(model) else { return found };
    let fits = words.len().saturating_sub(block.from) / block.words;
    let told = block.count.and_then(|offset| words.get(offset)).map_or(fits, |count| usize::from(*count));
    for number in 0..told.min(fits).min(MAX_BLOCKS) {
        let base = block.from + number * block.words;
        found.extend(block.entries.iter().filter_map(|entry| {
            let value = value(words, base, entry, model)?;
            Some(Detail { model, name: format!("{}_{}", entry.0, number + 1), value })
        }));
    }
    found
}

fn value(words: &[u16], base: usize, entry: &Entry, model: u16) -> Option<f64> {
    let (_, offset, value_type, scale) = *entry;
    let length = usize::from(value_type.words()?);
    let own = words.get(base + offset..base + offset + length)?;
    let scalar = decode(own, value_type, WordOrder::Msw, super::models::not_implemented(value_type)).ok()?;
    // The counters of these models are accumulators, where zero is "not accumulated".
    let counter = matches!((model, value_type), (122, ValueType::U64) | (160, ValueType::U32));
    if counter && scalar == Scalar::Integer(0) {
        return None;
    }
    let scale = match scale {
        None => 0,
        Some(offset) => {
            let scale = i16::from_be_bytes(words.get(offset)?.to_be_bytes());
            (-10..=10).contains(&scale).then_some(i32::from(scale))?
        }
    };
    to_quantity(&scalar, scale, Unit::None).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(model: u16, words: &[u16]) -> Vec<(String, f64)> {
        details(model, words).into_iter().map(|detail| (detail.name, detail.value)).collect()
    }

    #[test]
    fn a_battery_and_its_strings() {
        let mut battery = vec![0xffff; 64];
        (battery[0], battery[1], battery[3], battery[53]) = (802, 62, 128, 2);
        (battery[11], battery[56], battery[47], battery[63]) = (875, 0xffff, 0xfc18, 0);
        assert_eq!(
            named(802, &battery),
            [("rated_storage_wh", 12_800.0), ("charge_percent", 87.5), ("dc_w", -1_000.0)]
                .map(|(name, value)| (name.to_owned(), value))
        );
        let mut strings = vec![0xffff; 50];
        strings[..10].copy_from_slice(&[160, 48, 0, 0xffff, 0, 0, 0, 0, 2, 0]);
        (strings[20], strings[21], strings[22], strings[23]) = (3_801, 1_200, 0, 0);
        (strings[40], strings[41]) = (0xffff, 7);
        assert_eq!(
            named(160, &strings),
            [("dc_v_1", 380.1), ("dc_w_1", 1_200.0), ("dc_w_2", 7.0)].map(|(n, v)| (n.to_owned(), v))
        );
    }

    #[test]
    fn ratings_limits_and_storage_of_each_model() {
        let mut rated = vec![0xffff; 28];
        (rated[3], rated[4]) = (60, 2);
        assert_eq!(named(120, &rated), [("rated_power_w".to_owned(), 6_000.0)]);
        let mut limit = vec![0xffff; 32];
        (limit[2], limit[22]) = (5_000, 0);
        assert_eq!(named(121, &limit), [("max_power_w".to_owned(), 5_000.0)]);
        let mut lifetime = vec![0; 46];
        lifetime[8] = 9;
        assert_eq!(named(122, &lifetime), [("lifetime_wh".to_owned(), 9.0)]);
        assert_eq!(named(122, &[0; 46]), []);
        let storage = [713, 7, 100, 50, 500, 990, 0, 2, 0xffff];
        let values: Vec<f64> = details(713, &storage).iter().map(|d| d.value).collect();
        assert_eq!(values, [10_000.0, 5_000.0, 50.0, 99.0]);
        let mut control = vec![0x8000; 26];
        (control[2], control[18], control[8], control[22]) = (3_000, 0, 45, 0);
        let values: Vec<f64> = details(124, &control).iter().map(|d| d.value).collect();
        assert_eq!(values, [3_000.0, 45.0]);
        let mut port = vec![0xffff; 45];
        (port[4], port[17], port[18], port[16]) = (1, 0, 0, 0);
        port[33..37].copy_from_slice(&[0, 0, 0, 8]);
        assert!(named(714, &port).contains(&("dc_delivered_wh_1".to_owned(), 8.0)));
    }

    proptest! {
        #[test]
        fn never_panics(pick in 0_usize..8, words in prop::collection::vec(any::<u16>(), 0..126)) {
            let _ = details(MODELS[pick], &words);
        }
    }
}

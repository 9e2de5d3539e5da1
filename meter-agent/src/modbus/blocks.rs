//! Which registers are asked for together.
//!
//! Devices answer slowly, so that neighbouring values are read in one request, unused words between
//! them included. A value is never split over two requests: its halves could belong to two instants.

use std::collections::BTreeMap;

use crate::template::{Function, PointName, RegisterPoint};

/// One read request, and the points whose words it brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// How it is read.
    pub function: Function,
    /// The first register.
    pub start: u16,
    /// How many registers.
    pub count: u16,
    /// The points in it, in the order of their addresses.
    pub points: Vec<PointName>,
}

/// Groups points into as few requests as the limits allow.
///
/// Each request spans at most `max_words`; two values are joined if at most `max_gap` unused words
/// lie between them.
#[must_use]
pub fn plan(points: &BTreeMap<PointName, RegisterPoint>, max_words: u16, max_gap: u16) -> Vec<Block> {
    let mut sorted: Vec<_> = points.iter().collect();
    sorted.sort_by_key(|(_, point)| (point.function, point.address));
    let mut blocks: Vec<Block> = Vec::new();
    for (name, point) in sorted {
        let end = u32::from(point.address) + u32::from(point.word_count());
        if let Some(block) = blocks.last_mut()
            && block.function == point.function
        {
            let block_end = u32::from(block.start) + u32::from(block.count);
            let joined = end.max(block_end) - u32::from(block.start);
            let near = u32::from(point.address) <= block_end + u32::from(max_gap);
            if let (true, Ok(count)) = (near, u16::try_from(joined))
                && count <= max_words
            {
                block.count = count;
                block.points.push(*name);
                continue;
            }
        }
        blocks.push(single(*name, point));
    }
    blocks
}

/// The request for one point alone.
fn single(name: PointName, point: &RegisterPoint) -> Block {
    Block { function: point.function, start: point.address, count: point.word_count(), points: vec![name] }
}

/// One request a point, for a block that the device refused because of a register in a gap.
#[must_use]
pub(super) fn split(block: &Block, points: &BTreeMap<PointName, RegisterPoint>) -> Vec<Block> {
    block.points.iter().filter_map(|name| points.get(name).map(|point| single(*name, point))).collect()
}

/// The words of a point out of its block's answer.
#[must_use]
pub(super) fn words_of<'a>(block: &Block, words: &'a [u16], point: &RegisterPoint) -> Option<&'a [u16]> {
    let from = usize::from(point.address.checked_sub(block.start)?);
    words.get(from..from + usize::from(point.word_count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Library;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn sdm630() -> BTreeMap<PointName, RegisterPoint> {
        Library::embedded().unwrap().get("eastron_sdm630").unwrap().modbus.clone().unwrap().points
    }

    #[test]
    fn neighbours_are_read_together_and_far_ones_apart() {
        let blocks = plan(&sdm630(), 80, 16);
        let spans: Vec<_> = blocks.iter().map(|b| (b.function, b.start, b.count)).collect();
        assert_eq!(
            spans,
            [(Function::Holding, 64_512, 2), (Function::Input, 0, 2), (Function::Input, 52, 24)]
        );
        assert_eq!(split(&blocks[2], &sdm630()).len(), 4);
    }

    proptest! {
        #[test]
        fn every_point_is_in_exactly_one_block_and_whole(max_words in 4_u16..126, max_gap in 0_u16..200) {
            static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::embedded().unwrap());
            for template in LIBRARY.iter() {
                let Some(modbus) = &template.modbus else { continue };
                let fits = modbus.points.values().all(|p| p.word_count() <= max_words);
                if !fits { continue }
                let blocks = plan(&modbus.points, max_words, max_gap);
                let planned: usize = blocks.iter().map(|b| b.points.len()).sum();
                prop_assert_eq!(planned, modbus.points.len());
                for block in &blocks {
                    prop_assert!(block.count <= max_words);
                    let words = vec![0; usize::from(block.count)];
                    for name in &block.points {
                        let point = &modbus.points[name];
                        let found = words_of(block, &words, point).map(<[u16]>::len);
                        prop_assert_eq!(found, Some(usize::from(point.word_count())));
                    }
                }
            }
        }
    }
}

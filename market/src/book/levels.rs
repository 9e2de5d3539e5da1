//! An ordered map from a level's place to its queue: a tree of 64-way nodes with a bitmap each.
//!
//! Prices lie close together, between two tariffs, so three steps of six bits reach any level where a
//! comparison tree takes sixteen, and the next level in use is one count of zero bits away. The tree is
//! as high as the places in use need, up to all 64 bits, and holds no node without a level.

/// No node.
const NIL: u32 = u32::MAX;
/// Bits of the place that one step decides.
const STEP_BITS: u32 = 6;
const WIDTH: usize = 1 << STEP_BITS;
/// Steps that 64 bits take.
const MAX_HEIGHT: usize = 11;

/// The queue of one level: its first and last order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) head: u32,
    pub(super) tail: u32,
}

/// 64 neighbouring levels; a bit is set where there is one.
#[derive(Debug, Clone)]
struct Leaf {
    used: u64,
    levels: [Level; WIDTH],
}

/// 64 neighbouring nodes; a bit is set where there is one.
#[derive(Debug, Clone)]
struct Branch {
    used: u64,
    children: [u32; WIDTH],
}

/// The levels of one side, by place.
#[derive(Debug, Clone)]
pub(super) struct Levels {
    leaves: Vec<Leaf>,
    branches: Vec<Branch>,
    free_leaves: Vec<u32>,
    free_branches: Vec<u32>,
    root: u32,
    /// Steps from the root to a level; 1 if the root is a leaf.
    height: u32,
    /// What all places below the root have in common: the place without the bits of `height` steps.
    prefix: u64,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            leaves: Vec::new(),
            branches: Vec::new(),
            free_leaves: Vec::new(),
            free_branches: Vec::new(),
            root: NIL,
            height: 0,
            prefix: 0,
        }
    }
}

impl Levels {
    /// The level at `key`, made with `head` alone if there was none; and whether it was made.
    pub(super) fn entry(&mut self, key: i64, head: u32) -> (&mut Level, bool) {
        let place = ordered(key);
        self.reach(place);
        let mut at = self.root;
        for height in (2..=self.height).rev() {
            at = self.child_or_new(at, digit(place, height), height);
        }
        let (leaf, digit) = (&mut self.leaves[at as usize], digit(place, 1));
        let new = leaf.used & (1 << digit) == 0;
        if new {
            leaf.used |= 1 << digit;
            leaf.levels[digit] = Level { head, tail: NIL };
        }
        (&mut leaf.levels[digit], new)
    }

    /// The level at `key`.
    pub(super) fn get_mut(&mut self, key: i64) -> Option<&mut Level> {
        let place = ordered(key);
        if self.root == NIL || prefix(place, self.height) != self.prefix {
            return None;
        }
        let mut at = self.root;
        for height in (2..=self.height).rev() {
            let (branch, digit) = (&self.branches[at as usize], digit(place, height));
            if branch.used & (1 << digit) == 0 {
                return None;
            }
            at = branch.children[digit];
        }
        let (leaf, digit) = (&mut self.leaves[at as usize], digit(place, 1));
        (leaf.used & (1 << digit) != 0).then_some(&mut leaf.levels[digit])
    }

    /// Takes the level at `key` out, which must be there, and the nodes that it leaves empty.
    pub(super) fn remove(&mut self, key: i64) {
        let place = ordered(key);
        let mut path = [NIL; MAX_HEIGHT + 1];
        let mut at = self.root;
        for height in (2..=self.height).rev() {
            path[height as usize] = at;
            at = self.branches[at as usize].children[digit(place, height)];
        }
        let leaf = &mut self.leaves[at as usize];
        leaf.used &= !(1 << digit(place, 1));
        if leaf.used != 0 {
            return;
        }
        self.free_leaves.push(at);
        for height in 2..=self.height {
            let at = path[height as usize];
            let branch = &mut self.branches[at as usize];
            branch.used &= !(1 << digit(place, height));
            if branch.used != 0 {
                return;
            }
            self.free_branches.push(at);
        }
        self.root = NIL;
    }

    /// The first level.
    pub(super) fn first(&self) -> Option<(i64, Level)> {
        (self.root != NIL).then(|| self.first_below(self.root, self.height, self.prefix))
    }

    /// The first level behind `key`.
    pub(super) fn after(&self, key: i64) -> Option<(i64, Level)> {
        let from = ordered(key).checked_add(1)?;
        let outside = prefix(from, self.height);
        if self.root == NIL || outside > self.prefix {
            return None;
        }
        if outside < self.prefix {
            return self.first();
        }
        // Down as far as `from` leads, remembering the last node that has something behind it.
        let (mut at, mut height, mut behind) = (self.root, self.height, None);
        loop {
            let digit = digit(from, height);
            let used =
                if height == 1 { self.leaves[at as usize].used } else { self.branches[at as usize].used };
            let rest = used & (u64::MAX << digit);
            if rest & (1 << digit) != 0 {
                if height == 1 {
                    return Some((unordered(from), self.leaves[at as usize].levels[digit]));
                }
                let later = rest & !(1 << digit);
                if later != 0 {
                    behind = Some((at, height, later));
                }
                at = self.branches[at as usize].children[digit];
                height -= 1;
                continue;
            }
            if rest != 0 {
                behind = Some((at, height, rest));
            }
            let (at, height, rest) = behind?;
            return Some(self.first_of(at, height, prefix(from, height), rest));
        }
    }

    fn first_below(&self, at: u32, height: u32, prefix: u64) -> (i64, Level) {
        let used = if height == 1 { self.leaves[at as usize].used } else { self.branches[at as usize].used };
        self.first_of(at, height, prefix, used)
    }

    /// The first level below the node at `at` in the first of its children in `used`.
    fn first_of(&self, mut at: u32, mut height: u32, mut prefix: u64, mut used: u64) -> (i64, Level) {
        loop {
            let digit = used.trailing_zeros();
            prefix = prefix << STEP_BITS | u64::from(digit);
            if height == 1 {
                return (unordered(prefix), self.leaves[at as usize].levels[digit as usize]);
            }
            at = self.branches[at as usize].children[digit as usize];
            height -= 1;
            used = if height == 1 { self.leaves[at as usize].used } else { self.branches[at as usize].used };
        }
    }

    /// Makes the root reach `place`.
    fn reach(&mut self, place: u64) {
        if self.root == NIL {
            (self.root, self.height, self.prefix) = (self.new_node(1), 1, prefix(place, 1));
        }
        while prefix(place, self.height) != self.prefix {
            let root = self.new_node(self.height + 1);
            let digit = usize::try_from(self.prefix % WIDTH as u64).unwrap_or_default();
            let branch = &mut self.branches[root as usize];
            (branch.used, branch.children[digit]) = (1 << digit, self.root);
            (self.root, self.height, self.prefix) = (root, self.height + 1, self.prefix >> STEP_BITS);
        }
    }

    fn child_or_new(&mut self, at: u32, digit: usize, height: u32) -> u32 {
        let branch = &self.branches[at as usize];
        if branch.used & (1 << digit) != 0 {
            return branch.children[digit];
        }
        let child = self.new_node(height - 1);
        let branch = &mut self.branches[at as usize];
        branch.used |= 1 << digit;
        branch.children[digit] = child;
        child
    }

    /// An empty node of a height: a freed one, or a new one. A book is full long before the nodes
    /// outgrow their numbers.
    fn new_node(&mut self, height: u32) -> u32 {
        if height == 1 {
            self.free_leaves.pop().unwrap_or_else(|| {
                self.leaves.push(Leaf { used: 0, levels: [Level { head: NIL, tail: NIL }; WIDTH] });
                u32::try_from(self.leaves.len() - 1).unwrap_or(NIL)
            })
        } else {
            self.free_branches.pop().unwrap_or_else(|| {
                self.branches.push(Branch { used: 0, children: [NIL; WIDTH] });
                u32::try_from(self.branches.len() - 1).unwrap_or(NIL)
            })
        }
    }
}

/// The key as a number without sign, in the same order.
const fn ordered(key: i64) -> u64 {
    key.cast_unsigned() ^ (1 << 63)
}

const fn unordered(place: u64) -> i64 {
    (place ^ (1 << 63)).cast_signed()
}

/// The six bits of a place that a node of a height decides.
#[allow(clippy::cast_possible_truncation)] // masked to six bits
const fn digit(place: u64, height: u32) -> usize {
    (place >> (STEP_BITS * (height - 1)) & (WIDTH as u64 - 1)) as usize
}

/// The bits of a place above a node of a height.
const fn prefix(place: u64, height: u32) -> u64 {
    match place.checked_shr(STEP_BITS * height) {
        Some(prefix) => prefix,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = i64> {
        prop_oneof![
            6 => 80_000..80_400_i64,
            3 => -300_000..300_000_i64,
            1 => any::<i64>(),
            1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), Just(-1)],
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_map(steps in prop::collection::vec((any::<bool>(), key()), 1..300)) {
            let (mut levels, mut map) = (Levels::default(), BTreeMap::new());
            for (number, (add, key)) in (0..).zip(steps) {
                if add {
                    let (level, new) = levels.entry(key, number);
                    prop_assert_eq!(new, !map.contains_key(&key));
                    prop_assert_eq!(level.head, *map.entry(key).or_insert(number));
                } else if let Some(key) = map.range(key..).next().map(|(key, _)| *key) {
                    map.remove(&key);
                    levels.remove(key);
                    prop_assert_eq!(levels.get_mut(key), None);
                }
                prop_assert_eq!(levels.get_mut(key).map(|l| l.head), map.get(&key).copied());
                let after = map.range((std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded)).next();
                prop_assert_eq!(levels.after(key).map(|(k, l)| (k, l.head)), after.map(|(k, h)| (*k, *h)));
            }
            let all = std::iter::successors(levels.first(), |(key, _)| levels.after(*key));
            prop_assert!(all.map(|(key, level)| (key, level.head)).eq(map));
        }
    }

    #[test]
    fn nodes_are_used_again() {
        let mut levels = Levels::default();
        for round in 0..1_000_i64 {
            levels.entry(round * 1_000_003, 1);
            levels.entry(round * 7, 2);
            levels.remove(round * 1_000_003);
            if round > 0 {
                levels.remove(round * 7);
            }
        }
        assert!(levels.leaves.len() <= 4 && levels.branches.len() <= 12, "{levels:?}");
    }
}

//! Where each order number is: an open-addressing table of eight bytes an order.
//!
//! Numbers are given out by the database one after the other, so nobody can choose them to collide,
//! and one multiplication spreads them well. An entry is the upper half of that product and the order's
//! place; the number itself is asked of the order, which the caller is about to look at anyway.

/// No entry. No order has this place.
const EMPTY: u64 = u64::MAX;
const FIRST_BITS: u32 = 6;

/// The places of all orders, by number.
#[derive(Debug, Clone)]
pub(super) struct Places {
    entries: Vec<u64>,
    bits: u32,
    len: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { entries: vec![EMPTY; 1 << FIRST_BITS], bits: FIRST_BITS, len: 0 }
    }
}

impl Places {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The place of `number`; `number_at` tells the number of the order at a place.
    pub(super) fn find(&self, number: i64, number_at: impl Fn(u32) -> i64) -> Option<u32> {
        let tag = tag(number);
        let mut at = self.home(tag);
        loop {
            let entry = self.entries[at];
            if entry == EMPTY {
                return None;
            }
            if entry >> 32 == tag && number_at(place(entry)) == number {
                return Some(place(entry));
            }
            at = self.next(at);
        }
    }

    /// Adds a number that is not there yet.
    pub(super) fn insert(&mut self, number: i64, place: u32) {
        // At most half full, so that searches are short and always meet an empty entry.
        if (self.len + 1) * 2 > self.entries.len() {
            self.grow();
        }
        self.put(tag(number) << 32 | u64::from(place));
        self.len += 1;
    }

    /// Takes out a number that is at `place`.
    pub(super) fn remove(&mut self, number: i64, place: u32) {
        let sought = tag(number) << 32 | u64::from(place);
        let mut hole = self.home(tag(number));
        while self.entries[hole] != sought {
            if self.entries[hole] == EMPTY {
                return;
            }
            hole = self.next(hole);
        }
        self.len -= 1;
        // Entries behind the hole move up, unless that would put them before their home.
        let mut at = self.next(hole);
        while self.entries[at] != EMPTY {
            let mask = self.entries.len() - 1;
            let from_home = at.wrapping_sub(self.home(self.entries[at] >> 32)) & mask;
            if from_home >= at.wrapping_sub(hole) & mask {
                self.entries[hole] = self.entries[at];
                hole = at;
            }
            at = self.next(at);
        }
        self.entries[hole] = EMPTY;
    }

    fn put(&mut self, entry: u64) {
        let mut at = self.home(entry >> 32);
        while self.entries[at] != EMPTY {
            at = self.next(at);
        }
        self.entries[at] = entry;
    }

    fn grow(&mut self) {
        self.bits += 1;
        let entries = std::mem::replace(&mut self.entries, vec![EMPTY; 1 << self.bits]);
        for entry in entries.into_iter().filter(|entry| *entry != EMPTY) {
            self.put(entry);
        }
    }

    #[allow(clippy::cast_possible_truncation)] // at most 32 bits
    fn home(&self, tag: u64) -> usize {
        // A book holds at most 2^22 orders, so the table has at most 2^23 entries.
        (tag >> (32 - self.bits)) as usize & (self.entries.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.entries.len() - 1)
    }
}

/// The upper half of the product that spreads the numbers.
const fn tag(number: i64) -> u64 {
    number.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

/// The lower half of an entry.
#[allow(clippy::cast_possible_truncation)] // that is what is meant
const fn place(entry: u64) -> u32 {
    entry as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((any::<bool>(), -40..400_i64, 0..3_u32), 1..600)) {
            // Numbers that share the upper half of their product collide in all but the number itself.
            let number = |n: i64, stride: u32| n << (20 * stride);
            let (mut places, mut map, mut numbers) = (Places::default(), HashMap::new(), vec![]);
            for (add, n, stride) in steps {
                let number = number(n, stride);
                let number_at = |place: u32| numbers[place as usize];
                let found = places.find(number, number_at);
                prop_assert_eq!(found, map.get(&number).copied());
                match (add, found) {
                    (true, None) => {
                        let place = u32::try_from(numbers.len()).unwrap();
                        numbers.push(number);
                        map.insert(number, place);
                        places.insert(number, place);
                    }
                    (false, Some(place)) => {
                        map.remove(&number);
                        places.remove(number, place);
                    }
                    _ => {}
                }
                prop_assert_eq!(places.len(), map.len());
            }
            for (number, place) in map {
                prop_assert_eq!(places.find(number, |place| numbers[place as usize]), Some(place));
            }
        }
    }
}

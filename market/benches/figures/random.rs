//! Numbers that look random and are the same in every run.

/// A xorshift generator.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from `lowest` to `highest`, both included.
    pub(crate) fn between(&mut self, lowest: i64, highest: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let width = (highest - lowest + 1).cast_unsigned();
        lowest + (self.0 % width).cast_signed()
    }
}

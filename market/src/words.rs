//! Words for people that depend on a number.

use std::fmt::Display;

/// A count with its noun: `1 line`, `2 lines`.
#[must_use]
pub fn counted<T: Display + PartialEq + From<u8>>(count: T, noun: &str) -> String {
    let ending = if count == T::from(1) { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        assert_eq!([0, 1, 2].map(|count: i64| counted(count, "slot")), ["0 slots", "1 slot", "2 slots"]);
    }
}

//! A stop right after a commit, so that a test can end the market at each place where a process may die.
//!
//! All that the market does is a series of commits; between two of them nothing is kept but in memory. A fuse counts
//! commits and blows after a given one: the tick ends there with an error, as if the process had been killed. In
//! production there is none, and counting costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts commits; without a number it never blows.
#[derive(Debug, Clone, Default)]
pub struct Fuse(Option<Arc<AtomicU64>>);

/// The fuse has blown: whatever holds state in memory is to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped after the commit of: {0}")]
pub struct Blown(pub &'static str);

impl Fuse {
    /// Blows after `commits` commits, and after each one that follows.
    #[must_use]
    pub fn after(commits: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(commits))))
    }

    /// Says that `step` is committed.
    ///
    /// # Errors
    /// [`Blown`] if this was the last commit that the fuse lets pass.
    pub fn committed(&self, step: &'static str) -> Result<(), Blown> {
        let Some(left) = &self.0 else { return Ok(()) };
        let before =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(1)));
        if before.unwrap_or(0) <= 1 { Err(Blown(step)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blows_at_its_number_and_stays_blown() {
        let fuse = Fuse::after(2);
        assert_eq!(fuse.committed("a"), Ok(()));
        assert_eq!(fuse.committed("b"), Err(Blown("b")));
        assert_eq!(fuse.clone().committed("c"), Err(Blown("c")));
        assert_eq!(Fuse::default().committed("d"), Ok(()));
    }
}

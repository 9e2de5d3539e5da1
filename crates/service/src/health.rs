//! Liveness of a service without a port of its own: a file that each good tick touches.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Shows that a service's loops still turn.
#[derive(Debug, Clone)]
pub struct Heartbeat(Option<PathBuf>);

/// A heartbeat is missing or too old.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// No heartbeat was ever written, or it cannot be read.
    #[error("no heartbeat at {path}: {source}; the service has not started or cannot write there")]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The last heartbeat is too old.
    #[error("the last heartbeat at {path} is {age_s} s old: the service is stuck or stopped")]
    Old {
        /// Where it is.
        path: PathBuf,
        /// How old it is.
        age_s: u64,
    },
}

impl Heartbeat {
    /// A heartbeat written to `path`; `None` writes none.
    #[must_use]
    pub const fn new(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// Notes that a loop has just turned. A failure is logged, not returned: a full disk must not
    /// stop a market.
    pub fn beat(&self) {
        self.say("alive");
    }

    /// As [`Self::beat`], with words on how the service is for whoever reads the file.
    pub fn say(&self, state: &str) {
        if let Some(path) = &self.0
            && let Err(error) = std::fs::write(path, format!("{state}\n"))
        {
            tracing::warn!(%error, path = %path.display(), "cannot write the heartbeat");
        }
    }
}

/// Checks that the heartbeat at `path` is not older than `max_age`.
///
/// # Errors
/// [`Unhealthy`] with the reason.
pub fn check(path: &Path, max_age: Duration) -> Result<(), Unhealthy> {
    let missing = |source| Unhealthy::Missing { path: path.to_owned(), source };
    let age = std::fs::metadata(path)
        .and_then(|file| file.modified())
        .map_err(missing)?
        .elapsed()
        .unwrap_or_default();
    if age > max_age {
        return Err(Unhealthy::Old { path: path.to_owned(), age_s: age.as_secs() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_fresh_and_a_missing_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("market.heartbeat");
        assert!(matches!(check(&path, Duration::from_secs(60)), Err(Unhealthy::Missing { .. })));
        Heartbeat::new(Some(path.clone())).beat();
        assert!(check(&path, Duration::from_secs(60)).is_ok());
    }
}

//! Starting and stopping: the first SIGTERM or Ctrl-C stops softly, the second at once.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a soft stop may take before it becomes a hard one.
pub const SOFT_STOP_LIMIT: Duration = Duration::from_secs(30);

/// Tells a service to stop. Clones belong to the same stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A stop that nobody has asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything that holds a clone to stop softly.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until a stop is asked for.
    pub async fn stopped(&self) {
        self.0.cancelled().await;
    }

    /// Waits for `duration`, or less if a stop is asked for. Returns whether to go on.
    pub async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = self.stopped() => false,
            () = tokio::time::sleep(duration) => true,
        }
    }

    /// The token behind it, for libraries that take one.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}

/// Stops `shutdown` at the first SIGTERM or SIGINT, and ends the process at the second, or when the
/// soft stop takes longer than [`SOFT_STOP_LIMIT`]: all state is in the database, so that is safe.
///
/// # Errors
/// The operating system's error if signals cannot be received.
pub fn stop_on_signal(shutdown: Shutdown) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tracing::info!("stopping; a second signal stops at once");
        shutdown.stop();
        let _ = tokio::time::timeout(SOFT_STOP_LIMIT, next()).await;
        std::process::exit(1);
    });
    Ok(())
}

/// Ends the process when any thread panics, so that no half-dead service goes on: all state is in
/// the database, and whoever supervises the process starts it again.
pub fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(101);
    }));
}

/// Waiting times that double from `first` to `most`, for retries that must not hammer a server.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Makes a back-off.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// The time to wait before the next try.
    pub fn after_failure(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.most);
        wait
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backing_off_is_bounded_and_starts_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        let waits: Vec<_> = (0..4).map(|_| backoff.after_failure().as_millis()).collect();
        assert_eq!(waits, [100, 200, 300, 300]);
        backoff.reset();
        assert_eq!(backoff.after_failure().as_millis(), 100);
    }

    #[tokio::test]
    async fn a_stop_ends_a_sleep() {
        let shutdown = Shutdown::new();
        shutdown.clone().stop();
        assert!(!shutdown.sleep(Duration::from_secs(3_600)).await);
        assert!(shutdown.is_stopping());
    }
}

//! How this machine's clock is kept, as the kernel tells it.

use crate::ocmf::TimeStatus;

/// The kernel's clock state for "not synchronised", `TIME_ERROR`.
#[cfg(target_os = "linux")]
const TIME_ERROR: i32 = 5;
/// The status bit for the same, `STA_UNSYNC`; the kernel sets it by itself once nobody has disciplined the
/// clock for long enough.
#[cfg(target_os = "linux")]
const STA_UNSYNC: i32 = 0x40;

/// Asks the kernel. What cannot be told, in a container that forbids the question for instance, is unknown
/// and never guessed.
#[cfg(target_os = "linux")]
pub(super) fn system_clock() -> TimeStatus {
    let mut state = rtime_clock::adjtime::Timex::new();
    let asked = rtime_clock::adjtime::adjtimex(&mut state);
    status(asked.ok().map(|answer| (answer, state.0.status)))
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
pub(super) fn system_clock() -> TimeStatus {
    TimeStatus::Unknown
}

/// What the kernel's answer and status mean.
#[cfg(target_os = "linux")]
const fn status(answer: Option<(i32, i32)>) -> TimeStatus {
    match answer {
        None => TimeStatus::Unknown,
        Some((TIME_ERROR, _)) => TimeStatus::Unsynchronised,
        Some((_, status)) if status & STA_UNSYNC != 0 => TimeStatus::Unsynchronised,
        Some(_) => TimeStatus::Synchronised,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn f38_the_kernels_word_is_taken_and_silence_is_unknown() {
        assert_eq!(status(None), TimeStatus::Unknown);
        assert_eq!(status(Some((0, 0x2001))), TimeStatus::Synchronised);
        assert_eq!(status(Some((0, STA_UNSYNC))), TimeStatus::Unsynchronised);
        assert_eq!(status(Some((TIME_ERROR, 0))), TimeStatus::Unsynchronised);
        // Whatever it is here, the kernel does not call it informative: that is a person's word.
        assert_ne!(system_clock(), TimeStatus::Informative);
    }
}

//! Processor time, which a busy machine does not stretch as it stretches the clock.

/// What the system counts processor time in, on every Linux there is.
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of a processor that a process has used, the system's in its name included.
pub(crate) fn seconds(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is a name in brackets that may hold anything.
    let after = text.rfind(')').map_or("", |end| &text[end..]);
    let fields = after.split_whitespace().skip(12).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
}

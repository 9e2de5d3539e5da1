//! What is known, in Prometheus' text format, for a file that its node exporter collects: a gateway needs
//! no further open port.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::ids::MeterId;
use domain::slot::SlotLength;

use super::board::{AgentState, DeviceState, State};
use super::message::DayOf;
use super::report::Line;

/// How complete the days of a meter are, by what this agent stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Days {
    /// The boundary of its first record.
    pub since: Option<DateTime<Utc>>,
    /// Records stored for each UTC day.
    pub stored: BTreeMap<NaiveDate, u32>,
}

impl Days {
    /// Today and yesterday; a day without a due boundary is left out.
    #[must_use]
    pub fn recent(&self, now: DateTime<Utc>, slot_length: SlotLength) -> Vec<DayOf> {
        let today = now.date_naive();
        let Some(since) = self.since else { return Vec::new() };
        let of = |day: NaiveDate| DayOf {
            day,
            stored: self.stored.get(&day).copied().unwrap_or_default(),
            due: u32::try_from(due(day, since, now, slot_length)).unwrap_or(u32::MAX),
        };
        [Some(today), today.pred_opt()].into_iter().flatten().map(of).filter(|day| day.due > 0).collect()
    }
}

/// All that is written.
#[derive(Debug)]
pub struct Figures<'a> {
    /// How the agent is.
    pub agent: AgentState,
    /// How the line to the platform's broker is.
    pub line: Line,
    /// How its devices are.
    pub devices: &'a BTreeMap<MeterId, DeviceState>,
    /// How complete their days are.
    pub days: &'a BTreeMap<MeterId, Days>,
    /// When boundaries are.
    pub slot_length: SlotLength,
    /// The time.
    pub now: DateTime<Utc>,
}

/// The figures as text. Absent is absent: a value that is not known has no line.
#[must_use]
pub fn text(figures: &Figures<'_>) -> String {
    let mut out = String::with_capacity(4_096);
    // Writing to a String cannot fail.
    let _ = write_agent(&mut out, figures).and_then(|()| write_devices(&mut out, figures));
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP busbar_agent_{name} {help}\n# TYPE busbar_agent_{name} {kind}")
}

fn write_agent(out: &mut String, figures: &Figures<'_>) -> fmt::Result {
    let agent = &figures.agent;
    let age_s = agent.outbox_oldest_at.map(|at| (figures.now - at).num_seconds().max(0));
    let single = [
        (
            "outbox_records",
            "Records that wait for their acknowledgement.",
            agent.outbox_records.map(i128::from),
        ),
        ("outbox_oldest_age_seconds", "Age of the oldest record that waits.", age_s.map(i128::from)),
        (
            "certificate_days",
            "Whole days until the TLS certificate expires; negative once it has.",
            agent.certificate_days.map(i128::from),
        ),
        (
            "broker_connected",
            "Whether the platform's broker is connected: 1 or 0.",
            Some(figures.line.connected.into()),
        ),
    ];
    for (name, help, value) in single {
        if let Some(value) = value {
            head(out, name, "gauge", help)?;
            writeln!(out, "busbar_agent_{name} {value}")?;
        }
    }
    head(
        out,
        "broker_refusals_total",
        "counter",
        "Publications and subscriptions that the broker refused: its access rules?",
    )?;
    writeln!(out, "busbar_agent_broker_refusals_total {}", figures.line.refusals)?;
    head(out, "clock_state", "gauge", "How the clock is kept; the state that holds has 1.")?;
    writeln!(out, "busbar_agent_clock_state{{state=\"{}\"}} 1", agent.clock.as_str())
}

fn write_devices(out: &mut String, figures: &Figures<'_>) -> fmt::Result {
    head(out, "device_state", "gauge", "How a device is; the state that holds has 1.")?;
    for (meter, device) in figures.devices {
        for state in State::ALL {
            let (name, holds) = (state.as_str(), u8::from(device.state == state));
            writeln!(out, "busbar_agent_device_state{{meter=\"{meter}\",state=\"{name}\"}} {holds}")?;
        }
    }
    head(out, "device_last_success_timestamp_seconds", "gauge", "When a device was last read.")?;
    for (meter, device) in figures.devices {
        if let Some(at) = device.last_success_at {
            let at_s = at.timestamp();
            writeln!(out, "busbar_agent_device_last_success_timestamp_seconds{{meter=\"{meter}\"}} {at_s}")?;
        }
    }
    head(out, "device_errors_total", "counter", "Boundaries not stored, by class of error.")?;
    for (meter, device) in figures.devices {
        for (class, count) in &device.errors {
            writeln!(out, "busbar_agent_device_errors_total{{meter=\"{meter}\",class=\"{class}\"}} {count}")?;
        }
    }
    head(out, "device_day_stored", "gauge", "Slot boundaries stored of a UTC day.")?;
    each_day(out, figures, |day| ("stored", day.stored))?;
    head(out, "device_day_due", "gauge", "Slot boundaries of a UTC day since the first record, until now.")?;
    each_day(out, figures, |day| ("due", day.due))
}

fn each_day(
    out: &mut String,
    figures: &Figures<'_>,
    value: impl Fn(DayOf) -> (&'static str, u32),
) -> fmt::Result {
    let today = figures.now.date_naive();
    for (meter, days) in figures.days {
        for day in days.recent(figures.now, figures.slot_length) {
            let label = if day.day == today { "today" } else { "yesterday" };
            let (name, value) = value(day);
            writeln!(out, "busbar_agent_device_day_{name}{{meter=\"{meter}\",day=\"{label}\"}} {value}")?;
        }
    }
    Ok(())
}

/// How many boundaries of a day were due from `since` until `now`, both of which count.
fn due(day: NaiveDate, since: DateTime<Utc>, now: DateTime<Utc>, slot_length: SlotLength) -> i64 {
    let slot_s = i64::from(slot_length.seconds());
    let start = day.and_time(NaiveTime::MIN).and_utc();
    let boundaries = |time: DateTime<Utc>| time.timestamp().div_euclid(slot_s);
    let last = (start + TimeDelta::days(1) - TimeDelta::seconds(1)).min(now);
    let before_first = start.max(since) - TimeDelta::seconds(1);
    (boundaries(last) - boundaries(before_first)).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocmf::TimeStatus;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_known_is_written_and_what_is_not_is_absent() {
        let (read, new) = (MeterId::new("read").unwrap(), MeterId::new("new").unwrap());
        let now = at("2026-03-02T00:20:00Z");
        let device = DeviceState {
            state: State::Failing,
            last_success_at: Some(at("2026-03-02T00:00:01Z")),
            errors: BTreeMap::from([("timeout", 3)]),
            ..DeviceState::default()
        };
        let stored =
            [("2026-03-01", 40), ("2026-03-02", 1)].map(|(day, count)| (day.parse().unwrap(), count));
        let days = Days { since: Some(at("2026-03-01T12:00:00Z")), stored: stored.into_iter().collect() };
        let agent = AgentState {
            outbox_records: Some(7),
            outbox_oldest_at: Some(now - TimeDelta::seconds(90)),
            certificate_days: None,
            clock: TimeStatus::Unsynchronised,
        };
        let text = text(&Figures {
            agent,
            line: Line { connected: true, refusals: 3, is_deaf: false },
            devices: &BTreeMap::from([(read.clone(), device), (new, DeviceState::default())]),
            days: &BTreeMap::from([(read, days)]),
            slot_length: SlotLength::from_seconds(900).unwrap(),
            now,
        });
        for line in [
            "busbar_agent_outbox_records 7",
            "busbar_agent_outbox_oldest_age_seconds 90",
            "busbar_agent_broker_connected 1",
            "busbar_agent_broker_refusals_total 3",
            "busbar_agent_clock_state{state=\"unsynchronised\"} 1",
            "busbar_agent_device_state{meter=\"read\",state=\"failing\"} 1",
            "busbar_agent_device_state{meter=\"read\",state=\"ok\"} 0",
            "busbar_agent_device_state{meter=\"new\",state=\"unread\"} 1",
            "busbar_agent_device_last_success_timestamp_seconds{meter=\"read\"} 1772409601",
            "busbar_agent_device_errors_total{meter=\"read\",class=\"timeout\"} 3",
            "busbar_agent_device_day_stored{meter=\"read\",day=\"yesterday\"} 40",
            "busbar_agent_device_day_due{meter=\"read\",day=\"yesterday\"} 48",
            "busbar_agent_device_day_stored{meter=\"read\",day=\"today\"} 1",
            "busbar_agent_device_day_due{meter=\"read\",day=\"today\"} 2",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("certificate_days") && !text.contains("seconds{meter=\"new\"}"), "{text}");
    }
}

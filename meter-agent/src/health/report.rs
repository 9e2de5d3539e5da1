//! Tells the platform and Prometheus how the agent is: at every boundary, and when something changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AgentId, CommunityId, MeterId};
use domain::slot::SlotLength;
use domain::time::Clock;
use p256::ecdsa::SigningKey;
use rumqttc::v5::mqttbytes::QoS;
use service::lifecycle::Shutdown;
use tokio::sync::{Notify, mpsc, watch};

use super::board::{AgentState, Board, Event};
use super::message::{self, Health, MAX_DEVICES, MAX_EVENTS, Said};
use super::metrics::{self, Days, Figures};
use crate::link::{self, Link};
use crate::ocmf::{self, TimeStatus};
use crate::outbox::{Order, Outbox, OutboxError};
use crate::wire::health_topic;

/// How often is looked at what changes by itself: certificate, clock, outbox.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The publisher's end: signed messages that wait to be sent, and whether they can be.
#[derive(Debug)]
pub struct Reports {
    topic: String,
    messages: mpsc::Receiver<String>,
    line: watch::Sender<Line>,
}

/// How the line to the platform's broker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Line {
    /// Whether there is a connection.
    pub connected: bool,
    /// How many publications the broker refused since the process started, for its access rules most often.
    pub refusals: u64,
    /// Whether the broker denies the agent its acknowledgements.
    pub is_deaf: bool,
}

impl Reports {
    /// How many messages wait at most.
    pub const QUEUED: usize = 64;

    /// Counts a publication that the broker refused, for the next metrics.
    pub fn note_refusal(&self) {
        self.line.send_if_modified(|line| {
            line.refusals = line.refusals.saturating_add(1);
            false // many may follow each other: nobody is woken for one
        });
    }

    /// Notes whether the broker denies the agent its acknowledgements.
    pub fn note_deaf(&self, is_deaf: bool) {
        self.line.send_if_modified(|line| {
            line.refusals = line.refusals.saturating_add(is_deaf.into());
            std::mem::replace(&mut line.is_deaf, is_deaf) != is_deaf
        });
    }

    /// Hands what waits to the connection, and tells the reporter whether there is one. What the
    /// connection cannot take is dropped: another follows.
    pub fn send(&mut self, link: &Link, connected: bool) {
        self.line.send_if_modified(|line| std::mem::replace(&mut line.connected, connected) != connected);
        while let Ok(message) = self.messages.try_recv() {
            if connected
                && let Err(error) = link.client.try_publish(&self.topic, QoS::AtLeastOnce, false, message)
            {
                tracing::debug!(%error, "a report was not sent");
            }
        }
    }
}

/// Both ends of the way from a reporter to the publisher.
#[must_use]
pub fn reports(
    community: &CommunityId,
    agent: &AgentId,
) -> (mpsc::Sender<String>, watch::Receiver<Line>, Reports) {
    let (sender, messages) = mpsc::channel(Reports::QUEUED);
    let (line, seen) = watch::channel(Line::default());
    (sender, seen, Reports { topic: health_topic(community, agent), messages, line })
}

/// Writes and signs the reports of one agent.
pub struct Reporter {
    /// The community.
    pub community_id: CommunityId,
    /// The agent.
    pub agent_id: AgentId,
    /// Its signing key.
    pub key: SigningKey,
    /// What is known of its devices.
    pub board: Arc<Board>,
    /// Its outbox.
    pub outbox: Arc<Outbox>,
    /// When boundaries are.
    pub slot_length: SlotLength,
    /// Where its TLS certificate is, if it has one.
    pub certificate_file: Option<PathBuf>,
    /// How its clock is kept, asked anew for each report.
    pub clock_state: ClockState,
    /// Where metrics are written, if they are.
    pub metrics_file: Option<PathBuf>,
    /// The clock.
    pub clock: Clock,
    /// Where signed messages go.
    pub messages: mpsc::Sender<String>,
    /// How the publisher's line is.
    pub line: watch::Receiver<Line>,
    /// Wakes the publisher.
    pub wake: Arc<Notify>,
}

/// Tells how the machine's clock is kept; handed in by the composition root.
pub type ClockState = Arc<dyn Fn() -> TimeStatus + Send + Sync>;

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reporter").field("agent_id", &self.agent_id).finish_non_exhaustive()
    }
}

/// What is remembered between two looks, so that changes are noticed.
#[derive(Debug, Default)]
struct Remembered {
    agent: Option<AgentState>,
    days: BTreeMap<MeterId, Days>,
    clock_lost_at: Option<DateTime<Utc>>,
    deaf_since: Option<DateTime<Utc>>,
    told_at: Option<DateTime<Utc>>,
}

impl Remembered {
    /// The time of the next report: later than that of the last one, which it replaces, unless the clock was
    /// set back since.
    fn next(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        let next = match self.told_at {
            Some(last) if last >= now && last - now < TimeDelta::seconds(1) => {
                last + TimeDelta::milliseconds(1)
            }
            _ => now,
        };
        self.told_at = Some(next);
        next
    }
}

impl Reporter {
    /// Reports until the service stops.
    pub async fn run(mut self, shutdown: &Shutdown) {
        let mut remembered = Remembered::default();
        let mut due = true;
        loop {
            due |= self.look(&mut remembered).await;
            if due && self.line.borrow_and_update().connected {
                let at = remembered.next(self.clock.now());
                self.tell(remembered.agent.unwrap_or_default(), &remembered.days, at);
                due = false;
            }
            tokio::select! {
                () = shutdown.stopped() => return,
                () = self.board.changed() => due = true,
                changed = self.line.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    due = true;
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Looks at the agent itself, notes what changed and writes the metrics. Returns whether something
    /// changed that is to be told at once.
    async fn look(&self, remembered: &mut Remembered) -> bool {
        let now = self.clock.now();
        let (agent, days) = match self.agent_state(now).await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%error, "the outbox cannot be looked at");
                return false;
            }
        };
        let before = remembered.agent.replace(agent);
        remembered.days = days;
        let certificate = certificate_event(before.and_then(|b| b.certificate_days), agent.certificate_days);
        if let Some((kind, words)) = &certificate {
            self.board.note_event(kind, now, None, words);
        }
        let clock = clock_event(before.map(|before| before.clock), agent.clock);
        if let Some((kind, words)) = clock {
            let since = if kind == "clock_synchronised" { remembered.clock_lost_at.take() } else { None };
            remembered.clock_lost_at = (kind == "clock_unsynchronised").then_some(now);
            self.board.note_event(kind, now, since, words);
        }
        let deaf = deaf_event(&mut remembered.deaf_since, self.line.borrow().is_deaf, now);
        if let Some((kind, since, words)) = deaf {
            self.board.note_event(kind, now, since, words);
        }
        if let Some(path) = &self.metrics_file
            && let Err(error) = self.write_metrics(path, agent, &remembered.days, now).await
        {
            tracing::warn!(%error, path = %path.display(), "cannot write the metrics");
        }
        certificate.is_some() || clock.is_some() || deaf.is_some()
    }

    async fn agent_state(
        &self,
        now: DateTime<Utc>,
    ) -> Result<(AgentState, BTreeMap<MeterId, Days>), OutboxError> {
        let (outbox, meters) = (self.outbox.clone(), self.board.devices().into_keys().collect::<Vec<_>>());
        let (records, oldest, days) = blocking(move || {
            let days = meters.into_iter().map(|meter| days_of(&outbox, meter)).collect::<Result<_, _>>()?;
            Ok((outbox.depth()?, outbox.pending(Order::OldestFirst, 1)?.pop(), days))
        })
        .await?;
        let oldest = oldest.and_then(|pending| ocmf::parse(&pending.record).ok());
        let certificate_days = match &self.certificate_file {
            Some(path) => tokio::fs::read(path).await.ok().and_then(|pem| link::days_left(&pem, now).ok()),
            None => None,
        };
        let agent = AgentState {
            outbox_records: Some(records),
            outbox_oldest_at: oldest.map(|record| record.reading.slot_end),
            certificate_days,
            clock: (self.clock_state)(),
        };
        Ok((agent, days))
    }

    async fn write_metrics(
        &self,
        path: &Path,
        agent: AgentState,
        days: &BTreeMap<MeterId, Days>,
        now: DateTime<Utc>,
    ) -> std::io::Result<()> {
        let devices = self.board.devices();
        let (line, slot_length) = (*self.line.borrow(), self.slot_length);
        let text = metrics::text(&Figures { agent, line, devices: &devices, days, slot_length, now });
        // Whoever collects the file must never see half of it.
        let part = path.with_extension("part");
        tokio::fs::write(&part, text).await?;
        tokio::fs::rename(&part, path).await
    }

    /// Signs and hands over what is known, in as many messages as it takes.
    fn tell(&self, agent: AgentState, days: &BTreeMap<MeterId, Days>, at: DateTime<Utc>) {
        let recent = |meter: &MeterId| {
            days.get(meter).map(|days| days.recent(at, self.slot_length)).unwrap_or_default()
        };
        let devices: Vec<Said> = self
            .board
            .devices()
            .into_iter()
            .map(|(meter, device)| Said::new(meter.clone(), &device, recent(&meter)))
            .collect();
        let events = self.board.events();
        for (devices, events) in in_parts(&devices, &events) {
            let health = Health {
                community_id: self.community_id.clone(),
                agent_id: self.agent_id.clone(),
                at,
                agent,
                devices: devices.to_vec(),
                events: events.to_vec(),
            };
            if self.messages.try_send(message::sign(&health, &self.key)).is_err() {
                break; // the rest with the next report
            }
            self.board.told(events, at);
        }
        self.wake.notify_one();
    }
}

/// Devices and events as they share messages; at least one.
fn in_parts<'a>(devices: &'a [Said], events: &'a [Event]) -> impl Iterator<Item = (&'a [Said], &'a [Event])> {
    let count = devices.len().div_ceil(MAX_DEVICES).max(events.len().div_ceil(MAX_EVENTS)).max(1);
    (0..count).map(move |part| (slice(devices, part, MAX_DEVICES), slice(events, part, MAX_EVENTS)))
}

fn slice<T>(list: &[T], part: usize, most: usize) -> &[T] {
    let from = (part * most).min(list.len());
    &list[from..(from + most).min(list.len())]
}

fn days_of(outbox: &Outbox, meter: MeterId) -> Result<(MeterId, Days), OutboxError> {
    let since = outbox.meter(&meter)?.map(|state| state.since);
    let stored = outbox.days(&meter)?.into_iter().collect::<BTreeMap<_, _>>();
    Ok((meter, Days { since, stored }))
}

type Changed = (&'static str, String);

/// What a change of the certificate's remaining days is: an event when it comes near its end, when it is
/// over, and when it was renewed.
fn certificate_event(before: Option<i64>, now: Option<i64>) -> Option<Changed> {
    let level = |days: i64| if days < 0 { 2 } else { u8::from(days < link::ALARM_DAYS) };
    let (was, days) = (before.map_or(0, level), now?);
    match (was, level(days)) {
        (0, 1) => {
            Some(("certificate_expires", format!("the TLS certificate expires in {days} days: renew it")))
        }
        (0 | 1, 2) => Some((
            "certificate_expired",
            "the TLS certificate has expired: nothing is delivered until it is renewed".to_owned(),
        )),
        (1 | 2, 0) => Some(("certificate_renewed", format!("the TLS certificate is valid for {days} days"))),
        _ => None,
    }
}

type Lasting = (&'static str, Option<DateTime<Utc>>, &'static str);

fn deaf_event(since: &mut Option<DateTime<Utc>>, is_deaf: bool, now: DateTime<Utc>) -> Option<Lasting> {
    match (*since, is_deaf) {
        (None, true) => {
            *since = Some(now);
            let words = "the broker denies the agent its acknowledgements: nothing leaves its outbox, mend the access rules";
            Some(("acknowledgements_denied", None, words))
        }
        (Some(_), false) => {
            Some(("acknowledgements_back", since.take(), "the agent hears its acknowledgements again"))
        }
        _ => None,
    }
}

fn clock_event(before: Option<TimeStatus>, now: TimeStatus) -> Option<(&'static str, &'static str)> {
    use TimeStatus::{Synchronised, Unsynchronised};
    match (before, now) {
        (Some(Unsynchronised), Unsynchronised) => None,
        (_, Unsynchronised) => Some((
            "clock_unsynchronised",
            "no time source keeps the agent's clock: records are flagged, check its network time",
        )),
        (Some(Unsynchronised), Synchronised) => {
            Some(("clock_synchronised", "the agent's clock is synchronised again"))
        }
        _ => None,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OutboxError> + Send + 'static,
) -> Result<T, OutboxError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| OutboxError::Storage(error.to_string()))?
}

#[cfg(test)]
mod tests;

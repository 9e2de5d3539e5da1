//! Delivering the outbox: records are published until ingest says that they are stored.
//!
//! The broker's acknowledgement only means that the broker has a message; brokers acknowledge even
//! what their access rules then drop. So a record leaves the outbox when ingest's own acknowledgement
//! covers it, and is sent again until then.

mod window;

use std::sync::Arc;
use std::time::Duration;

use domain::ids::{AgentId, CommunityId};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, MqttOptions};
use service::lifecycle::Shutdown;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use window::{Key, Window, WindowLimits};

use crate::health::Reports;
use crate::link::{self, Link, LinkEvent, SUBSCRIBE_AGAIN};
use crate::outbox::{Outbox, OutboxError};
use crate::wire::{Acknowledgement, ack_topic, readings_topic};

/// How often is looked for records that wait too long for their acknowledgement.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Events taken in one go, so that their acknowledgements are one step on the disk.
const EVENTS: usize = 256;

/// Publishes the outbox of one agent.
#[derive(Debug)]
pub struct Publisher {
    outbox: Arc<Outbox>,
    window: Window,
    readings_topic: String,
    ack_topic: String,
    stored: Arc<Notify>,
    connected: bool,
    /// When acknowledgements are asked for again, while the broker denies them.
    listen_again: Option<Instant>,
    reports: Option<Reports>,
}

impl Publisher {
    /// A publisher for an agent. `stored` wakes it when there is something new.
    #[must_use]
    pub fn new(
        outbox: Arc<Outbox>,
        community: &CommunityId,
        agent: &AgentId,
        limits: WindowLimits,
        stored: Arc<Notify>,
    ) -> Self {
        Self {
            outbox,
            window: Window::new(limits),
            readings_topic: readings_topic(community, agent),
            ack_topic: ack_topic(community, agent),
            stored,
            connected: false,
            listen_again: None,
            reports: None,
        }
    }

    /// The same publisher, which also sends how the agent is. Such reports are not kept: another follows.
    #[must_use]
    pub fn with_reports(mut self, reports: Reports) -> Self {
        self.reports = Some(reports);
        self
    }

    /// Publishes until the service stops.
    pub async fn run(&mut self, mut options: MqttOptions, jitter_seed: u64, shutdown: &Shutdown) {
        let limits = self.window.limits();
        let room = 2 * limits.oldest + limits.newest;
        options.set_outgoing_inflight_upper_limit(u16::try_from(room).unwrap_or(u16::MAX).min(100));
        let mut link = link::open(options, room + 8 + Reports::QUEUED, EVENTS, jitter_seed, shutdown.clone());
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            tokio::select! {
                () = shutdown.stopped() => return,
                count = link.events.recv_many(&mut events, EVENTS) => {
                    if count == 0 {
                        return;
                    }
                }
                () = self.stored.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.tick(&link, &mut events).await {
                tracing::error!(%error, "the outbox cannot be delivered");
                shutdown.sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Takes what happened and sends what is due.
    async fn tick(&mut self, link: &Link, events: &mut Vec<LinkEvent>) -> Result<(), OutboxError> {
        let mut acknowledgements = Vec::new();
        for event in events.drain(..) {
            match event {
                LinkEvent::Connected => {
                    self.connected = true;
                    self.window.forget();
                    self.listen(&link.client);
                }
                LinkEvent::Deaf { reason } => {
                    tracing::error!(%reason, topic = %self.ack_topic,
                        "the broker denies us our acknowledgements: records are kept and sent for ever, mend its access rules");
                    self.listen_again = Some(Instant::now() + SUBSCRIBE_AGAIN);
                    self.reports.iter().for_each(|reports| reports.note_deaf(true));
                }
                LinkEvent::Disconnected => self.connected = false,
                LinkEvent::Refused { reason } => {
                    tracing::warn!(%reason, topic = %self.readings_topic, "the broker refuses our readings; they are kept");
                    self.reports.iter().for_each(Reports::note_refusal);
                }
                LinkEvent::Message { payload, .. } => match Acknowledgement::from_message(&payload) {
                    Ok(more) => acknowledgements.extend(more),
                    Err(error) => tracing::warn!(%error, "a message that is no acknowledgement"),
                },
            }
        }
        if self.connected && self.listen_again.is_some_and(|at| at <= Instant::now()) {
            self.listen(&link.client);
        }
        if !acknowledgements.is_empty() {
            self.reports.iter().for_each(|reports| reports.note_deaf(false));
            for acknowledgement in &acknowledgements {
                self.window.acknowledge(acknowledgement);
            }
            let outbox = self.outbox.clone();
            blocking(move || outbox.acknowledge(&acknowledgements)).await?;
        }
        if let Some(reports) = &mut self.reports {
            reports.send(link, self.connected);
        }
        if self.connected { self.send(&link.client).await } else { Ok(()) }
    }

    /// Asks for acknowledgements.
    fn listen(&mut self, client: &AsyncClient) {
        self.listen_again = None;
        if let Err(error) = client.try_subscribe(&self.ack_topic, QoS::AtLeastOnce) {
            tracing::warn!(%error, "cannot subscribe to acknowledgements; nothing is forgotten without");
            self.listen_again = Some(Instant::now() + SUBSCRIBE_AGAIN);
        }
    }

    /// Publishes what is due, as far as the window and the client's queue have room.
    async fn send(&mut self, client: &AsyncClient) -> Result<(), OutboxError> {
        let (outbox, limits) = (self.outbox.clone(), self.window.limits());
        let unanswered = self.window.unanswered().clone();
        let due = blocking(move || outbox.due(limits.newest, limits.oldest, &unanswered)).await?;
        self.window.still_waiting(&due.unanswered);
        // The newest few first, so that live data is not starved while a backlog drains; then what gets no
        // answer, which is sent ever more rarely.
        let newest = due.newest.into_iter().rev().map(|record| (record, false));
        let backlog = due.unanswered.into_iter().chain(due.oldest).map(|record| (record, true));
        for (record, is_backlog) in newest.chain(backlog) {
            if !self.window.is_due(&record, Instant::now()) {
                continue;
            }
            if is_backlog && !self.window.may_drain(Instant::now()) {
                break; // the rest at the next look
            }
            let key = Window::key(&record);
            let sent = client.try_publish(&self.readings_topic, QoS::AtLeastOnce, false, record.record);
            if sent.is_err() {
                break; // the client's queue is full: go on at the next look
            }
            self.window.sent(key, Instant::now());
        }
        Ok(())
    }
}

/// Runs what waits for the disk on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OutboxError> + Send + 'static,
) -> Result<T, OutboxError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| OutboxError::Storage(error.to_string()))?
}

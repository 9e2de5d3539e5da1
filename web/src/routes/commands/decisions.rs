//! Waiting for the market's decisions, for all requests at once: one query a hint, however many wait.

use std::collections::HashMap;
use std::time::Duration;

use domain::ids::CommunityId;
use store::PgPool;
use store::notify::{Event, Kind};
use store::views::commands::{self, CommandRow};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// How often decisions are looked for when no hint comes. A hint may come before its command is waited for.
const POLL_EVERY: Duration = Duration::from_millis(50);
/// How many commands may wait at once; the answers to more do not wait.
const MAX_WAITING: usize = 100_000;
const MAX_ASKED: usize = 4_096;

/// The way to wait for decisions.
#[derive(Debug, Clone)]
pub(crate) struct Decisions(mpsc::Sender<Ask>);

/// Its other end, for [`Watch::run`].
#[derive(Debug)]
pub(crate) struct Watch {
    asked: mpsc::Receiver<Ask>,
    waiting: HashMap<CommunityId, HashMap<i64, Vec<oneshot::Sender<CommandRow>>>>,
}

#[derive(Debug)]
struct Ask {
    community: CommunityId,
    command_ids: Vec<i64>,
    answers: Vec<oneshot::Sender<CommandRow>>,
}

/// Both ends.
pub(crate) fn decisions() -> (Decisions, Watch) {
    let (sender, asked) = mpsc::channel(MAX_ASKED);
    (Decisions(sender), Watch { asked, waiting: HashMap::new() })
}

impl Decisions {
    /// Replaces each of `rows` that waits for the market by what it decides, until `deadline`.
    pub(crate) async fn wait(&self, community: &CommunityId, rows: &mut [CommandRow], deadline: Instant) {
        let (mut answers, mut waiting) = (Vec::new(), Vec::new());
        let mut command_ids = Vec::new();
        for row in rows.iter_mut().filter(|row| row.status == "submitted") {
            let (answer, answered) = oneshot::channel();
            command_ids.push(row.command_id);
            answers.push(answer);
            waiting.push((row, answered));
        }
        let ask = Ask { community: community.clone(), command_ids, answers };
        if waiting.is_empty() || self.0.try_send(ask).is_err() {
            return;
        }
        for (row, answered) in waiting {
            if let Ok(Ok(decided)) = tokio::time::timeout_at(deadline, answered).await {
                *row = decided;
            }
        }
    }
}

impl Watch {
    /// Looks for decisions until every [`Decisions`] is gone.
    pub(crate) async fn run(mut self, pool: PgPool, mut hints: broadcast::Receiver<Event>) {
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                asked = self.asked.recv() => match asked {
                    Some(ask) => self.take(ask),
                    None => return,
                },
                hint = hints.recv(), if !self.waiting.is_empty() => {
                    if self.look_for(hint, &pool).await.is_break() {
                        return;
                    }
                    look_at = Instant::now() + POLL_EVERY;
                }
                () = sleep_until(look_at), if !self.waiting.is_empty() => {
                    self.look_everywhere(&pool).await;
                    look_at = Instant::now() + POLL_EVERY;
                }
            }
        }
    }

    fn take(&mut self, ask: Ask) {
        let waiting = self.waiting.entry(ask.community).or_default();
        for (id, answer) in ask.command_ids.into_iter().zip(ask.answers) {
            if waiting.len() < MAX_WAITING {
                waiting.entry(id).or_default().push(answer);
            }
        }
    }

    async fn look_for(&mut self, hint: Result<Event, RecvError>, pool: &PgPool) -> std::ops::ControlFlow<()> {
        match hint {
            Ok(event) if event.kind == Kind::Order => {
                if let Ok(id) = CommunityId::new(&event.community_id) {
                    self.look(&id, pool).await;
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => self.look_everywhere(pool).await,
            Err(RecvError::Closed) => return std::ops::ControlFlow::Break(()),
        }
        std::ops::ControlFlow::Continue(())
    }

    async fn look_everywhere(&mut self, pool: &PgPool) {
        let communities: Vec<CommunityId> = self.waiting.keys().cloned().collect();
        for community in communities {
            self.look(&community, pool).await;
        }
    }

    /// Answers those of a community that are decided, and forgets those that nobody waits for any more.
    async fn look(&mut self, community: &CommunityId, pool: &PgPool) {
        // What was asked meanwhile may be decided too.
        while let Ok(ask) = self.asked.try_recv() {
            self.take(ask);
        }
        let Some(waiting) = self.waiting.get_mut(community) else { return };
        waiting.retain(|_, answers| {
            answers.retain(|answer| !answer.is_closed());
            !answers.is_empty()
        });
        let ids: Vec<i64> = waiting.keys().copied().collect();
        if !ids.is_empty() {
            match commands::decided(pool, community, &ids).await {
                Ok(rows) => {
                    for row in rows {
                        for answer in waiting.remove(&row.command_id).into_iter().flatten() {
                            let _ = answer.send(row.clone());
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot look for the market's decisions; trying again"),
            }
        }
        if waiting.is_empty() {
            self.waiting.remove(community);
        }
    }
}

//! Live events (SSE): hints of what changed, so that a page knows when to look again.
//!
//! A client that was away for a moment gets what it missed; one that reads too slowly, or was away too long, is told
//! so by `resync`.

pub(crate) mod journal;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use futures_util::Stream;
use serde::Serialize;
use service::lifecycle::Shutdown;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::{problems, routes};
use journal::{Entry, Journal, Missed};

const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
const HEARTBEAT: &[u8] = b": heartbeat\n\n";

/// The data of a live event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LiveEvent<'a> {
    /// `slot`, `order`, `trade`, `depth`, `forecast`, `reading`, `batch`, `settings`, or `resync` if events were missed.
    #[schema(example = "slot")]
    kind: &'static str,
    /// The community.
    #[schema(example = "demo")]
    community_id: &'a str,
    /// The slot that changed, if one.
    slot_start: Option<DateTime<Utc>>,
}

/// Serves the stream.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource("/api/v1/communities/{community_id}/live").route(web::get().to(live)));
}

/// Follow what changes in a community.
///
/// Server-sent events: `slot`, `order`, `trade`, `depth`, `forecast`, `reading` and `batch` say that rows of that kind
/// changed, `settings` that an autopilot's settings, a standing order, a grid limit or a network fee did, `resync` that
/// events were missed and everything should be looked at again. `depth` comes at most five
/// times a second and slot. Each event has an id; a client that comes back with the header Last-Event-ID gets what it
/// missed, as long as it is kept. A comment every 15 seconds shows that the connection lives.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/live", operation_id = "followLive", tag = "live",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen."),
    ),
    responses(
        (status = 200, description = "The stream; the data of each event is a LiveEvent.",
         content_type = "text/event-stream", body = LiveEvent),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many live clients.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn live(
    request: HttpRequest,
    state: web::Data<AppState>,
    community: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let community = routes::community(&state, &community).await?;
    let place = state.live_places.clone().try_acquire_owned().map_err(|_| {
        ApiError::new(problems::TOO_MANY_CLIENTS, "as many clients as allowed follow live events")
    })?;
    let last_event_id = request.headers().get("Last-Event-ID").and_then(|value| value.to_str().ok());
    let (events, missed) = state.journal.follow(last_event_id);
    let follower = Follower {
        events,
        missed: missed_events(missed),
        journal: state.journal.clone(),
        community: community.community_id,
        heartbeat_at: Instant::now(),
        shutdown: state.shutdown.clone(),
        _place: place,
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        // A compressor would hold events back until its buffer is full, and a proxy might too.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(follower.into_stream()))
}

/// What to send first; an event without a community is for all.
fn missed_events(missed: Missed) -> VecDeque<Entry> {
    match missed {
        Missed::Events(events) => events.into(),
        Missed::Unknown => VecDeque::from([resync()]),
    }
}

/// Events were missed: the number 0 comes before all that follow.
const fn resync() -> Entry {
    Entry { number: 0, kind: "resync", community_id: String::new(), slot_start: None }
}

/// One client.
struct Follower {
    events: broadcast::Receiver<Entry>,
    missed: VecDeque<Entry>,
    journal: Journal,
    community: CommunityId,
    heartbeat_at: Instant,
    shutdown: Shutdown,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The first heartbeat comes at once, so that a client knows that it is connected.
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures_util::stream::unfold(self, |mut follower| async move {
            let chunk = follower.next().await?;
            Some((Ok(chunk), follower))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(entry) = self.missed.pop_front() {
                match self.chunk(&entry) {
                    Some(chunk) => return Some(chunk),
                    None => continue,
                }
            }
            tokio::select! {
                () = self.shutdown.stopped() => return None,
                () = tokio::time::sleep_until(self.heartbeat_at) => {
                    self.heartbeat_at += HEARTBEAT_EVERY;
                    return Some(Bytes::from_static(HEARTBEAT));
                }
                event = self.events.recv() => match event {
                    Ok(entry) => if let Some(chunk) = self.chunk(&entry) {
                        return Some(chunk);
                    },
                    Err(RecvError::Lagged(_)) => return self.chunk(&resync()),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    /// An event as it is sent, unless it is another community's.
    fn chunk(&self, entry: &Entry) -> Option<Bytes> {
        let community_id = self.community.as_str();
        if !entry.community_id.is_empty() && entry.community_id != community_id {
            return None;
        }
        let Entry { number, kind, slot_start, .. } = *entry;
        let data = serde_json::to_string(&LiveEvent { kind, community_id, slot_start }).unwrap_or_default();
        let id = self.journal.id(number);
        Some(Bytes::from(format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    async fn follower(journal: &Journal, shutdown: &Shutdown, last_event_id: Option<&str>) -> Follower {
        let (events, missed) = journal.follow(last_event_id);
        Follower {
            events,
            missed: missed_events(missed),
            journal: journal.clone(),
            community: CommunityId::new("demo").unwrap(),
            heartbeat_at: Instant::now() + HEARTBEAT_EVERY,
            shutdown: shutdown.clone(),
            _place: Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap(),
        }
    }

    fn journal() -> Journal {
        Journal::new(DateTime::UNIX_EPOCH)
    }

    #[tokio::test]
    async fn a_client_sees_its_community_only() {
        let journal = journal();
        let mut follower = follower(&journal, &Shutdown::new(), None).await;
        journal.add("slot", "other".to_owned(), None);
        journal.add("trade", "demo".to_owned(), None);
        let expected = "id: 0-2\nevent: trade\ndata: {\"kind\":\"trade\",\"community_id\":\"demo\",\"slot_start\":null}\n\n";
        assert_eq!(follower.next().await.unwrap(), Bytes::from_static(expected.as_bytes()));
    }

    #[tokio::test]
    async fn a_client_that_comes_back_gets_what_it_missed_and_then_what_follows() {
        let journal = journal();
        for kind in ["slot", "order", "trade"] {
            journal.add(kind, "demo".to_owned(), None);
        }
        let mut follower = follower(&journal, &Shutdown::new(), Some("0-1")).await;
        journal.add("batch", "demo".to_owned(), None);
        for expected in ["id: 0-2\nevent: order\n", "id: 0-3\nevent: trade\n", "id: 0-4\nevent: batch\n"] {
            assert!(follower.next().await.unwrap().starts_with(expected.as_bytes()), "{expected}");
        }
    }

    #[tokio::test]
    async fn a_slow_client_and_one_of_another_run_are_told_to_look_again() {
        let journal = journal();
        let mut slow = follower(&journal, &Shutdown::new(), None).await;
        for _ in 0..=journal::EVENTS_KEPT {
            journal.add("slot", "demo".to_owned(), None);
        }
        assert!(slow.next().await.unwrap().starts_with(b"id: 0-0\nevent: resync\n"));
        assert!(slow.next().await.unwrap().starts_with(b"id: 0-2\nevent: slot\n"));
        let mut other = follower(&journal, &Shutdown::new(), Some("77-3")).await;
        assert!(other.next().await.unwrap().starts_with(b"id: 0-0\nevent: resync\n"));
    }

    #[tokio::test]
    async fn a_heartbeat_shows_that_the_connection_lives_until_the_stop() {
        let (journal, shutdown) = (journal(), Shutdown::new());
        let mut follower = follower(&journal, &shutdown, None).await;
        follower.heartbeat_at = Instant::now();
        assert_eq!(follower.next().await.unwrap(), Bytes::from_static(HEARTBEAT));
        shutdown.stop();
        assert!(follower.next().await.is_none());
    }
}

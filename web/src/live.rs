//! Live events (SSE): hints of what changed, so that a page knows when to look again.
//!
//! A client that reads too slowly misses events and is told so by `resync`; nothing is kept for it.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use futures_util::Stream;
use serde::Serialize;
use service::lifecycle::Shutdown;
use store::notify::{Event, Kind};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::{problems, routes};

const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
const HEARTBEAT: &[u8] = b": heartbeat\n\n";

/// The data of a live event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LiveEvent<'a> {
    /// `slot`, `trade`, `reading`, `batch`, `order`, or `resync` if events were missed.
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
/// Server-sent events: `slot`, `trade`, `reading`, `batch` and `order` say that rows of that kind
/// changed, `resync` that events were missed and everything should be looked at again. A comment
/// every 15 seconds shows that the connection lives.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/live", operation_id = "followLive", tag = "live",
    params(("community_id" = String, Path, description = "The community.", example = "demo")),
    responses(
        (status = 200, description = "The stream; the data of each event is a LiveEvent.",
         content_type = "text/event-stream", body = LiveEvent),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many live clients.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn live(
    state: web::Data<AppState>,
    community: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let community = routes::community(&state, &community).await?;
    let place = state.live_places.clone().try_acquire_owned().map_err(|_| {
        ApiError::new(problems::TOO_MANY_CLIENTS, "as many clients as allowed follow live events")
    })?;
    let follower = Follower {
        hints: state.hints.subscribe(),
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

/// One client.
struct Follower {
    hints: broadcast::Receiver<Event>,
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
            tokio::select! {
                () = self.shutdown.stopped() => return None,
                () = tokio::time::sleep_until(self.heartbeat_at) => {
                    self.heartbeat_at += HEARTBEAT_EVERY;
                    return Some(Bytes::from_static(HEARTBEAT));
                }
                hint = self.hints.recv() => match hint {
                    Ok(event) if event.community_id == self.community.as_str() => {
                        if let Some(kind) = shown(event.kind) {
                            return Some(self.event(kind, event.slot_start));
                        }
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return Some(self.event("resync", None)),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    fn event(&self, kind: &'static str, slot_start: Option<DateTime<Utc>>) -> Bytes {
        let event = LiveEvent { kind, community_id: self.community.as_str(), slot_start };
        let data = serde_json::to_string(&event).unwrap_or_default();
        Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
    }
}

/// The name of an event that clients see; commands and deposits are between the services.
const fn shown(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Slot => Some("slot"),
        Kind::Trade => Some("trade"),
        Kind::Reading => Some("reading"),
        Kind::Batch => Some("batch"),
        Kind::Order => Some("order"),
        Kind::Command | Kind::Deposit => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    async fn follower(hints: &broadcast::Sender<Event>, shutdown: &Shutdown) -> Follower {
        Follower {
            hints: hints.subscribe(),
            community: CommunityId::new("demo").unwrap(),
            heartbeat_at: Instant::now() + HEARTBEAT_EVERY,
            shutdown: shutdown.clone(),
            _place: Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap(),
        }
    }

    fn event(community: &str, kind: Kind) -> Event {
        Event::new(kind, &CommunityId::new(community).unwrap(), None)
    }

    #[tokio::test]
    async fn a_client_sees_its_community_only() {
        let (hints, _) = broadcast::channel(8);
        let mut follower = follower(&hints, &Shutdown::new()).await;
        for hint in [event("other", Kind::Slot), event("demo", Kind::Command), event("demo", Kind::Trade)] {
            hints.send(hint).unwrap();
        }
        let chunk = follower.next().await.unwrap();
        let expected =
            "event: trade\ndata: {\"kind\":\"trade\",\"community_id\":\"demo\",\"slot_start\":null}\n\n";
        assert_eq!(chunk, Bytes::from_static(expected.as_bytes()));
    }

    #[tokio::test]
    async fn a_slow_client_is_told_to_look_again() {
        let (hints, _) = broadcast::channel(2);
        let mut follower = follower(&hints, &Shutdown::new()).await;
        for _ in 0..4 {
            hints.send(event("demo", Kind::Slot)).unwrap();
        }
        assert!(follower.next().await.unwrap().starts_with(b"event: resync\n"));
        assert!(follower.next().await.unwrap().starts_with(b"event: slot\n"));
    }

    #[tokio::test]
    async fn a_heartbeat_shows_that_the_connection_lives_until_the_stop() {
        let (hints, _) = broadcast::channel(2);
        let shutdown = Shutdown::new();
        let mut follower = follower(&hints, &shutdown).await;
        follower.heartbeat_at = Instant::now();
        assert_eq!(follower.next().await.unwrap(), Bytes::from_static(HEARTBEAT));
        shutdown.stop();
        assert!(follower.next().await.is_none());
    }
}

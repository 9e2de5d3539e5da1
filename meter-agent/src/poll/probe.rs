//! A look at every device before the first boundary, for what an installer should know at once: a template
//! that does not fit. Nothing of it is stored.

use std::time::Duration;

use domain::ids::MeterId;
use domain::slot::Slot;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::timeout;

use super::{Group, Poller};
use crate::source::SourceError;

/// A boundary must be further away than this, or the look would be in its way.
const ROOM: Duration = Duration::from_secs(30);

impl Poller {
    /// Reads every device once, if there is time for it before the next boundary, and says which ones give
    /// values that cannot be: the wrong word order, template or unit. Devices that cannot be reached are not
    /// mentioned; the boundary will do that.
    pub async fn probe(&mut self) {
        let now = self.clock.now();
        let left = (Slot::containing(now, self.timing.slot_length).end() - now).to_std().unwrap_or_default();
        if left <= ROOM {
            return;
        }
        let (clock, board) = (&self.clock, &self.board);
        let mut looks: FuturesUnordered<_> =
            self.groups.iter_mut().map(|group| implausible(group, now)).collect();
        let all = async {
            while let Some(found) = looks.next().await {
                for (meter_id, error) in found {
                    tracing::error!(%meter_id, %error, "a device does not fit its template");
                    if let Some(board) = board {
                        board.note_device_event(&meter_id, "device_faulty", clock.now(), &error.to_string());
                    }
                }
            }
        };
        // What takes longer is found at the boundary.
        let _ = timeout(left - ROOM, all).await;
    }
}

async fn implausible(group: &mut Group, now: chrono::DateTime<chrono::Utc>) -> Vec<(MeterId, SourceError)> {
    let mut found = Vec::new();
    for device in &mut group.devices {
        if let Err(error @ SourceError::Implausible { .. }) = device.source.read(now, Duration::ZERO).await {
            found.push((device.meter_id.clone(), error));
        }
    }
    found
}

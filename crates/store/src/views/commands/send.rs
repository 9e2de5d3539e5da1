//! Putting commands into the market's queue, many in one transaction, each once.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use sqlx::{PgConnection, PgPool};

use super::{Columns, CommandRow, NewCommand, Sent};
use crate::StoreError;
use crate::notify::{self, Event, Kind};

/// How many keys of old requests one request clears away.
const KEYS_CLEARED: i64 = 100;

/// The key of a request that carries many commands, and what the request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Made by the client before its first try.
    pub key: String,
    /// SHA-256 of the request's content.
    pub sha256: [u8; 32],
    /// Keys stored before this time may be forgotten.
    pub forget_before: DateTime<Utc>,
}

/// Sends a command to the market: once, however often it is called with the same content.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn send(pool: &PgPool, community: &CommunityId, command: &NewCommand) -> Result<Sent, StoreError> {
    let sent = send_all(pool, community, std::slice::from_ref(command)).await?;
    sent.into_iter().next().ok_or_else(|| crate::error::corrupt("a command was neither stored nor found"))
}

/// Sends commands to the market, all in one transaction, and tells what became of each, in their order.
/// Commands get their numbers in that order. The market is told with the commit.
///
/// # Errors
/// [`StoreError`] if the database refuses them; then none is stored.
pub async fn send_all(
    pool: &PgPool,
    community: &CommunityId,
    commands: &[NewCommand],
) -> Result<Vec<Sent>, StoreError> {
    let mut tx = pool.begin().await?;
    let sent = send_in(&mut tx, community, commands).await?;
    tx.commit().await?;
    Ok(sent)
}

/// As [`send_all`], for one request with a key, which is stored with the commands. `None`: the key was used
/// before for another request, and nothing is stored.
///
/// # Errors
/// [`StoreError`] if the database refuses them; then none is stored.
pub async fn send_request(
    pool: &PgPool,
    community: &CommunityId,
    request: &RequestKey,
    commands: &[NewCommand],
) -> Result<Option<Vec<Sent>>, StoreError> {
    let mut tx = pool.begin().await?;
    if !claim(&mut tx, community, request).await? {
        return Ok(None);
    }
    let sent = send_in(&mut tx, community, commands).await?;
    tx.commit().await?;
    Ok(Some(sent))
}

/// Whether the key is new, or names the same request.
async fn claim(
    tx: &mut PgConnection,
    community: &CommunityId,
    request: &RequestKey,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "DELETE FROM request_keys WHERE community_id = $1 AND request_key IN
             (SELECT request_key FROM request_keys WHERE community_id = $1 AND stored_at < $2
              ORDER BY stored_at LIMIT $3 FOR UPDATE SKIP LOCKED)",
        community.as_str(),
        request.forget_before,
        KEYS_CLEARED
    )
    .execute(&mut *tx)
    .await?;
    let stored = sqlx::query_scalar!(
        "INSERT INTO request_keys (community_id, request_key, request_sha256) VALUES ($1, $2, $3)
         ON CONFLICT (community_id, request_key) DO UPDATE SET request_key = excluded.request_key
         RETURNING request_sha256",
        community.as_str(),
        request.key,
        &request.sha256[..]
    )
    .fetch_one(tx)
    .await?;
    Ok(stored == request.sha256)
}

async fn send_in(
    tx: &mut PgConnection,
    community: &CommunityId,
    commands: &[NewCommand],
) -> Result<Vec<Sent>, StoreError> {
    let mut new = insert(tx, community, commands).await?;
    if !new.is_empty() {
        let slots: HashSet<_> = commands.iter().map(|command| command.slot_start).collect();
        let slot = slots.iter().next().copied().filter(|_| slots.len() == 1);
        notify::send(&mut *tx, &Event::new(Kind::Command, community, slot)).await?;
    }
    let is_new = |command: &&NewCommand| !new.contains_key(&key(command));
    let others: Vec<&NewCommand> = commands.iter().filter(is_new).collect();
    let earlier = if others.is_empty() { HashMap::new() } else { earlier(tx, community, &others).await? };
    let mut firsts: HashMap<(String, String), &NewCommand> = HashMap::new();
    Ok(commands
        .iter()
        .map(|command| {
            let key = key(command);
            if let Some(first) = firsts.get(&key) {
                // Twice in one call: the second is compared with the first.
                return match (new.get(&key), *first == command) {
                    (Some(row), true) => Sent::Repeated(row.clone()),
                    (None, true) => earlier.get(&key).map_or(Sent::UnknownMember, |e| e.answer(command)),
                    (_, false) => Sent::Reused,
                };
            }
            let sent = match (new.get_mut(&key), earlier.get(&key)) {
                (Some(row), _) => Sent::New(row.clone()),
                (None, Some(earlier)) => earlier.answer(command),
                (None, None) => Sent::UnknownMember,
            };
            firsts.insert(key, command);
            sent
        })
        .collect())
}

fn key(command: &NewCommand) -> (String, String) {
    (command.member_id.to_string(), command.client_id.to_string())
}

/// Inserts those whose member exists and whose client id is new. Returns these.
async fn insert(
    tx: &mut PgConnection,
    community: &CommunityId,
    commands: &[NewCommand],
) -> Result<HashMap<(String, String), CommandRow>, StoreError> {
    let columns: Vec<Columns<'_>> = commands.iter().map(|command| Columns::from(&command.request)).collect();
    let text = |value: Option<&str>| value.map(str::to_owned);
    let rows = sqlx::query!(
        "INSERT INTO commands (community_id, kind, member_id, client_id, slot_start, order_id, site_id, side,
             energy_wh, limit_micro_per_kwh, time_in_force, placed_by)
         SELECT $1, t.kind, t.member_id, t.client_id, t.slot_start, t.order_id, t.site_id, t.side, t.energy_wh,
             t.limit_micro, t.time_in_force, 'member'
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::text[], $8::text[],
             $9::bigint[], $10::bigint[], $11::text[]) WITH ORDINALITY
             AS t(kind, member_id, client_id, slot_start, order_id, site_id, side, energy_wh, limit_micro,
                  time_in_force, place)
         WHERE EXISTS (SELECT FROM members m WHERE m.community_id = $1 AND m.member_id = t.member_id)
         ORDER BY t.place
         ON CONFLICT (community_id, member_id, client_id) DO NOTHING
         RETURNING command_id, member_id, client_id",
        community.as_str(),
        &columns.iter().map(|c| c.kind.to_owned()).collect::<Vec<_>>(),
        &commands.iter().map(|c| c.member_id.to_string()).collect::<Vec<_>>(),
        &commands.iter().map(|c| c.client_id.to_string()).collect::<Vec<_>>(),
        &commands.iter().map(|c| c.slot_start).collect::<Vec<_>>(),
        &columns.iter().map(|c| c.order_id).collect::<Vec<_>>() as &[Option<i64>],
        &columns.iter().map(|c| text(c.site_id)).collect::<Vec<_>>() as &[Option<String>],
        &columns.iter().map(|c| text(c.side)).collect::<Vec<_>>() as &[Option<String>],
        &columns.iter().map(|c| c.energy_wh).collect::<Vec<_>>() as &[Option<i64>],
        &columns.iter().map(|c| c.limit_micro_per_kwh).collect::<Vec<_>>() as &[Option<i64>],
        &columns.iter().map(|c| text(c.time_in_force)).collect::<Vec<_>>() as &[Option<String>],
    )
    .fetch_all(tx)
    .await?;
    let row = |command_id| CommandRow {
        command_id,
        status: "submitted".to_owned(),
        refusal_code: None,
        refusal_detail: None,
    };
    Ok(rows.into_iter().map(|r| ((r.member_id, r.client_id), row(r.command_id))).collect())
}

/// A command that was there before: what it asked for, and what became of it.
struct Earlier {
    row: CommandRow,
    kind: String,
    slot_start: DateTime<Utc>,
    order_id: Option<i64>,
    site_id: Option<String>,
    side: Option<String>,
    energy_wh: Option<i64>,
    limit_micro_per_kwh: Option<i64>,
    time_in_force: Option<String>,
}

impl Earlier {
    fn answer(&self, command: &NewCommand) -> Sent {
        let asked = Columns::from(&command.request);
        let same = self.kind == asked.kind
            && self.slot_start == command.slot_start
            && self.order_id == asked.order_id
            && self.site_id.as_deref() == asked.site_id
            && self.side.as_deref() == asked.side
            && self.energy_wh == asked.energy_wh
            && self.limit_micro_per_kwh == asked.limit_micro_per_kwh
            && self.time_in_force.as_deref() == asked.time_in_force;
        if same { Sent::Repeated(self.row.clone()) } else { Sent::Reused }
    }
}

/// What was stored before under the same members and client ids.
async fn earlier(
    tx: &mut PgConnection,
    community: &CommunityId,
    commands: &[&NewCommand],
) -> Result<HashMap<(String, String), Earlier>, StoreError> {
    let rows = sqlx::query!(
        "SELECT c.member_id, c.client_id, c.command_id, c.status, c.refusal_code, c.refusal_detail, c.kind,
             c.slot_start, c.order_id, c.site_id, c.side, c.energy_wh, c.limit_micro_per_kwh, c.time_in_force
         FROM UNNEST($2::text[], $3::text[]) AS t(member_id, client_id)
         JOIN commands c ON c.community_id = $1 AND c.member_id = t.member_id AND c.client_id = t.client_id",
        community.as_str(),
        &commands.iter().map(|c| c.member_id.to_string()).collect::<Vec<_>>(),
        &commands.iter().map(|c| c.client_id.to_string()).collect::<Vec<_>>(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| {
            let row = CommandRow {
                command_id: r.command_id,
                status: r.status,
                refusal_code: r.refusal_code,
                refusal_detail: r.refusal_detail,
            };
            let earlier = Earlier {
                row,
                kind: r.kind,
                slot_start: r.slot_start,
                order_id: r.order_id,
                site_id: r.site_id,
                side: r.side,
                energy_wh: r.energy_wh,
                limit_micro_per_kwh: r.limit_micro_per_kwh,
                time_in_force: r.time_in_force,
            };
            ((r.member_id, r.client_id), earlier)
        })
        .collect())
}

//! Linking an address of a member's own: what members are given to sign, and what they signed.

use chrono::{DateTime, Utc};
use domain::ids::{AccountId, ClientId, CommunityId, MemberId};
use receipt::Address;
use sqlx::{PgConnection, PgExecutor};

use crate::error::corrupt;
use crate::notify::{self, Event, Kind};
use crate::{StoreError, withdrawals};

/// How many messages a member may have to sign at once; the oldest goes.
pub const MAX_CHALLENGES: i64 = 8;
/// How often a member may link another address: each is looked after for ever.
pub const MAX_FORMER_ADDRESSES: i64 = 32;

/// A message that a member was given to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The member.
    pub member_id: MemberId,
    /// Random, letters and digits; used once.
    pub nonce: String,
    /// The whole message.
    pub message: String,
    /// From then on it is refused.
    pub expires_at: DateTime<Utc>,
}

/// A link whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// The member.
    pub member_id: MemberId,
    /// Made by the client before its first try.
    pub client_id: ClientId,
    /// The nonce of the message.
    pub nonce: String,
    /// What was signed.
    pub message: String,
    /// The signature, `0x` and 130 lower-case hex digits.
    pub signature: String,
    /// The address that it proves.
    pub address: Address,
}

/// What became of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// It is stored; the settler does the rest.
    New,
    /// It was stored before, by the same request.
    Repeated,
    /// The client id was used for another link.
    Reused,
    /// The nonce is not of a message that waits for this member's signature: unknown, used or expired.
    UnknownNonce,
    /// The address is, or was, another account's, or is this account's already.
    AddressInUse,
    /// A withdrawal is requested at the address: its delay may have passed, so that what comes there could be paid out at
    /// once.
    WithdrawalOpen,
    /// Another link of the member is on its way.
    Pending,
    /// The member has linked as often as it may.
    TooMany,
}

/// Where a member's account lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// Its address on the chain.
    pub chain_address: String,
    /// When the member linked it; `None` while the platform holds its key.
    pub linked_at: Option<DateTime<Utc>>,
    /// A link on its way.
    pub pending: Option<PendingLink>,
    /// Where the account lived before, by address.
    pub former_addresses: Vec<String>,
}

/// A link on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLink {
    /// Its number in the community.
    pub link_id: i64,
    /// The address.
    pub chain_address: String,
    /// `requested` or `signed`.
    pub status: String,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
}

/// Stores a message to sign; expired ones of the member go, and the oldest beyond [`MAX_CHALLENGES`].
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for an unknown member.
pub async fn insert_challenge(
    tx: &mut PgConnection,
    community: &CommunityId,
    challenge: &Challenge,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let member = challenge.member_id.as_str();
    sqlx::query!(
        "DELETE FROM link_challenges WHERE community_id = $1 AND member_id = $2 AND (expires_at <= $3 OR nonce IN (
             SELECT nonce FROM link_challenges WHERE community_id = $1 AND member_id = $2
             ORDER BY expires_at DESC OFFSET $4))",
        community.as_str(),
        member,
        now,
        MAX_CHALLENGES - 1
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "INSERT INTO link_challenges (community_id, nonce, member_id, message, expires_at)
         VALUES ($1, $2, $3, $4, $5)",
        community.as_str(),
        challenge.nonce,
        member,
        challenge.message,
        challenge.expires_at
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether an address can be linked by a member: it is no account's, and was no other account's.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn is_free(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
    address: &Address,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM accounts WHERE community_id = $1 AND chain_address = $3)
              AND NOT EXISTS (SELECT FROM former_addresses
                              WHERE community_id = $1 AND chain_address = $3 AND account_id <> $2)
              AND NOT EXISTS (SELECT FROM account_moves
                              WHERE community_id = $1 AND to_address = $3 AND account_id <> $2
                                AND link_id IS NOT NULL AND status IN ('requested', 'signed'))
              AND NOT EXISTS (SELECT FROM communities WHERE community_id = $1 AND credit_address = $3)
           AS "free!""#,
        community.as_str(),
        member.as_str(),
        address.to_string()
    )
    .fetch_one(db)
    .await?)
}

/// Stores a link and asks for the move of the account's credits, unless something speaks against it.
/// Roll the transaction back on anything but [`Linked::New`], so that the nonce stays unused.
///
/// # Errors
/// [`StoreError`] if the database does not answer or the member has no account.
pub async fn insert(
    tx: &mut PgConnection,
    community: &CommunityId,
    link: &NewLink,
    now: DateTime<Utc>,
) -> Result<Linked, StoreError> {
    let (id, member) = (community.as_str(), link.member_id.as_str());
    // Links of one member come one after the other.
    let current = sqlx::query_scalar!(
        "SELECT chain_address FROM accounts WHERE community_id = $1 AND account_id = $2 FOR UPDATE",
        id,
        member
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| StoreError::NotFound { what: "account", id: member.to_owned() })?;
    let signed = (link.message.as_str(), link.signature.as_str());
    if let Some(known) = known(&mut *tx, community, &link.member_id, &link.client_id, signed).await? {
        return Ok(known);
    }
    if let Some(problem) = obstacle(&mut *tx, community, link).await? {
        return Ok(problem);
    }
    let used = sqlx::query!(
        "DELETE FROM link_challenges
         WHERE community_id = $1 AND nonce = $2 AND member_id = $3 AND message = $4 AND expires_at > $5",
        id,
        link.nonce,
        member,
        link.message,
        now
    )
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() != 1 {
        return Ok(Linked::UnknownNonce);
    }
    let link_id = sqlx::query_scalar!(
        "INSERT INTO links (community_id, member_id, client_id, chain_address, message, signature, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING link_id",
        id,
        member,
        link.client_id.as_str(),
        link.address.to_string(),
        link.message,
        link.signature,
        now
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query!(
        "INSERT INTO account_moves (community_id, account_id, link_id, from_address, to_address, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        id,
        member,
        link_id,
        current,
        link.address.to_string(),
        now
    )
    .execute(&mut *tx)
    .await?;
    notify::send(tx, &Event::new(Kind::Deposit, community, None)).await?;
    Ok(Linked::New)
}

/// Whether the client id was used before: [`Linked::Repeated`] for the same message and signature (in
/// whichever case), [`Linked::Reused`] for others.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn known(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
    client_id: &ClientId,
    (message, signature): (&str, &str),
) -> Result<Option<Linked>, StoreError> {
    let found = sqlx::query!(
        "SELECT message, signature FROM links WHERE community_id = $1 AND member_id = $2 AND client_id = $3",
        community.as_str(),
        member.as_str(),
        client_id.as_str()
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|row| {
        let is_same = row.message == message && row.signature.eq_ignore_ascii_case(signature);
        if is_same { Linked::Repeated } else { Linked::Reused }
    }))
}

/// What speaks against a link, besides its nonce.
async fn obstacle(
    tx: &mut PgConnection,
    community: &CommunityId,
    link: &NewLink,
) -> Result<Option<Linked>, StoreError> {
    if !is_free(&mut *tx, community, &link.member_id, &link.address).await? {
        return Ok(Some(Linked::AddressInUse));
    }
    if withdrawals::is_requested_at(&mut *tx, community, &link.address).await? {
        return Ok(Some(Linked::WithdrawalOpen));
    }
    let counts = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM account_moves
                   WHERE community_id = $1 AND account_id = $2 AND link_id IS NOT NULL
                     AND status IN ('requested', 'signed')) AS "pending!",
                  (SELECT count(*) FROM former_addresses WHERE community_id = $1 AND account_id = $2) AS "former!""#,
        community.as_str(),
        link.member_id.as_str()
    )
    .fetch_one(tx)
    .await?;
    Ok(match counts {
        counts if counts.pending > 0 => Some(Linked::Pending),
        counts if counts.former >= MAX_FORMER_ADDRESSES => Some(Linked::TooMany),
        _ => None,
    })
}

/// Where a member's account lives; `None` if it has none.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn state(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
) -> Result<Option<LinkState>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT a.chain_address, a.linked_at, m.link_id AS "link_id?", m.to_address AS "to_address?",
             m.status AS "status?", m.created_at AS "requested_at?",
             ARRAY(SELECT f.chain_address FROM former_addresses f
                   WHERE f.community_id = a.community_id AND f.account_id = a.account_id
                   ORDER BY f.chain_address) AS "former!"
           FROM accounts a
           LEFT JOIN account_moves m ON m.community_id = a.community_id AND m.account_id = a.account_id
               AND m.link_id IS NOT NULL AND m.status IN ('requested', 'signed')
           WHERE a.community_id = $1 AND a.account_id = $2"#,
        community.as_str(),
        member.as_str()
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let pending = match (row.link_id, row.to_address, row.status, row.requested_at) {
        (Some(link_id), Some(chain_address), Some(status), Some(requested_at)) => {
            Some(PendingLink { link_id, chain_address, status, requested_at })
        }
        (None, None, None, None) => None,
        _ => return Err(corrupt(format!("the move of {member}'s link"))),
    };
    Ok(Some(LinkState {
        chain_address: row.chain_address,
        linked_at: row.linked_at,
        pending,
        former_addresses: row.former,
    }))
}

/// The addresses at which accounts lived before their members linked others.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn former_addresses(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Vec<(AccountId, String)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT account_id, chain_address FROM former_addresses WHERE community_id = $1",
        community.as_str()
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| Ok((AccountId::new(&row.account_id).map_err(corrupt)?, row.chain_address)))
        .collect()
}

//! Linking an address of a member's own: the member signs a message (EIP-4361), and from the next slot
//! that is not priced yet its account settles there.

mod message;
mod signature;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{ClientId, MemberId};
use serde::{Deserialize, Serialize};
use store::communities::Community;
use store::links::{self, Challenge, LinkState, Linked, NewLink};
use store::members::tokens;
use store::{StoreError, withdrawals};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::member;
use crate::error::{ApiError, Problem};
use crate::routes::orders::key::IdempotencyKey;
use crate::{problems, routes};
use message::Message;

/// How long a message can be signed and sent back.
const VALID_FOR: TimeDelta = TimeDelta::minutes(10);

/// Which address is to be linked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkWish {
    /// The address, with or without the checksum of EIP-55.
    #[schema(example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    address: String,
}

/// What the address's key has to sign.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkChallenge {
    /// The message of EIP-4361, to be signed as it is with `personal_sign` (EIP-191).
    message: String,
    /// Its nonce; used once.
    nonce: String,
    /// From then on it is refused.
    expires_at: DateTime<Utc>,
}

/// A signed message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedLink {
    /// The message, exactly as it was given.
    message: String,
    /// The signature: `0x` and 130 hex digits.
    signature: String,
}

/// Where a member's account lives on the chain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    /// The address that slots settle at.
    #[schema(example = "0x00000000000000000000000000000000000000a1")]
    address: String,
    /// `custodial` while the platform holds its key, `linked` when it is the member's own.
    #[schema(example = "custodial")]
    kind: &'static str,
    /// Since when it is linked.
    linked_at: Option<DateTime<Utc>>,
    /// A link that the settler has not finished.
    pending: Option<PendingLink>,
    /// Where the account lived before: what still comes there is moved on.
    former_addresses: Vec<String>,
}

/// A link that the settler has not finished.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PendingLink {
    /// Its number in the community.
    link_id: i64,
    /// The new address.
    address: String,
    /// `requested`, or `signed` when the transaction that moves the credits is on its way.
    status: String,
    /// When it was asked for.
    requested_at: DateTime<Utc>,
}

impl From<LinkState> for Link {
    fn from(state: LinkState) -> Self {
        Self {
            address: state.chain_address,
            kind: if state.linked_at.is_some() { "linked" } else { "custodial" },
            linked_at: state.linked_at,
            pending: state.pending.map(|pending| PendingLink {
                link_id: pending.link_id,
                address: pending.chain_address,
                status: pending.status,
                requested_at: pending.requested_at,
            }),
            former_addresses: state.former_addresses,
        }
    }
}

/// Where a member's account lives on the chain. With the member's own token only.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/link", operation_id = "showLink", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The account's address.", body = Link),
        (status = 401, description = "The member's token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is not this member's.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (community, id) = authorized(&request, &state, &path).await?;
    Ok(HttpResponse::Ok().json(current(&state, &community, &id).await?))
}

/// The message that an address's key has to sign to be linked; valid for ten minutes, and once.
#[utoipa::path(
    post, path = "/api/v1/communities/{community_id}/members/{member_id}/link/challenge", operation_id = "challengeLink", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
    ),
    request_body = LinkWish,
    security(("bearer" = [])),
    responses(
        (status = 201, description = "What to sign.", body = LinkChallenge),
        (status = 400, description = "No address.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The member's token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is not this member's.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The address is an account's, or the community has no contract yet.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn challenge(
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    wish: web::Json<LinkWish>,
) -> Result<HttpResponse, ApiError> {
    let (community, id) = authorized(&request, &state, &path).await?;
    let address = message::parse_address(&wish.address).ok_or_else(|| {
        ApiError::invalid(
            "the body: address must be 0x and 40 hex digits, in one case or with its checksum (EIP-55)",
        )
    })?;
    let expected = Expected::of(&request, &state, &community)?;
    if !links::is_free(&state.pool, &community.community_id, &id, &address).await? {
        return Err(in_use());
    }
    if withdrawals::is_requested_at(&state.pool, &community.community_id, &address).await? {
        return Err(withdrawal_open());
    }
    let (now, mut tx) = (state.clock.now(), state.pool.begin().await.map_err(StoreError::from)?);
    let nonce: String = tokens::random_text(&mut *tx).await?.chars().take(32).collect();
    let message = Message {
        domain: expected.domain,
        address,
        statement: Some(format!(
            "Link this address to the account {id} of the energy community {}. Its credits move here, and from the \
             next slot on it settles here.",
            community.community_id
        )),
        uri: expected.uri,
        chain_id: expected.chain_id,
        nonce: nonce.clone(),
        issued_at: now.into(),
        expires_at: Some((now + VALID_FOR).into()),
        not_before: None,
        request_id: None,
        resources: Vec::new(),
    };
    let (message, expires_at) = (message.to_string(), now + VALID_FOR);
    let challenge = Challenge { member_id: id, nonce, message, expires_at };
    links::insert_challenge(&mut tx, &community.community_id, &challenge, now).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let Challenge { nonce, message, expires_at, .. } = challenge;
    Ok(HttpResponse::Created().json(LinkChallenge { message, nonce, expires_at }))
}

/// Links the address whose key has signed the message. The account's credits move there between two
/// slots, which takes until the batch that is on its way is final.
#[utoipa::path(
    post, path = "/api/v1/communities/{community_id}/members/{member_id}/link", operation_id = "linkAddress", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("Idempotency-Key" = String, Header, description = "Made before the first try: with it, the request can be repeated.", example = "link-1"),
    ),
    request_body = SignedLink,
    security(("bearer" = [])),
    responses(
        (status = 202, description = "The settler has it.", body = Link),
        (status = 400, description = "The message or the signature is refused, with the reason.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The member's token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is not this member's.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The key was used for another request, the address is an account's, or a link is on its way.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn link(
    request: HttpRequest,
    key: IdempotencyKey,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    signed: web::Json<SignedLink>,
) -> Result<HttpResponse, ApiError> {
    let (community, id) = authorized(&request, &state, &path).await?;
    let client_id = key.required()?;
    let (pool, community_id, now) = (&state.pool, &community.community_id, state.clock.now());
    let known =
        links::known(pool, community_id, &id, &client_id, (&signed.message, &signed.signature)).await?;
    let linked = match known {
        Some(known) => known,
        None => {
            let expected = Expected::of(&request, &state, &community)?;
            let link = expected.verified(id.clone(), client_id, signed.into_inner(), now)?;
            let mut tx = pool.begin().await.map_err(StoreError::from)?;
            let linked = links::insert(&mut tx, community_id, &link, now).await?;
            if linked == Linked::New {
                tx.commit().await.map_err(StoreError::from)?;
            }
            linked
        }
    };
    refusal(linked, &id)?;
    Ok(HttpResponse::Accepted().json(current(&state, &community, &id).await?))
}

/// What a message must say to be for this server and this community.
struct Expected {
    domain: String,
    uri: String,
    chain_id: u64,
}

impl Expected {
    fn of(request: &HttpRequest, state: &AppState, community: &Community) -> Result<Self, ApiError> {
        let contract = community.contract.as_ref().ok_or_else(|| {
            ApiError::new(
                problems::NO_CONTRACT,
                format!("the community {} settles on no chain yet", community.community_id),
            )
        })?;
        let chain_id = u64::try_from(contract.chain_id)
            .map_err(|_| StoreError::Corrupt(format!("chain id {}", contract.chain_id)))?;
        let host = request.headers().get(actix_web::http::header::HOST).and_then(|host| host.to_str().ok());
        let uri = match (&state.public_origin, host) {
            (Some(origin), _) => origin.clone(),
            (None, Some(host)) => format!("http://{host}"),
            (None, None) => return Err(ApiError::invalid("the request has no header Host")),
        };
        let domain = uri.split_once("://").map(|(_, host)| host.to_owned()).unwrap_or_default();
        Ok(Self { domain, uri, chain_id })
    }

    /// Checks a signed message: all but whether its nonce waits, and the address is free.
    fn verified(
        &self,
        member_id: MemberId,
        client_id: ClientId,
        signed: SignedLink,
        now: DateTime<Utc>,
    ) -> Result<NewLink, ApiError> {
        let SignedLink { message: text, signature } = signed;
        let message = Message::parse(&text).map_err(|error| invalid(&error))?;
        let expired = message.expires_at.as_ref().is_none_or(|end| end.at <= now);
        let early =
            message.not_before.as_ref().is_some_and(|start| start.at > now) || message.issued_at.at > now;
        let Self { domain, uri, chain_id } = self;
        for (holds, problem) in [
            (message.domain == *domain, format!("the message is for {}, this is {domain}", message.domain)),
            (message.uri == *uri, format!("the message is for {}, this is {uri}", message.uri)),
            (
                message.chain_id == *chain_id,
                format!(
                    "the message is for chain {}, the community settles on chain {chain_id}",
                    message.chain_id
                ),
            ),
            (!expired, "the message has expired: ask for another one".to_owned()),
            (!early, "the message is not valid yet".to_owned()),
        ] {
            if !holds {
                return Err(invalid(&problem));
            }
        }
        let signer = signature::signer(&text, &signature).map_err(|error| invalid(&error))?;
        if signer != message.address {
            return Err(invalid(&format!(
                "the signature is {signer}'s, or the message was changed after signing: it must be that of {}; if that is a \
                 smart-contract wallet such as a Safe (EIP-1271), it cannot be linked: link an address with a key of its own",
                message.address
            )));
        }
        let (nonce, address, signature) = (message.nonce, message.address, signature.to_ascii_lowercase());
        Ok(NewLink { member_id, client_id, nonce, message: text, signature, address })
    }
}

/// The community and the member of an address, if the request carries this member's token.
async fn authorized(
    request: &HttpRequest,
    state: &AppState,
    path: &(String, String),
) -> Result<(Community, MemberId), ApiError> {
    let community = routes::community(state, &path.0).await?;
    let id = routes::existing_member(state, &community.community_id, &path.1).await?;
    member::require(request, state, &community.community_id, &id).await?;
    Ok((community, id))
}

async fn current(state: &AppState, community: &Community, id: &MemberId) -> Result<Link, ApiError> {
    let found = links::state(&state.pool, &community.community_id, id).await?;
    found.map(Link::from).ok_or_else(|| {
        ApiError::new(problems::UNKNOWN_MEMBER, format!("the member {id} has no account on the chain yet"))
    })
}

fn refusal(linked: Linked, id: &MemberId) -> Result<(), ApiError> {
    match linked {
        Linked::New | Linked::Repeated => Ok(()),
        Linked::Reused => {
            let detail = format!("{id} used this Idempotency-Key for another link");
            Err(ApiError::new(problems::KEY_REUSED, detail))
        }
        Linked::UnknownNonce => Err(invalid(
            &"the message's nonce was used already, has expired, or was never given to this member: ask for another message",
        )),
        Linked::AddressInUse => Err(in_use()),
        Linked::WithdrawalOpen => Err(withdrawal_open()),
        Linked::Pending => Err(ApiError::new(
            problems::LINK_PENDING,
            "a link of this member is on its way: wait until it is done",
        )),
        Linked::TooMany => {
            let detail = format!("an account can move {} times at most", links::MAX_FORMER_ADDRESSES);
            Err(ApiError::new(problems::INVALID_LINK, detail))
        }
    }
}

fn invalid(reason: &impl std::fmt::Display) -> ApiError {
    ApiError::new(problems::INVALID_LINK, reason.to_string())
}

fn withdrawal_open() -> ApiError {
    ApiError::new(
        problems::WITHDRAWAL_OPEN,
        "a withdrawal is requested at the address: cancel it first, or link another address",
    )
}

fn in_use() -> ApiError {
    ApiError::new(
        problems::ADDRESS_IN_USE,
        "the address is, or was, an account of this community, or its contract: link another one",
    )
}

//! The catalogue of problem types (RFC 9457), and the page that explains each.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::error::ApiError;

/// A kind of problem: its name is stable and machines may rely on it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProblemKind {
    /// The last part of the type's address.
    pub(crate) code: &'static str,
    /// The HTTP status it comes with.
    pub(crate) status: u16,
    /// The problem in a few words, always the same.
    pub(crate) title: &'static str,
    /// What it means and what to do.
    pub(crate) meaning: &'static str,
}

macro_rules! catalogue {
    ($($name:ident = $code:literal, $status:literal, $title:literal, $meaning:literal;)*) => {
        $(pub(crate) const $name: &ProblemKind =
            &ProblemKind { code: $code, status: $status, title: $title, meaning: $meaning };)*
        /// Every kind of problem, in the order of the documentation.
        pub(crate) const CATALOGUE: &[&ProblemKind] = &[$($name),*];
    };
}

catalogue! {
    INVALID_REQUEST = "invalid-request", 400, "The request is not valid",
        "A parameter or the body is not what the API document describes. The detail names it; mend it and send it again.";
    INVALID_SLOT = "invalid-slot", 400, "Not the start of a slot",
        "Slots are named by the time they start, in UTC (RFC 3339, such as 2026-03-01T12:00:00Z), and are aligned to the hour by the community's slot length.";
    UNAUTHORIZED = "unauthorized", 401, "A token is needed",
        "Routes that write, and those that show what is private, need the header Authorization: Bearer with a token: the server's own, in the file that [web] token_file names, or for what a member may do itself a token of that member, which the operator issues at POST /api/v1/communities/{community_id}/members/{member_id}/tokens. The detail says which.";
    FORBIDDEN = "forbidden", 403, "Not yours to do",
        "The token is valid, but not for this: what a member alone may do needs a token of that member, which the operator issues at POST /api/v1/communities/{community_id}/members/{member_id}/tokens.";
    INVALID_LINK = "invalid-link", 400, "The address cannot be linked so",
        "The message is not the one that was given, is for another host or chain, has expired or was used before, or the signature is not of its address. The detail says which; ask for another message and sign it as it is.";
    ADDRESS_IN_USE = "address-in-use", 409, "The address is an account already",
        "An address belongs to one account for ever, so that every transfer can be told. Link another one.";
    WITHDRAWAL_OPEN = "withdrawal-open", 409, "A withdrawal is requested at the address",
        "Credits that come to an address whose request is due could be paid out at once, open positions or not. Take the request back with cancelWithdrawal, or claim it, wait until the chain is final, then link the address.";
    LINK_PENDING = "link-pending", 409, "A link is on its way",
        "One address is linked at a time. Read the link until nothing is pending, then try again.";
    NO_CONTRACT = "no-contract", 409, "The community settles nowhere yet",
        "Its contract is not deployed, so that there is no chain to link an address of.";
    NOT_FOUND = "not-found", 404, "No such address",
        "Nothing is served at this address. The API document at /api/openapi.json lists what is.";
    UNKNOWN_COMMUNITY = "unknown-community", 404, "No such community",
        "No community has this id. GET /api/v1/communities lists them.";
    UNKNOWN_MEMBER = "unknown-member", 404, "No such member",
        "The community has no member of this id. GET /api/v1/communities/{community_id}/members lists them.";
    UNKNOWN_SLOT = "unknown-slot", 404, "No such slot",
        "The time is the start of a slot, but the community's market has not made that slot.";
    UNKNOWN_STATEMENT = "unknown-statement", 404, "No statement yet",
        "A member has a statement of a slot once the slot is priced, if it has a site that was metered in it.";
    UNKNOWN_RECEIPT = "unknown-receipt", 404, "No receipt yet",
        "A receipt exists once the slot's batch is final on the chain and moved credits, for every account that has a statement of the slot. Try again when the slot is settled.";
    UNKNOWN_SITE = "unknown-site", 404, "No such site",
        "The member has no connection point of this id. GET /api/v1/communities/{community_id}/members/{member_id} lists them.";
    INVALID_LIMIT = "invalid-limit", 400, "The limit is outside the tariffs",
        "An own limit lies between the feed-in tariff and the retail tariff less the fees; the detail names both. Nothing was changed.";
    VERSION_CHANGED = "version-changed", 409, "It was changed meanwhile",
        "Another version holds than the one the request expects. Nothing was changed; read it again and decide anew.";
    UNKNOWN_ORDER = "unknown-order", 404, "No such order",
        "The member has placed no order of this number.";
    UNKNOWN_COMMAND = "unknown-command", 404, "No such command",
        "The community has no command of this number.";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "Method not allowed",
        "The address exists, but not with this method; the header Allow names those it has.";
    CLIENT_ID_REUSED = "client-id-reused", 409, "The client id was used before",
        "A client id names one command for ever, so that sending it again is harmless. Use a new one for another command.";
    KEY_REUSED = "idempotency-key-reused", 409, "The key was used before",
        "An Idempotency-Key names one request for ever, so that sending it again is harmless. Use a new one for another request.";
    TOO_LARGE = "too-large", 413, "The request is too large",
        "A body may have 64 KiB at most, one with many orders 256 KiB.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "Unsupported media type",
        "A body must be JSON, with the header Content-Type: application/json.";
    ATTRIBUTES_NOT_TRADED = "attributes-not-traded", 400, "The continuous auction trades no attributes",
        "An order in the book cannot prefer local or green energy or partners, and pays no premium. Set these in the standing order of the site: the closing auction serves them.";
    SLOT_NOT_OPEN = "slot-not-open", 422, "The slot is not open yet",
        "Orders for a slot are taken from its opens_at on. Nothing was changed; send the order again then, with a new client id.";
    SLOT_BEGUN = "slot-begun", 422, "It would change a slot that has begun",
        "Members trade by what holds when a slot opens and begins, so fees hold from slots on that take no orders yet, and limits for slots that have not begun. Nothing was changed; choose later slots.";
    GATE_CLOSED = "gate-closed", 422, "Gate closure has passed",
        "Orders for a slot are taken before its gate_closes_at. Nothing was changed; choose a later slot.";
    NOT_POSITIVE = "not-positive", 422, "The energy is not above zero",
        "An order is for a whole number of watt-hours, at least 1. Nothing was changed.";
    ORDER_TOO_LARGE = "order-too-large", 422, "The energy is above the largest order",
        "The detail names the largest order of the community. Nothing was changed; send several smaller ones.";
    BELOW_FEED_IN = "below-feed-in", 422, "The limit is below the feed-in tariff",
        "Whoever sells gets the feed-in tariff at least, so no order may be below it. The detail names the bound. Nothing was changed.";
    ABOVE_RETAIL = "above-retail", 422, "The limit is above the retail tariff less the fees",
        "Whoever buys pays the retail tariff at most, fees included, so no order may be above it. The detail names the bound. Nothing was changed.";
    INSUFFICIENT_CREDIT = "insufficient-credit", 422, "The bid is not covered",
        "A bid needs free credits for its energy at its limit, fees included. The detail names both amounts. Nothing was changed; deposit credits, or bid for less.";
    NOT_YOUR_SITE = "not-your-site", 422, "The site is another member's",
        "A member trades for its own connection points only. Nothing was changed.";
    CANNOT_FILL = "cannot-fill", 422, "The book cannot fill the whole order",
        "A fill-or-kill order trades all of its energy at once or nothing. Nothing was changed.";
    BOOK_FULL = "book-full", 422, "The book of the slot is full",
        "As many orders rest in the slot as the market allows. Nothing was changed; try again when some have left it.";
    ORDER_REFUSED = "order-refused", 422, "The market has refused the command",
        "The detail tells why. Nothing was changed.";
    TOO_MANY_REQUESTS = "too-many-requests", 429, "Too many commands",
        "The credential has sent more commands than it may in a second. Wait as long as the header Retry-After says; nothing was stored.";
    INTERNAL = "internal", 500, "Internal error",
        "The server made a mistake. It has logged what happened; sending the request again is safe with the same client id.";
    TOO_MANY_CLIENTS = "too-many-clients", 503, "Too many live clients",
        "As many clients as the server allows follow live events. Try again later, or poll.";
    BUSY = "busy", 503, "Too many orders wait",
        "More orders wait to be stored than the server keeps. Nothing was stored; try again after some seconds with the same client id.";
    UNAVAILABLE = "unavailable", 503, "The database does not answer",
        "The server runs, but its database does not answer. Try again after some seconds.";
    TIMEOUT = "timeout", 504, "The request took too long",
        "The server gave the request up. Ask for less, or later; sending an order again is safe with the same client id.";
}

/// The kind of problem that a refusal of the market is.
pub(crate) fn of_refusal(code: &str) -> &'static ProblemKind {
    match code {
        "unknown_slot" => UNKNOWN_SLOT,
        "unknown_order" => UNKNOWN_ORDER,
        "slot_not_open" => SLOT_NOT_OPEN,
        "gate_closed" => GATE_CLOSED,
        "not_positive" => NOT_POSITIVE,
        "too_large" => ORDER_TOO_LARGE,
        "below_feed_in" => BELOW_FEED_IN,
        "above_retail" => ABOVE_RETAIL,
        "insufficient_credit" => INSUFFICIENT_CREDIT,
        "not_your_site" => NOT_YOUR_SITE,
        "cannot_fill" => CANNOT_FILL,
        "book_full" => BOOK_FULL,
        "client_id_reused" => CLIENT_ID_REUSED,
        _ => ORDER_REFUSED,
    }
}

/// Serves `/problems` and `/problems/{code}`.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/problems").route(web::get().to(list)))
        .service(web::resource("/problems/{code}").route(web::get().to(explain)));
}

async fn list() -> HttpResponse {
    let entries: String = CATALOGUE
        .iter()
        .map(|kind| {
            format!(
                "<li><a href=\"/problems/{0}\">{0}</a> ({1}): {2}</li>",
                kind.code, kind.status, kind.title
            )
        })
        .collect();
    page("Problem types", &format!("<ul>{entries}</ul>"))
}

async fn explain(code: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let kind = CATALOGUE
        .iter()
        .find(|kind| kind.code == code.as_str())
        .ok_or_else(|| ApiError::new(NOT_FOUND, "no problem type has this name; /problems lists them"))?;
    Ok(page(
        kind.title,
        &format!(
            "<p>HTTP status {}</p><p>{}</p><p><a href=\"/problems\">All types</a></p>",
            kind.status, kind.meaning
        ),
    ))
}

/// The catalogue's texts are constants without special characters, so nothing here needs escaping.
fn page(title: &str, body: &str) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8")).body(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\
         <body><h1>{title}</h1>{body}</body></html>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_texts_need_no_escaping() {
        for (index, kind) in CATALOGUE.iter().enumerate() {
            assert!(CATALOGUE[index + 1..].iter().all(|other| other.code != kind.code), "{}", kind.code);
            assert!(
                !format!("{}{}", kind.title, kind.meaning).contains(['<', '>', '&', '"']),
                "{}",
                kind.code
            );
            assert!(kind.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", kind.code);
        }
    }
}

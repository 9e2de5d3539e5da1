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
        "Routes that write need the header Authorization: Bearer with the token that the server made at its first start, in the file that [web] token_file names.";
    NOT_FOUND = "not-found", 404, "No such address",
        "Nothing is served at this address. The API document at /api/openapi.json lists what is.";
    UNKNOWN_COMMUNITY = "unknown-community", 404, "No such community",
        "No community has this id. GET /api/v1/communities lists them.";
    UNKNOWN_MEMBER = "unknown-member", 404, "No such member",
        "The community has no member of this id. GET /api/v1/communities/{community_id}/members lists them.";
    UNKNOWN_SLOT = "unknown-slot", 404, "No such slot",
        "The time is the start of a slot, but the community's market has not made that slot.";
    UNKNOWN_RECEIPT = "unknown-receipt", 404, "No receipt yet",
        "A receipt exists once the slot's batch is final on the chain and moved credits, for every account that has a statement of the slot. Try again when the slot is settled.";
    UNKNOWN_ORDER = "unknown-order", 404, "No such order",
        "The member has placed no order of this number.";
    UNKNOWN_COMMAND = "unknown-command", 404, "No such command",
        "The community has no command of this number.";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "Method not allowed",
        "The address exists, but not with this method; the header Allow names those it has.";
    CLIENT_ID_REUSED = "client-id-reused", 409, "The client id was used before",
        "A client id names one command for ever, so that sending it again is harmless. Use a new one for another command.";
    TOO_LARGE = "too-large", 413, "The request is too large",
        "A body may have 64 KiB at most.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "Unsupported media type",
        "A body must be JSON, with the header Content-Type: application/json.";
    INTERNAL = "internal", 500, "Internal error",
        "The server made a mistake. It has logged what happened; sending the request again is safe with the same client id.";
    TOO_MANY_CLIENTS = "too-many-clients", 503, "Too many live clients",
        "As many clients as the server allows follow live events. Try again later, or poll.";
    UNAVAILABLE = "unavailable", 503, "The database does not answer",
        "The server runs, but its database does not answer. Try again after some seconds.";
    TIMEOUT = "timeout", 504, "The request took too long",
        "The server gave the request up. Ask for less, or later; sending an order again is safe with the same client id.";
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

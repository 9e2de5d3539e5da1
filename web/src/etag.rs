//! `ETag` for what is polled: an answer that a client has already is `304 Not Modified` and has no body.

use actix_web::body::{BoxBody, EitherBody, MessageBody, to_bytes_limited};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::problems;

/// The largest answer that is held to be compared; what the API sends is bounded far below.
const MAX_BYTES: usize = 64 * 1_024 * 1_024;
/// How many bytes of the digest name a version.
const TAG_BYTES: usize = 16;

/// Names the version of each JSON answer to a GET, and leaves the body out if the client has it.
pub(crate) async fn compare<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let is_get = request.method() == Method::GET;
    let response = next.call(request).await?;
    if !is_get || response.status() != StatusCode::OK || !is_json(response.headers()) {
        return Ok(response.map_into_left_body());
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let too_long = |_| ApiError::new(problems::INTERNAL, "the answer is too long to be sent");
    let body = to_bytes_limited(body, MAX_BYTES).await.map_err(too_long)?.map_err(|error| {
        let error: Box<dyn std::error::Error> = error.into();
        ApiError::new(problems::INTERNAL, error.to_string())
    })?;
    // Weak, since the same answer may be sent compressed.
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&body)[..TAG_BYTES]));
    let mut response = if known.is_some_and(|known| names(&known, &tag)) {
        HttpResponse::NotModified().finish()
    } else {
        head.set_body(BoxBody::new(body))
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    // A cache may keep it and must ask each time.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(ServiceResponse::new(request, response).map_into_right_body())
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

/// Whether `If-None-Match` names the version; tags are compared weakly (RFC 9110, 13.1.2).
fn names(known: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.to_str().is_ok_and(|known| {
        known.trim() == "*" || known.split(',').any(|listed| opaque(listed) == opaque(tag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        let known = |text: &'static str| names(&HeaderValue::from_static(text), "W/\"ab\"");
        assert!(known("W/\"ab\"") && known("\"ab\"") && known("\"x\", W/\"ab\"") && known("*"));
        assert!(!known("\"abc\"") && !known("ab") && !known(""));
    }
}

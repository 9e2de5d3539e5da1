//! What every answer carries: headers that keep browsers strict, and a body that explains an error.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError};

use crate::error::{ApiError, PROBLEM_JSON};

/// A receipt is checked against a node that the reader chooses, so the page may ask any: over TLS, or
/// on the reader's own machine. Scripts are this server's alone.
const CONTENT_POLICY: &str = "default-src 'self'; \
     connect-src 'self' https: http://127.0.0.1:* http://localhost:*; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";
/// Swagger UI draws with style attributes and images inside its style sheet.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";

/// Adds the security headers, and forbids caches to keep answers that do not say otherwise.
pub(crate) async fn secure(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let policy = if request.path().starts_with("/api/docs") { DOCS_POLICY } else { CONTENT_POLICY };
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    set(headers, header::CONTENT_SECURITY_POLICY, policy);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    if !headers.contains_key(header::CACHE_CONTROL) {
        set(headers, header::CACHE_CONTROL, "no-store");
    }
    Ok(response)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// Gives errors that the framework made, which have no body, a problem document. A page for people
/// stays as it is.
pub(crate) async fn explain<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let response = next.call(request).await?;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let explained = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == PROBLEM_JSON || kind == "text/html; charset=utf-8");
    if !is_error || explained {
        return Ok(response.map_into_left_body());
    }
    let problem = ApiError::from_status(status);
    let allow = response.headers().get(header::ALLOW).cloned();
    Ok(response.into_response(with_allow(problem.error_response(), allow)).map_into_right_body())
}

fn with_allow(mut response: HttpResponse, allow: Option<HeaderValue>) -> HttpResponse {
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

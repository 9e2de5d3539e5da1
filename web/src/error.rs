//! Errors as the API shows them: every one is a problem document (RFC 9457).

use std::borrow::Cow;
use std::fmt;

use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

use crate::problems::{self, ProblemKind};

/// The media type of a problem document.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A problem, of a kind in the catalogue.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    kind: &'static ProblemKind,
    detail: Cow<'static, str>,
    command_id: Option<i64>,
    retry_after_s: Option<u64>,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// The kind of problem; the address explains it.
    #[serde(rename = "type")]
    #[schema(example = "/problems/unknown-community")]
    type_: String,
    /// The kind of problem in a few words, the same for every problem of the type.
    #[schema(example = "No such community")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong with this request.
    #[schema(example = "no community has the id \"nowhere\"")]
    detail: &'a str,
    /// The command that the market refused, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<i64>,
}

impl ApiError {
    /// A problem of a kind.
    pub(crate) fn new(kind: &'static ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), command_id: None, retry_after_s: None }
    }

    /// The market has refused a command, for the reason with this code.
    pub(crate) fn refused(command_id: i64, code: &str, detail: String) -> Self {
        Self { command_id: Some(command_id), ..Self::new(problems::of_refusal(code), detail) }
    }

    /// The credential has sent more than `per_second` commands; it may try again in some seconds.
    pub(crate) fn too_many(retry_after_s: u64, per_second: u32) -> Self {
        let detail = format!("a credential may send {per_second} commands a second");
        Self { retry_after_s: Some(retry_after_s), ..Self::new(problems::TOO_MANY_REQUESTS, detail) }
    }

    /// A parameter or the body is not valid.
    pub(crate) fn invalid(detail: impl fmt::Display) -> Self {
        Self::new(problems::INVALID_REQUEST, detail.to_string())
    }

    /// The token is missing or wrong.
    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        Self::new(problems::UNAUTHORIZED, detail)
    }

    /// What a bare status means, for errors that the framework makes.
    pub(crate) fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(problems::NOT_FOUND, "nothing is served at this address"),
            StatusCode::METHOD_NOT_ALLOWED => {
                Self::new(problems::METHOD_NOT_ALLOWED, "the address does not have this method")
            }
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(problems::TOO_LARGE, "the body is too large"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                Self::new(problems::UNSUPPORTED_MEDIA_TYPE, "the body is not application/json")
            }
            status if status.is_client_error() => Self::invalid("the request cannot be understood"),
            _ => Self::new(problems::INTERNAL, "the server could not answer"),
        }
    }

    /// The problem document.
    pub(crate) fn document(&self) -> Problem<'_> {
        Problem {
            type_: format!("/problems/{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            command_id: self.command_id,
        }
    }

    /// The problem document as JSON text.
    pub(crate) fn body(&self) -> String {
        serde_json::to_string(&self.document()).unwrap_or_default()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.title, self.detail)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CONTENT_TYPE, PROBLEM_JSON));
        if self.kind == problems::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"busbar\""));
        }
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        } else if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, "5"));
        }
        response.body(self.body())
    }
}

impl From<StoreError> for ApiError {
    /// What the database said goes to the log; the client learns only whether to try again.
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed");
        if store::views::operations::is_unavailable(&error) {
            Self::new(problems::UNAVAILABLE, "the database does not answer; try again")
        } else {
            Self::new(problems::INTERNAL, "the server could not answer; it has logged why")
        }
    }
}

/// Turns the framework's complaint about a body into a problem.
pub(crate) fn json_error(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let problem = match &error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            ApiError::from_status(StatusCode::PAYLOAD_TOO_LARGE)
        }
        JsonPayloadError::ContentType => ApiError::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        JsonPayloadError::Deserialize(cause) => ApiError::invalid(format!("the body: {cause}")),
        other => ApiError::invalid(format!("the body: {other}")),
    };
    problem.into()
}

/// Turns the framework's complaint about a query into a problem.
pub(crate) fn query_error(error: QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    let QueryPayloadError::Deserialize(cause) = &error else {
        return ApiError::invalid(format!("the query: {error}")).into();
    };
    ApiError::invalid(format!("the query: {cause}")).into()
}

/// Turns the framework's complaint about a path into a problem.
pub(crate) fn path_error(error: PathError, _: &HttpRequest) -> actix_web::Error {
    let PathError::Deserialize(cause) = &error else {
        return ApiError::invalid(format!("the address: {error}")).into();
    };
    ApiError::invalid(format!("the address: {cause}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_type_and_hides_the_database() {
        let error = ApiError::from(StoreError::Corrupt("row 7".to_owned()));
        assert_eq!(error.status_code(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(error.body().contains("\"type\":\"/problems/internal\""));
        assert!(!error.body().contains("row 7"));
    }
}

//! The bearer token that every route that writes asks for, and those by which members act for themselves.

pub(crate) mod member;

use std::future::{Ready, ready};
use std::path::Path;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use rand::CryptoRng;
use service::secret::{self, Secret, SecretError};
use subtle::ConstantTimeEq;

use crate::app::AppState;
use crate::error::ApiError;

const TOKEN_BYTES: usize = 32;

/// Reads the token, or makes one of 256 random bits at first start, readable by this user only.
///
/// # Errors
/// [`SecretError`] if the file cannot be used or is open to others.
pub fn load_or_create_token(path: &Path, rng: &mut impl CryptoRng) -> Result<Secret, SecretError> {
    secret::read_or_create(path, || {
        let mut bytes = [0_u8; TOKEN_BYTES];
        rng.fill_bytes(&mut bytes);
        hex::encode(bytes)
    })
}

/// Proof that a request carries the token; a handler that takes one cannot be reached without.
#[derive(Debug)]
pub(crate) struct Authorized;

impl FromRequest for Authorized {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<AppState>>();
        ready(match (state, sent_token(request)) {
            (Some(state), Some(token)) if is_same(token, state.token.expose()) => Ok(Self),
            (_, Some(_)) => Err(ApiError::unauthorized("the bearer token is not the right one")),
            (_, None) => {
                Err(ApiError::unauthorized("this route needs the header Authorization: Bearer <token>"))
            }
        })
    }
}

/// The token that a request carries, however its header is written.
pub(crate) fn sent_token(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION)?.to_str().ok().and_then(bearer)
}

/// The token of an `Authorization` header; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares without telling by its time how many bytes are right.
fn is_same(sent: &str, expected: &str) -> bool {
    bool::from(sent.as_bytes().ct_eq(expected.as_bytes()))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_token_is_made_once_and_random() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.token");
        let first = load_or_create_token(&path, &mut StdRng::seed_from_u64(1)).unwrap();
        let second = load_or_create_token(&path, &mut StdRng::seed_from_u64(2)).unwrap();
        assert_eq!(first, second);
        assert_eq!(first.expose().len(), 2 * TOKEN_BYTES);
    }

    #[test]
    fn only_the_whole_token_counts() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
        assert!(is_same("abc", "abc"));
        assert!(!is_same("ab", "abc") && !is_same("", "abc") && !is_same("abd", "abc"));
    }
}

//! The header `Idempotency-Key`: an id that a client made before its first try.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use domain::ids::ClientId;

use crate::error::ApiError;

const HEADER: &str = "Idempotency-Key";

/// The key of a request, if it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdempotencyKey(Option<ClientId>);

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(value) = request.headers().get(HEADER) else { return ready(Ok(Self(None))) };
        let key = value.to_str().ok().and_then(|text| ClientId::new(text.trim().trim_matches('"')).ok());
        ready(key.map(|key| Self(Some(key))).ok_or_else(|| {
            ApiError::invalid(format!("the header {HEADER}: use 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.'"))
        }))
    }
}

impl IdempotencyKey {
    /// The id of a command: that of the body, or the header's, which must not differ.
    ///
    /// # Errors
    /// A problem if there is none, if it is not an id, or if the two differ.
    pub(crate) fn or_body(&self, client_id: Option<&str>) -> Result<ClientId, ApiError> {
        let of_body = client_id.map(ClientId::new).transpose().map_err(ApiError::invalid)?;
        match (&self.0, of_body) {
            (Some(key), Some(id)) if *key != id => Err(ApiError::invalid(format!(
                "the header {HEADER} says {key} and client_id says {id}: give one, or the same"
            ))),
            (Some(id), _) => Ok(id.clone()),
            (None, Some(id)) => Ok(id),
            (None, None) => {
                Err(ApiError::invalid(format!("give the command an id: client_id, or the header {HEADER}")))
            }
        }
    }

    /// The key of a request that cannot do without.
    ///
    /// # Errors
    /// A problem if there is none.
    pub(crate) fn required(self) -> Result<ClientId, ApiError> {
        self.0.ok_or_else(|| ApiError::invalid(format!("this request needs the header {HEADER}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_and_the_body_name_one_id() {
        let key = |text: Option<&str>| IdempotencyKey(text.map(|text| ClientId::new(text).unwrap()));
        assert_eq!(key(Some("a")).or_body(None).unwrap().as_str(), "a");
        assert_eq!(key(None).or_body(Some("b")).unwrap().as_str(), "b");
        assert_eq!(key(Some("a")).or_body(Some("a")).unwrap().as_str(), "a");
        for (header, body) in [(None, None), (Some("a"), Some("b")), (None, Some("a b"))] {
            assert!(key(header).or_body(body).is_err(), "{header:?} {body:?}");
        }
        assert!(key(None).required().is_err());
    }
}

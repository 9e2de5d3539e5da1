//! How many commands a credential may send: a bucket that fills steadily and holds one second's worth.

use std::num::NonZeroU32;

use actix_web::HttpRequest;
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::auth::{member, sent_token};
use crate::error::ApiError;

/// Credentials are few; when more than these have a bucket, those that are full again are dropped.
const MAX_BUCKETS: usize = 10_000;

type Credential = [u8; 32];

/// The buckets of all credentials.
pub(crate) struct CommandLimit {
    buckets: RateLimiter<Credential, HashMapStateStore<Credential>, DefaultClock>,
    per_second: NonZeroU32,
}

impl std::fmt::Debug for CommandLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandLimit").field("per_second", &self.per_second).finish_non_exhaustive()
    }
}

impl CommandLimit {
    /// Full buckets of `per_second` commands.
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self { buckets: RateLimiter::hashmap(Quota::per_second(per_second)), per_second }
    }

    /// Takes `commands` from the bucket of the request's credential, which must have been checked before.
    ///
    /// # Errors
    /// A problem that says when to try again; the bucket is as it was.
    pub(crate) fn take(&self, request: &HttpRequest, commands: usize) -> Result<(), ApiError> {
        // By the token and not the header: blanks or another case of the scheme must not open a bucket of its own.
        self.take_from(member::hash(sent_token(request).unwrap_or_default()), commands)
    }

    fn take_from(&self, key: Credential, commands: usize) -> Result<(), ApiError> {
        if self.buckets.len() > MAX_BUCKETS {
            self.buckets.retain_recent();
        }
        let Some(commands) = u32::try_from(commands).ok().and_then(NonZeroU32::new) else { return Ok(()) };
        // A request of more than the bucket holds could never pass: it takes the whole bucket.
        let wanted = commands.min(self.per_second);
        match self.buckets.check_key_n(&key, wanted) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(DefaultClock::default().now());
                Err(ApiError::too_many(wait.as_secs() + 1, self.per_second.get()))
            }
            Err(_) => Err(ApiError::too_many(1, self.per_second.get())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_by_its_own_credential_only() {
        let limit = CommandLimit::new(NonZeroU32::new(3).unwrap());
        assert!(limit.take_from([1; 32], 2).is_ok());
        let problem = limit.take_from([1; 32], 2).unwrap_err();
        assert!(problem.body().contains("too-many-requests"), "{}", problem.body());
        assert!(limit.take_from([2; 32], 500).is_ok(), "a large request takes a full bucket");
        assert!(limit.take_from([2; 32], 1).is_err());
    }

    #[test]
    fn a_token_has_one_bucket_however_its_header_is_written() {
        let limit = CommandLimit::new(NonZeroU32::MIN);
        let sent = |header: &str| {
            let request = actix_web::test::TestRequest::default().insert_header(("Authorization", header));
            limit.take(&request.to_http_request(), 1).is_ok()
        };
        assert!(sent("Bearer abc"));
        for same in ["Bearer  abc", "bearer abc", "BEARER   abc "] {
            assert!(!sent(same), "{same:?}");
        }
        assert!(sent("Bearer abd"), "another token");
    }
}

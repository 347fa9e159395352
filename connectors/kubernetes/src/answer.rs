//! What the API server said: its status, the body it came with, and what that means in the contract's classes.
//!
//! Guarantees: an error repeats nothing of the body, in which a server may repeat what it was sent.

use std::time::Duration;

use remint_contract::{Error, ErrorKind, Verb};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::request::Effect;

pub(crate) struct Answer {
    pub(crate) verb: Verb,
    pub(crate) effect: Effect,
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// How the API server itself refuses; a proxy before it would not speak so.
#[derive(Deserialize)]
struct Refusal {
    kind: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    retry_after_seconds: Option<u64>,
}

impl Answer {
    pub(crate) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Done, whatever else it says.
    pub(crate) fn done(&self, what: &str) -> Result<(), Error> {
        if self.is_success() { Ok(()) } else { Err(self.failure(what)) }
    }

    /// The body of a success.
    pub(crate) fn data<T: DeserializeOwned>(&self, what: &str) -> Result<T, Error> {
        self.done(what)?;
        serde_json::from_slice(&self.body).map_err(|_| {
            // The cause would name what was read.
            let message = format!("{what}: the answer is not understood");
            Error::new(self.effect.when_lost(), self.verb, message).with("status", self.status.to_string())
        })
    }

    /// The body of a success; nothing where nothing is.
    pub(crate) fn found<T: DeserializeOwned>(&self, what: &str) -> Result<Option<T>, Error> {
        if self.status == 404 { Ok(None) } else { self.data(what).map(Some) }
    }

    /// True when the server refuses the credential itself: not its rights, and not the request.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.status == 401 && self.refusal().is_some_and(|refusal| refusal.reason == "Unauthorized")
    }

    /// A refusal in the contract's words.
    pub(crate) fn failure(&self, what: &str) -> Error {
        let refusal = self.refusal();
        let (kind, why) = match self.status {
            401 => (ErrorKind::Denied, "the token is not accepted"),
            // A quota that is used up refuses in the same way, and says so in words only.
            403 => (ErrorKind::Denied, "no role allows it, or a quota is used up"),
            404 => (ErrorKind::Missing, "there is no such thing"),
            409 | 412 => (ErrorKind::Conflict, "somebody else changed it, or it exists already"),
            422 => (ErrorKind::RefusedValue, "the server does not take what was written"),
            429 => (ErrorKind::Throttled, "too many requests"),
            300..=399 => (ErrorKind::Invalid, "the server points elsewhere; write the API server's own address"),
            // The server itself speaks: it did nothing.
            503 if refusal.is_some() => (ErrorKind::Unreachable, "the server is not ready"),
            500..=599 => (self.effect.when_lost(), "the server failed"),
            _ => (ErrorKind::Invalid, "the server does not take the request"),
        };
        let error = Error::new(kind, self.verb, format!("{what}: {why}")).with("status", self.status.to_string());
        let told = refusal.and_then(|refusal| refusal.details).and_then(|details| details.retry_after_seconds);
        match self.retry_after.or(told.map(Duration::from_secs)) {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        serde_json::from_slice::<Refusal>(&self.body).ok().filter(|refusal| refusal.kind == "Status")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(effect: Effect, status: u16, body: &str) -> Answer {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        Answer { verb: Verb::Mint, effect, status, retry_after: None, body }
    }

    #[test]
    fn each_status_has_its_class() {
        let said = r#"{"kind":"Status","reason":"ServiceUnavailable","details":{"retryAfterSeconds":3}}"#;
        for (status, body, reads, changes) in [
            (400, "", ErrorKind::Invalid, ErrorKind::Invalid),
            (401, "", ErrorKind::Denied, ErrorKind::Denied),
            (403, "", ErrorKind::Denied, ErrorKind::Denied),
            (404, "", ErrorKind::Missing, ErrorKind::Missing),
            (409, "", ErrorKind::Conflict, ErrorKind::Conflict),
            (422, "", ErrorKind::RefusedValue, ErrorKind::RefusedValue),
            (429, "", ErrorKind::Throttled, ErrorKind::Throttled),
            (307, "", ErrorKind::Invalid, ErrorKind::Invalid),
            (503, said, ErrorKind::Unreachable, ErrorKind::Unreachable),
            (503, "<html>", ErrorKind::Unreachable, ErrorKind::Unclear),
            (500, said, ErrorKind::Unreachable, ErrorKind::Unclear),
        ] {
            assert_eq!(answer(Effect::Reads, status, body).failure("x").kind, reads, "{status}");
            assert_eq!(answer(Effect::Changes, status, body).failure("x").kind, changes, "{status}");
        }
        let wait = answer(Effect::Reads, 503, said).failure("x").retry_after;
        assert_eq!(wait, Some(Duration::from_secs(3)));
    }

    #[test]
    fn only_the_servers_own_word_is_a_refused_credential() {
        let said = r#"{"kind":"Status","reason":"Unauthorized"}"#;
        assert!(answer(Effect::Reads, 401, said).is_unauthenticated());
        for (status, body) in [(401, ""), (401, "<html>"), (403, said), (401, r#"{"kind":"Status"}"#)] {
            assert!(!answer(Effect::Reads, status, body).is_unauthenticated(), "{status} {body}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_of_the_body() {
        let garbled = answer(Effect::Changes, 200, r#"{"data":"marker-4711"}"#).data::<u64>("x").unwrap_err();
        let refused = answer(Effect::Changes, 422, r#"{"kind":"Status","reason":"marker-4711"}"#).failure("x");
        for error in [garbled, refused] {
            assert!(!format!("{error} {error:?}").contains("marker"), "{error:?}");
        }
    }
}

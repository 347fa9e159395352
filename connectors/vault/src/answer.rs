//! What the server said: its status, the body it came with, and what that means in the contract's classes.
//!
//! Guarantees: an error repeats nothing of the body, in which a server may repeat what it was sent.

use std::time::Duration;

use jiff::Timestamp;
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
    /// The server's own clock.
    pub(crate) date: Option<Timestamp>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Auth<T> {
    auth: T,
}

#[derive(Deserialize)]
struct Wrapped<T> {
    wrap_info: T,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<String>,
}

impl Answer {
    pub(crate) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Done, whatever else it says.
    pub(crate) fn done(&self, what: &str) -> Result<(), Error> {
        if self.is_success() { Ok(()) } else { Err(self.failure(what)) }
    }

    /// `data` of a success.
    pub(crate) fn data<T: DeserializeOwned>(&self, what: &str) -> Result<T, Error> {
        self.done(what)?;
        self.read::<Data<T>>(what).map(|answer| answer.data)
    }

    /// `data` of a success; nothing where nothing is.
    pub(crate) fn found<T: DeserializeOwned>(&self, what: &str) -> Result<Option<T>, Error> {
        if self.status == 404 { Ok(None) } else { self.data(what).map(Some) }
    }

    /// `auth` of a success: a new or renewed token.
    pub(crate) fn auth<T: DeserializeOwned>(&self, what: &str) -> Result<T, Error> {
        self.done(what)?;
        self.read::<Auth<T>>(what).map(|answer| answer.auth)
    }

    /// `wrap_info` of a success: the token that stands for what was wrapped.
    pub(crate) fn wrapped<T: DeserializeOwned>(&self, what: &str) -> Result<T, Error> {
        self.done(what)?;
        self.read::<Wrapped<T>>(what).map(|answer| answer.wrap_info)
    }

    /// The body, also of a refusal.
    pub(crate) fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|_| {
            // The cause would name what was read.
            let message = format!("{what}: the answer is not understood");
            Error::new(self.effect.when_lost(), self.verb, message).with("status", self.status.to_string())
        })
    }

    /// True when the server gives exactly one reason, and it is this one. Its reasons are all that tells a refused
    /// credential from other refusals of the same status.
    pub(crate) fn says(&self, reason: &str) -> bool {
        let Some([only]) = self.reasons().and_then(|reasons| <[String; 1]>::try_from(reasons).ok()) else {
            return false;
        };
        // One reason is written plainly, or as a list of one.
        only.strip_prefix("1 error occurred:\n\t* ").unwrap_or(&only).trim() == reason
    }

    /// A refusal in the contract's words.
    pub(crate) fn failure(&self, what: &str) -> Error {
        let (kind, why) = match self.status {
            400 | 405 => (ErrorKind::Invalid, "the server does not take the request"),
            401 | 403 => (ErrorKind::Denied, "the server denies it: no policy allows it, or the token is dead"),
            404 => (ErrorKind::Missing, "there is no such thing, or no engine at this mount"),
            300..=399 => {
                (ErrorKind::Unreachable, "the node is a standby and points elsewhere; write the active node's address")
            }
            412 => (ErrorKind::Unreachable, "the node is behind"),
            429 => (ErrorKind::Throttled, "too many requests"),
            // The server itself speaks: a proxy before it would not speak so.
            503 if self.reasons().is_some() => (ErrorKind::Unreachable, "the server is sealed or a standby"),
            _ => (self.effect.when_lost(), "the server failed"),
        };
        let error = Error::new(kind, self.verb, format!("{what}: {why}")).with("status", self.status.to_string());
        match self.retry_after {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }

    fn reasons(&self) -> Option<Vec<String>> {
        serde_json::from_slice::<Refusal>(&self.body).ok().map(|refusal| refusal.errors)
    }
}

/// A failure while a value was tried, that says nothing of the value: whoever asks must not take it for a refusal.
pub(crate) fn unproven(mut failure: Error) -> Error {
    if matches!(failure.kind, ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::Missing) {
        failure.kind = ErrorKind::Unreachable;
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(effect: Effect, status: u16, body: &str) -> Answer {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        Answer { verb: Verb::Mint, effect, status, retry_after: None, date: None, body }
    }

    #[test]
    fn each_status_has_its_class() {
        let sealed = r#"{"errors":["Vault is sealed"]}"#;
        for (status, body, reads, changes) in [
            (400, "", ErrorKind::Invalid, ErrorKind::Invalid),
            (403, "", ErrorKind::Denied, ErrorKind::Denied),
            (404, "", ErrorKind::Missing, ErrorKind::Missing),
            (307, "", ErrorKind::Unreachable, ErrorKind::Unreachable),
            (429, "", ErrorKind::Throttled, ErrorKind::Throttled),
            (503, sealed, ErrorKind::Unreachable, ErrorKind::Unreachable),
            (503, "<html>", ErrorKind::Unreachable, ErrorKind::Unclear),
            (500, "", ErrorKind::Unreachable, ErrorKind::Unclear),
            (502, "", ErrorKind::Unreachable, ErrorKind::Unclear),
        ] {
            assert_eq!(answer(Effect::Reads, status, body).failure("x").kind, reads, "{status}");
            assert_eq!(answer(Effect::Changes, status, body).failure("x").kind, changes, "{status}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_of_the_body() {
        let refused = answer(Effect::Changes, 400, r#"{"errors":["invalid secret_id \"marker-4711\""]}"#);
        let garbled = answer(Effect::Changes, 200, r#"{"data":"marker-4711"}"#);
        for error in [refused.failure("x"), garbled.data::<u64>("x").unwrap_err()] {
            assert!(!format!("{error} {error:?}").contains("marker"), "{error:?}");
        }
    }

    #[test]
    fn a_reason_counts_only_when_it_is_the_only_one() {
        let reason = "invalid role or secret ID";
        assert!(answer(Effect::Reads, 400, r#"{"errors":["invalid role or secret ID"]}"#).says(reason));
        assert!(
            answer(Effect::Reads, 400, r#"{"errors":["1 error occurred:\n\t* invalid role or secret ID\n\n"]}"#)
                .says(reason)
        );
        for body in [r#"{"errors":["invalid role or secret ID","and more"]}"#, r#"{"errors":[]}"#, reason] {
            assert!(!answer(Effect::Reads, 400, body).says(reason), "{body}");
        }
    }
}

//! From what HTTP says to the contract's classes of failure.

use std::error::Error as _;
use std::time::Duration;

use remint_contract::{Error, ErrorKind, Verb};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::address::Private;

/// Does the request change something? Then a lost answer leaves it open whether it was done.
const fn changes(verb: Verb) -> bool {
    matches!(verb, Verb::Mint | Verb::Revoke)
}

/// The answer is lost.
pub(crate) fn lost(verb: Verb) -> ErrorKind {
    if changes(verb) { ErrorKind::Unclear } else { ErrorKind::Unreachable }
}

/// No answer came.
pub(crate) fn failed(verb: Verb, error: reqwest::Error) -> Error {
    let mut cause = error.source();
    while let Some(source) = cause {
        if let Some(private) = source.downcast_ref::<Private>() {
            return Error::new(ErrorKind::Invalid, verb, private.to_string());
        }
        cause = source.source();
    }
    if error.is_builder() {
        return Error::new(ErrorKind::Invalid, verb, "the request cannot be written").because(error.without_url());
    }
    let (kind, message) = if error.is_connect() {
        (ErrorKind::Unreachable, "no connection; nothing was sent")
    } else {
        (lost(verb), "the answer is lost")
    };
    Error::new(kind, verb, message).because(error.without_url())
}

/// An answer that is not the one that was hoped for. Its words are not looked at: they may repeat what was sent.
pub(crate) fn refused(verb: Verb, status: StatusCode, headers: &HeaderMap) -> Error {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let spent = status == StatusCode::FORBIDDEN && header("x-ratelimit-remaining") == Some("0");
    let (kind, message) = match status.as_u16() {
        _ if spent => (ErrorKind::Throttled, "the budget of calls is spent"),
        429 => (ErrorKind::Throttled, "too many calls"),
        401 => (ErrorKind::Denied, "the credential is not accepted"),
        403 => (ErrorKind::Denied, "the credential may not do this"),
        404 | 410 => (ErrorKind::Missing, "it is not there, or the credential may not see it"),
        409 | 412 => (ErrorKind::Conflict, "somebody else changed it, or it exists already"),
        300..=399 => (ErrorKind::Invalid, "the vendor points elsewhere; redirects are not followed"),
        408 | 500..=599 => (lost(verb), "the vendor's server failed"),
        _ => (ErrorKind::Invalid, "the vendor does not take the request"),
    };
    let error = Error::new(kind, verb, message).with("status", status.as_u16().to_string());
    match header("retry-after").and_then(|text| text.parse().ok()) {
        Some(seconds) => error.retry_after(Duration::from_secs(seconds)),
        None => error,
    }
}

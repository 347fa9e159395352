//! From what HTTP says to the contract's classes of failure.

use std::error::Error as _;
use std::time::Duration;

use remint_contract::{Error, ErrorKind, Verb};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::address::Private;

/// The answer is lost.
pub(crate) fn lost(verb: Verb) -> ErrorKind {
    if verb.changes() { ErrorKind::Unclear } else { ErrorKind::Unreachable }
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
    let wait = header("retry-after").and_then(|text| wait(text, header("date")));
    let spent = header("x-ratelimit-remaining") == Some("0") || wait.is_some();
    let (kind, message) = match status.as_u16() {
        403 if spent => (ErrorKind::Throttled, "the budget of calls is spent"),
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
    match wait {
        Some(wait) => error.retry_after(wait),
        None => error,
    }
}

/// `Retry-After` in seconds, or until a date: counted from the vendor's own.
fn wait(text: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let read = |text: &str| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let wait = read(text)?.duration_since(read(date?)?);
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_waited_for_by_the_vendors_own_clock() {
        let now = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(wait("7", None), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2026 07:28:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(wait("Wed, 21 Oct 2026 07:27:00 GMT", now), Some(Duration::ZERO), "it is over");
        assert_eq!(wait("Wed, 21 Oct 2026 07:28:30 GMT", None), None);
        assert_eq!(wait("soon", now), None);
    }

    #[test]
    fn a_403_with_a_time_to_wait_is_no_denial() {
        let mut headers = HeaderMap::new();
        assert_eq!(refused(Verb::Probe, StatusCode::FORBIDDEN, &headers).kind, ErrorKind::Denied);
        headers.insert("retry-after", "60".parse().unwrap());
        let error = refused(Verb::Probe, StatusCode::FORBIDDEN, &headers);
        assert_eq!((error.kind, error.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(60))));
    }
}

//! From the server's problems to the contract's classes.

use instant_acme::{Error as Acme, Problem};
use remint_contract::{Error, ErrorKind, Verb};

use crate::http::Lost;

/// How the names of the protocol's problems begin.
const PREFIX: &str = "urn:ietf:params:acme:error:";

/// The problem's own name, without what all begin with.
pub(crate) fn name(problem: &Problem) -> &str {
    problem.r#type.as_deref().and_then(|name| name.strip_prefix(PREFIX)).unwrap_or_default()
}

/// What failed, as a problem of this name.
pub(crate) fn is(failure: &Acme, wanted: &str) -> bool {
    matches!(failure, Acme::Api(problem) if name(problem) == wanted)
}

/// A request that failed.
pub(crate) fn class(verb: Verb, what: &'static str, failure: Acme) -> Error {
    let failed = |kind| Error::new(kind, verb, format!("{what} failed"));
    match failure {
        Acme::Api(problem) => {
            let kind = match name(&problem) {
                "accountDoesNotExist" | "unauthorized" | "userActionRequired" | "externalAccountRequired" => {
                    ErrorKind::Denied
                }
                "rateLimited" => ErrorKind::Throttled,
                "alreadyRevoked" | "orderNotReady" => ErrorKind::Conflict,
                "badNonce" => ErrorKind::Unreachable,
                "rejectedIdentifier"
                | "unsupportedIdentifier"
                | "caa"
                | "dns"
                | "connection"
                | "incorrectResponse"
                | "tls"
                | "badCSR"
                | "badPublicKey"
                | "badRevocationReason"
                | "malformed" => ErrorKind::Invalid,
                _ => ErrorKind::Unclear,
            };
            failed(kind).because(problem)
        }
        Acme::Other(other) => match other.downcast::<Lost>() {
            Ok(lost) => of_lost(verb, what, *lost),
            Err(other) => failed(ErrorKind::Unclear).because(other),
        },
        Acme::KeyRejected => failed(ErrorKind::Denied).because(Acme::KeyRejected),
        other if verb.changes() => failed(ErrorKind::Unclear).because(other),
        other => failed(ErrorKind::Unreachable).because(other),
    }
}

/// A request without an answer.
pub(crate) fn of_lost(verb: Verb, what: &'static str, lost: Lost) -> Error {
    let failed = |kind| Error::new(kind, verb, format!("{what} failed"));
    match lost {
        Lost::Throttled(wait) => {
            let failure = failed(ErrorKind::Throttled).because(lost);
            match wait {
                Some(wait) => failure.retry_after(wait),
                None => failure,
            }
        }
        Lost::Answer(_) | Lost::Status(_) if verb.changes() => failed(ErrorKind::Unclear).because(lost),
        Lost::Unreachable(_) | Lost::Answer(_) | Lost::Status(_) => failed(ErrorKind::Unreachable).because(lost),
    }
}

/// A file that could not be read or written.
pub(crate) fn file(verb: Verb, what: &'static str, failure: std::io::Error) -> Error {
    let denied = failure.kind() == std::io::ErrorKind::PermissionDenied;
    let kind = if denied { ErrorKind::Denied } else { ErrorKind::Unreachable };
    Error::new(kind, verb, format!("{what} failed")).because(failure)
}

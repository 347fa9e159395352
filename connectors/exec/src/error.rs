//! From what a program did to the contract's classes of failure.

use std::time::Duration;

use remint_contract::{Error, ErrorKind, Verb};

use crate::program::{Cause, Failure};
use crate::redact::Told;
use crate::wire::Refusal;

/// Does the verb's answer hold a secret that the call did not know before? Then no word beside the answer is shown.
pub(crate) const fn hands_out(verb: Verb) -> bool {
    matches!(verb, Verb::Mint | Verb::Read | Verb::Recover)
}

/// The run gave no answer.
pub(crate) fn failed(verb: Verb, failure: Failure) -> Error {
    let kind = match &failure.cause {
        Cause::Disagreed(disagreement) => disagreement.kind,
        Cause::TooLong if !failure.asked => ErrorKind::Invalid,
        _ if failure.asked && verb.changes() => ErrorKind::Unclear,
        Cause::TooLong => ErrorKind::Invalid,
        Cause::Start(_) | Cause::Pipe(_) | Cause::Silent | Cause::TimedOut(_) => ErrorKind::Unreachable,
    };
    let error = Error::new(kind, verb, failure.cause.to_string());
    match failure.cause {
        Cause::Start(source) | Cause::Pipe(source) => error.because(source),
        _ => error,
    }
}

/// The run gave an answer that means nothing. What was asked may have been done.
pub(crate) fn not_understood(verb: Verb, message: impl Into<String>) -> Error {
    Error::new(if verb.changes() { ErrorKind::Unclear } else { ErrorKind::Invalid }, verb, message)
}

/// The program said no, in its own class.
pub(crate) fn refused(verb: Verb, told: &Told, refusal: &Refusal) -> Error {
    let error = Error::new(refusal.kind, verb, told.words(&refusal.message));
    match refusal.retry_after_seconds {
        Some(seconds) => error.retry_after(Duration::from_secs(seconds)),
        None => error,
    }
}

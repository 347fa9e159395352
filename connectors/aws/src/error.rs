//! From what AWS says to the contract's classes of failure.
//!
//! Every service names its refusals by a code; the words beside it are for people, may repeat what was sent, and are
//! neither looked at nor passed on.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use hyper_util::client::legacy;
use remint_contract::{Error, ErrorKind, Verb};

use crate::xml::Answer;

/// What a service said that is not what was hoped for.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Its code, where it is one.
    pub(crate) code: Option<String>,
    /// The service's clock, as the header has it.
    pub(crate) date: Option<String>,
    retry_after: Option<Duration>,
}

/// Why there is no answer to use.
pub(crate) enum Failure {
    /// Nothing was sent, as nothing could be.
    Invalid,
    /// Nothing listens there.
    Unreachable,
    /// It may have been done.
    Lost,
    Refused(Refusal),
}

/// The class of a failure where it is not known what became of the call.
pub(crate) fn lost(verb: Verb) -> ErrorKind {
    if verb.changes() { ErrorKind::Unclear } else { ErrorKind::Unreachable }
}

impl Refusal {
    pub(crate) fn new(status: u16, code: Option<&str>, header: impl Fn(&str) -> Option<String>) -> Self {
        // A code is a word. Anything else came from somebody who is not the service.
        let word =
            |code: &&str| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        let retry_after = header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        Self { status, code: code.filter(word).map(str::to_owned), date: header("date"), retry_after }
    }

    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    fn kind(&self, verb: Verb) -> (ErrorKind, &'static str) {
        match (self.status, self.code.as_deref().unwrap_or_default()) {
            (
                _,
                "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "RequestThrottled"
                | "SlowDown"
                | "TooManyUpdates",
            )
            | (429, _) => (ErrorKind::Throttled, "too many calls"),
            (
                _,
                "AccessDenied"
                | "AccessDeniedException"
                | "UnauthorizedOperation"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "SignatureDoesNotMatch"
                | "InvalidSignatureException"
                | "ExpiredToken"
                | "ExpiredTokenException"
                | "MissingAuthenticationToken"
                | "IncompleteSignature"
                | "OptInRequired",
            ) => (ErrorKind::Denied, "the credential is not accepted, or may not do this"),
            (_, "NoSuchEntity" | "ResourceNotFoundException" | "ParameterNotFound" | "NotFoundException") => {
                (ErrorKind::Missing, "it is not there")
            }
            (_, "LimitExceeded" | "LimitExceededException" | "ParameterMaxVersionLimitExceeded") => {
                (ErrorKind::Full, "there is no room for another one")
            }
            (_, "EntityAlreadyExists" | "ConcurrentModification" | "ResourceExistsException" | "DeleteConflict") => {
                (ErrorKind::Conflict, "somebody else changed it, or it exists already")
            }
            (_, "ServiceUnavailable" | "InternalFailure" | "ServiceFailure" | "InternalServiceError")
            | (500..=599, _) => (lost(verb), "the service failed"),
            (401 | 403, _) => (ErrorKind::Denied, "the credential is not accepted, or may not do this"),
            (404, _) => (ErrorKind::Missing, "it is not there"),
            _ => (ErrorKind::Invalid, "the service does not take the request"),
        }
    }
}

impl Failure {
    /// Of a call through the SDK.
    pub(crate) fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        let refused = |response: &HttpResponse, code: Option<&str>| {
            let header = |name: &str| response.headers().get(name).map(str::to_owned);
            Self::Refused(Refusal::new(response.status().as_u16(), code, header))
        };
        match error {
            SdkError::ConstructionFailure(_) => Self::Invalid,
            SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                Some(cause) if never_connected(cause) => Self::Unreachable,
                _ => Self::Lost,
            },
            SdkError::ServiceError(refusal) => {
                let body = refusal.raw().body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
                // What stands before the services answers in a form that is not each service's own.
                let answer = body.and_then(Answer::read);
                let code = refusal.err().code().or_else(|| answer.as_ref()?.root().text("Code"));
                refused(refusal.raw(), code)
            }
            // A body that is not understood: its status still says something.
            SdkError::ResponseError(response) if !response.raw().status().is_success() => refused(response.raw(), None),
            _ => Self::Lost,
        }
    }

    pub(crate) fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is(code))
    }

    /// In the contract's words.
    pub(crate) fn error(&self, verb: Verb, what: &str) -> Error {
        let (kind, why) = match self {
            Self::Invalid => (ErrorKind::Invalid, "the request cannot be written"),
            Self::Unreachable => (ErrorKind::Unreachable, "nothing answers there"),
            Self::Lost => (lost(verb), "the answer was lost, or is not understood"),
            Self::Refused(refusal) => refusal.kind(verb),
        };
        let mut error = Error::new(kind, verb, format!("{what}: {why}"));
        if let Self::Refused(refusal) = self {
            error = error.with("status", refusal.status.to_string());
            if let Some(code) = &refusal.code {
                error = error.with("code", code);
            }
            if let Some(wait) = refusal.retry_after {
                error = error.retry_after(wait);
            }
        }
        error
    }
}

/// A failure while a value was tried, that says nothing of the value: whoever asks must not take it for a refusal.
pub(crate) fn unproven(mut failure: Error) -> Error {
    if matches!(failure.kind, ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::Missing) {
        failure.kind = ErrorKind::Unreachable;
    }
    failure
}

/// Did the connection fail before anything was sent?
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(found) = cause {
        if found.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect) {
            return true;
        }
        cause = found.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Failure {
        Failure::Refused(Refusal::new(status, Some(code), |name| (name == "retry-after").then(|| "7".to_owned())))
    }

    #[test]
    fn each_code_has_its_class() {
        for (status, code, kind) in [
            (400, "Throttling", ErrorKind::Throttled),
            (400, "ThrottlingException", ErrorKind::Throttled),
            (403, "AccessDenied", ErrorKind::Denied),
            (400, "AccessDeniedException", ErrorKind::Denied),
            (403, "InvalidClientTokenId", ErrorKind::Denied),
            (404, "NoSuchEntity", ErrorKind::Missing),
            (400, "ResourceNotFoundException", ErrorKind::Missing),
            (409, "LimitExceeded", ErrorKind::Full),
            (400, "ResourceExistsException", ErrorKind::Conflict),
            (400, "ValidationError", ErrorKind::Invalid),
            (503, "ServiceUnavailable", ErrorKind::Unclear),
            (500, "", ErrorKind::Unclear),
        ] {
            assert_eq!(refused(status, code).error(Verb::Mint, "x").kind, kind, "{code}");
        }
        assert_eq!(refused(503, "").error(Verb::Read, "x").kind, ErrorKind::Unreachable);
    }

    #[test]
    fn the_wait_that_is_asked_for_is_passed_on() {
        let error = refused(400, "Throttling").error(Verb::Mint, "the key");
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn what_is_no_code_is_not_repeated() {
        let error = refused(400, "marker-4711 was sent").error(Verb::Mint, "x");
        assert!(!format!("{error} {error:?}").contains("marker"), "{error:?}");
    }
}

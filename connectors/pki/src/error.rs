//! From what files and certificates do wrong to the contract's classes.

use std::io;

use remint_contract::{Error, ErrorKind, Verb};

/// A file that could not be read or written.
pub(crate) fn file(verb: Verb, what: &'static str, failure: io::Error) -> Error {
    let kind = match failure.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
        // A file that was written in part is not seen; one that was renamed may last or not.
        _ if verb.changes() => ErrorKind::Unclear,
        _ => ErrorKind::Unreachable,
    };
    Error::new(kind, verb, format!("{what} failed")).because(failure)
}

/// What cannot be made of these settings.
pub(crate) fn unmakeable(verb: Verb, what: &'static str, failure: rcgen::Error) -> Error {
    Error::new(ErrorKind::Invalid, verb, format!("{what} cannot be made; look at `issuedBy`")).because(failure)
}

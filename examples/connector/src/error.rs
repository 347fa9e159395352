//! From what the file system says to the contract's classes of failure. The host decides by the class alone.

use std::io;

use remint_contract::{Error, ErrorKind, Verb};

pub(crate) fn failed(verb: Verb, path: &str, source: io::Error) -> Error {
    let (kind, message) = match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (ErrorKind::Missing, "it is not there"),
        io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "Remint may not do this here"),
        // A write that failed in the middle may be seen or not: the host asks before it tries again.
        _ if verb == Verb::Write => (ErrorKind::Unclear, "the file system failed"),
        _ => (ErrorKind::Unreachable, "the file system failed"),
    };
    Error::new(kind, verb, message).with("path", path).because(source)
}

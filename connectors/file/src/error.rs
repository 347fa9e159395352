//! What a failure of the file system or of a format means to the host. The only file that knows both.

use remint_contract::{Error, ErrorKind, Verb};
use rustix::io::Errno;

use crate::encode::Problem;

/// A failure of the file system, with the path as the documents write it.
pub(crate) fn of_system(verb: Verb, what: &'static str, path: &str, errno: Errno) -> Error {
    let (kind, message) = match errno {
        Errno::NOENT => (ErrorKind::Missing, "nothing is there"),
        Errno::ACCESS | Errno::PERM => (ErrorKind::Denied, "the user that Remint runs as may not do that there"),
        Errno::ROFS => (ErrorKind::Denied, "the file system is read-only"),
        Errno::LOOP => (ErrorKind::Invalid, "a part of the path is a symbolic link; name the place it leads to"),
        Errno::NOTDIR => (ErrorKind::Invalid, "a part of the path is not a folder, or is a symbolic link"),
        Errno::ISDIR | Errno::NAMETOOLONG => (ErrorKind::Invalid, "the path cannot be a file's"),
        // Nothing of these is ever half done: what readers see changes only by the last rename.
        _ => (ErrorKind::Unreachable, "the file system failed; nothing was changed"),
    };
    Error::new(kind, verb, format!("{what}: {message}")).with("path", path).because(std::io::Error::from(errno))
}

/// A refusal of a format.
pub(crate) fn of_format(verb: Verb, path: &str, problem: &Problem) -> Error {
    let kind = match problem {
        Problem::Value { .. } => ErrorKind::RefusedValue,
        Problem::Field { .. } | Problem::Syntax { .. } | Problem::Taken { .. } | Problem::NotKept { .. } => {
            ErrorKind::Invalid
        }
    };
    Error::new(kind, verb, problem.to_string()).with("path", path)
}

/// A path or setting that is refused before anything is touched.
pub(crate) fn invalid(verb: Verb, message: impl Into<String>, path: &str) -> Error {
    Error::new(ErrorKind::Invalid, verb, message).with("path", path)
}

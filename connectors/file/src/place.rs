//! A file's place below the root, reached without following any link.
//!
//! Guarantees: every part of a path is opened from the folder before it with "follow no link", and files are then named
//! relative to the opened folder. Nothing that another process renames or links meanwhile leads outside the root. The
//! root itself is the operator's and may be a link.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use remint_contract::{Error, Verb};
use rustix::fs::{Access, AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::error::{invalid, of_system};

/// An open folder below the root, and the name of a file in it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) folder: OwnedFd,
    pub(crate) name: String,
    /// The path as the documents write it, for messages.
    pub(crate) path: String,
    verb: Verb,
}

/// A file's bytes and what the file system says of it.
pub(crate) struct Content {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) stat: Stat,
}

impl Place {
    /// Opens the folder that holds `path`.
    pub(crate) fn open(root: &Path, path: &str, verb: Verb) -> Result<Self, Error> {
        let mut parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| matches!(*part, "" | "." | "..") || part.contains('\0')) {
            let message = "write the path below the root, without a leading `/`, `.`, `..` or an empty part";
            return Err(invalid(verb, message, path));
        }
        let name = parts.pop().unwrap_or_default().to_owned();
        if name.contains(MARK) {
            return Err(invalid(verb, "names with `.remint-` are the daemon's own", path));
        }
        let fail = |errno| of_system(verb, "opening the folder", path, errno);
        let mut folder = rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(fail)?;
        for part in parts {
            folder = rustix::fs::openat(&folder, part, FOLDER, Mode::empty()).map_err(fail)?;
        }
        Ok(Self { folder, name, path: path.to_owned(), verb })
    }

    /// Keeps every other writer of this folder out until the place is dropped. Only Remint's own writers ask.
    pub(crate) fn lock(self) -> Result<Self, Error> {
        rustix::fs::flock(&self.folder, FlockOperation::LockExclusive)
            .map_err(|errno| self.fail("locking the folder", errno))?;
        Ok(self)
    }

    /// The file's content, or `None` when there is no such file.
    pub(crate) fn content(&self) -> Result<Option<Content>, Error> {
        self.content_of(&self.name)
    }

    /// The content of another file of the same folder.
    pub(crate) fn content_of(&self, name: &str) -> Result<Option<Content>, Error> {
        let fd = match rustix::fs::openat(&self.folder, name, FILE, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.fail("opening the file", errno)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| self.fail("looking at the file", errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(invalid(self.verb, "it is not a regular file", &self.path));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > LARGEST {
            return Err(invalid(self.verb, "the file is larger than 1 MiB", &self.path));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1));
        File::from(fd).take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            self.fail("reading the file", errno)
        })?;
        Ok(Some(Content { bytes, stat }))
    }

    /// May files of this folder be made and replaced? Changes nothing.
    pub(crate) fn may_write(&self) -> Result<(), Error> {
        rustix::fs::accessat(&self.folder, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
            .map_err(|errno| self.fail("asking whether the folder can be written", errno))
    }

    /// A refusal of what was found there.
    pub(crate) fn refuse(&self, message: &'static str) -> Error {
        invalid(self.verb, message, &self.path)
    }

    pub(crate) fn fail(&self, what: &'static str, errno: Errno) -> Error {
        of_system(self.verb, what, &self.path, errno)
    }
}

/// Stands in the name of every file that Remint keeps beside a managed one.
pub(crate) const MARK: &str = ".remint-";

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Not blocking, so that a named pipe in the file's place does not hang the daemon.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const LARGEST: u64 = 1 << 20;

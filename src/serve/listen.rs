//! Where requests come in: a Unix socket that only its owner may open, or a loopback address with a token.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as Bound};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, UnixSocket};

use crate::serve::api::Guard;
use crate::serve::token::{Token, TokenError};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Where to take requests.
#[derive(Debug)]
pub enum Listen {
    /// A Unix socket: whoever may open the file may do everything.
    Socket(PathBuf),
    /// A loopback address: whoever has the token may do everything.
    Loopback(Loopback),
}

/// A loopback address that is bound already.
#[derive(Debug)]
pub struct Loopback {
    listener: Bound,
    address: SocketAddr,
    token: Token,
}

/// Why no request can come in.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{0} is not a loopback address; other machines wait for the daemon's real identities")]
    Public(SocketAddr),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("a daemon answers on {0} already; talk to it, stop it, or name another socket")]
    Live(PathBuf),
    #[error("{0} is there and is no socket; nothing was touched: name another path")]
    NotASocket(PathBuf),
    #[error("cannot take requests on {at}")]
    Open {
        at: String,
        #[source]
        source: io::Error,
    },
}

impl Listen {
    /// Binds a loopback address; port 0 takes a free one, which [`Loopback::address`] then tells.
    pub fn loopback(address: SocketAddr, token_file: &Path) -> Result<Self, ListenError> {
        if !address.ip().is_loopback() {
            return Err(ListenError::Public(address));
        }
        let token = Token::read(token_file)?;
        let failed = |source| ListenError::Open { at: address.to_string(), source };
        let listener = Bound::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self::Loopback(Loopback { listener, address, token }))
    }

    pub(super) fn open(self) -> Result<(Door, Guard), ListenError> {
        match self {
            Self::Socket(path) => {
                let failed = |source| ListenError::Open { at: path.display().to_string(), source };
                clear(&path)?;
                let socket = UnixSocket::new_stream().map_err(failed)?;
                socket.bind(&path).map_err(failed)?;
                let file = SocketFile::of(path.clone()).map_err(failed)?;
                // Nobody can connect before it listens, so that nobody comes in before the mode is set.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
                let listener = socket.listen(BACKLOG).map_err(failed)?;
                Ok((Door::Socket { listener, file }, Guard::Socket))
            }
            Self::Loopback(Loopback { listener, address, token }) => {
                let failed = |source| ListenError::Open { at: address.to_string(), source };
                let listener = TcpListener::from_std(listener).map_err(failed)?;
                Ok((Door::Loopback { listener, address }, Guard::Loopback(token)))
            }
        }
    }
}

impl Loopback {
    /// Where it is bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An open door.
#[derive(Debug)]
pub(super) enum Door {
    Socket { listener: UnixListener, file: SocketFile },
    Loopback { listener: TcpListener, address: SocketAddr },
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { file, .. } => write!(f, "{}", file.path.display()),
            Self::Loopback { address, .. } => write!(f, "http://{address}"),
        }
    }
}

/// The file of a listening socket, removed when the door is shut, unless it is somebody else's by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let inode = fs::symlink_metadata(&path)?.ino();
        Ok(Self { path, inode })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // A file that stays behind is taken for what it is at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket file of a daemon that died; leaves everything else alone.
fn clear(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Open { at: path.display().to_string(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenError::Live(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

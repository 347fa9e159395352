//! Where requests come in: a Unix socket that only its owner may open, a loopback address with a token, or any address
//! with TLS, where everybody says who he is.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as Taken};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener, UnixSocket};

use crate::context::Context;
use crate::serve::api::Guard;
use crate::serve::tls::{Certificates, Live, TlsError};
use crate::serve::token::{Token, TokenError};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Where to take requests.
#[derive(Debug)]
pub enum Listen {
    /// A Unix socket: whoever may open the file may do everything.
    Socket(PathBuf),
    /// A loopback address: whoever has the door's token may do everything, others say who they are.
    Loopback(Bound, Token),
    /// An address with TLS: nobody comes in without a token of his own or a certificate.
    Tls(Bound, Certificates),
    /// An address for the webhooks of a cluster, with a certificate that is made here, for the Service of this name.
    Made(Bound, String),
}

/// An address that is bound already.
#[derive(Debug)]
pub struct Bound {
    listener: Taken,
    address: SocketAddr,
}

/// Why no request can come in.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{0} is not a loopback address; other machines are spoken with over TLS: --tls-cert FILE --tls-key FILE")]
    Public(SocketAddr),
    #[error("two doors with a token of their own; one is enough")]
    Twice,
    #[error("only the webhooks of a cluster show a certificate that is made here; name files for the others")]
    Made,
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    /// Binds a loopback address; port 0 takes a free one, which [`Listen::address`] then tells.
    pub fn loopback(address: SocketAddr, token_file: &Path) -> Result<Self, ListenError> {
        if !address.ip().is_loopback() {
            return Err(ListenError::Public(address));
        }
        let token = Token::read(token_file)?;
        Ok(Self::Loopback(Bound::to(address)?, token))
    }

    /// Binds an address for TLS; the certificates are read when the door opens.
    pub fn tls(address: SocketAddr, certificates: Certificates) -> Result<Self, ListenError> {
        Ok(Self::Tls(Bound::to(address)?, certificates))
    }

    /// Binds an address for webhooks whose certificate is made here.
    pub fn made(address: SocketAddr, service: String) -> Result<Self, ListenError> {
        Ok(Self::Made(Bound::to(address)?, service))
    }

    /// Where it is bound; `None` for a socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(_) => None,
            Self::Loopback(bound, _) | Self::Tls(bound, _) | Self::Made(bound, _) => Some(bound.address),
        }
    }

    pub(super) fn open(self, guard: &mut Guard, context: &Context) -> Result<Door, ListenError> {
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
                Ok(Door::Socket { listener, file })
            }
            Self::Loopback(bound, token) => {
                if !guard.take(token) {
                    return Err(ListenError::Twice);
                }
                let (listener, address) = bound.listen()?;
                Ok(Door::Loopback { listener, address })
            }
            Self::Tls(bound, certificates) => {
                let live = Arc::new(Live::open(certificates, context)?);
                let (listener, address) = bound.listen()?;
                Ok(Door::Tls { listener, address, live })
            }
            Self::Made(..) => Err(ListenError::Made),
        }
    }
}

impl Bound {
    fn to(address: SocketAddr) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Open { at: address.to_string(), source };
        let listener = Taken::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// A door that shows what somebody else looks after.
    pub(super) fn showing(self, live: Arc<Live>) -> Result<Door, ListenError> {
        let (listener, address) = self.listen()?;
        Ok(Door::Tls { listener, address, live })
    }

    fn listen(self) -> Result<(TcpListener, SocketAddr), ListenError> {
        let failed = |source| ListenError::Open { at: self.address.to_string(), source };
        Ok((TcpListener::from_std(self.listener).map_err(failed)?, self.address))
    }
}

/// An open door.
#[derive(Debug)]
pub(super) enum Door {
    Socket { listener: UnixListener, file: SocketFile },
    Loopback { listener: TcpListener, address: SocketAddr },
    Tls { listener: TcpListener, address: SocketAddr, live: Arc<Live> },
}

impl Door {
    /// What it shows, where it shows something.
    pub(super) fn certificates(&self) -> Option<Arc<Live>> {
        match self {
            Self::Tls { live, .. } => Some(Arc::clone(live)),
            Self::Socket { .. } | Self::Loopback { .. } => None,
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { file, .. } => write!(f, "{}", file.path.display()),
            Self::Loopback { address, .. } => write!(f, "http://{address}"),
            Self::Tls { address, .. } => write!(f, "https://{address}"),
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

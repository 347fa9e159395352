//! Connections: taken up to a number, each ended by a stop after the request under way.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use remint_evidence_format::hex;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::serve::listen::Door;
use crate::serve::{GRACE, Stopping};

/// Connections at one time; more wait to be accepted.
const MOST: usize = 128;

/// How long a client may take over the head of a request, and keep a connection that asks nothing.
const HEAD: Duration = Duration::from_secs(30);

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Between two tries when the system gives no connection: too many open files, mostly.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection of either door.
type Stream = Box<dyn Both>;

/// Both directions.
trait Both: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

/// Takes connections until the stop, and lets those that are open end.
pub(super) async fn attend(door: Door, router: Router, stopping: Stopping) {
    let mut connections = JoinSet::new();
    let mut stopped = std::pin::pin!(stopping.clone().stopped());
    loop {
        let free = connections.len() < MOST;
        tokio::select! {
            biased;
            () = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&door), if free => {
                connections.spawn(receive(accepted, router.clone(), stopping.clone()));
            }
        }
    }
    // Shut before the rest ends: who comes now learns at once that nobody answers.
    drop(door);
    let ended = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(open = connections.len(), "requests did not end in time and were given up");
        connections.shutdown().await;
    }
}

/// Where a connection comes from, without the port, which differs each time.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The Unix user at the other end, as the kernel says; `None`: it does not.
    Socket(Option<u32>),
    /// This machine.
    Address(IpAddr),
    /// Anywhere, over TLS; SHA-256 of the client's certificate, where it has one that holds.
    Network { address: IpAddr, certificate: Option<String> },
}

/// Who was accepted, and has said nothing yet.
enum Accepted {
    Plain(Stream, Source),
    /// A handshake comes first; it holds up nobody else.
    Tls {
        stream: TcpStream,
        address: IpAddr,
        config: Arc<ServerConfig>,
    },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(_) => f.write_str("socket"),
            Self::Address(address) | Self::Network { address, .. } => address.fmt(f),
        }
    }
}

/// The next connection.
async fn accept(door: &Door) -> Accepted {
    loop {
        let taken: io::Result<Accepted> = match door {
            Door::Socket { listener, .. } => listener.accept().await.map(|(stream, _)| {
                let user = stream.peer_cred().ok().map(|peer| peer.uid());
                Accepted::Plain(Box::new(stream), Source::Socket(user))
            }),
            Door::Loopback { listener, .. } => {
                let taken = listener.accept().await;
                taken.map(|(stream, from)| Accepted::Plain(Box::new(stream), Source::Address(from.ip())))
            }
            Door::Tls { listener, live, .. } => {
                let taken = listener.accept().await;
                taken.map(|(stream, from)| Accepted::Tls { stream, address: from.ip(), config: live.config() })
            }
        };
        match taken {
            Ok(taken) => return taken,
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Shakes hands where that is asked, and answers.
async fn receive(accepted: Accepted, router: Router, stopping: Stopping) {
    let (stream, source) = match accepted {
        Accepted::Plain(stream, source) => (stream, source),
        Accepted::Tls { stream, address, config } => {
            let shaken = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await;
            match shaken {
                Ok(Ok(stream)) => {
                    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                    let certificate = shown.map(|leaf| hex::encode(digest(&SHA256, leaf).as_ref()));
                    (Box::new(stream) as Stream, Source::Network { address, certificate })
                }
                Ok(Err(error)) => return tracing::debug!(%address, %error, "no handshake"),
                Err(_) => return tracing::debug!(%address, "no handshake in time"),
            }
        }
    };
    converse(stream, router.layer(Extension(source)), stopping).await;
}

async fn converse(stream: Stream, router: Router, stopping: Stopping) {
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // The client's fault, or his leaving: nothing of ours is lost.
        tracing::debug!(error = %error, "a connection ended early");
    }
}

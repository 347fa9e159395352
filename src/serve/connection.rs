//! Connections: taken up to a number, each ended by a stop after the request under way.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::serve::listen::Door;
use crate::serve::{GRACE, Stopping};

/// Connections at one time; more wait to be accepted.
const MOST: usize = 128;

/// How long a client may take over the head of a request, and keep a connection that asks nothing.
const HEAD: Duration = Duration::from_secs(30);

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
            (stream, source) = accept(&door), if free => {
                let router = router.clone().layer(Extension(source));
                connections.spawn(converse(stream, router, stopping.clone()));
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
    Address(IpAddr),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(_) => f.write_str("socket"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// The next connection, and where it comes from.
async fn accept(door: &Door) -> (Stream, Source) {
    loop {
        let taken: io::Result<(Stream, Source)> = match door {
            Door::Socket { listener, .. } => listener.accept().await.map(|(stream, _)| {
                let user = stream.peer_cred().ok().map(|peer| peer.uid());
                (Box::new(stream) as Stream, Source::Socket(user))
            }),
            Door::Loopback { listener, .. } => {
                let taken = listener.accept().await;
                taken.map(|(stream, from)| (Box::new(stream) as Stream, Source::Address(from.ip())))
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

//! Connections: taken up to a number, each ended by a stop after the request under way.

use std::io;
use std::time::Duration;

use axum::Router;
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
            stream = accept(&door), if free => {
                connections.spawn(converse(stream, router.clone(), stopping.clone()));
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

/// The next connection.
async fn accept(door: &Door) -> Stream {
    loop {
        let taken: io::Result<Stream> = match door {
            Door::Socket { listener, .. } => listener.accept().await.map(|(stream, _)| Box::new(stream) as Stream),
            Door::Loopback { listener, .. } => listener.accept().await.map(|(stream, _)| Box::new(stream) as Stream),
        };
        match taken {
            Ok(stream) => return stream,
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

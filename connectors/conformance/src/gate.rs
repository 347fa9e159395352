//! A gate in front of a server, for crashes: up to some request everything goes through; that one does not arrive, or its
//! answer is lost, and from then on nothing answers at that address, until the gate is opened again.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::harness::{Crash, Cut};
use crate::proxy::Asked;

/// A place of this machine that serves until it is dropped.
pub struct Gate {
    /// `host:port`.
    pub address: String,
    passing: Passing,
    serving: JoinHandle<()>,
}

/// What each request asks before it goes on.
#[derive(Clone)]
pub struct Passing(Arc<watch::Sender<State>>, Arc<AtomicU32>);

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It goes to the server, and its answer to the client.
    Through,
    /// So does this one, and it is the last: call [`Passing::shut`] once it was answered, and then pass the answer on.
    Last,
    /// It goes to the server, and the client hears no more: call [`Passing::shut`] once it was answered.
    Unanswered,
    /// It goes nowhere.
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Armed(Crash),
    /// The last request is at the server.
    Last,
    /// The crash was; the listener still has to go.
    Shutting,
    /// Nothing answers.
    Shut,
    /// The listener still has to come back.
    Opening,
}

impl Gate {
    /// In front of an HTTP server at `host:port`, without TLS.
    ///
    /// # Panics
    /// This machine has no port left.
    pub async fn to(upstream: &str) -> Self {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        Self::open(move |client, passing| one_request(client, passing, upstream.clone())).await
    }

    /// In front of anything: `serve` asks [`Passing::next`] before each request.
    ///
    /// # Panics
    /// This machine has no port left.
    #[expect(clippy::unwrap_used, reason = "without a port there is no test")]
    pub async fn open<F>(serve: impl Fn(TcpStream, Passing) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let passing = Passing(Arc::new(watch::Sender::new(State::Open)), Arc::default());
        let (shared, place) = (passing.clone(), address.clone());
        let serving = tokio::spawn(async move {
            let mut listener = Some(listener);
            let mut changes = shared.0.subscribe();
            loop {
                let state = *changes.borrow_and_update();
                match (state, &listener) {
                    (State::Shutting, _) => {
                        listener = None;
                        shared.0.send_replace(State::Shut);
                    }
                    (State::Opening, _) => {
                        // Nobody else has it: ports that the system gives out are others.
                        listener = TcpListener::bind(&place).await.ok();
                        if listener.is_some() {
                            shared.0.send_replace(State::Open);
                        }
                    }
                    (_, None) => drop(changes.changed().await),
                    (_, Some(listening)) => tokio::select! {
                        _ = changes.changed() => {}
                        accepted = listening.accept() => if let Ok((client, _)) = accepted {
                            let served = serve(client, shared.clone());
                            tokio::spawn(async move { drop(served.await) });
                        },
                    },
                }
            }
        });
        Self { address, passing, serving }
    }

    /// Arms a crash.
    pub async fn arm(&self, crash: Crash) {
        self.passing.1.store(0, Ordering::SeqCst);
        let gone = crash == Crash { request: 1, how: Cut::Refused };
        self.passing.0.send_replace(if gone { State::Shutting } else { State::Armed(crash) });
        self.passing.down().await;
    }

    /// How many requests there were while a crash was armed.
    pub fn seen(&self) -> u32 {
        self.passing.1.load(Ordering::SeqCst)
    }

    /// Ends it; true when it was.
    pub async fn reopen(&self) -> bool {
        let mut changes = self.passing.0.subscribe();
        // A request that was given up while it was on its way is still answered.
        let settled = changes.wait_for(|state| !matches!(state, State::Last | State::Shutting)).await;
        let crashed = settled.is_ok_and(|state| *state == State::Shut);
        if crashed {
            self.passing.0.send_replace(State::Opening);
            drop(changes.wait_for(|state| *state == State::Open).await);
        } else {
            self.passing.0.send_replace(State::Open);
        }
        crashed
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Passing {
    /// What becomes of the next request.
    pub async fn next(&self) -> Passage {
        let mut passage = Passage::Through;
        self.0.send_modify(|state| {
            if *state != State::Open {
                self.1.fetch_add(1, Ordering::SeqCst);
            }
            (*state, passage) = match *state {
                State::Armed(Crash { request: 1, how: Cut::Unanswered }) => (State::Last, Passage::Unanswered),
                State::Armed(Crash { request: 1, .. }) => (State::Shutting, Passage::Never),
                State::Armed(Crash { request: 2, how: Cut::Refused }) => (State::Last, Passage::Last),
                State::Armed(Crash { request, how }) => {
                    (State::Armed(Crash { request: request - 1, how }), Passage::Through)
                }
                State::Open => (State::Open, Passage::Through),
                down => (down, Passage::Never),
            };
        });
        if passage == Passage::Never {
            self.down().await;
        }
        passage
    }

    /// The server answered the last request. Returns once nothing answers any more.
    pub async fn shut(&self) {
        self.0.send_if_modified(|state| {
            let last = *state == State::Last;
            if last {
                *state = State::Shutting;
            }
            last
        });
        self.down().await;
    }

    async fn down(&self) {
        drop(self.0.subscribe().wait_for(|state| !matches!(state, State::Last | State::Shutting)).await);
    }
}

async fn one_request(mut client: TcpStream, passing: Passing, upstream: String) -> io::Result<()> {
    let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
    let passage = passing.next().await;
    if passage == Passage::Never {
        return Ok(());
    }
    let mut begun = Vec::new();
    let answered = async {
        let mut server = TcpStream::connect(upstream).await?;
        asked.send(&mut server).await?;
        server.read_buf(&mut begun).await?;
        Ok(server)
    };
    let server: io::Result<TcpStream> = answered.await;
    if passage != Passage::Through {
        passing.shut().await;
    }
    if passage == Passage::Unanswered {
        return Ok(());
    }
    client.write_all(&begun).await?;
    // A server may end a connection without a last word.
    drop(tokio::io::copy(&mut server?, &mut client).await);
    client.shutdown().await
}

//! A witness for logs of others: `add-checkpoint` of c2sp.org/tlog-witness.
//!
//! Flow: [`Witness::open`] takes a folder that it holds alone, makes its key there when there is none, and is told the keys of
//! the logs it knows. Every request is judged ([`judge`]) against the checkpoint that was cosigned last, which is a file;
//! what is about to be cosigned is in that file, on disk, before the cosignature leaves.
//!
//! Guarantees: for one log it never signs two trees that do not continue each other, whatever the log sends, and however
//! the process ends. Requests for all logs are judged one after the other, so that no two can pass each other.
//!
//! Assumption: the folder is on a disk that honours a sync, and nobody turns it back: a witness that forgets can be shown
//! the same log twice.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use remint_contract::Clock;
use remint_evidence_format::FormatError;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::cosignature::{CosigningKey, WitnessKey};
use remint_evidence_format::note::{Note, VerifierKey};
use remint_evidence_format::tree::sha256;
use remint_evidence_format::witness::{Latest, MAX_SIZE, SIZE_TYPE, Verdict, judge};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use zeroize::Zeroizing;

use super::Stopping;
use super::connection::attend;
use super::listen::Door;
use crate::durable::replace;
use crate::escrow::{NoRandomness, Randomness};

/// Why there is no witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    #[error("could not {verb} {path}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another witness holds the folder {0}; stop it first")]
    Held(PathBuf),
    #[error("{path} is not the key of a witness")]
    Key {
        path: PathBuf,
        #[source]
        source: FormatError,
    },
    #[error("the witness cannot be called `{name}`")]
    Name {
        name: String,
        #[source]
        source: FormatError,
    },
    #[error("could not make a key")]
    Randomness(#[source] NoRandomness),
    #[error("cannot take requests on {at}")]
    Listen {
        at: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// A witness: its key, its memory, and the logs it knows.
pub struct Witness {
    folder: PathBuf,
    key: CosigningKey,
    logs: Vec<VerifierKey>,
    clock: Arc<dyn Clock>,
    /// Held while one request is judged and remembered.
    turn: Mutex<()>,
    _held: File,
}

impl Witness {
    /// Opens the witness of a folder, or makes one called `name` there.
    ///
    /// # Errors
    /// The folder cannot be held, read or written; the name cannot be that of a key.
    pub fn open(
        folder: &Path,
        name: &str,
        logs: Vec<VerifierKey>,
        clock: Arc<dyn Clock>,
        randomness: &dyn Randomness,
    ) -> Result<Self, WitnessError> {
        let failed = |verb, path: &Path| {
            let path = path.to_owned();
            move |source| WitnessError::Io { verb, path, source }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make", folder))?;
        let lock = folder.join("witness.lock");
        let held = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
        let held = held.map_err(failed("open", &lock))?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(WitnessError::Held(folder.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &lock)(source)),
        }
        let path = folder.join(KEY);
        let key = match File::open(&path) {
            Ok(mut file) => {
                let mut text = Zeroizing::new(String::new());
                file.read_to_string(&mut text).map_err(failed("read", &path))?;
                CosigningKey::parse(text.trim_end()).map_err(|source| WitnessError::Key { path, source })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut seed = Zeroizing::new([0; 32]);
                randomness.fill(seed.as_mut()).map_err(WitnessError::Randomness)?;
                let key = CosigningKey::from_seed(name, seed)
                    .map_err(|source| WitnessError::Name { name: name.to_owned(), source })?;
                let text = Zeroizing::new(format!("{}\n", *key.to_text()));
                replace(&path, text.as_bytes()).map_err(failed("write", &path))?;
                key
            }
            Err(source) => return Err(failed("read", &path)(source)),
        };
        Ok(Self { folder: folder.to_owned(), key, logs, clock, turn: Mutex::default(), _held: held })
    }

    /// The public half: what those who rely on it are given.
    pub fn key(&self) -> &WitnessKey {
        self.key.public()
    }

    /// Answers until `stop`.
    ///
    /// # Errors
    /// The address cannot be used.
    pub async fn serve(
        self,
        listener: std::net::TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), WitnessError> {
        let address = listener.local_addr();
        let at = address.as_ref().copied().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        let failed = |source| WitnessError::Listen { at, source };
        listener.set_nonblocking(true).map_err(failed)?;
        let door = Door::Loopback { listener: TcpListener::from_std(listener).map_err(failed)?, address: at };
        let router = Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .layer(DefaultBodyLimit::max(MAX_SIZE))
            .with_state(Arc::new(self));
        let (halt, stopping) = watch::channel(false);
        let stopped = async {
            stop.await;
            halt.send_replace(true);
        };
        tokio::join!(stopped, attend(door, router, Stopping(stopping)));
        Ok(())
    }

    /// What a request is answered with.
    async fn answer(&self, body: &[u8]) -> Response {
        let _turn = self.turn.lock().await;
        let mut broken = None;
        let keys = |origin: &str| self.logs.iter().filter(|key| key.name() == origin).cloned().collect();
        let verdict = judge(body, keys, |origin| {
            self.latest(origin).unwrap_or_else(|error| {
                broken = Some(error);
                None
            })
        });
        if let Some(error) = broken {
            // Signing without a memory would be worse than not signing.
            tracing::error!(error = &error as &dyn std::error::Error, "what was cosigned before cannot be read");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        match verdict {
            Verdict::Cosign { checkpoint, text } => self.cosign(&checkpoint, text),
            Verdict::Garbled(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
            Verdict::Unsigned => StatusCode::FORBIDDEN.into_response(),
            Verdict::Unknown => StatusCode::NOT_FOUND.into_response(),
            Verdict::Conflict(size) => {
                (StatusCode::CONFLICT, [(header::CONTENT_TYPE, SIZE_TYPE)], format!("{size}\n")).into_response()
            }
            Verdict::Inconsistent => {
                tracing::warn!("a log sent a checkpoint that does not continue what was seen of it");
                StatusCode::UNPROCESSABLE_ENTITY.into_response()
            }
        }
    }

    fn cosign(&self, checkpoint: &Checkpoint, text: &str) -> Response {
        let at = u64::try_from(self.clock.now().as_second()).unwrap_or(0);
        let signed = self.key.cosign(text, at);
        let path = self.memory(&checkpoint.origin);
        let Ok(line) = signed else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        match replace(&path, format!("{text}\n{line}").as_bytes()) {
            Ok(()) => (StatusCode::OK, line).into_response(),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a checkpoint could not be remembered, so it is not cosigned");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// The checkpoint of a log that was cosigned last: a note that this witness signed.
    fn latest(&self, origin: &str) -> io::Result<Option<Latest>> {
        let note = match std::fs::read(self.memory(origin)) {
            Ok(note) => note,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = || {
            let note = Note::parse(&note)?;
            self.key.public().verify(&note)?;
            Checkpoint::head(note.text)
        };
        let (checkpoint, _) = read().map_err(io::Error::other)?;
        Ok(Some(Latest { size: checkpoint.size, root: checkpoint.root }))
    }

    fn memory(&self, origin: &str) -> PathBuf {
        self.folder.join(format!("{}.checkpoint", sha256(origin.as_bytes())))
    }
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Bytes) -> Response {
    witness.answer(&body).await
}

const KEY: &str = "witness.key";

//! Custom resources: documents and acts that lie in a Kubernetes cluster.
//!
//! Flow: [`watch`] keeps a [`mirror`] of every object; its documents are the estate, looked at as a folder is; [`hook`]
//! answers the API server before it takes an object; of several daemons the one that leads ([`lead`]) takes in acts
//! ([`acts`]) and says in every status how things stand ([`tell`], [`credentials`]).
//!
//! Guarantees: an act passes the same gate as one that comes by API, as the user whom the API server knew when it was made;
//! it is begun once for ever, and never when it is older than it says; what an object's status says is believed in one
//! thing only: that an act was begun before, where this state does not know it, and then nothing is begun.

mod acts;
mod certificate;
mod credentials;
mod held;
mod hook;
mod key;
mod lead;
mod leave;
mod mirror;
mod redact;
mod settings;
mod suspend;
mod tell;
mod watch;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use remint_contract::{Clock, Ref};
use remint_core::estate::Around;
use remint_core::gate::{Caller, Entrance};
use serde_json::Value;
use tokio::sync::Notify;

use crate::app::App;
use crate::engine::EngineError;
use crate::serve::cluster::way::Way;
use crate::serve::folder::Folder;
use crate::serve::supervisor::Desk;
use crate::serve::{Stopping, causes};

pub use certificate::CertificateError;
pub(super) use certificate::Made;
pub(super) use hook::router;
pub use leave::{define, held};
pub(super) use mirror::Mirror;
pub use settings::ClusterAt;
pub use way::ClusterError;

/// How often a status is written at most.
const QUIET: Duration = Duration::from_secs(2);
/// Between two looks at what changed: many changes are one look.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long the first lists may take before the daemon goes on without them.
const FIRST: Duration = Duration::from_secs(60);

/// So many objects of a sort are written at once; the server's own fairness decides how fast.
const AT_ONCE: usize = 16;

/// What is looked at by itself.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Acts,
    Credentials,
    Documents,
}

/// One cluster.
pub(super) struct Cluster {
    at: ClusterAt,
    way: Way,
    app: Arc<App>,
    pub(super) mirror: Arc<Mirror>,
    /// Which documents have to do with which: what was seen, and what was let in.
    around: Arc<Mutex<Around>>,
    /// Of the stamps.
    key: hmac::Key,
    /// Who this daemon is among several.
    holder: String,
    /// Which state this is: the word of its log.
    state: String,
    leads: AtomicBool,
    /// The Lease names another state.
    foreign: AtomicBool,
    wake: Notify,
    /// What was written last into a status, and when, by uid.
    told: Mutex<BTreeMap<String, (Timestamp, Value)>>,
    /// Resets that are over, and of whose credentials everything was told.
    over: Mutex<BTreeSet<String>>,
    /// How everything was when nothing was left to say of any Credential.
    rest: Mutex<Option<credentials::Rest>>,
    /// The same of the documents.
    documents: Mutex<Option<tell::Rest>>,
    /// Objects of resets that are over, by uid.
    ended: Mutex<BTreeSet<String>>,
    /// Who may read in which namespace, as the API server said it last: by user, groups and namespace.
    #[allow(clippy::type_complexity, reason = "a small cache, read in one place")]
    reads: Mutex<BTreeMap<(String, Vec<String>, String), (Timestamp, bool)>>,
    /// Events that this daemon made, by name, with their reasons: its own writes are seen a moment later.
    posted: Mutex<BTreeMap<String, &'static str>>,
}

impl Cluster {
    /// Opens the way; nothing is asked yet.
    pub(super) async fn open(at: ClusterAt, app: Arc<App>) -> Result<Self, ClusterOpenError> {
        let way = Way::open(&at)?;
        let key = key::open(&app).await?;
        let holder = app.engine.context.hex(4).map_err(EngineError::from)?;
        let holder = format!("{}-{holder}", app.engine.settings.holder);
        let state = app.key.verifier().to_string();
        Ok(Self {
            at,
            way,
            app,
            mirror: Arc::new(Mirror::default()),
            around: Arc::default(),
            key,
            holder,
            state,
            leads: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
            wake: Notify::new(),
            told: Mutex::default(),
            over: Mutex::default(),
            rest: Mutex::default(),
            documents: Mutex::default(),
            ended: Mutex::default(),
            reads: Mutex::default(),
            posted: Mutex::default(),
        })
    }

    fn clock(&self) -> &dyn Clock {
        &*self.app.engine.context.clock
    }

    /// Until every list was read once, or for so long that something must be wrong.
    pub(super) async fn listed(&self) {
        let all = watch::lists(&self.at).len();
        let since = self.clock().now();
        while self.mirror.lists() < all {
            if self.clock().now().duration_since(since).unsigned_abs() > FIRST {
                tracing::error!(lists = self.mirror.lists(), of = all, "the cluster was not read in a minute");
                return;
            }
            tokio::select! {
                () = self.mirror.changed() => {}
                () = self.clock().sleep(TOGETHER) => {}
            }
        }
    }

    pub(super) async fn watch(&self, stopping: Stopping) {
        watch::run(self, stopping).await;
    }

    pub(super) async fn lead(&self, stopping: Stopping) {
        lead::run(self, stopping).await;
    }

    /// Takes in acts and tells how things stand, while this daemon leads. Who asks for something does not wait until ten
    /// thousand others were told of.
    pub(super) async fn act(&self, folder: &Folder, desk: &Desk, by: &str, every: Duration, stopping: Stopping) {
        let turns = [Turn::Acts, Turn::Credentials, Turn::Documents].map(|turn| {
            let stopping = stopping.clone();
            async move {
                let mut stopped = std::pin::pin!(stopping.stopped());
                loop {
                    if self.leads.load(Ordering::SeqCst) {
                        self.look(turn, folder, desk, by).await;
                    }
                    tokio::select! {
                        () = &mut stopped => return,
                        () = self.mirror.changed() => {}
                        () = self.wake.notified() => {}
                        () = self.clock().sleep(every) => {}
                    }
                    tokio::select! {
                        () = &mut stopped => return,
                        () = self.clock().sleep(TOGETHER) => {}
                    }
                }
            }
        });
        futures::future::join_all(turns).await;
    }

    async fn look(&self, turn: Turn, folder: &Folder, desk: &Desk, by: &str) {
        // Planning takes a deep stack as it is; nothing of this lies on it.
        match turn {
            Turn::Acts => {
                if let Err(error) = Box::pin(acts::look(self, desk, by)).await {
                    tracing::error!(
                        error = causes(&error),
                        "acts of the cluster could not be looked at; it is tried again"
                    );
                }
            }
            Turn::Credentials => {
                let says = tell::Says::of(&folder.standing());
                if let Err(error) = Box::pin(credentials::look(self, desk, by, says)).await {
                    tracing::error!(error = causes(&error), "credentials of the cluster could not be told of");
                }
            }
            Turn::Documents => Box::pin(tell::look(self, folder)).await,
        }
    }

    /// Says how an object stands, where that is new and the last word is some time ago. False when it is still to be said.
    async fn say(&self, object: &Value, status: &Value) -> bool {
        let uid = uid(object);
        let now = self.clock().now();
        {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            match told.get(&uid) {
                Some((at, last)) => {
                    let early = now.duration_since(*at).unsigned_abs() < QUIET;
                    if last == status || early {
                        return last == status;
                    }
                }
                // What another daemon said before is not said again.
                None if same(&object["status"], status) => return true,
                None => {}
            }
        }
        match self.way.status(object, status).await {
            Ok(()) => {
                // From the answer on: what is asked for later cannot arrive sooner.
                let now = self.clock().now();
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.insert(uid, (now, status.clone()));
                return true;
            }
            // It is gone, or another of its name is there.
            Err(error) if matches!(error.status(), Some(404 | 409 | 422)) => {
                tracing::debug!(error = causes(&error), "an object took no status");
            }
            Err(error) => tracing::warn!(error = causes(&error), "how an object stands was not written"),
        }
        false
    }

    /// What this daemon said of an object, else what stands there.
    fn said_last(&self, object: &Value) -> Value {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(&uid(object)).map_or_else(|| object["status"].clone(), |(_, said)| said.clone())
    }

    fn said_lately(&self, object: &Value) -> bool {
        let (told, now) = (self.told.lock().unwrap_or_else(PoisonError::into_inner), self.clock().now());
        told.get(&uid(object)).is_some_and(|(at, _)| now.duration_since(*at).unsigned_abs() < QUIET)
    }

    fn ended(&self, object: &Value) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(uid(object));
    }

    fn knows_ended(&self, object: &Value) -> bool {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).contains(&uid(object))
    }

    /// A user of the cluster at the gate. Where nobody governs, the one operator's name in the cluster is his own.
    fn caller(&self, user: &str, request: &str) -> Caller {
        let operator = self.at.operator.as_deref() == Some(user) && !self.app.gate.governed();
        let principal = if operator { format!("operator:{user}") } else { format!("kubernetes:{user}") };
        Caller { request: request.to_owned(), ..Caller::plain(principal, Entrance::Cluster) }
    }
}

/// Frees an object that is held because its credential lives: no daemon holds it again, and none has to run for it to go.
///
/// # Errors
/// The cluster cannot be asked, or there is no such object.
pub async fn release(at: &ClusterAt, credential: &Ref) -> Result<(), ClusterError> {
    let way = Way::open(at)?;
    let mut tries = 5;
    loop {
        let object = way.release(credential).await?;
        if !credentials::holds(&object) {
            return Ok(());
        }
        tries -= 1;
        match way.finalizers(&object, &credentials::without(&object)).await {
            // Somebody else wrote it meanwhile, or let it go.
            Err(error) if matches!(error.status(), Some(409 | 422)) && tries > 0 => {}
            Err(error) if error.status() == Some(404) => return Ok(()),
            done => return done,
        }
    }
}

/// Why there is no way to the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterOpenError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Key(#[from] key::KeyError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

/// True when a status says all of this already; an empty map is left out by the server.
fn same(there: &Value, status: &Value) -> bool {
    status.as_object().is_some_and(|status| {
        status.iter().all(|(key, value)| {
            there[key] == *value || there[key].is_null() && value.as_object().is_some_and(serde_json::Map::is_empty)
        })
    })
}

//! The daemon: one state, one estate folder, requests over HTTP, and resets that go on by themselves.
//!
//! Flow: [`serve`] loads the folder ([`folder`]), opens its door ([`listen`]), and then does several things at once, each
//! under its own name in the log: it answers requests (`api`), watches the folder (`folder`), carries resets on and tries
//! the dead again when that is due (`supervisor`), opens rotation windows (`windows`), looks after what persons said (`people`), gives entries their places (`sequencer`), tells of them (`streams`), and
//! shows the log to its witnesses, when it has some (`witnesses`).
//!
//! Guarantees: a broken edit never replaces a good estate; nothing that has authority becomes active without somebody's
//! word; a reset is carried on once at a time, and goes on after a crash; no answer and no log line holds a secret.
//! Stopping takes no new work, leaves what is under way ten seconds to end, places the last entries and removes the
//! socket file. Everything that was started is owned by the future of [`serve`]: dropping it is a crash, no more.
//!
//! Errors: before the first request, whatever makes serving pointless. After it there is none: what fails is logged,
//! shown by the API where it concerns a reset or the folder, and tried again.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{Instrument as _, info_span};

use crate::app::{App, AppError};
use crate::causes::causes;
use crate::engine::EngineError;
use crate::evidence::Tiles;
use crate::evidence::acts::{self, Act};
use crate::evidence::refusals::Refusals;
use crate::evidence::witnessing::{Witnessing, WitnessingError};
use crate::identity::Identities;
use crate::privacy::reads::{self, Reads};
use crate::serve::api::{Api, Guard, Rates};
use crate::serve::cluster::{Cluster, Made};
use crate::serve::events::Events;
use crate::serve::folder::{Documents, Folder};
use crate::serve::listen::Door;
use crate::serve::supervisor::{Desk, Supervisor};

mod api;
mod cluster;
mod connection;
mod events;
mod folder;
mod listen;
mod people;
mod plan;
mod purge;
mod remind;
mod request;
mod supervisor;
mod tls;
mod token;
mod window;
mod witness;

pub use cluster::{CertificateError, ClusterAt, ClusterError, ClusterOpenError, define, held, release};
pub use folder::{COMMAND as READ_FOLDER, Reader, Reading};
pub use listen::{Bound, Listen, ListenError};
pub use tls::{Certificates, TlsError};
pub use token::{Token, TokenError};
pub use witness::{Witness, WitnessError};

/// How long what is under way may take to end after a stop.
const GRACE: Duration = Duration::from_secs(10);

/// What a daemon is told.
#[derive(Debug)]
pub struct Options {
    /// The folder of documents.
    pub estate: PathBuf,
    /// Who reads it.
    pub reader: Reader,
    /// Where requests come in: at least one door.
    pub listen: Vec<Listen>,
    /// How often the folder and the due re-proofs are looked at.
    pub every: Duration,
    /// On whose word everything is done that comes in through the door: this state has one operator.
    pub by: String,
    /// The cluster whose custom resources are the estate, in the place of the folder.
    pub cluster: Option<ClusterAt>,
    /// Where an API server asks before it takes an object: TLS.
    pub webhooks: Option<Listen>,
}

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Witnessing(#[from] WitnessingError),
    #[error(transparent)]
    Cluster(#[from] ClusterOpenError),
}

/// Serves one state until `stop`.
///
/// # Errors
/// No estate is active and the folder holds none that is valid, or the door cannot be opened.
pub async fn serve(app: App, options: Options, stop: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
    let app = Arc::new(app);
    let (halt, stopping) = watch::channel(false);
    let stopping = Stopping(stopping);
    let cluster = match options.cluster {
        Some(at) => Some(Arc::new(Cluster::open(at, Arc::clone(&app)).await?)),
        None => None,
    };
    // What lies in the cluster is known before anything is made of it.
    let mirroring = cluster.as_ref().map(|cluster| {
        let (cluster, stopping) = (Arc::clone(cluster), stopping.clone());
        let watching = async move { cluster.watch(stopping).await };
        Owned(tokio::spawn(watching.instrument(info_span!("cluster"))))
    });
    let documents = match &cluster {
        Some(cluster) => {
            cluster.listed().await;
            Documents::Cluster(Arc::clone(&cluster.mirror))
        }
        None => Documents::Folder(options.estate, options.reader),
    };
    let folder = Arc::new(Folder::open(documents, options.by.clone(), Arc::clone(&app)).await?);
    let desk = Arc::new(Desk::default());
    let supervisor = Supervisor::new(Arc::clone(&app), Arc::clone(&desk), options.every).await?;
    let streams = app.streams()?;
    let witnessing = witnessing(&app)?;
    let issuers = app.configuration.issuers(&app.folder)?;
    let identities = Identities::new(Arc::clone(&app.engine.store), app.engine.context.clone(), issuers);
    let mut guard = Guard::new(identities);
    let doors: Vec<Door> = options
        .listen
        .into_iter()
        .map(|listen| listen.open(&mut guard, &app.engine.context))
        .collect::<Result<_, _>>()?;
    let mut made = None;
    let webhooks = match (&cluster, options.webhooks) {
        (Some(cluster), Some(Listen::Made(bound, service))) => {
            let certificate = Made::open(cluster, service).await.map_err(ClusterOpenError::from)?;
            let door = bound.showing(certificate.live())?;
            made = Some(certificate);
            Some((door, cluster::router(Arc::clone(cluster))))
        }
        (Some(cluster), Some(listen)) => {
            Some((listen.open(&mut guard, &app.engine.context)?, cluster::router(Arc::clone(cluster))))
        }
        _ => None,
    };
    tracing::info!(memory = %crate::harden::memory(), "hardened");
    for door in &doors {
        tracing::info!(at = %door, estate = folder.place(), "taking requests");
    }
    let all = doors.iter().chain(webhooks.as_ref().map(|(door, _)| door));
    let certificates: Vec<_> = all.filter_map(Door::certificates).collect();
    let holder = app.engine.settings.holder.clone();
    told(&app, Act::Started { holder: &holder, by: &options.by }).await?;
    let (reads, refusals) = (Arc::new(Reads::default()), Arc::new(Refusals::default()));
    let events = Arc::new(Events::new(&app.engine.context).map_err(EngineError::Random)?);
    let api = Api {
        app: Arc::clone(&app),
        folder: Arc::clone(&folder),
        desk: Arc::clone(&desk),
        by: options.by.clone(),
        guard,
        tiles: Tiles::new(Arc::clone(&app.engine.store)),
        witnessing: witnessing.clone(),
        reads: Arc::clone(&reads),
        refusals: Arc::clone(&refusals),
        events: Arc::clone(&events),
        rates: Rates::default(),
        stopping: stopping.clone(),
    };
    let router = api::router(Arc::new(api));

    let work = async {
        let answering = doors.into_iter().map(|door| connection::attend(door, router.clone(), stopping.clone()));
        let answering = futures::future::join_all(answering).instrument(info_span!("api"));
        let reloading = tls::follow(&certificates, options.every, &app.engine.context, stopping.clone());
        let reloading = reloading.instrument(info_span!("certificates"));
        let watching = folder.watch(options.every, stopping.clone()).instrument(info_span!("folder"));
        let carrying = supervisor.run(stopping.clone()).instrument(info_span!("supervisor"));
        let opening =
            window::run(&app.engine, &desk, options.every, stopping.clone()).instrument(info_span!("windows"));
        let persons = people::run(&app.engine, &desk, stopping.clone()).instrument(info_span!("people"));
        let forgetting = purge::run(&app.engine, stopping.clone()).instrument(info_span!("purge"));
        let reminding = remind::run(&app.engine, stopping.clone()).instrument(info_span!("tasks"));
        let streaming = streams.iter().map(|stream| stream.run(stopping.clone().stopped()));
        let streaming = futures::future::join_all(streaming).instrument(info_span!("streams"));
        let telling = events.gather(app.engine.watch(), stopping.clone()).instrument(info_span!("events"));
        let witnessed = see(witnessing, stopping.clone()).instrument(info_span!("witnesses"));
        let asked = async {
            if let Some((door, router)) = webhooks {
                connection::attend(door, router, stopping.clone()).await;
            }
        };
        let asked = asked.instrument(info_span!("webhooks"));
        let acting = async {
            let Some(cluster) = &cluster else { return };
            let acting = Box::pin(cluster.act(&folder, &desk, &options.by, options.every, stopping.clone()));
            let certifying = async {
                if let Some(made) = made {
                    made.run(cluster, options.every, stopping.clone()).await;
                }
            };
            tokio::join!(cluster.lead(stopping.clone()), acting, certifying);
        };
        let acting = acting.instrument(info_span!("operator"));
        let counting = count(&app, &reads, &refusals, stopping.clone()).instrument(info_span!("reads"));
        tokio::join!(
            answering, reloading, watching, carrying, opening, persons, forgetting, reminding, streaming, telling,
            witnessed, counting, asked, acting
        );
    };
    // The sequencer ends last: what the others record while they end gets its place too.
    let (last, worked) = watch::channel(false);
    let sequencing = app.sequencer.run(Stopping(worked).stopped()).instrument(info_span!("sequencer"));
    let stopped = async {
        stop.await;
        tracing::info!("stopping: no new requests; what is under way has {} s to end", GRACE.as_secs());
        halt.send_replace(true);
    };
    let working = async {
        tokio::join!(stopped, work);
        if let Err(error) = told(&app, Act::Stopped { holder: &holder }).await {
            tracing::error!(error = &error as &dyn std::error::Error, "that the daemon stopped was not recorded");
        }
        last.send_replace(true);
    };
    tokio::join!(working, sequencing);
    drop(mirroring);
    tracing::info!("stopped");
    Ok(())
}

/// An entry of the daemon's own life.
async fn told(app: &App, act: Act<'_>) -> Result<(), EngineError> {
    Ok(acts::record(&*app.engine.store, &app.engine.context, act).await?)
}

/// The client of the witnesses that the state names.
fn witnessing(app: &App) -> Result<Option<Arc<Witnessing>>, ServeError> {
    let Some(policy) = app.configuration.witnesses(&app.folder)? else { return Ok(None) };
    let clock = Arc::clone(&app.engine.context.clock);
    Ok(Some(Arc::new(Witnessing::new(Arc::clone(&app.engine.store), policy, clock)?)))
}

async fn see(witnessing: Option<Arc<Witnessing>>, stopping: Stopping) {
    if let Some(witnessing) = witnessing {
        witnessing.run(stopping.stopped()).await;
    }
}

/// Writes each minute, and once more at the end, who read what and who was not let in.
async fn count(app: &App, reads: &Reads, refusals: &Refusals, stopping: Stopping) {
    let (engine, mut stopped) = (&app.engine, std::pin::pin!(stopping.stopped()));
    loop {
        let last = tokio::select! {
            () = &mut stopped => true,
            () = engine.context.clock.sleep(reads::EVERY) => false,
        };
        if let Err(error) = reads.flush(&*engine.store, &engine.context, &engine.settings.holder).await {
            tracing::error!(error = causes(&error), "who read what could not be written; it is tried again");
        }
        if let Err(error) = refusals.record(&*engine.store, &engine.context).await {
            tracing::error!(error = causes(&error), "who was not let in could not be recorded; it is tried again");
        }
        if last {
            return;
        }
    }
}

/// The word to stop, for everything that runs until then.
#[derive(Debug, Clone)]
struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Returns once the daemon stops. Whoever could say so being gone means the same.
    async fn stopped(mut self) {
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

/// A task that ends with whoever owns it.
struct Owned(tokio::task::JoinHandle<()>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Work that would hold up every other task of its thread: reading files, planning.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is being shut down cancels it: nobody goes on from here.
            Err(_) => std::future::pending().await,
        },
    }
}

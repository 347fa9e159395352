//! Doing: the engine carries plans out over a store, a host and an escrow.
//!
//! Flow of a reset: [`reset`] records what was asked and what was approved; [`conduct`] moves every member through the
//! machine, waiting for what the plan says must come before; [`step`] does one step through the [`host`]; [`effect`]
//! makes each effect durable before and after; [`reproof`] tries the dead again; [`close`] sums up.
//!
//! Guarantees: an intent is durable before its effect and its outcome before the next; at most one reset owns a
//! credential; a run that lost its lease records nothing; after a crash the same calls go on from what the store and
//! the targets say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use remint_contract::{HostRules, Kinds, Name, Ref, ResetId};
use remint_core::approval::Executor;
use remint_core::estate::Estate;
use remint_core::machine::Illegal;
use tokio::sync::{Notify, broadcast};

use crate::context::Context;
use crate::engine::host::HostSettings;
use crate::engine::observe::Observers;
use crate::escrow::{Escrow, EscrowError, NoRandomness};
use crate::privacy::fingerprint::Fingerprints;
use crate::store::{Store, StoreError};

mod alone;
pub mod approvals;
mod barrier;
mod bell;
mod chair;
pub mod close;
pub mod conduct;
mod conductor;
mod deadline;
mod deadlock;
pub mod destroy;
pub mod effect;
pub mod emergency;
pub mod escalate;
pub mod eta;
pub mod exceptions;
pub mod host;
mod join;
pub mod lease;
pub mod listing;
mod look;
pub(crate) mod newest;
pub mod observe;
pub mod opening;
mod outcome;
pub mod parked;
pub mod pause;
mod permits;
pub mod planned;
pub mod progress;
mod purge;
mod quiet;
pub mod reconcile;
pub mod record;
mod regain;
pub mod remind;
pub mod reproof;
pub mod reset;
pub mod resting;
pub mod rollback;
pub mod run;
mod signed;
pub mod standing;
pub mod step;
mod takeover;
pub mod upcoming;
pub(crate) mod withheld;
mod work;

pub use progress::Progress;

/// The engine of one state.
#[derive(Clone)]
pub struct Engine {
    pub store: Arc<dyn Store>,
    pub escrow: Arc<Escrow>,
    pub kinds: Arc<dyn Kinds>,
    pub rules: HostRules,
    pub context: Context,
    pub settings: EngineSettings,
    pub progress: broadcast::Sender<Progress>,
    /// What all hosts of this process may use of the systems.
    buckets: Arc<host::Buckets>,
    shelf: Arc<planned::Shelf>,
    /// How many rotations this process began to carry out: the next one's place in line.
    begun: Arc<AtomicU64>,
    bells: Arc<bell::Bells>,
    /// Somebody owns something else now, or a plan was revised: whoever runs looks at what it owns.
    pub(crate) changed: Arc<Notify>,
    /// The resets that this process carries out now.
    running: Arc<alone::Running>,
}

/// The engine's own limits and waits.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    pub host: HostSettings,
    /// Between two looks at something that takes its time.
    pub poll: Duration,
    /// How long an old value may take to be refused, beside what its system's propagation says.
    pub patience: Duration,
    /// A run's lease; renewed at a third of it. Never shorter than two calls, see [`EngineSettings::lease_lasts`].
    pub lease: Duration,
    /// How far the clocks of two processes may be apart.
    pub skew: Duration,
    /// When the old values are tried again, counted from settlement.
    pub reproofs: Vec<Duration>,
    /// How long escrow keeps old values for the re-proof.
    pub escrow_keeps: Duration,
    /// Who carries out what persons approved; `None`: nobody governs this state.
    pub executor: Option<Executor>,
    /// Who this process is, for leases.
    pub holder: String,
    /// Who else tries the old values, with eyes of their own.
    pub observers: Observers,
    /// What values are known by.
    pub fingerprints: Fingerprints,
}

impl EngineSettings {
    /// Until when something that propagates is waited for.
    #[must_use]
    pub fn settle(&self, propagation: Duration) -> Duration {
        self.patience + propagation * 10
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            host: HostSettings::default(),
            poll: Duration::from_millis(100),
            patience: Duration::from_secs(10),
            lease: Duration::from_secs(90),
            skew: Duration::from_secs(5),
            reproofs: vec![Duration::from_hours(1), Duration::from_hours(24)],
            escrow_keeps: Duration::from_hours(25),
            executor: None,
            holder: "remint".to_owned(),
            observers: Observers::default(),
            fingerprints: Fingerprints::default(),
        }
    }
}

/// Why the engine cannot go on, or refuses.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Escrow(#[from] EscrowError),
    #[error(transparent)]
    Connector(#[from] remint_contract::Error),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error(transparent)]
    Illegal(#[from] Illegal),
    #[error("the entries of the reset do not add up: {0}")]
    Ledger(#[from] remint_evidence_format::ledger::LedgerError),
    #[error("{0} is not in the estate that the plan was made from")]
    Gone(Ref),
    #[error("the sealed value {0} is not in escrow any more")]
    Unsealed(String),
    #[error("there is no reset {0}; `remint get resets` lists them")]
    NoReset(ResetId),
    #[error("there is no {kind} {id} in this state; `remint get {kind}s` lists them")]
    NoRecord { kind: &'static str, id: String },
    #[error("the estate {0} that the plan was made from is not in this state")]
    NoEstate(String),
    #[error("the plan {0} is not in this state, or is not what was written under that name; restore it from a backup")]
    NoPlan(String),
    #[error(
        "{credential} is owned by reset {reset}, which is not complete; wait for it, or finish it with `remint get rotations` and its next actions"
    )]
    Owned { credential: Ref, reset: ResetId },
    #[error("reset {0} was asked for already; a request runs once")]
    Twice(ResetId),
    #[error(
        "reset {id} was asked for at {asked} and is older than one hour: it is expired and never starts; ask again"
    )]
    Expired { id: ResetId, asked: String },
    #[error("reset {id} is approved for the plan {approved}, but its plan is {plan}")]
    OtherPlan { id: ResetId, approved: String, plan: String },
    #[error("the plan of reset {0} was revised meanwhile; it goes on with the new one")]
    Revised(ResetId),
    #[error("reset {0} waits for approval: remint approve {0}")]
    Unapproved(ResetId),
    #[error("reset {0} is being carried out by another process")]
    Busy(ResetId),
    #[error(
        "the lease of reset {0} was lost, so nothing more was begun or recorded here; whoever holds it now goes on with it"
    )]
    Lost(ResetId),
    #[error("{0}")]
    Refused(String),
}

/// The workload that Remint itself is.
#[must_use]
pub fn is_remint(workload: &Ref) -> bool {
    workload.kind == remint_contract::Kind::Workload
        && workload.name.as_str() == "remint"
        && workload.namespace == Name::default_namespace()
}

impl Engine {
    /// An engine with nobody watching yet.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        escrow: Arc<Escrow>,
        kinds: Arc<dyn Kinds>,
        rules: HostRules,
        context: Context,
        settings: EngineSettings,
    ) -> Self {
        let (progress, _) = broadcast::channel(4096);
        let buckets = Arc::new(host::Buckets::new(
            Arc::clone(&store),
            context.clone(),
            settings.holder.clone(),
            settings.host,
            progress.clone(),
        ));
        Self {
            buckets,
            shelf: Arc::default(),
            begun: Arc::default(),
            bells: Arc::default(),
            store,
            escrow,
            kinds,
            rules,
            context,
            settings,
            progress,
            changed: Arc::default(),
            running: Arc::default(),
        }
    }

    /// The same engine, with the budgets of its calls kept in another store: a state that may only be looked at still asks
    /// its issuers.
    #[must_use]
    pub(crate) fn budgeted_in(mut self, store: Arc<dyn Store>) -> Self {
        let (context, holder) = (self.context.clone(), self.settings.holder.clone());
        let buckets = host::Buckets::new(store, context, holder, self.settings.host, self.progress.clone());
        self.buckets = Arc::new(buckets);
        self
    }

    /// What every call of this process took.
    #[must_use]
    pub fn meter(&self) -> &host::Meter {
        &self.buckets.meter
    }

    /// Everything that tells what is going on; a slow watcher misses some, and never holds the engine.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// A host over an estate.
    #[must_use]
    pub fn host(&self, estate: Arc<Estate>) -> host::Host {
        host::Host::new(
            estate,
            Arc::clone(&self.kinds),
            self.rules.clone(),
            self.context.clone(),
            self.settings.host,
            Arc::clone(&self.buckets),
        )
    }

    /// Tells whoever watches.
    pub(crate) fn tell(&self, progress: Progress) {
        // Nobody watching is not a failure.
        let _ = self.progress.send(progress);
    }
}

/// The credentials that a set of references names, for messages.
#[must_use]
pub fn names(refs: &BTreeSet<Ref>) -> String {
    refs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

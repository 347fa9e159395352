//! Carries resets on: those that were interrupted, those that were approved, those somebody said something about, and
//! those whose old values are to be tried again.
//!
//! Flow: at the start every reset that is not over is seated ([`seat`]); whoever acts on one puts it on the [`Desk`]; and
//! every so often the seats are looked at for what is due. What is due runs as a task of its own, many at a time.
//!
//! Guarantees: one task a reset at a time, so that no two write one rotation; an act that comes while its reset runs has it
//! run again; what failed is tried again later, ever more seldom, and at the next start.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use remint_contract::ResetId;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};

use crate::app::App;
use crate::engine::record::{Finding, ResetStatus, kind};
use crate::engine::{Engine, EngineError};
use crate::serve::supervisor::seat::{Job, Seat};
use crate::serve::{GRACE, Stopping, causes};
use crate::store::{Bell, StoreError, Wake, Woken};

mod seat;

/// How often work is begun that met another change each time.
const TRIES: usize = 5;

/// How often what is dark is told again.
const DARK: Duration = Duration::from_mins(15);

/// Where resets are put that somebody acted on.
#[derive(Debug, Default)]
pub(super) struct Desk {
    asked: Mutex<BTreeSet<ResetId>>,
    /// What was taken from the desk, and is being carried on.
    working: Mutex<BTreeSet<ResetId>>,
    bell: Notify,
}

/// Rings for a reset when it is dropped: also when the client goes away in the middle of the act.
#[must_use]
struct Ring<'d> {
    desk: &'d Desk,
    reset: &'d ResetId,
    silent: bool,
}

impl Desk {
    /// Acts on a reset, and has the supervisor look at it. An act that met another change of the same record is begun
    /// again; one that was refused changed nothing, and nobody has to look.
    pub(super) async fn act<T, F>(&self, reset: &ResetId, act: impl Fn() -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, EngineError>>,
    {
        let mut ring = Ring { desk: self, reset, silent: false };
        let done = afresh(act).await;
        // Where the state failed, nobody knows how far the act came.
        ring.silent = done.as_ref().is_err_and(|error| !matches!(error, EngineError::Store(_)));
        done
    }

    /// Has the supervisor look at a reset.
    pub(super) fn put(&self, reset: &ResetId) {
        drop(Ring { desk: self, reset, silent: false });
    }

    /// True while somebody's act on it is not carried through.
    pub(super) fn busy(&self, reset: &ResetId) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.contains(reset) || self.working.lock().unwrap_or_else(PoisonError::into_inner).contains(reset)
    }

    /// What is asked becomes what is worked at, in one step for whoever looks.
    fn take(&self) -> BTreeSet<ResetId> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        self.working.lock().unwrap_or_else(PoisonError::into_inner).extend(asked.iter().cloned());
        std::mem::take(&mut *asked)
    }

    fn works_at<'r>(&self, resets: impl Iterator<Item = &'r ResetId>) {
        *self.working.lock().unwrap_or_else(PoisonError::into_inner) = resets.cloned().collect();
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        if self.silent {
            return;
        }
        self.desk.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(self.reset.clone());
        self.desk.bell.notify_one();
    }
}

/// Who carries resets on.
pub(super) struct Supervisor {
    app: Arc<App>,
    desk: Arc<Desk>,
    every: Duration,
    seats: BTreeMap<ResetId, Seat>,
    tasks: JoinSet<Result<(), EngineError>>,
    /// Which reset a task carries on.
    names: HashMap<Id, ResetId>,
}

impl Supervisor {
    /// Seats what is not over.
    pub(super) async fn new(app: Arc<App>, desk: Arc<Desk>, every: Duration) -> Result<Self, EngineError> {
        let mut seats = BTreeMap::new();
        for reset in app.engine.resets().await? {
            let mut seat = Seat::of(&reset);
            if matches!(
                reset.status,
                ResetStatus::Running | ResetStatus::Resting | ResetStatus::Paused | ResetStatus::Aborted
            ) {
                tracing::info!(reset = %reset.id, status = ?reset.status, "going on with what is not over");
                seat.asked = true;
            }
            if !seat.over() {
                seats.insert(reset.id, seat);
            }
        }
        Ok(Self { app, desk, every, seats, tasks: JoinSet::new(), names: HashMap::new() })
    }

    /// Carries on what is due until the stop; then leaves what runs some time to end.
    pub(super) async fn run(mut self, stopping: Stopping) {
        let mut stopped = std::pin::pin!(stopping.stopped());
        let desk = Arc::clone(&self.desk);
        let clock = Arc::clone(&self.app.engine.context.clock);
        let mut told = told(&self.app).await;
        let mut alarmed = clock.now();
        loop {
            if clock.now().duration_since(alarmed).unsigned_abs() >= DARK {
                alarmed = clock.now();
                let engine = &self.app.engine;
                let told = async { if engine.chairs().await? { engine.alarm_all_dark().await } else { Ok(()) } };
                if let Err(error) = told.await {
                    tracing::error!(error = causes(&error), "what is dark cannot be read");
                }
            }
            for id in self.desk.take() {
                self.seated(&id).await;
                if let Some(seat) = self.seats.get_mut(&id) {
                    seat.act();
                }
            }
            self.begin().await;
            self.desk.works_at(self.names.values());
            tokio::select! {
                () = &mut stopped => break,
                () = desk.bell.notified() => {}
                woken = told.next() => self.woken(woken).await,
                Some(joined) = self.tasks.join_next_with_id() => self.ended(joined).await,
                () = clock.sleep(self.every) => {}
            }
        }
        self.finish().await;
    }

    /// Another process, or this one, wrote a reset: it is looked at now, not when its time comes.
    async fn woken(&mut self, woken: Woken) {
        match woken {
            Woken::Put { kind: record, id } if record == kind::RESET => self.seated(&ResetId(id)).await,
            Woken::Put { .. } => {}
            Woken::Anything => match self.app.engine.resets().await {
                Ok(resets) => {
                    for reset in resets {
                        self.seated(&reset.id).await;
                    }
                }
                Err(error) => tracing::error!(error = causes(&error), "the resets cannot be read"),
            },
        }
    }

    /// Starts whatever is due, not running, and not another replica's.
    async fn begin(&mut self) {
        let now = self.app.engine.context.clock.now();
        let due: Vec<(ResetId, Job)> =
            self.seats.iter().filter_map(|(id, seat)| Some((id.clone(), seat.due(now)?))).collect();
        if due.is_empty() {
            return;
        }
        let names: Vec<ResetId> = due.iter().map(|(id, _)| id.clone()).collect();
        let claimed = self.app.engine.claim_due(&names).await.unwrap_or_else(|error| {
            tracing::error!(error = causes(&error), "what is due cannot be claimed; it is tried again");
            Vec::new()
        });
        for (id, job) in due {
            let Some(seat) = self.seats.get_mut(&id) else { continue };
            if !claimed.contains(&id) {
                seat.elsewhere(now + self.app.engine.settings.lease / 3);
                continue;
            }
            seat.start();
            let (engine, reset) = (self.app.engine.clone(), id.clone());
            let task = self.tasks.spawn(async move {
                match job {
                    Job::Carry => carry(&engine, &reset).await,
                    Job::Again => {
                        engine.retry_unreachable(&reset).await?;
                        carry(&engine, &reset).await
                    }
                    Job::Reprove => reprove(&engine, &reset).await,
                }
            });
            self.names.insert(task.id(), id);
        }
    }

    async fn ended(&mut self, joined: Result<(Id, Result<(), EngineError>), JoinError>) {
        let task = joined.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(id) = self.names.remove(&task) else { return };
        let failed = match joined {
            Ok((_, Ok(()))) => None,
            Ok((_, Err(EngineError::Busy(_) | EngineError::Lost(_)))) => {
                // Another process has it. That is no failure: this one looks again when a lease could be over.
                let settings = &self.app.engine.settings;
                let then = self.app.engine.context.clock.now() + settings.lease_lasts() / 3;
                if let Some(seat) = self.seats.get_mut(&id) {
                    seat.wait(then);
                }
                tracing::debug!(reset = %id, %then, "another process carries it on");
                self.seated(&id).await;
                return;
            }
            Ok((_, Err(error))) => Some(causes(&error)),
            Err(error) => Some(causes(&error)),
        };
        let now = self.app.engine.context.clock.now();
        if let Some(seat) = self.seats.get_mut(&id) {
            match failed {
                None => seat.end(),
                Some(error) => {
                    let again = seat.fail(now);
                    tracing::error!(reset = %id, error, %again, "a reset could not be carried on; it is tried again");
                }
            }
        }
        self.seated(&id).await;
        // Whoever waits for it may find the way free.
        match self.app.engine.let_go(&id).await {
            Ok(waiting) => {
                for other in waiting {
                    self.seated(&other).await;
                    if let Some(seat) = self.seats.get_mut(&other) {
                        seat.act();
                    }
                }
            }
            Err(error) => tracing::error!(reset = %id, error = causes(&error), "who waits for it cannot be read"),
        }
    }

    /// Takes in how a reset stands, and says so when that is new.
    async fn seated(&mut self, id: &ResetId) {
        let reset = match self.app.engine.reset(id).await {
            Ok(reset) => reset,
            // The act was refused: there is no such reset.
            Err(EngineError::NoReset(_)) => return,
            Err(error) => {
                tracing::error!(reset = %id, error = causes(&error), "a reset cannot be read");
                return;
            }
        };
        let seat = self.seats.entry(id.clone()).or_insert_with(Seat::new);
        if seat.take(&reset) {
            tracing::info!(reset = %id, status = ?reset.status, reason = reset.reason, "a reset came to another status");
        }
        if seat.over() {
            self.seats.remove(id);
        }
    }

    /// What runs may end; what does not in time is given up as in a crash: it goes on from its last durable step.
    async fn finish(&mut self) {
        let all = async {
            while let Some(joined) = self.tasks.join_next_with_id().await {
                self.ended(joined).await;
            }
        };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            for reset in self.names.values() {
                tracing::warn!(%reset, "given up at its last durable step; the next start goes on from there");
            }
            self.tasks.shutdown().await;
        }
    }
}

/// What other processes write. Without it they are noticed at the next start, and by who asks.
async fn told(app: &App) -> Box<dyn Wake> {
    match app.engine.store.watch().await {
        Ok(told) => told,
        Err(error) => {
            tracing::error!(error = causes(&error), "what other replicas write is not noticed");
            Bell::default().watch()
        }
    }
}

/// Moves everything on that can move, and does what was decided of findings. What that lets go moves on, too.
async fn carry(engine: &Engine, id: &ResetId) -> Result<(), EngineError> {
    // A person's word may come between the end of a run and its sum.
    let reset = afresh(|| engine.run(id)).await?;
    let before = undone(&engine.findings(Some(id)).await?);
    if before > 0 {
        engine.carry_out(id).await?;
        let after = undone(&engine.findings(Some(id)).await?);
        if reset.status == ResetStatus::Resting && after < before {
            afresh(|| engine.run(id)).await?;
        }
    }
    Ok(())
}

/// Does it again, from what is there by then, when a record was changed at the same time.
async fn afresh<T, F>(work: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    for _ in 1..TRIES {
        match work().await {
            Err(EngineError::Store(StoreError::Stale { .. })) => {}
            done => return done,
        }
    }
    work().await
}

/// Findings that were decided, where what was decided is not done yet.
fn undone(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.decision.as_ref().is_some_and(|decision| !decision.done)).count()
}

async fn reprove(engine: &Engine, id: &ResetId) -> Result<(), EngineError> {
    let (_, outcome) = engine.reprove_due(id).await?;
    for credential in &outcome.alive {
        tracing::error!(reset = %id, %credential, "an old value that was dead is accepted again: the reset is open");
    }
    for credential in &outcome.joined {
        tracing::error!(reset = %id, %credential, "something is alive at its issuer that was not when it was swept: the reset is open");
    }
    match outcome.unclear.first() {
        None => Ok(()),
        Some((credential, why)) => Err(EngineError::Refused(format!(
            "{} old values could not be tried again, {credential} among them: {why}",
            outcome.unclear.len()
        ))),
    }
}

//! The lease under which one process moves a reset: taken, renewed, looked at before every effect, and let go.
//!
//! Flow: [`Engine::under`] takes the lease, renews it in the background for as long as the work lasts, drops the work at
//! once when it is lost, and lets it go at the end.
//!
//! Guarantees: an effect is only sent while the lease lasts longer than the call may ([`Lease::cover`]); what another
//! process held and did not let go is taken over only when a call that it sent at its last moment is over
//! ([`EngineSettings::grace`]); what was sent and not answered keeps the lease from being let go early.
//!
//! Errors: [`EngineError::Busy`] before anything was done, [`EngineError::Lost`] when somebody else may go on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::ResetId;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::{Engine, EngineError, EngineSettings};
use crate::store::{Fence, StoreError};

/// The right to move one reset.
pub struct Lease {
    engine: Engine,
    pub fence: Fence,
    /// Until when nobody else takes it, counted from before the last renewal was asked for.
    until: Mutex<Timestamp>,
    /// One renewal at a time.
    renewing: tokio::sync::Mutex<()>,
    lost: watch::Sender<bool>,
    /// The deadlines of effects that were sent and not answered.
    flights: Mutex<BTreeMap<u64, Timestamp>>,
}

/// An effect under way. Dropped without [`Flight::answered`] it may still land.
pub(crate) struct Flight<'l> {
    lease: &'l Lease,
    number: u64,
}

impl EngineSettings {
    /// How long a lease lasts: whatever is configured, renewals leave time for a whole call.
    #[must_use]
    pub fn lease_lasts(&self) -> Duration {
        self.lease.max((self.host.call_timeout + self.skew) * 2)
    }

    /// How long after its end a lease that nobody let go is left alone: a call sent at the last moment is over by then,
    /// by whichever clock.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.host.call_timeout + self.skew
    }
}

impl Engine {
    /// Of these resets, those that nobody else works on; from now on this process does.
    pub(crate) async fn claim_due(&self, resets: &[ResetId]) -> Result<Vec<ResetId>, EngineError> {
        let names: Vec<String> = resets.iter().map(|id| format!("reset/{id}")).collect();
        let now = self.context.clock.now();
        let (at, until) = (now - self.settings.grace(), now + self.settings.lease_lasts());
        let claimed = self.store.claim(&names, &self.settings.holder, at, until).await?;
        let held =
            |id: &&ResetId| claimed.iter().any(|fence| fence.lease.strip_prefix("reset/") == Some(id.0.as_str()));
        Ok(resets.iter().filter(held).cloned().collect())
    }

    /// Does work on a reset under its lease.
    ///
    /// # Errors
    /// Busy, lost, or what the work says.
    pub(super) async fn under<T, F>(&self, id: &ResetId, work: impl FnOnce(Arc<Lease>) -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, EngineError>>,
    {
        let _alone = self.alone_at_rest(id).await?;
        let lease = Lease::take(self, format!("reset/{id}")).await?.ok_or_else(|| EngineError::Busy(id.clone()))?;
        let lease = Arc::new(lease);
        // A set ends its tasks when it is dropped: a run that is given up must not hold its lease for ever.
        let mut renewing = JoinSet::new();
        renewing.spawn(Arc::clone(&lease).keep());
        let result = tokio::select! {
            biased;
            () = lease.lost() => Err(EngineError::Lost(id.clone())),
            result = work(Arc::clone(&lease)) => result,
        };
        // A renewal that was sent ends first: carried out after the lease was let go, it would take it again for nobody.
        let renewed = lease.renewing.lock().await;
        drop(renewing);
        drop(renewed);
        match result {
            Err(EngineError::Store(StoreError::Fenced(name))) if name == lease.fence.lease => {
                Err(EngineError::Lost(id.clone()))
            }
            result => {
                lease.end().await;
                result
            }
        }
    }
}

impl Lease {
    /// `None` while somebody else holds it, or held it so lately that a call of his may still be under way.
    ///
    /// Always under a new number: what an earlier run of this very process still has on its way to the store would
    /// otherwise land behind what this one has read.
    async fn take(engine: &Engine, name: String) -> Result<Option<Self>, StoreError> {
        let Some((earlier, _)) = ask(engine, &name).await? else { return Ok(None) };
        match engine.store.release(&earlier).await {
            // Somebody else let it go, or took it: then asking again tells.
            Ok(()) | Err(StoreError::Fenced(_)) => {}
            Err(error) => return Err(error),
        }
        let Some((fence, until)) = ask(engine, &name).await? else { return Ok(None) };
        Ok(Some(Self {
            engine: engine.clone(),
            fence,
            until: Mutex::new(until),
            renewing: tokio::sync::Mutex::default(),
            lost: watch::Sender::new(false),
            flights: Mutex::default(),
        }))
    }

    /// Renews at a third of the lease. A store that cannot be reached is asked again until the lease is over.
    async fn keep(self: Arc<Self>) {
        let wait = self.engine.settings.lease_lasts() / 3;
        while !*self.lost.borrow() {
            self.engine.context.clock.sleep(wait).await;
            if let Err(error) = self.renew(Timestamp::MAX).await {
                tracing::warn!(lease = self.fence.lease, error = &error as &dyn std::error::Error, "not renewed");
            }
        }
    }

    /// Makes sure that nobody else takes the lease before `deadline`, or says that this cannot be had.
    pub(crate) async fn cover(&self, deadline: Timestamp) -> Result<Flight<'_>, StoreError> {
        if self.until() <= deadline + self.engine.settings.skew {
            self.renew(deadline + self.engine.settings.skew).await?;
        }
        if *self.lost.borrow() || self.until() <= deadline {
            return Err(self.fenced());
        }
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let number = flights.last_key_value().map_or(0, |(last, _)| last + 1);
        flights.insert(number, deadline);
        Ok(Flight { lease: self, number })
    }

    /// Asks the store for more time, unless somebody did so meanwhile.
    async fn renew(&self, beyond: Timestamp) -> Result<(), StoreError> {
        let _one = self.renewing.lock().await;
        if *self.lost.borrow() {
            return Err(self.fenced());
        }
        if self.until() > beyond {
            return Ok(());
        }
        match ask(&self.engine, &self.fence.lease).await? {
            Some((held, until)) if held == self.fence => {
                *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
                Ok(())
            }
            other => {
                let released = match other {
                    // Somebody took it, let it go, and it was just taken anew: it is not the lease of this work.
                    Some((stranger, _)) => self.engine.store.release(&stranger).await,
                    None => Ok(()),
                };
                // Told last: the work is dropped then, and this with it.
                self.give_up();
                released?;
                Err(self.fenced())
            }
        }
    }

    /// The lease is somebody else's: whatever goes on under it ends now.
    pub(crate) fn give_up(&self) {
        self.lost.send_replace(true);
    }

    /// Returns when the lease is lost.
    async fn lost(&self) {
        // The sender lives as long as this does, so waiting cannot fail.
        let _ = self.lost.subscribe().wait_for(|lost| *lost).await;
    }

    /// Lets the lease go, unless something that was sent under it may still land: then it runs out.
    async fn end(&self) {
        let now = self.engine.context.clock.now();
        let skew = self.engine.settings.skew;
        let open = {
            let flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.values().any(|deadline| *deadline + skew > now)
        };
        if !open && let Err(error) = self.engine.store.release(&self.fence).await {
            tracing::warn!(lease = self.fence.lease, error = &error as &dyn std::error::Error, "it runs out by itself");
        }
    }

    /// Who watches the engine that holds this.
    pub(crate) fn watchers(&self) -> tokio::sync::broadcast::Sender<crate::engine::Progress> {
        self.engine.progress.clone()
    }

    /// True while something that was sent is not answered.
    pub(crate) fn in_flight(&self) -> bool {
        !self.flights.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn until(&self) -> Timestamp {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fenced(&self) -> StoreError {
        StoreError::Fenced(self.fence.lease.clone())
    }
}

impl Flight<'_> {
    /// The effect is known to be done or undone: nothing of it lands later.
    pub(crate) fn answered(&self) {
        self.lease.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Takes or renews. The store is told an earlier time than now, so that somebody else's lease counts for longer than it
/// lasts.
async fn ask(engine: &Engine, name: &str) -> Result<Option<(Fence, Timestamp)>, StoreError> {
    let settings = &engine.settings;
    let now = engine.context.clock.now();
    let until = now + settings.lease_lasts();
    let fence = engine.store.lease(name, &settings.holder, now - settings.grace(), until).await?;
    Ok(fence.map(|fence| (fence, until)))
}

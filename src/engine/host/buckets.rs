//! All budgets of this process: every host of the engine shares them, whichever reset it works for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use remint_contract::Ref;
use remint_core::estate::Budget;
use tokio::sync::broadcast;

use super::HostSettings;
use super::bucket::{Bucket, Keepers};
use super::budget::Whole;
use super::line::Place;
use super::meter::Meter;
use super::pace::Held;
use crate::context::Context;
use crate::engine::Progress;
use crate::store::{Store, StoreError};

/// The budgets that were used since the engine began.
pub struct Buckets {
    store: Arc<dyn Store>,
    context: Context,
    holder: String,
    settings: HostSettings,
    progress: broadcast::Sender<Progress>,
    known: Mutex<HashMap<String, Arc<Bucket>>>,
    keepers: Keepers,
    /// Every call of this process.
    pub meter: Meter,
}

impl Buckets {
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        context: Context,
        holder: String,
        settings: HostSettings,
        progress: broadcast::Sender<Progress>,
    ) -> Self {
        Self {
            store,
            context,
            holder,
            settings,
            progress,
            known: Mutex::default(),
            keepers: Keepers::default(),
            meter: Meter::default(),
        }
    }

    /// The budget of a system's calls.
    pub(super) fn calls(&self, system: &Ref, budget: Budget) -> Arc<Bucket> {
        let whole = Whole { slots: budget.concurrency.max(1), per_second: budget.per_second.map(|rate| rate.max(1)) };
        self.bucket(system.to_string(), system, whole)
    }

    /// Leave to restart this many workloads of a system, for as long as it is held.
    pub(crate) async fn restarts(
        &self,
        system: &Ref,
        budget: Budget,
        place: Place,
        count: u32,
    ) -> Result<Held, StoreError> {
        let whole = Whole { slots: budget.restarts().max(1), per_second: None };
        let bucket = self.bucket(format!("{system} restarts"), system, whole);
        bucket.slots(place, count).await
    }

    fn bucket(&self, name: String, system: &Ref, whole: Whole) -> Arc<Bucket> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = known.entry(name.clone()).or_insert_with(|| {
            Arc::new_cyclic(|me| {
                Bucket::new(
                    name,
                    system.clone(),
                    whole,
                    Arc::clone(&self.store),
                    self.context.clone(),
                    self.holder.clone(),
                    self.settings,
                    self.progress.clone(),
                    me.clone(),
                    Arc::clone(&self.keepers),
                )
            })
        });
        bucket.resize(whole);
        Arc::clone(bucket)
    }
}

//! Plans and estates as the store keeps them: each written once, named by what is in it, and read once by a process.
//!
//! Ten thousand members are some megabytes; a reset's record changes often and only names its plan. What is read is
//! hashed again: another plan under that name does not run.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use remint_core::estate::Estate;
use remint_core::plan::Plan;
use serde::{Serialize, Serializer};

use crate::engine::record::{Reset, kind, put, read};
use crate::engine::reset::plan_hash;
use crate::engine::{Engine, EngineError};
use crate::store::{Key, Put, Record, Rule, StoreError};

/// A plan with the hash of its bytes; a record holds the hash.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    hash: String,
    plan: Arc<Plan>,
}

impl Planned {
    /// Names a plan.
    #[must_use]
    pub fn of(plan: Plan) -> Self {
        Self { hash: plan_hash(&plan), plan: Arc::new(plan) }
    }

    /// The SHA-256 of the plan's bytes, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The record of the plan itself; the same plan may be there already.
    pub(crate) fn put(&self) -> Result<Put, StoreError> {
        put(kind::PLAN, self.hash.clone(), "", &*self.plan, Rule::Upsert)
    }
}

impl Deref for Planned {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

impl Serialize for Planned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hash)
    }
}

/// What was read lately.
#[derive(Default)]
pub(crate) struct Shelf {
    plans: Mutex<HashMap<String, Planned>>,
    /// Kept by those who use them: an idle daemon holds none.
    estates: Mutex<HashMap<String, Weak<Estate>>>,
}

/// So many of each are kept.
const KEPT: usize = 8;

fn keep<T: Clone>(kept: &Mutex<HashMap<String, T>>, name: &str, value: &T) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= KEPT {
        kept.clear();
    }
    kept.insert(name.to_owned(), value.clone());
}

fn kept<T: Clone>(kept: &Mutex<HashMap<String, T>>, name: &str) -> Option<T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
}

impl Engine {
    /// A reset's record, with its plan.
    ///
    /// # Errors
    /// The plan is not there, or it is another one than the record names.
    pub(crate) async fn with_plan(&self, record: Record) -> Result<Reset, EngineError> {
        let named: Reset<String> = read(record)?;
        let plan = self.planned(&named.plan).await?;
        Ok(named.with(plan))
    }

    async fn planned(&self, hash: &str) -> Result<Planned, EngineError> {
        if let Some(plan) = kept(&self.shelf.plans, hash) {
            return Ok(plan);
        }
        let key = Key { kind: kind::PLAN, id: hash.to_owned() };
        let record = self.store.get(&key).await?.ok_or_else(|| EngineError::NoPlan(hash.to_owned()))?;
        let plan = Planned::of(read(record)?);
        if plan.hash != hash {
            return Err(EngineError::NoPlan(hash.to_owned()));
        }
        self.keep_plan(&plan);
        Ok(plan)
    }

    /// Keeps a plan that was just asked for: it is read again at once.
    pub(crate) fn keep_plan(&self, plan: &Planned) {
        keep(&self.shelf.plans, &plan.hash, plan);
    }

    /// An estate by its digest.
    ///
    /// # Errors
    /// It is not there.
    pub async fn estate(&self, digest: &str) -> Result<Arc<Estate>, EngineError> {
        if let Some(estate) = kept(&self.shelf.estates, digest).and_then(|estate| estate.upgrade()) {
            return Ok(estate);
        }
        let key = Key { kind: kind::ESTATE, id: digest.to_owned() };
        let record = self.store.get(&key).await?.ok_or_else(|| EngineError::NoEstate(digest.to_owned()))?;
        let estate: Arc<Estate> = Arc::new(read(record)?);
        keep(&self.shelf.estates, digest, &Arc::downgrade(&estate));
        Ok(estate)
    }
}

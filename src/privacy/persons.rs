//! Names beside the tree: a store that commits to persons instead of naming them.
//!
//! Flow: every entry that goes through [`Discreet`] has its names ([`PERSONAL`]) replaced by commitments, and what opens them is
//! a record of its own, in the same change. One person has one commitment within a reset, so that "the same person asked and
//! approved" can be seen without knowing who; across resets he has different ones. [`erase`] deletes what opens them.
//!
//! What is not covered: free text (reasons) that names somebody, and the working records of resets, tasks and findings, which
//! `erase` overwrites.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::ResetId;
use remint_core::approval::Signed;
use remint_evidence_format::person::{Disclosed, PREFIX};
use remint_evidence_format::tree::Hash;
use remint_evidence_format::{Draft, Stored};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::context::Context;
use crate::engine::record::{entry, kind, put, read};
use crate::store::dump::Line;
use crate::store::{Change, Committed, Fence, Key, Leaf, Put, Record, Rule, Sealed, Store, StoreError, Wake};

/// The keys of an entry's body that hold a name.
pub const PERSONAL: [&str; 5] = ["approved-by", "by", "person", "principal", "requested-by"];

/// The kind of the records.
pub const KIND: &str = "person";

/// What opens one commitment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Person {
    name: String,
    salt: [u8; 32],
}

/// A store whose entries name nobody.
pub struct Discreet {
    inner: Arc<dyn Store>,
    context: Context,
    /// Commitments by reset and name.
    known: Mutex<HashMap<(String, String), String>>,
}

impl Discreet {
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, context: Context) -> Self {
        Self { inner, context, known: Mutex::default() }
    }

    async fn hide(&self, draft: &mut Draft, puts: &mut Vec<Put>) -> Result<(), StoreError> {
        let scope = draft.reset.clone().unwrap_or_default();
        for key in PERSONAL {
            let Some(Value::String(name)) = draft.body.get(key) else { continue };
            if name.starts_with(PREFIX) {
                continue;
            }
            let commitment = self.commitment(&scope, name, puts).await?;
            draft.body.insert(key.to_owned(), Value::String(commitment));
        }
        Ok(())
    }

    /// The one that is there, or a new one with its record.
    async fn commitment(&self, scope: &str, name: &str, puts: &mut Vec<Put>) -> Result<String, StoreError> {
        let place = (scope.to_owned(), name.to_owned());
        if let Some(known) = self.lock().get(&place) {
            return Ok(known.clone());
        }
        for record in self.inner.list(KIND, Some(scope)).await? {
            let id = record.id.clone();
            let person: Person = read(record)?;
            self.lock().insert((scope.to_owned(), person.name), id);
        }
        if let Some(known) = self.lock().get(&place) {
            return Ok(known.clone());
        }
        let mut salt = [0; 32];
        let failed = |error: crate::escrow::NoRandomness| StoreError::Broken {
            what: "has no randomness for a name".to_owned(),
            source: Some(Box::new(error)),
        };
        self.context.random.fill(&mut salt).map_err(failed)?;
        let commitment = Disclosed { name: name.to_owned(), salt }.commitment();
        // Kept only once it is written: a change that fails would leave a commitment that nothing opens.
        puts.push(put(KIND, commitment.clone(), scope, &Person { name: name.to_owned(), salt }, Rule::Upsert)?);
        Ok(commitment)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names of a reset, as far as they were not erased.
///
/// # Errors
/// The store cannot be read.
pub async fn disclosed(store: &dyn Store, reset: &str) -> Result<Vec<Disclosed>, StoreError> {
    let mut found = Vec::new();
    for record in store.list(KIND, Some(reset)).await? {
        let Person { name, salt } = read(record)?;
        found.push(Disclosed { name, salt });
    }
    Ok(found)
}

/// Erases a name: what opens its commitments, and what the working records say. Gives how many commitments nobody can open any
/// more. The entry of it names nobody but who did it.
///
/// # Errors
/// The store does not take it; then nothing is erased.
pub async fn erase(store: &dyn Store, context: &Context, name: &str, by: &str) -> Result<usize, StoreError> {
    let mut change = Change::default();
    for record in store.list(KIND, None).await? {
        let id = record.id.clone();
        let person: Person = read(record)?;
        if person.name == name {
            change.deletes.push(Key { kind: KIND, id });
        }
    }
    let erased = change.deletes.len();
    // What he signed names him; its hash in the entries does not.
    for record in store.list(kind::APPROVAL, None).await? {
        let id = record.id.clone();
        let Signed { note, .. } = read(record)?;
        let person = note.lines().find_map(|line| line.strip_prefix("person "));
        if person.is_some_and(|person| {
            name == person || name.strip_prefix(person).is_some_and(|rest| rest.starts_with(" ("))
        }) {
            change.deletes.push(Key { kind: kind::APPROVAL, id });
        }
    }
    for kind in [kind::RESET, kind::TASK, kind::FINDING] {
        for record in store.list(kind, None).await? {
            let mut body = record.body.clone();
            if scrub(&mut body, name) {
                let (id, rule) = (record.id, Rule::Revision(record.revision));
                change.puts.push(Put { key: Key { kind, id }, scope: record.scope, body, rule });
            }
        }
    }
    let body = json!({ "commitments": erased, "by": by });
    change.entries.push(entry("person.erased", context.clock.now(), None, None, &body));
    store.commit(change).await?;
    Ok(erased)
}

/// Overwrites a name where a record says who did something. By a list of what is still to be looked at, however deep.
fn scrub(body: &mut Value, name: &str) -> bool {
    let mut changed = false;
    let mut rest = vec![body];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items),
            Value::Object(members) => {
                for (key, value) in members {
                    if matches!(key.as_str(), "by" | "requested_by") && value.as_str() == Some(name) {
                        *value = json!("erased");
                        changed = true;
                    } else {
                        rest.push(value);
                    }
                }
            }
            _ => {}
        }
    }
    changed
}

#[async_trait]
impl Store for Discreet {
    async fn commit(&self, mut change: Change) -> Result<Committed, StoreError> {
        let mut entries = std::mem::take(&mut change.entries);
        let mut puts = Vec::new();
        for draft in &mut entries {
            self.hide(draft, &mut puts).await?;
            // Two entries of one change name one person once.
            for put in &puts {
                if let Ok(Person { name, .. }) = serde_json::from_value(put.body.clone()) {
                    self.lock().insert((put.scope.clone(), name), put.key.id.clone());
                }
            }
        }
        let made: Vec<String> = puts.iter().map(|put| put.key.id.clone()).collect();
        change.entries = entries;
        change.puts.extend(puts);
        let committed = self.inner.commit(change).await;
        if committed.is_err() {
            self.lock().retain(|_, commitment| !made.contains(commitment));
        }
        committed
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, kind: &'static str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
        self.inner.list(kind, scope).await
    }

    async fn sealed(&self, id: &str) -> Result<Option<Sealed>, StoreError> {
        self.inner.sealed(id).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, StoreError> {
        self.inner.lease(name, holder, now, until).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.inner.release(fence).await
    }

    async fn claim(
        &self,
        names: &[String],
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Fence>, StoreError> {
        self.inner.claim(names, holder, now, until).await
    }

    async fn watch(&self) -> Result<Box<dyn Wake>, StoreError> {
        self.inner.watch().await
    }

    async fn unsequenced(&self, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.unsequenced(limit).await
    }

    async fn leaves(&self, limit: usize) -> Result<Vec<Leaf>, StoreError> {
        self.inner.leaves(limit).await
    }

    async fn sequence(&self, fence: &Fence, ids: &[u64], size: u64, checkpoint: &str) -> Result<(), StoreError> {
        self.inner.sequence(fence, ids, size, checkpoint).await
    }

    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.sequenced(from, limit).await
    }

    async fn hashes(&self, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError> {
        self.inner.hashes(from, limit).await
    }

    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
        self.inner.entries_of(reset).await
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.inner.checkpoint().await
    }

    async fn sealed_after(&self, after: Option<&str>, limit: usize) -> Result<Vec<Sealed>, StoreError> {
        self.inner.sealed_after(after, limit).await
    }

    async fn rewrap(&self, fence: &Fence, pairs: Vec<(Sealed, Sealed)>) -> Result<usize, StoreError> {
        self.inner.rewrap(fence, pairs).await
    }

    async fn dump(&self, sealed: bool, lines: mpsc::Sender<Line>) -> Result<(), StoreError> {
        self.inner.dump(sealed, lines).await
    }

    async fn load(&self, lines: mpsc::Receiver<Line>) -> Result<(), StoreError> {
        self.inner.load(lines).await
    }
}

//! A store in memory, and the line over which one process reaches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remint::store::{Bell, Change, Committed, Fence, Key, Record, Rule, Sealed, Store, StoreError, Wake};
use remint_contract::ResetId;
use remint_evidence_format::tree::Hash;
use remint_evidence_format::{Draft, Stored, entry};
use serde_json::Value;
use tokio::time::Instant;

use super::clock::Gate;
use super::fate::{CommitFate, Fate};

/// What a rotation's record was, what it is now, and the entries of the same change.
pub(crate) type Watcher = Box<dyn Fn(Option<&Value>, &Value, &[Draft]) + Send + Sync>;

/// The store of one state, in memory. Holds to the same suite as the others.
#[derive(Default)]
pub(crate) struct MemoryStore {
    inner: Mutex<Inner>,
    watcher: Mutex<Option<Watcher>>,
    bell: Bell,
}

#[derive(Default)]
struct Inner {
    /// Kind and id → the row.
    records: BTreeMap<(&'static str, String), Row>,
    last: u64,
    sealed: BTreeMap<String, Sealed>,
    leases: BTreeMap<String, Holding>,
    entries: Vec<Stored>,
    heads: BTreeMap<Option<String>, (u64, Hash)>,
    checkpoint: Option<(u64, String)>,
}

#[derive(Clone)]
struct Row {
    order: u64,
    record: Record,
}

struct Holding {
    holder: Option<String>,
    token: u64,
    until: Timestamp,
}

impl Inner {
    fn check(&self, fence: &Fence) -> Result<(), StoreError> {
        match self.leases.get(&fence.lease) {
            Some(held) if held.holder.is_some() && held.token == fence.token => Ok(()),
            _ => Err(StoreError::Fenced(fence.lease.clone())),
        }
    }

    fn placed(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |(size, _)| *size)
    }

    fn shown(&self, stored: &Stored) -> Stored {
        Stored { index: (stored.id <= self.placed()).then(|| stored.id - 1), ..stored.clone() }
    }

    /// All of it or nothing: what it comes to is worked out beside the state, and taken over at the end.
    fn apply(&mut self, change: &Change) -> Result<Committed, StoreError> {
        if let Some(fence) = &change.fence {
            self.check(fence)?;
        }
        for (key, revision) in &change.expects {
            let found = self.records.get(&(key.kind, key.id.clone())).map_or(0, |row| row.record.revision);
            if found != *revision {
                return Err(StoreError::Stale { kind: key.kind, id: key.id.clone() });
            }
        }
        let mut records: BTreeMap<(&'static str, String), Option<Row>> = BTreeMap::new();
        let mut last = self.last;
        for key in &change.deletes {
            records.insert((key.kind, key.id.clone()), None);
        }
        for put in &change.puts {
            let at = (put.key.kind, put.key.id.clone());
            let now = records.get(&at).map_or_else(|| self.records.get(&at), Option::as_ref);
            let (kind, id) = (put.key.kind, put.key.id.clone());
            match (put.rule, now) {
                (Rule::Insert, Some(_)) => return Err(StoreError::Exists { kind, id }),
                (Rule::Revision(revision), found) if found.is_none_or(|row| row.record.revision != revision) => {
                    return Err(StoreError::Stale { kind, id });
                }
                _ => {}
            }
            let (order, revision) = now.map_or((last + 1, 1), |row| (row.order, row.record.revision + 1));
            last = last.max(order);
            let record = Record { id, scope: put.scope.clone(), revision, body: put.body.clone() };
            records.insert(at, Some(Row { order, record }));
        }
        let mut sealed: BTreeMap<String, Option<Sealed>> = BTreeMap::new();
        for id in &change.unseals {
            sealed.insert(id.clone(), None);
        }
        for seal in &change.seals {
            let now = sealed.get(&seal.id).map_or_else(|| self.sealed.get(&seal.id), Option::as_ref);
            if now.is_some_and(|now| now.bytes != seal.bytes) {
                return Err(StoreError::Exists { kind: "sealed value", id: seal.id.clone() });
            }
            sealed.insert(seal.id.clone(), Some(seal.clone()));
        }
        let (mut heads, mut entries) = (BTreeMap::new(), Vec::new());
        for draft in &change.entries {
            let head = heads.get(&draft.reset).or_else(|| self.heads.get(&draft.reset)).copied();
            let (number, previous) = head.map_or((1, entry::FIRST), |(number, hash)| (number + 1, hash));
            let bytes = entry::seal(draft, number, previous)
                .map_err(|source| StoreError::Unrecordable { kind: draft.kind.clone(), source })?;
            heads.insert(draft.reset.clone(), (number, entry::hash(&bytes)));
            let id = (self.entries.len() + entries.len()) as u64 + 1;
            entries.push(Stored { id, index: None, reset: draft.reset.clone(), number, bytes });
        }
        for (at, row) in records {
            match row {
                Some(row) => self.records.insert(at, row),
                None => self.records.remove(&at),
            };
        }
        for (id, seal) in sealed {
            match seal {
                Some(seal) => self.sealed.insert(id, seal),
                None => self.sealed.remove(&id),
            };
        }
        self.last = last;
        self.heads.extend(heads);
        self.entries.extend(entries.iter().cloned());
        Ok(Committed { entries })
    }
}

impl MemoryStore {
    pub(crate) fn watch(&self, watcher: Watcher) {
        *self.watcher.lock().unwrap() = Some(watcher);
    }

    /// Looks at a record without taking it out.
    pub(crate) fn peek<T>(&self, kind: &'static str, id: &str, look: impl FnOnce(&Value) -> T) -> Option<T> {
        let inner = self.inner.lock().unwrap();
        inner.records.get(&(kind, id.to_owned())).map(|row| look(&row.record.body))
    }

    /// The ids of all records of a kind.
    pub(crate) fn ids(&self, kind: &'static str) -> Vec<String> {
        let inner = self.inner.lock().unwrap();
        let from = inner.records.range((kind, String::new())..).take_while(|((of, _), _)| *of == kind);
        from.map(|((_, id), _)| id.clone()).collect()
    }

    /// How often a record was written.
    pub(crate) fn revision(&self, kind: &'static str, id: &str) -> u64 {
        let inner = self.inner.lock().unwrap();
        inner.records.get(&(kind, id.to_owned())).map_or(0, |row| row.record.revision)
    }

    /// Has somebody else this lease?
    pub(crate) fn is_held(&self, lease: &str, by: &str, now: Timestamp) -> bool {
        let inner = self.inner.lock().unwrap();
        let held = |held: &Holding| held.until > now && held.holder.as_deref().is_some_and(|holder| holder != by);
        inner.leases.get(lease).is_some_and(held)
    }

    /// Everything that is sealed, for the checker.
    pub(crate) fn all_sealed(&self) -> Vec<Sealed> {
        self.inner.lock().unwrap().sealed.values().cloned().collect()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        let mut inner = self.inner.lock().unwrap();
        let rotations: Vec<(Option<Value>, &Value)> = change
            .puts
            .iter()
            .filter(|put| put.key.kind == "rotation")
            .map(|put| (inner.records.get(&(put.key.kind, put.key.id.clone())).map(|row| row.record.body.clone()), put))
            .map(|(before, put)| (before, &put.body))
            .collect();
        let committed = inner.apply(&change)?;
        self.bell.ring(Bell::of(&change));
        if let Some(watcher) = &*self.watcher.lock().unwrap() {
            for (before, after) in rotations {
                watcher(before.as_ref(), after, &change.entries);
            }
        }
        Ok(committed)
    }

    async fn watch(&self) -> Result<Box<dyn Wake>, StoreError> {
        Ok(self.bell.watch())
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let inner = self.inner.lock().unwrap();
        Ok(inner.records.get(&(key.kind, key.id.clone())).map(|row| row.record.clone()))
    }

    async fn list(&self, kind: &'static str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
        let inner = self.inner.lock().unwrap();
        let mut rows: Vec<&Row> = inner
            .records
            .range((kind, String::new())..)
            .take_while(|((of, _), _)| *of == kind)
            .map(|(_, row)| row)
            .filter(|row| scope.is_none_or(|scope| row.record.scope == scope))
            .collect();
        rows.sort_by_key(|row| row.order);
        Ok(rows.into_iter().map(|row| row.record.clone()).collect())
    }

    async fn sealed(&self, id: &str) -> Result<Option<Sealed>, StoreError> {
        Ok(self.inner.lock().unwrap().sealed.get(id).cloned())
    }

    async fn sealed_after(&self, after: Option<&str>, limit: usize) -> Result<Vec<Sealed>, StoreError> {
        let inner = self.inner.lock().unwrap();
        let after = inner.sealed.values().filter(|sealed| after.is_none_or(|after| sealed.id.as_str() > after));
        Ok(after.take(limit).cloned().collect())
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, StoreError> {
        let mut inner = self.inner.lock().unwrap();
        let token = match inner.leases.get(name) {
            None => 1,
            Some(held) if held.holder.as_deref() == Some(holder) => held.token,
            Some(held) if held.holder.is_some() && held.until > now => return Ok(None),
            Some(held) => held.token + 1,
        };
        inner.leases.insert(name.to_owned(), Holding { holder: Some(holder.to_owned()), token, until });
        Ok(Some(Fence { lease: name.to_owned(), token }))
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        let mut inner = self.inner.lock().unwrap();
        inner.check(fence)?;
        if let Some(held) = inner.leases.get_mut(&fence.lease) {
            held.holder = None;
        }
        Ok(())
    }

    async fn unsequenced(&self, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let inner = self.inner.lock().unwrap();
        let placed = inner.placed();
        Ok(inner.entries.iter().filter(|stored| stored.id > placed).take(limit).cloned().collect())
    }

    async fn sequence(&self, fence: &Fence, ids: &[u64], size: u64, checkpoint: &str) -> Result<(), StoreError> {
        let mut inner = self.inner.lock().unwrap();
        inner.check(fence)?;
        let placed = inner.placed();
        let next = ids.iter().copied().eq(placed + 1..=size) && size > placed && size <= inner.entries.len() as u64;
        if !next {
            return Err(StoreError::Broken { what: "was asked for places out of order".to_owned(), source: None });
        }
        inner.checkpoint = Some((size, checkpoint.to_owned()));
        Ok(())
    }

    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let inner = self.inner.lock().unwrap();
        let placed = inner.placed();
        let of = inner.entries.iter().filter(|stored| stored.id > from && stored.id <= placed);
        Ok(of.take(limit).map(|stored| inner.shown(stored)).collect())
    }

    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
        let inner = self.inner.lock().unwrap();
        let of = inner.entries.iter().filter(|stored| stored.reset.as_deref() == Some(reset.0.as_str()));
        Ok(of.map(|stored| inner.shown(stored)).collect())
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        Ok(self.inner.lock().unwrap().checkpoint.clone())
    }
}

/// The store as one process reaches it.
pub(crate) struct Line {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) fate: Arc<dyn Fate>,
    pub(crate) name: String,
}

impl Line {
    /// On the way there: stopped, cut off, or slow.
    async fn reach(&self) -> Result<(), StoreError> {
        self.gate.pass().await;
        let over = |until: &Mutex<Option<Instant>>| until.lock().unwrap().is_none_or(|until| until <= Instant::now());
        let wait = if over(&self.gate.slow) { Duration::from_millis(1) } else { Duration::from_millis(700) };
        tokio::time::sleep(wait).await;
        self.gate.pass().await;
        if over(&self.gate.cut_off) { Ok(()) } else { Err(broken("cannot be reached")) }
    }

    /// What was asked came; the answer goes back.
    async fn answer<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.gate.pass().await;
        answer
    }
}

fn broken(what: &str) -> StoreError {
    StoreError::Broken { what: what.to_owned(), source: None }
}

#[async_trait]
impl Store for Line {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        self.reach().await?;
        match self.fate.commit(&self.name, &change) {
            CommitFate::Fine => self.answer(self.store.commit(change).await).await,
            CommitFate::FailBefore => Err(broken("failed before the commit")),
            CommitFate::FailAfter => {
                self.store.commit(change).await?;
                Err(broken("failed after the commit"))
            }
            CommitFate::CrashBefore => {
                self.gate.kill();
                std::future::pending().await
            }
            CommitFate::CrashAfter => {
                let _ = self.store.commit(change).await;
                self.gate.kill();
                std::future::pending().await
            }
            CommitFate::StopBefore => {
                self.gate.stop();
                self.gate.pass().await;
                self.answer(self.store.commit(change).await).await
            }
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.reach().await?;
        self.answer(self.store.get(key).await).await
    }

    async fn list(&self, kind: &'static str, scope: Option<&str>) -> Result<Vec<Record>, StoreError> {
        self.reach().await?;
        self.answer(self.store.list(kind, scope).await).await
    }

    async fn sealed(&self, id: &str) -> Result<Option<Sealed>, StoreError> {
        self.reach().await?;
        self.answer(self.store.sealed(id).await).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, StoreError> {
        self.reach().await?;
        self.answer(self.store.lease(name, holder, now, until).await).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.reach().await?;
        self.answer(self.store.release(fence).await).await
    }

    async fn unsequenced(&self, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.reach().await?;
        self.answer(self.store.unsequenced(limit).await).await
    }

    async fn sequence(&self, fence: &Fence, ids: &[u64], size: u64, checkpoint: &str) -> Result<(), StoreError> {
        self.reach().await?;
        self.answer(self.store.sequence(fence, ids, size, checkpoint).await).await
    }

    async fn sequenced(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.reach().await?;
        self.answer(self.store.sequenced(from, limit).await).await
    }

    async fn entries_of(&self, reset: &ResetId) -> Result<Vec<Stored>, StoreError> {
        self.reach().await?;
        self.answer(self.store.entries_of(reset).await).await
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.reach().await?;
        self.answer(self.store.checkpoint().await).await
    }
}

#[tokio::test]
async fn the_store_in_memory_keeps_every_promise_of_a_store() {
    crate::store::suite(async || MemoryStore::default()).await;
}

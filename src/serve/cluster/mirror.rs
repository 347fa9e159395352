//! The custom resources as they were seen last, and those that were let in and not seen yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use remint_cluster::{Resource, document};
use remint_contract::{Name, Ref};
use remint_core::estate::SourceFile;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// How long something that was let in counts without being seen.
const COMING: Duration = Duration::from_secs(30);

/// Kind, namespace and name.
type Key = (String, String, String);

/// What the cluster holds.
#[derive(Debug, Default)]
pub(in crate::serve) struct Mirror {
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    objects: BTreeMap<Key, Value>,
    coming: BTreeMap<Key, (Value, Timestamp)>,
    /// Lists that were read once, of those that there are.
    listed: BTreeSet<(String, Option<String>)>,
    /// Documents that changed since somebody took these.
    touched: BTreeSet<Key>,
    /// Goes up with every change of a document.
    version: u64,
    /// Goes up with every change of anything, for each kind.
    changes: BTreeMap<String, u64>,
}

impl Mirror {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a whole list: what is not in it is gone.
    pub(super) fn listed(&self, kind: &str, space: Option<&str>, objects: Vec<Value>) {
        let mut seen = self.lock();
        let here = |key: &Key| key.0 == kind && space.is_none_or(|space| key.1 == space);
        let mut fresh: BTreeMap<Key, Value> = BTreeMap::new();
        for mut object in objects {
            object["kind"] = Value::from(kind);
            fresh.insert(key(&object), object);
        }
        let same = seen
            .objects
            .iter()
            .filter(|(key, _)| here(key))
            .map(|(key, object)| (key, version(object)))
            .eq(fresh.iter().map(|(key, object)| (key, version(object))));
        seen.listed.insert((kind.to_owned(), space.map(str::to_owned)));
        if !same {
            let before: Vec<Key> = seen.objects.keys().filter(|key| here(key)).cloned().collect();
            seen.touched.extend(before);
            seen.objects.retain(|key, _| !here(key));
            for (key, object) in fresh {
                seen.touched.insert(key.clone());
                seen.coming.remove(&key);
                seen.objects.insert(key, object);
            }
            seen.version += 1;
            seen.changed(kind);
        }
        drop(seen);
        self.changed.notify_waiters();
    }

    /// Takes in one that is new or changed.
    pub(super) fn put(&self, object: Value) {
        let mut seen = self.lock();
        let key = key(&object);
        let before = seen.objects.get(&key);
        let said = before.is_none_or(|before| {
            before["spec"] != object["spec"] || before["metadata"]["labels"] != object["metadata"]["labels"]
        });
        if seen.coming.remove(&key).is_some() || said {
            seen.touched.insert(key.clone());
        }
        seen.changed(&key.0);
        seen.objects.insert(key, object);
        // What is only said of a document is no other document.
        if said {
            seen.version += 1;
        }
        drop(seen);
        self.changed.notify_waiters();
    }

    pub(super) fn gone(&self, object: &Value) {
        let mut seen = self.lock();
        let key = key(object);
        seen.coming.remove(&key);
        seen.touched.insert(key.clone());
        if seen.objects.remove(&key).is_some() {
            seen.version += 1;
            seen.changed(&key.0);
        }
        drop(seen);
        self.changed.notify_waiters();
    }

    /// One that the webhook let in: it counts until it is seen.
    pub(super) fn coming(&self, object: Value, now: Timestamp) {
        let (mut seen, key) = (self.lock(), key(&object));
        seen.touched.insert(key.clone());
        seen.coming.insert(key, (object, now));
    }

    /// How many lists were read.
    pub(super) fn lists(&self) -> usize {
        self.lock().listed.len()
    }

    /// Until something changed since this was called.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Changes with every document.
    pub(in crate::serve) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Changes with everything, also with what is only said of an object.
    pub(super) fn changes(&self) -> u64 {
        self.lock().changes.values().sum()
    }

    /// Changes with everything of these kinds.
    pub(super) fn changes_of(&self, kinds: &[&str]) -> u64 {
        let seen = self.lock();
        kinds.iter().filter_map(|kind| seen.changes.get(*kind)).sum()
    }

    /// The objects of a kind.
    pub(super) fn of(&self, kind: &str) -> Vec<Value> {
        let seen = self.lock();
        seen.objects.iter().filter(|(key, _)| key.0 == kind).map(|(_, object)| object.clone()).collect()
    }

    /// One object.
    pub(super) fn one(&self, kind: &str, space: &str, name: &str) -> Option<Value> {
        let key = (kind.to_owned(), space.to_owned(), name.to_owned());
        self.lock().objects.get(&key).cloned()
    }

    /// The documents of the estate, by namespace.
    pub(in crate::serve) fn documents(&self) -> BTreeMap<Name, Vec<SourceFile>> {
        let seen = self.lock();
        let documents = seen.objects.iter().filter(|(key, object)| is_document(&key.0) && !document::suspended(object));
        let mut spaces: BTreeMap<Name, Vec<SourceFile>> = BTreeMap::new();
        for (_, object) in documents {
            // Every namespace of a cluster has a name that a namespace of an estate may have.
            let space = Name::new(document::namespace(object)).unwrap_or_else(|_| Name::default_namespace());
            spaces.entry(space).or_default().push(document::document(object));
        }
        spaces
    }

    /// The documents that changed since this was asked last, as they are now with those that were let in just now; `None`:
    /// there is none of that name any more.
    pub(super) fn touched(&self, now: Timestamp) -> Vec<(Ref, Option<SourceFile>)> {
        let mut seen = self.lock();
        let late = |(_, at): &(Value, Timestamp)| now.duration_since(*at).unsigned_abs() >= COMING;
        let lost: Vec<Key> = seen.coming.iter().filter(|(_, one)| late(one)).map(|(key, _)| key.clone()).collect();
        for key in lost {
            seen.coming.remove(&key);
            seen.touched.insert(key);
        }
        let keys = std::mem::take(&mut seen.touched);
        let documents = keys.into_iter().filter(|key| is_document(&key.0));
        documents.filter_map(|key| Some((reference(&key)?, seen.now(&key).map(document::document)))).collect()
    }

    /// These documents, as they are now.
    pub(super) fn these(&self, names: &BTreeSet<Ref>) -> Vec<SourceFile> {
        let seen = self.lock();
        names.iter().filter_map(|name| seen.now(&place(name)).map(document::document)).collect()
    }
}

impl Seen {
    fn changed(&mut self, kind: &str) {
        match self.changes.get_mut(kind) {
            Some(changes) => *changes += 1,
            None => drop(self.changes.insert(kind.to_owned(), 1)),
        }
    }

    fn now(&self, key: &Key) -> Option<&Value> {
        self.coming.get(key).map(|(object, _)| object).or_else(|| self.objects.get(key))
    }
}

/// What documents call an object.
fn reference((kind, space, name): &Key) -> Option<Ref> {
    document::reference(&json!({ "kind": kind, "metadata": { "namespace": space, "name": name } }))
}

/// Where an object of that name lies.
fn place(name: &Ref) -> Key {
    let spaced = Resource::named(name.kind.as_str()).is_some_and(|resource| resource.namespaced);
    let space = if spaced { name.namespace.to_string() } else { String::new() };
    (name.kind.as_str().to_owned(), space, name.name.to_string())
}

fn is_document(kind: &str) -> bool {
    Resource::named(kind).is_some_and(|resource| resource.estate)
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default()
}

fn key(object: &Value) -> Key {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
}

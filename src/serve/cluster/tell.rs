//! What is said of documents: whether they are valid, and whether the active estate is what they say.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt as _;
use remint_cluster::RESOURCES;
use remint_cluster::condition::{Condition, written};
use remint_cluster::document;
use serde_json::json;

use crate::serve::cluster::held::Held;
use crate::serve::cluster::{AT_ONCE, Cluster};
use crate::serve::folder::{Folder, Standing};

pub(super) async fn look(cluster: &Cluster, folder: &Folder) {
    let kinds = RESOURCES.into_iter().filter(|resource| resource.estate && resource.kind != "Credential");
    let kinds: Vec<&str> = kinds.map(|resource| resource.kind).collect();
    // Taken before anything is read: what changes meanwhile shows at the next look.
    let rest = Rest { changes: cluster.mirror.changes_of(&kinds), says: Says::of(&folder.standing()) };
    if cluster.documents.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&rest) {
        return;
    }
    let objects = futures::stream::iter(kinds.into_iter().flat_map(|kind| cluster.mirror.of(kind)));
    let (says, all) = (&rest.says, &AtomicBool::new(true));
    let each = objects.for_each_concurrent(AT_ONCE, |object| async move {
        let conditions = says.conditions(&object);
        let generation = &object["metadata"]["generation"];
        let now = cluster.clock().now();
        let status = json!({
            "observedGeneration": generation,
            "conditions": written(&conditions, &object["status"]["conditions"], generation, now),
        });
        if !cluster.say(&object, &status).await {
            all.store(false, Ordering::Relaxed);
        }
    });
    each.await;
    let all = all.load(Ordering::Relaxed);
    *cluster.documents.lock().unwrap_or_else(PoisonError::into_inner) = all.then_some(rest);
}

/// Everything that something could be said from: while it is the same, ten thousand documents need no look.
#[derive(Debug, PartialEq)]
pub(super) struct Rest {
    changes: u64,
    says: Says,
}

/// What the folder says of each document.
#[derive(Debug, PartialEq)]
pub(super) struct Says {
    /// Of the namespaces that stay as they are active.
    held: Held,
    staged: BTreeSet<String>,
    digest: Option<String>,
}

impl Says {
    pub(super) fn of(standing: &Standing) -> Self {
        let held = Held::of(&standing.held);
        let staged = standing.staged.as_ref();
        let differences = staged.into_iter().flat_map(|staged| &staged.diff.differences);
        Self {
            held,
            staged: differences.map(|difference| difference.document.to_string()).collect(),
            digest: staged.map(|staged| staged.digest.to_string()),
        }
    }

    pub(super) fn conditions(&self, object: &serde_json::Value) -> Vec<Condition> {
        let name = document::name(object);
        let (valid, ready) = match self.wrong(object) {
            Some(why) => {
                (Condition::new("Valid", false, "Invalid", why.clone()), Condition::new("Ready", false, "Invalid", why))
            }
            None => (Condition::new("Valid", true, "Valid", ""), self.ready(object, &name)),
        };
        vec![ready, valid]
    }

    /// What is wrong with a document.
    pub(super) fn wrong(&self, object: &serde_json::Value) -> Option<String> {
        self.held.documents.get(&document::name(object)).map(|sentences| sentences.join("\n"))
    }

    fn ready(&self, object: &serde_json::Value, name: &str) -> Condition {
        if document::suspended(object) {
            return Condition::new("Ready", false, "Suspended", "it is suspended: take `suspend` out of it");
        }
        if self.staged.contains(name) {
            let digest = self.digest.as_deref().unwrap_or_default();
            let why = format!("what it says is not active yet: remint estate activate {digest}");
            return Condition::new("Ready", false, "Staged", why);
        }
        if let Some(why) = self.held.spaces.get(document::namespace(object)) {
            return Condition { holds: None, ..Condition::new("Ready", false, "OthersInvalid", why.clone()) };
        }
        Condition::new("Ready", true, "Active", "")
    }
}

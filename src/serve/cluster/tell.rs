//! What is said of documents: whether they are valid, and whether the active estate is what they say.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use remint_cluster::RESOURCES;
use remint_cluster::condition::{Condition, written};
use remint_cluster::document;
use remint_core::estate::Severity;
use serde_json::json;

use crate::serve::cluster::{AT_ONCE, Cluster};
use crate::serve::folder::{Folder, Standing};

/// How much of what is wrong elsewhere is told, in bytes.
const LONGEST: usize = 1000;

pub(super) async fn look(cluster: &Cluster, folder: &Folder) {
    let standing = folder.standing();
    let says = Says::of(&standing);
    let kinds = RESOURCES.into_iter().filter(|resource| resource.estate && resource.kind != "Credential");
    let objects = futures::stream::iter(kinds.flat_map(|resource| cluster.mirror.of(resource.kind)));
    let says = &says;
    let each = objects.for_each_concurrent(AT_ONCE, |object| async move {
        let conditions = says.conditions(&object);
        let generation = &object["metadata"]["generation"];
        let now = cluster.clock().now();
        let status = json!({
            "observedGeneration": generation,
            "conditions": written(&conditions, &object["status"]["conditions"], generation, now),
        });
        cluster.say(&object, &status).await;
    });
    each.await;
}

/// What the folder says of each document.
#[derive(Debug, PartialEq)]
pub(super) struct Says {
    wrong: BTreeMap<String, Vec<String>>,
    /// Namespaces that stay as they are active, and what of that is no fault of a document of theirs alone.
    held: BTreeMap<String, String>,
    staged: BTreeSet<String>,
    digest: Option<String>,
}

impl Says {
    pub(super) fn of(standing: &Standing) -> Self {
        let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut held: BTreeMap<String, String> = BTreeMap::new();
        for (space, problems) in &standing.held {
            let why = held.entry(space.to_string()).or_default();
            for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
                let own = problem.subject.as_ref().is_none_or(|subject| subject.namespace == *space);
                let sentence = document::sentence(problem);
                if !own && why.len() < LONGEST {
                    why.push('\n');
                    why.push_str(&sentence);
                }
                if own && !problem.file.is_empty() {
                    wrong.entry(problem.file.clone()).or_default().push(sentence);
                }
            }
        }
        let staged = standing.staged.as_ref();
        let differences = staged.into_iter().flat_map(|staged| &staged.diff.differences);
        Self {
            held,
            wrong,
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
        self.wrong.get(&document::name(object)).map(|sentences| sentences.join("\n"))
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
        if let Some(others) = self.held.get(document::namespace(object)) {
            let why =
                format!("another document of its namespace is invalid, and a namespace changes as a whole{others}");
            return Condition { holds: None, ..Condition::new("Ready", false, "OthersInvalid", why) };
        }
        Condition::new("Ready", true, "Active", "")
    }
}

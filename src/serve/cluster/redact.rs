//! What the status of an act says of namespaces where whoever asked may not read: how many, and nothing else.
//!
//! The API server is asked what he may, as it would decide for himself (`SubjectAccessReview`), and its answer counts for a
//! minute. Guarantee: where it does not answer, nothing is shown.

use std::sync::PoisonError;
use std::time::Duration;

use axum::http::Method;
use remint_cluster::act::{self, Requester};
use remint_cluster::progress::{Parked, Progress};
use remint_cluster::{GROUP, document};
use remint_contract::{Name, Ref};
use serde_json::{Value, json};

use crate::serve::causes;
use crate::serve::cluster::Cluster;

const LASTS: Duration = Duration::from_mins(1);

/// Takes out of it what is not for him.
pub(super) async fn redact(cluster: &Cluster, object: &Value, progress: &mut Progress) {
    let here = document::namespace(object);
    let asked = act::requester(object, &cluster.key).ok();
    let first = progress.parked.first().map(|one| one.next.clone());
    let mut shown: Vec<Parked> = Vec::new();
    for one in std::mem::take(&mut progress.parked) {
        let lies = one.credential.parse::<Ref>().map(|credential| credential.namespace);
        let open = match (&lies, &asked) {
            (Ok(space), _) if space.as_str() == here => true,
            (Ok(space), Some(asked)) => reads(cluster, asked, space).await,
            _ => false,
        };
        if open {
            shown.push(one);
        } else {
            progress.elsewhere += 1;
        }
    }
    // The next thing to do was that of the first.
    if first.is_some_and(|first| first == progress.next) {
        progress.next = match shown.first() {
            Some(one) => one.next.clone(),
            None if progress.elsewhere > 0 => "whoever may read there: remint get parked".to_owned(),
            None => String::new(),
        };
    }
    progress.parked = shown;
}

/// Whether he may read the credentials of a namespace.
async fn reads(cluster: &Cluster, asked: &Requester, space: &Name) -> bool {
    let (key, now) = ((asked.user.clone(), asked.groups.clone(), space.to_string()), cluster.clock().now());
    let fresh = |at| now.duration_since(at).unsigned_abs() < LASTS;
    {
        let mut known = cluster.reads.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, _)| fresh(*at));
        if let Some((_, may)) = known.get(&key) {
            return *may;
        }
    }
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": asked.user, "uid": asked.uid, "groups": asked.groups,
            "resourceAttributes": { "namespace": space.as_str(), "verb": "get", "group": GROUP, "resource": "credentials" },
        },
    });
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let may = match cluster.way.ask(Method::POST, path, "application/json", &review).await {
        Ok(answer) => answer["status"]["allowed"] == true,
        Err(error) => {
            tracing::warn!(error = causes(&error), "what a requester may read is not known, so nothing of it is shown");
            false
        }
    };
    cluster.reads.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (now, may));
    may
}

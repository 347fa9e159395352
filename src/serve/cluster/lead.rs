//! Which of several daemons does what is done once: reads acts, and says how things stand.
//!
//! Guarantees: a daemon that could not renew its Lease in time does nothing of that until it has it again. The Lease also
//! names the state whose acts these are: a state that never knew them begins none.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use axum::http::Method;
use remint_cluster::lease::{self, LASTS, Seen, Step};
use serde_json::{Value, json};

use crate::serve::cluster::{Cluster, ClusterError};
use crate::serve::{Stopping, causes};

/// Which state the acts of this cluster belong to.
pub(super) const STATE: &str = "remint.dev/state";

pub(super) async fn run(cluster: &Cluster, stopping: Stopping) {
    let mut stopped = std::pin::pin!(stopping.stopped());
    let (mut seen, mut last) = (Seen::default(), None);
    loop {
        let now = cluster.clock().now();
        match look(cluster, &mut seen).await {
            Ok(leads) => {
                if leads {
                    last = Some(now);
                }
                if cluster.leads.swap(leads, Ordering::SeqCst) != leads {
                    tracing::info!(leads, "who leads has changed");
                    // What was said last may have been another's.
                    cluster.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    cluster.wake.notify_waiters();
                }
            }
            Err(error) => {
                tracing::warn!(error = causes(&error), "the Lease cannot be looked at");
                let held = last.is_some_and(|last| now.duration_since(last).unsigned_abs() < LASTS * 2 / 3);
                if !held {
                    cluster.leads.store(false, Ordering::SeqCst);
                }
            }
        }
        tokio::select! {
            () = &mut stopped => break,
            () = cluster.clock().sleep(LASTS / 3) => {}
        }
    }
    if cluster.leads.swap(false, Ordering::SeqCst)
        && let Ok(lease) = cluster.way.get(&one(cluster)).await
        && lease["spec"]["holderIdentity"] == cluster.holder.as_str()
    {
        // Whoever waits takes it at once; if this fails, he waits as after a crash.
        let _ = write(cluster, &lease::let_go(&lease)).await;
    }
}

async fn look(cluster: &Cluster, seen: &mut Seen) -> Result<bool, ClusterError> {
    let lease = match cluster.way.get(&one(cluster)).await {
        Ok(lease) => lease,
        Err(error) if error.status() == Some(404) => Value::Null,
        Err(error) => return Err(error),
    };
    let Step::Write(mut next) = seen.look(&lease, &cluster.holder, cluster.clock().now()) else { return Ok(false) };
    let state = next["metadata"]["annotations"][STATE].as_str().map(str::to_owned);
    cluster.foreign.store(state.as_ref().is_some_and(|state| *state != cluster.state), Ordering::SeqCst);
    if state.is_none() {
        next["metadata"]["annotations"][STATE] = json!(cluster.state);
    }
    next["metadata"]["name"] = json!(NAME);
    next["metadata"]["namespace"] = json!(cluster.at.namespace);
    match write(cluster, &next).await {
        Ok(_) => Ok(true),
        // Somebody was quicker.
        Err(error) if error.status() == Some(409) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn write(cluster: &Cluster, lease: &Value) -> Result<Value, ClusterError> {
    if lease["metadata"]["resourceVersion"].is_null() {
        return cluster.way.ask(Method::POST, &all(cluster), "application/json", lease).await;
    }
    cluster.way.ask(Method::PUT, &one(cluster), "application/json", lease).await
}

const NAME: &str = "remint";

fn all(cluster: &Cluster) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", cluster.at.namespace)
}

fn one(cluster: &Cluster) -> String {
    format!("{}/{NAME}", all(cluster))
}

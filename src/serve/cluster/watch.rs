//! Keeps the mirror as the cluster is: lists once, then hears of changes; lists again when it was too long away.

use std::time::Duration;

use futures::StreamExt as _;
use kube::core::WatchEvent;
use remint_cluster::{RESOURCES, Resource};

use crate::serve::cluster::{Cluster, ClusterAt, ClusterError};
use crate::serve::{Stopping, causes};

/// After a failure.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Every list that is kept: a kind, or a kind in one namespace.
pub(super) fn lists(at: &ClusterAt) -> Vec<(Resource, Option<String>)> {
    let spaces = &at.namespaces;
    let mut lists = Vec::new();
    for resource in RESOURCES {
        if resource.namespaced && !spaces.is_empty() {
            lists.extend(spaces.iter().map(|space| (resource, Some(space.clone()))));
        } else {
            lists.push((resource, None));
        }
    }
    lists
}

pub(super) async fn run(cluster: &Cluster, stopping: Stopping) {
    let all = lists(&cluster.at).into_iter().map(|(resource, space)| follow(cluster, resource, space));
    tokio::select! {
        () = stopping.stopped() => {}
        _ = futures::future::join_all(all) => {}
    }
}

async fn follow(cluster: &Cluster, resource: Resource, space: Option<String>) {
    let mut wait = FIRST;
    loop {
        match once(cluster, resource, space.as_deref(), &mut wait).await {
            Ok(()) => tracing::info!(kind = resource.kind, "too long away: it is listed again"),
            Err(error) => {
                tracing::warn!(
                    kind = resource.kind,
                    error = causes(&error),
                    "the cluster is not heard; it is tried again"
                );
            }
        }
        cluster.clock().sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    }
}

/// Lists and watches until the watch cannot be gone on with.
async fn once(
    cluster: &Cluster,
    resource: Resource,
    space: Option<&str>,
    wait: &mut Duration,
) -> Result<(), ClusterError> {
    let (objects, mut version) = cluster.way.list(resource, space).await?;
    cluster.mirror.listed(resource.kind, space, objects);
    loop {
        let mut changes = std::pin::pin!(cluster.way.watch(resource, space, &version).await?);
        *wait = FIRST;
        loop {
            match changes.next().await.transpose()? {
                // It lasted as long as was asked for.
                None => break,
                Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    newer(&mut version, &object);
                    cluster.mirror.put(object);
                }
                Some(WatchEvent::Deleted(object)) => {
                    newer(&mut version, &object);
                    cluster.mirror.gone(&object);
                }
                Some(WatchEvent::Bookmark(mark)) => version = mark.metadata.resource_version,
                // 410: what happened since is forgotten.
                Some(WatchEvent::Error(_)) => return Ok(()),
            }
        }
    }
}

fn newer(version: &mut String, object: &serde_json::Value) {
    if let Some(found) = object["metadata"]["resourceVersion"].as_str() {
        found.clone_into(version);
    }
}

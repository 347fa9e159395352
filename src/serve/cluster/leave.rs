//! What the chart's Jobs do: bring the definitions forward before an upgrade, and look, before it is uninstalled, whether
//! anything is still held.

use axum::http::Method;
use remint_cluster::{GROUP, RESOURCES, document};
use remint_contract::Ref;

use crate::serve::cluster::credentials::holds;
use crate::serve::cluster::way::Way;
use crate::serve::cluster::{ClusterAt, ClusterError, watch};

/// Writes the definitions of this program over those of the cluster; how many.
///
/// # Errors
/// The cluster cannot be asked, or refuses one of them.
pub async fn define(at: &ClusterAt) -> Result<usize, ClusterError> {
    let way = Way::open(at)?;
    for resource in RESOURCES {
        let path = format!("{DEFINITIONS}/{}.{GROUP}?fieldManager=remint&force=true", resource.plural);
        way.ask(Method::PATCH, &path, "application/apply-patch+yaml", &resource.definition()).await?;
    }
    Ok(RESOURCES.len())
}

/// The Credentials whose objects cannot go while nobody lets them.
///
/// # Errors
/// The cluster cannot be asked.
pub async fn held(at: &ClusterAt) -> Result<Vec<Ref>, ClusterError> {
    let way = Way::open(at)?;
    let mut held = Vec::new();
    for (resource, space) in watch::lists(at).into_iter().filter(|(resource, _)| resource.kind == "Credential") {
        let (objects, _) = way.list(resource, space.as_deref()).await?;
        held.extend(objects.iter().filter(|object| holds(object)).filter_map(document::reference));
    }
    held.sort();
    Ok(held)
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

//! The way to the API server, as the daemon's own account: one question, one answer, in JSON.
//!
//! Guarantees: nothing is tried again here; no proxy and no kubeconfig is taken from the environment.

use std::time::Duration;

use axum::http::{Method, Request};
use futures::{Stream, StreamExt as _};
use kube::core::WatchEvent;
use remint_cluster::admission::RELEASE;
use remint_cluster::{GROUP, Resource, VERSION};
use remint_contract::Ref;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::serve::cluster::ClusterAt;

/// Who writes, in managed fields.
const MANAGER: &str = "remint";
/// How much of a list is asked for at a time.
const PAGE: usize = 500;
/// How long a watch lasts before it is begun again.
const WATCH: Duration = Duration::from_mins(5);

/// Why the cluster cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("{0} is no address of an API server")]
    Address(String),
    #[error("cannot read {path}")]
    Read {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} holds no certificate in PEM")]
    Pem(std::path::PathBuf),
    #[error("the API server did not {what}")]
    Asked {
        what: String,
        #[source]
        source: Box<kube::Error>,
    },
}

impl ClusterError {
    /// The status of the API server's answer, where there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Asked { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A client.
pub(super) struct Way {
    config: kube::Config,
    client: OnceCell<kube::Client>,
}

impl Way {
    pub(super) fn open(at: &ClusterAt) -> Result<Self, ClusterError> {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        let address = at.server.parse().map_err(|_| ClusterError::Address(at.server.clone()))?;
        let pem = std::fs::read(&at.ca).map_err(|source| ClusterError::Read { path: at.ca.clone(), source })?;
        let roots: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&pem).map(|one| one.map(|one| one.as_ref().to_vec())).collect();
        let roots = roots.ok().filter(|roots| !roots.is_empty()).ok_or_else(|| ClusterError::Pem(at.ca.clone()))?;
        let mut config = kube::Config::new(address);
        config.root_cert = Some(roots);
        config.default_retry = false;
        config.auth_info.token_file = Some(at.token_file.display().to_string());
        Ok(Self { config, client: OnceCell::new() })
    }

    async fn client(&self) -> Result<&kube::Client, kube::Error> {
        self.client.get_or_try_init(|| async { kube::Client::try_from(self.config.clone()) }).await
    }

    /// One request.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: &Value,
    ) -> Result<Value, ClusterError> {
        let what = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let asked = async {
            let request = Request::builder().method(method).uri(path).header("content-type", content).body(body);
            self.client().await?.request(request.map_err(kube::Error::HttpError)?).await
        };
        asked.await.map_err(|source| ClusterError::Asked { what, source: Box::new(source) })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, ClusterError> {
        self.ask(Method::GET, path, "application/json", &Value::Null).await
    }

    /// What is said of an object, by server-side apply: only our fields, over whoever else wrote them.
    pub(super) async fn status(&self, object: &Value, status: &Value) -> Result<(), ClusterError> {
        let path = format!("{}/status?fieldManager={MANAGER}&force=true", place(object));
        let mut body = json!({ "apiVersion": object["apiVersion"], "kind": object["kind"], "status": status });
        body["metadata"] = json!({ "name": object["metadata"]["name"] });
        // Of this very object: of another with its name nothing is known. In a status a server heeds the version alone.
        let resource = object["kind"].as_str().and_then(Resource::named);
        if resource.is_some_and(|resource| !resource.estate) {
            body["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
        }
        self.ask(Method::PATCH, &path, "application/apply-patch+yaml", &body).await.map(drop)
    }

    /// Replaces the finalizers of an object, as it is in this version.
    pub(super) async fn finalizers(&self, object: &Value, finalizers: &[String]) -> Result<(), ClusterError> {
        let version = &object["metadata"]["resourceVersion"];
        let body = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": version } });
        let path = format!("{}?fieldManager={MANAGER}", place(object));
        self.ask(Method::PATCH, &path, "application/merge-patch+json", &body).await.map(drop)
    }

    /// Somebody's word that an object may go, and the object with it.
    pub(super) async fn release(&self, credential: &Ref) -> Result<Value, ClusterError> {
        let object = json!({
            "kind": credential.kind.as_str(),
            "metadata": { "namespace": credential.namespace.as_str(), "name": credential.name.as_str() },
        });
        let body = json!({ "metadata": { "annotations": { RELEASE: "true" } } });
        let path = format!("{}?fieldManager={MANAGER}", place(&object));
        self.ask(Method::PATCH, &path, "application/merge-patch+json", &body).await
    }

    /// Everything of a kind, and the version of the list.
    pub(super) async fn list(
        &self,
        resource: Resource,
        space: Option<&str>,
    ) -> Result<(Vec<Value>, String), ClusterError> {
        let (path, mut all, mut more) = (collection(resource, space), Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("{path}?limit={PAGE}{more}")).await?;
            if let Some(items) = page["items"].as_array_mut() {
                all.append(items);
            }
            let text = |key: &str| page["metadata"][key].as_str().unwrap_or_default().to_owned();
            let next = text("continue");
            if next.is_empty() {
                return Ok((all, text("resourceVersion")));
            }
            more = format!("&continue={next}");
        }
    }

    /// What changes from a version on.
    pub(super) async fn watch(
        &self,
        resource: Resource,
        space: Option<&str>,
        version: &str,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Value>, ClusterError>> + use<>, ClusterError> {
        let path = collection(resource, space);
        let path = format!(
            "{path}?watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={}",
            WATCH.as_secs()
        );
        let what = format!("watch {}", resource.plural);
        let lost = move |source: kube::Error| ClusterError::Asked { what: what.clone(), source: Box::new(source) };
        let asked = async {
            let request = Request::builder().uri(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
            self.client().await?.request_events::<Value>(request).await
        };
        Ok(asked.await.map_err(&lost)?.map(move |one| one.map_err(&lost)))
    }
}

fn collection(resource: Resource, space: Option<&str>) -> String {
    match space {
        Some(space) => format!("/apis/{GROUP}/{VERSION}/namespaces/{space}/{}", resource.plural),
        None => format!("/apis/{GROUP}/{VERSION}/{}", resource.plural),
    }
}

/// Where an object of ours lies.
fn place(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = object["kind"].as_str().and_then(Resource::named);
    let Some(resource) = resource else { return String::new() };
    let space = text(&object["metadata"]["namespace"]);
    let space = Some(space.as_str()).filter(|_| resource.namespaced);
    format!("{}/{}", collection(resource, space), text(&object["metadata"]["name"]))
}

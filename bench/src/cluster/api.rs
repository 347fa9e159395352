//! The API server, asked by a plain client.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use remint_cluster::webhook::{self, Place};
use remint_cluster::{RESOURCES, Resource};
use serde_json::{Value, json};

use crate::Outcome;

const GROUP: &str = "/apis/remint.dev/v1alpha1";

pub(super) struct Api {
    pub(super) address: String,
    pub(super) token_file: PathBuf,
    pub(super) ca: PathBuf,
    token: String,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

/// Writes that the server took.
pub(super) struct Counted {
    /// Statuses of Credentials.
    pub(super) statuses: u64,
    /// Credentials themselves.
    pub(super) objects: u64,
    pub(super) events: u64,
    /// Statuses of Resets.
    pub(super) resets: u64,
}

impl Api {
    /// The server that `cargo xtask bench` started.
    #[expect(clippy::disallowed_methods, reason = "a benchmark is told where its server is")]
    pub(super) fn find() -> Outcome<Self> {
        let told = |name: &str| {
            std::env::var(name).map_err(|_| "there is no API server; run it as `cargo xtask bench cluster`")
        };
        let (address, token) = (told("REMINT_TEST_KUBERNETES")?, told("REMINT_TEST_KUBERNETES_TOKEN")?);
        let ca = PathBuf::from(told("REMINT_TEST_KUBERNETES_CA")?);
        let folder = tempfile::tempdir()?;
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, &token)?;
        let authorities = reqwest::Certificate::from_pem_bundle(&std::fs::read(&ca)?)?;
        let http = reqwest::Client::builder().no_proxy().tls_certs_only(authorities).build()?;
        Ok(Self { address, token_file, ca, token, http, _folder: folder })
    }

    async fn ask(&self, method: &str, path: &str, content: &str, body: &Value) -> Outcome<Value> {
        let request = self.http.request(method.parse()?, format!("{}{path}", self.address)).bearer_auth(&self.token);
        let request = request.header("content-type", content);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let answer = request.send().await?;
        let (good, text) = (answer.status().is_success(), answer.text().await?);
        if !good {
            return Err(format!("{method} {path}: {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// The definitions, served; what lay there of them before is gone.
    pub(super) async fn define(&self) -> Outcome<()> {
        for resource in RESOURCES {
            let all = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            self.ask("POST", all, "application/json", &resource.definition()).await?;
        }
        for resource in RESOURCES {
            let all = format!("{GROUP}/{}", resource.plural);
            while self.ask("GET", &all, "application/json", &Value::Null).await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    pub(super) async fn namespace(&self, name: &str) -> Outcome<()> {
        let body = json!({"metadata": {"name": name}});
        self.ask("POST", "/api/v1/namespaces", "application/json", &body).await.map(drop)
    }

    pub(super) async fn create(&self, object: &Value) -> Outcome<()> {
        self.ask("POST", &collection(object), "application/json", object).await.map(drop)
    }

    pub(super) async fn get(&self, object: &Value) -> Outcome<Value> {
        self.ask("GET", &place(object), "application/json", &Value::Null).await
    }

    /// As the daemon does it.
    pub(super) async fn status(&self, object: &Value, status: &Value) -> Outcome<()> {
        let path = format!("{}/status?fieldManager=raw&force=true", place(object));
        let name = &object["metadata"]["name"];
        let body = json!({
            "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": {"name": name}, "status": status,
        });
        self.ask("PATCH", &path, "application/apply-patch+yaml", &body).await.map(drop)
    }

    pub(super) async fn event(&self, object: &Value) -> Outcome<()> {
        let (meta, at) = (&object["metadata"], jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())?);
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{}.raw", meta["name"].as_str().unwrap_or_default()), "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": object["apiVersion"], "kind": "Credential", "name": meta["name"], "namespace": meta["namespace"],
            },
            "type": "Normal", "reason": "Rotated", "message": "a new value is in use everywhere (reset k-all-0123456789abcdef)",
            "firstTimestamp": at.to_string(), "lastTimestamp": at.to_string(), "count": 1,
            "source": {"component": "raw"}, "reportingComponent": "raw", "reportingInstance": "raw",
        });
        let path = format!("/api/v1/namespaces/{}/events", meta["namespace"].as_str().unwrap_or_default());
        self.ask("POST", &path, "application/json", &event).await.map(drop)
    }

    pub(super) async fn list(&self, plural: &str) -> Outcome<Vec<Value>> {
        let path = format!("{GROUP}/namespaces/default/{plural}");
        let mut all = self.ask("GET", &path, "application/json", &Value::Null).await?;
        Ok(all["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Does something with each, so many at a time.
    pub(super) async fn each<F>(self: &Arc<Self>, all: Vec<Value>, writers: usize, work: F) -> Outcome<()>
    where
        F: AsyncFn(&Self, Value) -> Outcome<()>,
    {
        let work = &work;
        let all = futures::stream::iter(all).map(|one| async move { work(self, one).await });
        all.buffer_unordered(writers).try_collect::<Vec<()>>().await.map(drop)
    }

    /// Until the API server asks the daemon before it takes an object.
    pub(super) async fn register(&self, address: &str, authority: &str) -> Outcome<()> {
        for hook in webhook::configurations(&Place::Url(address), authority.as_bytes()) {
            let plural = hook["kind"].as_str().unwrap_or_default().to_lowercase();
            let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}s");
            self.ask("POST", &path, "application/json", &hook).await?;
        }
        let probe = json!({
            "apiVersion": "remint.dev/v1alpha1", "kind": "Reset", "metadata": {"name": "probe", "namespace": "default"},
            "spec": {"requestedAt": jiff::Timestamp::now().to_string(), "from": ["Identity/all"], "reason": "probe"},
        });
        let path = format!("{}?dryRun=All", collection(&probe));
        loop {
            if let Ok(made) = self.ask("POST", &path, "application/json", &probe).await
                && made["spec"]["requestedBy"].is_object()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// As the server counts.
    pub(super) async fn counted(&self) -> Outcome<Counted> {
        let asked = self.http.get(format!("{}/metrics", self.address)).bearer_auth(&self.token).send().await?;
        let text = asked.text().await?;
        let of = |words: &[&str]| -> u64 {
            let lines = text.lines().filter(|line| line.starts_with("apiserver_request_total{code=\"20"));
            let lines = lines.filter(|line| words.iter().all(|word| line.contains(word)));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map(|count| count as u64).sum()
        };
        let credentials = "resource=\"credentials\"";
        Ok(Counted {
            statuses: of(&[credentials, "subresource=\"status\"", "verb=\"APPLY\""]),
            objects: of(&[credentials, "subresource=\"\"", "verb=\"PATCH\""]),
            events: of(&["resource=\"events\"", "verb=\"POST\""]),
            resets: of(&["resource=\"resets\"", "subresource=\"status\"", "verb=\"APPLY\""]),
        })
    }
}

fn collection(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let Some(resource) = Resource::named(&text(&object["kind"])) else { return GROUP.to_owned() };
    if resource.namespaced {
        return format!("{GROUP}/namespaces/{}/{}", text(&object["metadata"]["namespace"]), resource.plural);
    }
    format!("{GROUP}/{}", resource.plural)
}

fn place(object: &Value) -> String {
    format!("{}/{}", collection(object), object["metadata"]["name"].as_str().unwrap_or_default())
}

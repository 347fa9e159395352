//! What an AppRole can read, though it does not lie in the folder: a value in a KV that feeds a Secret of a cluster, which the
//! pods of a Deployment mount. A double of the kubelet makes the pods ready.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use remint_contract::Material;
use serde_json::{Value, json};

use super::hub::Hub;
use super::part::{Counted, Part, Seat, ask, told};
use super::real::{Cluster, Kubelet};

pub(crate) struct Chain {
    cluster: Arc<Cluster>,
    namespace: String,
    hub: Arc<Hub>,
    mount: String,
    way: Counted,
    seats: Vec<Seat>,
    _kubelet: Kubelet,
}

impl Chain {
    /// A token of the hub, in a KV and in a namespace that the system `kube` has.
    pub(crate) async fn with(hub: &Arc<Hub>, namespace: &str, mount: String) -> Self {
        let (address, token) = (told("REMINT_TEST_OPENBAO"), told("REMINT_TEST_OPENBAO_TOKEN"));
        let (way, http) = (Counted::to(&address).await, reqwest::Client::builder().no_proxy().build().unwrap());
        let put = async |path: String, body: Value| {
            let url = format!("{address}/v1/{path}");
            let (status, answer) = ask(&http, "POST", &url, ("x-vault-token", &token), body).await;
            assert!((200..300).contains(&status), "{path}: {status} {answer}");
        };
        put(format!("sys/mounts/{mount}"), json!({"type": "kv", "options": {"version": "2"}})).await;
        let first = hub.token("chain").await;
        let secret = first.secret.expose_str().unwrap().to_owned();
        // A mount of version 2 is upgraded for a moment.
        tokio::time::sleep(Duration::from_secs(1)).await;
        put(format!("{mount}/data/team/app"), json!({"data": {"token": secret}})).await;
        let cluster = Arc::new(Cluster::find());
        let kubelet = Kubelet::of(&cluster, namespace);
        cluster.secret(namespace, "app", json!({"token": secret})).await;
        cluster.workload("deployments", namespace, "app", "app").await;
        cluster.rolled_out("deployments", namespace, "app").await;
        let seats = vec![Seat { name: "chain-00".to_owned(), first, planted: None }];
        Self { cluster, namespace: namespace.to_owned(), hub: Arc::clone(hub), mount, way, seats, _kubelet: kubelet }
    }
}

#[async_trait]
impl Part for Chain {
    fn name(&self) -> &'static str {
        "kv to Deployment"
    }

    fn documents(&self) -> String {
        let settings = json!({"address": self.way.address, "engine": "kv2", "mount": self.mount});
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: kv}}\nspec: {{vault: {settings}, auth: {{credential: bao-admin}}}}\n"
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, _seat: &str) -> (String, &'static str) {
        (self.hub.issued_to("chain"), "overlap")
    }

    fn identity(&self) -> &'static str {
        // That pods were rolled out is not enough for what is privileged.
        "pods"
    }

    fn places(&self, _seat: &str) -> String {
        format!("{{at: \"kv:team/app#token\", source: true}}, {{at: \"kube:{}/app#token\"}}", self.namespace)
    }

    fn workload(&self, _seat: &str, _words: &str) -> String {
        format!(
            "{{runsOn: {{system: kube, ref: Deployment/{}/app}}, reload: rollout, confirm: {{how: rolled-out, within: 60s}}}}",
            self.namespace
        )
    }

    async fn lies(&self, _seat: &str, _apps: &Path) -> Material {
        let path = format!("/api/v1/namespaces/{}/secrets/app", self.namespace);
        let found = self.cluster.get(&path).await;
        let data = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, found["data"]["token"].as_str().unwrap());
        Material::of(String::from_utf8(data.unwrap()).unwrap().into())
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        self.hub.accepts("chain", material).await
    }

    fn calls(&self) -> u64 {
        self.way.calls()
    }
}

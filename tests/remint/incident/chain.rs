//! What an AppRole can read, though it does not lie in the folder: a value in a KV that feeds a Secret of a cluster, which the
//! pods of a Deployment mount. A double of the kubelet makes the pods ready.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use remint_contract::Material;
use serde_json::{Value, json};

use super::bao::{ADMIN, Bao};
use super::hub::Hub;
use super::part::{Counted, Part, Seat, WITHIN, ask, decided, told, try_ask};
use super::real::{Cluster, Kubelet};

pub(crate) struct Chain {
    cluster: Arc<Cluster>,
    namespace: String,
    hub: Arc<Hub>,
    http: reqwest::Client,
    mount: String,
    login: Value,
    way: Counted,
    seats: Vec<Seat>,
    _kubelet: Kubelet,
}

impl Chain {
    /// A token of the hub, in a KV and in a namespace that the system `kube` has. What lay in the KV before was the
    /// attacker's own.
    pub(crate) async fn with(hub: &Arc<Hub>, namespace: &str, bao: &Bao) -> Self {
        let mount = bao.kv.clone().unwrap();
        let (address, token) = (told("REMINT_TEST_OPENBAO"), told("REMINT_TEST_OPENBAO_TOKEN"));
        let (way, http) = (Counted::to(&address).await, reqwest::Client::builder().no_proxy().build().unwrap());
        let header = ("x-vault-token", token.as_str());
        let made = json!({"type": "kv", "options": {"version": "2"}});
        let (status, answer) = ask(&http, "POST", &format!("{address}/v1/sys/mounts/{mount}"), header, made).await;
        assert_eq!(status, 204, "{answer}");
        let first = hub.token("chain").await;
        let planted = hub.stolen("chain").await;
        let secret = first.secret.expose_str().unwrap().to_owned();
        let url = format!("{address}/v1/{mount}/data/team/app");
        for value in [planted.secret.expose_str().unwrap(), &secret] {
            // A mount of version 2 is upgraded for a moment, and takes nothing while it is.
            decided(|| async {
                let put = json!({"data": {"token": value}});
                match try_ask(&http, "POST", &url, header, put).await {
                    Ok((200, _)) => Ok(true),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
        }
        let cluster = Arc::new(Cluster::find());
        let kubelet = Kubelet::of(&cluster, namespace);
        cluster.secret(namespace, "app", json!({"token": secret})).await;
        cluster.workload("deployments", namespace, "app", "app").await;
        cluster.rolled_out("deployments", namespace, "app").await;
        let seats = vec![Seat::of("chain-00".to_owned(), first).planted(Some(planted))];
        let (namespace, hub, login) = (namespace.to_owned(), Arc::clone(hub), bao.login());
        Self { cluster, namespace, hub, http, mount, login, way, seats, _kubelet: kubelet }
    }
}

#[async_trait]
impl Part for Chain {
    fn name(&self) -> &'static str {
        "kv to Deployment"
    }

    fn documents(&self) -> String {
        let settings = json!({
            "address": self.way.address, "engine": "kv2", "mount": self.mount, "login": self.login,
        });
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: kv}}\nspec: {{vault: {settings}, auth: {{credential: {ADMIN}}}}}\n"
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

    fn places(&self, _seat: &Seat) -> String {
        format!("{{at: \"kv:team/app#token\", source: true}}, {{at: \"kube:{}/app#token\"}}", self.namespace)
    }

    fn workload(&self, _seat: &Seat, _words: &str) -> Option<String> {
        Some(format!(
            "{{runsOn: {{system: kube, ref: Deployment/{}/app}}, reload: rollout, confirm: {{how: rolled-out, within: {WITHIN}}}}}",
            self.namespace
        ))
    }

    fn is_rebuilt(&self) -> bool {
        true
    }

    async fn lies(&self, _seat: &Seat, _root: &Path) -> Material {
        let path = format!("/api/v1/namespaces/{}/secrets/app", self.namespace);
        let found = self.cluster.get(&path).await;
        let data = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, found["data"]["token"].as_str().unwrap());
        Material::of(String::from_utf8(data.unwrap()).unwrap().into())
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        self.hub.accepts("chain", material).await
    }

    /// Of what lay in the KV before, the attacker's own included, nothing can be read.
    async fn left(&self) -> Vec<String> {
        let (address, token) = (told("REMINT_TEST_OPENBAO"), told("REMINT_TEST_OPENBAO_TOKEN"));
        let url = format!("{address}/v1/{}/metadata/team/app", self.mount);
        let (status, found) = ask(&self.http, "GET", &url, ("x-vault-token", &token), Value::Null).await;
        assert_eq!(status, 200, "{found}");
        let current = found["data"]["current_version"].to_string();
        let versions = found["data"]["versions"].as_object().unwrap();
        let earlier = versions.iter().filter(|(number, version)| **number != current && version["destroyed"] != true);
        earlier.map(|(number, _)| format!("version {number} in the KV can be read still")).collect()
    }

    fn calls(&self) -> Option<u64> {
        Some(self.way.calls())
    }
}

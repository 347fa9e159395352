//! Tokens of ServiceAccounts, of a real API server.

use async_trait::async_trait;
use remint_contract::{HostRules, Material, Strategy};
use serde_json::{Value, json};

use super::part::{Counted, Part, Seat, ask, by_status, fresh, mint, open, told, try_ask};

/// What Remint acts with at the cluster.
const ADMIN: &str = "kube-admin";

pub(crate) struct Cluster {
    address: String,
    http: reqwest::Client,
    pub(crate) namespace: String,
    way: Counted,
    seats: Vec<Seat>,
}

impl Cluster {
    pub(crate) async fn with(count: usize) -> Self {
        let (address, token) = (told("REMINT_TEST_KUBERNETES"), told("REMINT_TEST_KUBERNETES_TOKEN"));
        let ca = std::fs::read(told("REMINT_TEST_KUBERNETES_CA")).unwrap();
        let authorities = reqwest::Certificate::from_pem_bundle(&ca).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only(authorities).build().unwrap();
        let way = Counted::through(http.clone(), address.clone()).await;
        let namespace = fresh();
        let mut cluster = Self { address, http, namespace, way, seats: Vec::new() };
        let bearer = format!("Bearer {token}");
        let namespace = cluster.namespace.clone();
        cluster.made(&bearer, "/api/v1/namespaces", json!({"metadata": {"name": namespace}})).await;
        let connector = open("kubernetes", &cluster.settings(), &HostRules::default());
        let admin = Material::of(token.as_str().into());
        for index in 0..count {
            let account = format!("sa-{index:02}");
            let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
            cluster.made(&bearer, &path, json!({"metadata": {"name": account}})).await;
            let target = format!("{namespace}/{account}");
            let make = || mint(&connector, Some(&admin), (&target, Value::Null, Strategy::Overlap));
            let first = make().await;
            let planted = if index == 0 { Some(make().await) } else { None };
            cluster.seats.push(Seat::of(format!("kube-{index:02}"), first).planted(planted));
        }
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        cluster.made(&bearer, &path, json!({"metadata": {"name": "remint"}})).await;
        let bound = json!({
            "metadata": {"name": format!("{namespace}-remint")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "remint", "namespace": namespace}],
        });
        cluster.made(&bearer, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", bound).await;
        let target = format!("{namespace}/remint");
        let own = mint(&connector, Some(&admin), (&target, Value::Null, Strategy::Overlap)).await;
        cluster.seats.push(Seat::own(ADMIN, own));
        for seat in &cluster.seats {
            while !cluster.accepts(&seat.name, &seat.first).await {
                tokio::task::yield_now().await;
            }
        }
        cluster
    }

    async fn made(&self, bearer: &str, path: &str, body: Value) {
        let url = format!("{}{path}", self.address);
        let (status, answer) = ask(&self.http, "POST", &url, ("authorization", bearer), body).await;
        assert_eq!(status, 201, "{path}: {answer}");
    }

    fn settings(&self) -> Value {
        json!({"server": self.way.address, "namespace": self.namespace, "tokens": "bound", "takeOver": ["another"]})
    }
}

#[async_trait]
impl Part for Cluster {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn documents(&self) -> String {
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: kube}}\nspec: {{kubernetes: {}, auth: {{credential: {ADMIN}}}}}\n",
            self.settings()
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        let account = match seat {
            ADMIN => "remint".to_owned(),
            seat => format!("sa-{}", seat.rsplit_once('-').unwrap().1),
        };
        (format!("system: kube, target: {}/{account}", self.namespace), "overlap")
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        let bearer = format!("Bearer {}", material.secret.expose_str().unwrap());
        let url = format!("{}/apis/authentication.k8s.io/v1/selfsubjectreviews", self.address);
        by_status(201, &[401], || try_ask(&self.http, "POST", &url, ("authorization", &bearer), json!({}))).await
    }

    fn calls(&self) -> Option<u64> {
        Some(self.way.calls())
    }
}

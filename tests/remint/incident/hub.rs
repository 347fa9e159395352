//! API tokens of users, of a real JupyterHub.

use async_trait::async_trait;
use remint_contract::{HostRules, Material, Strategy};
use serde_json::{Value, json};

use super::part::{Counted, Part, Seat, ask, fresh, mint, open, told};

pub(crate) struct Hub {
    address: String,
    http: reqwest::Client,
    way: Counted,
    prefix: String,
    seats: Vec<Seat>,
}

impl Hub {
    pub(crate) async fn with(count: usize, keep: &std::path::Path) -> Self {
        let (address, token) = (told("REMINT_TEST_JUPYTERHUB"), told("REMINT_TEST_JUPYTERHUB_TOKEN"));
        let way = Counted::to(&address).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut hub = Self { address, http, way, prefix: fresh(), seats: Vec::new() };
        let bearer = format!("token {token}");
        for index in 0..count {
            let number = format!("{index:02}");
            let first = hub.token(&number).await;
            let mut planted = None;
            if index == 0 {
                let url = format!("http://{}/hub/api/users/{}{number}", hub.address, hub.prefix);
                let asked = json!({"note": "backup"});
                let (_, made) =
                    ask(&hub.http, "POST", &format!("{url}/tokens"), ("authorization", &bearer), asked).await;
                planted = Some(Material::of(made["token"].as_str().unwrap().into()));
            }
            hub.seats.push(Seat { name: format!("hub-{index:02}"), first, planted });
        }
        std::fs::write(keep.join("hub-admin.json"), json!({"secret": token}).to_string()).unwrap();
        hub
    }

    /// A token of a user of this incident's own, who is new.
    pub(crate) async fn token(&self, number: &str) -> Material {
        let (user, admin) = (format!("{}{number}", self.prefix), told("REMINT_TEST_JUPYTERHUB_TOKEN"));
        let url = format!("http://{}/hub/api/users/{user}", self.address);
        let bearer = format!("token {admin}");
        let (status, _) = ask(&self.http, "POST", &url, ("authorization", &bearer), json!({})).await;
        assert_eq!(status, 201);
        let connector = open("http", &self.settings(), &self.rules());
        let target = json!({"user": user, "scopes": ["self"], "lifetimeDays": 30});
        mint(&connector, Some(&Material::of(admin.as_str().into())), (&user, target, Strategy::Overlap)).await
    }

    pub(crate) fn issued_to(&self, number: &str) -> String {
        let user = format!("{}{number}", self.prefix);
        format!("system: hub, target: {user}, user: {user}, scopes: [self], lifetimeDays: 30")
    }

    /// Its address is private, and allowed by name.
    pub(crate) fn rules(&self) -> HostRules {
        let host = self.way.address.trim_start_matches("http://").to_owned();
        HostRules { hosts: [host].into(), ..HostRules::default() }
    }

    fn settings(&self) -> Value {
        json!({"recipe": "jupyterhub-user-token", "base": format!("{}/hub/api", self.way.address)})
    }
}

#[async_trait]
impl Part for Hub {
    fn name(&self) -> &'static str {
        "http (JupyterHub)"
    }

    fn documents(&self) -> String {
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: hub}}\nspec: {{http: {}, auth: {{credential: hub-admin}}}}\n\
             ---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: hub-admin}}\nspec:\n  type: token\n  identity: remint\n  issuedBy: {{system: keep, target: hub-admin}}\n  deliveredTo: [{{at: \"keep:hub-admin.json\", fields: {{secret: \"{{secret}}\"}}}}]\n  rotation: {{strategy: manual}}\n",
            self.settings()
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        (self.issued_to(seat.rsplit_once('-').unwrap().1), "overlap")
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        let bearer = format!("token {}", material.secret.expose_str().unwrap());
        let url = format!("http://{}/hub/api/user", self.address);
        ask(&self.http, "GET", &url, ("authorization", &bearer), Value::Null).await.0 == 200
    }

    fn calls(&self) -> u64 {
        self.way.calls()
    }
}

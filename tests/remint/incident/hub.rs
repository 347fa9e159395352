//! API tokens of users, of a real JupyterHub.

use async_trait::async_trait;
use remint_contract::{HostRules, Material, Strategy};
use serde_json::{Value, json};

use super::part::{Counted, Part, Seat, ask, by_status, fresh, mint, open, told, try_ask};

/// What Remint acts with at the hub.
const ADMIN: &str = "hub-admin";

pub(crate) struct Hub {
    address: String,
    http: reqwest::Client,
    way: Counted,
    prefix: String,
    seats: Vec<Seat>,
}

impl Hub {
    pub(crate) async fn with(count: usize) -> Self {
        let (address, token) = (told("REMINT_TEST_JUPYTERHUB"), told("REMINT_TEST_JUPYTERHUB_TOKEN"));
        let way = Counted::to(&address).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut hub = Self { address, http, way, prefix: fresh(), seats: Vec::new() };
        let bearer = format!("token {token}");
        for index in 0..count {
            let number = format!("{index:02}");
            let first = hub.token(&number).await;
            let planted = if index == 0 { Some(hub.stolen(&number).await) } else { None };
            hub.seats.push(Seat::of(format!("hub-{index:02}"), first).planted(planted));
        }
        let made = json!({"usernames": [hub.user(ADMIN)], "admin": true});
        let url = format!("http://{}/hub/api/users", hub.address);
        let (status, answer) = ask(&hub.http, "POST", &url, ("authorization", &bearer), made).await;
        assert_eq!(status, 201, "{answer}");
        let own = hub.minted(ADMIN).await;
        hub.seats.push(Seat::own(ADMIN, own));
        hub
    }

    fn user(&self, number: &str) -> String {
        let number = if number == ADMIN { "remint" } else { number };
        format!("{}{number}", self.prefix)
    }

    /// A token that nobody of ours asked for.
    pub(crate) async fn stolen(&self, number: &str) -> Material {
        let url = format!("http://{}/hub/api/users/{}/tokens", self.address, self.user(number));
        let bearer = format!("token {}", told("REMINT_TEST_JUPYTERHUB_TOKEN"));
        let (status, made) = ask(&self.http, "POST", &url, ("authorization", &bearer), json!({"note": "backup"})).await;
        assert_eq!(status, 201, "{made}");
        Material::of(made["token"].as_str().unwrap().into())
    }

    /// A token of a user of this incident's own, who is new.
    pub(crate) async fn token(&self, number: &str) -> Material {
        let bearer = format!("token {}", told("REMINT_TEST_JUPYTERHUB_TOKEN"));
        let url = format!("http://{}/hub/api/users/{}", self.address, self.user(number));
        let (status, _) = ask(&self.http, "POST", &url, ("authorization", &bearer), json!({})).await;
        assert_eq!(status, 201);
        self.minted(number).await
    }

    async fn minted(&self, number: &str) -> Material {
        let connector = open("http", &self.settings(), &self.rules());
        let admin = Material::of(told("REMINT_TEST_JUPYTERHUB_TOKEN").as_str().into());
        let user = self.user(number);
        let target = json!({"user": user, "scopes": [scope(number)], "lifetimeDays": 30});
        mint(&connector, Some(&admin), (&user, target, Strategy::Overlap)).await
    }

    pub(crate) fn issued_to(&self, number: &str) -> String {
        let user = self.user(number);
        format!("system: hub, target: {user}, user: {user}, scopes: [{}], lifetimeDays: 30", scope(number))
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

/// Remint's own may do what its user may.
fn scope(number: &str) -> &'static str {
    if number == ADMIN { "inherit" } else { "self" }
}

#[async_trait]
impl Part for Hub {
    fn name(&self) -> &'static str {
        "http (JupyterHub)"
    }

    fn documents(&self) -> String {
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: hub}}\nspec: {{http: {}, auth: {{credential: {ADMIN}}}}}\n",
            self.settings()
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        let number = if seat == ADMIN { seat } else { seat.rsplit_once('-').unwrap().1 };
        (self.issued_to(number), "overlap")
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        let bearer = format!("token {}", material.secret.expose_str().unwrap());
        let url = format!("http://{}/hub/api/user", self.address);
        by_status(200, &[403], || try_ask(&self.http, "GET", &url, ("authorization", &bearer), Value::Null)).await
    }

    fn calls(&self) -> Option<u64> {
        Some(self.way.calls())
    }
}

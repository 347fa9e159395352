//! Secret ids of AppRoles, of a real OpenBao.

use async_trait::async_trait;
use remint_contract::Material;
use serde_json::{Value, json};

use super::part::{Counted, Part, Seat, ask, by_status, fresh, told, try_ask};

/// What Remint acts with at all systems of this server.
pub(crate) const ADMIN: &str = "bao-admin";

pub(crate) struct Bao {
    address: String,
    http: reqwest::Client,
    way: Counted,
    mount: String,
    seats: Vec<Seat>,
    /// The mount that the second role may read.
    pub(crate) kv: Option<String>,
}

impl Bao {
    pub(crate) async fn with(count: usize, kv: Option<String>) -> Self {
        let (address, token) = (told("REMINT_TEST_OPENBAO"), told("REMINT_TEST_OPENBAO_TOKEN"));
        let way = Counted::to(&address).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut bao = Self { address, http, way, mount: fresh(), seats: Vec::new(), kv };
        let mount = bao.mount.clone();
        bao.done(&token, &format!("sys/auth/{mount}"), json!({"type": "approle"})).await;
        if let Some(kv) = &bao.kv {
            let policy = format!("path \"{kv}/data/team/*\" {{ capabilities = [\"read\"] }}");
            bao.done(&token, &format!("sys/policies/acl/{mount}"), json!({ "policy": policy })).await;
        }
        for index in 0..count {
            let role = format!("auth/{mount}/role/r{index:02}");
            let policy = if index == 1 && bao.kv.is_some() { mount.as_str() } else { "default" };
            let id = bao.role(&token, &role, policy).await;
            let first = bao.secret(&token, &role, &id).await;
            let planted = if index == 0 { Some(bao.secret(&token, &role, &id).await) } else { None };
            bao.seats.push(Seat::of(format!("bao-{index:02}"), first).planted(planted));
        }
        let all = "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\", \"sudo\"] }";
        bao.done(&token, &format!("sys/policies/acl/{mount}-all"), json!({ "policy": all })).await;
        let role = format!("auth/{mount}/role/remint");
        let id = bao.role(&token, &role, &format!("{mount}-all")).await;
        let own = bao.secret(&token, &role, &id).await;
        bao.seats.push(Seat::own(ADMIN, own));
        bao
    }

    /// How Remint logs in.
    pub(crate) fn login(&self) -> Value {
        json!({"approle": {"mount": self.mount}})
    }

    async fn role(&self, token: &str, role: &str, policy: &str) -> String {
        self.done(token, role, json!({"token_policies": policy, "token_ttl": "30m"})).await;
        let (_, id) = self.ask(token, "GET", &format!("{role}/role-id"), Value::Null).await;
        id["data"]["role_id"].as_str().unwrap().to_owned()
    }

    async fn secret(&self, token: &str, role: &str, id: &str) -> Material {
        let made = self.done(token, &format!("{role}/secret-id"), json!({})).await;
        Material::login(id.to_owned(), made["data"]["secret_id"].as_str().unwrap().into())
    }

    async fn done(&self, token: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(token, "POST", path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    async fn ask(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        ask(&self.http, method, &format!("{}/v1/{path}", self.address), ("x-vault-token", token), body).await
    }
}

#[async_trait]
impl Part for Bao {
    fn name(&self) -> &'static str {
        "vault (OpenBao)"
    }

    fn documents(&self) -> String {
        let settings = json!({
            "address": self.way.address, "engine": "approle", "mount": self.mount, "login": self.login(),
        });
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: bao}}\nspec: {{vault: {settings}, auth: {{credential: {ADMIN}}}}}\n"
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        let role = match seat {
            ADMIN => "remint".to_owned(),
            seat => format!("r{}", seat.rsplit_once('-').unwrap().1),
        };
        (format!("system: bao, target: {role}"), "overlap")
    }

    fn unlocks(&self, seat: &str) -> String {
        // What its policy lets it read.
        if self.kv.is_some() && seat == "bao-01" {
            "{what: \"kv:team/*\", verb: read}".to_owned()
        } else {
            String::new()
        }
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        let shown = json!({"role_id": material.username, "secret_id": material.secret.expose_str().unwrap()});
        let url = format!("{}/v1/auth/{}/login", self.address, self.mount);
        let header = ("x-vault-request", "true");
        by_status(200, &[400], || async {
            let (status, answer) = try_ask(&self.http, "POST", &url, header, shown.clone()).await?;
            if let Some(token) = answer["auth"]["client_token"].as_str() {
                // Nobody needs what it got.
                self.ask(token, "POST", "auth/token/revoke-self", json!({})).await;
            }
            Ok((status, answer))
        })
        .await
    }

    fn calls(&self) -> Option<u64> {
        Some(self.way.calls())
    }
}

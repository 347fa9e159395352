//! Secret ids of AppRoles, of a real OpenBao.

use async_trait::async_trait;
use remint_contract::Material;
use serde_json::{Value, json};

use super::part::{Counted, Part, Seat, ask, fresh, told};

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
    pub(crate) async fn with(count: usize, kv: Option<String>, keep: &std::path::Path) -> Self {
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
            bao.done(&token, &role, json!({"token_policies": policy, "token_ttl": "10m"})).await;
            let (_, id) = bao.ask(&token, "GET", &format!("{role}/role-id"), Value::Null).await;
            let id = id["data"]["role_id"].as_str().unwrap().to_owned();
            let first = bao.secret(&token, &role, &id).await;
            let planted = if index == 0 { Some(bao.secret(&token, &role, &id).await) } else { None };
            bao.seats.push(Seat { name: format!("bao-{index:02}"), first, planted });
        }
        std::fs::write(keep.join("bao-admin.json"), json!({"secret": token}).to_string()).unwrap();
        bao
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
        let settings = json!({"address": self.way.address, "engine": "approle", "mount": self.mount});
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: bao}}\nspec: {{vault: {settings}, auth: {{credential: bao-admin}}}}\n\
             ---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: bao-admin}}\nspec:\n  type: token\n  identity: remint\n  issuedBy: {{system: keep, target: bao-admin}}\n  deliveredTo: [{{at: \"keep:bao-admin.json\", fields: {{secret: \"{{secret}}\"}}}}]\n  rotation: {{strategy: manual}}\n"
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        (format!("system: bao, target: r{}", seat.rsplit_once('-').unwrap().1), "overlap")
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
        let (status, answer) = self.ask("", "POST", &format!("auth/{}/login", self.mount), shown).await;
        if let Some(token) = answer["auth"]["client_token"].as_str() {
            // Nobody needs what it got.
            self.ask(token, "POST", "auth/token/revoke-self", json!({})).await;
        }
        status == 200
    }

    fn calls(&self) -> u64 {
        self.way.calls()
    }
}

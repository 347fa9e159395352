//! A real OpenBao with keys in it.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

/// The server of `cargo xtask test`, with a transit mount of this test's own.
pub(crate) struct Bao {
    address: String,
    token: String,
    pub(crate) mount: String,
}

impl Bao {
    #[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
    pub(crate) async fn find() -> Self {
        let (Ok(address), Ok(token)) =
            (std::env::var("REMINT_TEST_OPENBAO"), std::env::var("REMINT_TEST_OPENBAO_TOKEN"))
        else {
            panic!("no OpenBao: export what `cargo xtask servers up openbao` prints")
        };
        writeln!(std::io::stderr(), "SERVER OpenBao").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mount = format!("log-{}", folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.'));
        let bao = Self { address, token, mount };
        bao.post(&format!("sys/mounts/{}", bao.mount), json!({ "type": "transit" })).await;
        bao
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(format!("{}/v1/{path}", self.address)).header("x-vault-token", &self.token).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null)
    }

    pub(crate) async fn key(&self, name: &str, kind: &str) {
        self.post(&format!("{}/keys/{name}", self.mount), json!({ "type": kind })).await;
    }

    /// A token that may read the key, and do so much with it: `sign` always, else what it is named for.
    pub(crate) async fn confined(&self, key: &str, acts: &[&str]) -> String {
        let mount = &self.mount;
        let mut rules = format!("path \"{mount}/keys/{key}\" {{ capabilities = [\"read\"] }}\n");
        for act in acts.iter().chain(&["sign"]) {
            let path = if *act == "rotate" { format!("keys/{key}/rotate") } else { format!("{act}/{key}") };
            rules.push_str(&format!("path \"{mount}/{path}\" {{ capabilities = [\"update\"] }}\n"));
        }
        self.post(&format!("sys/policies/acl/{mount}-{key}"), json!({ "policy": rules })).await;
        let made =
            self.post("auth/token/create", json!({ "policies": [format!("{mount}-{key}")], "no_parent": true })).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// Has a state's configuration name the key, for this.
    pub(crate) fn configure(&self, home: &Path, what: &str, key: &str, token: &str) {
        let secret = home.join("token");
        std::fs::write(&secret, format!("{token}\n")).unwrap();
        let (address, mount) = (&self.address, &self.mount);
        let text = format!(
            "{what}: {{transit: {{address: '{address}', mount: {mount}, key: {key}, secret_file: {}}}}}\n",
            secret.display()
        );
        std::fs::create_dir_all(home.join("state")).unwrap();
        std::fs::write(home.join("state/remint.yaml"), text).unwrap();
    }
}

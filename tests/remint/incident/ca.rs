//! An authority of ours with its leaves, and a server of TLS that trusts what stands in a bundle and reads the lists: it is
//! what says whether one is let in. With the authority its leaves die, so they are replaced before it does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use remint_certificate::{Relying, judge};
use remint_contract::{Connector, HostRules, Material, Strategy, Verdict};
use serde_json::{Value, json};

use super::part::{Part, Seat, decided, mint, open, says};
use crate::certificates::serve;

/// The authority itself.
const AUTHORITY: &str = "ca-authority";

pub(crate) struct Ca {
    folder: PathBuf,
    relying: Relying,
    seats: Vec<Seat>,
    /// A leaf that the attacker had the authority sign. It dies with the authority, before anybody looks for such.
    stolen: Option<Material>,
}

impl Ca {
    pub(crate) async fn with(count: usize, folder: &Path) -> Self {
        for name in ["authorities/internal", "authorities/other", "lists"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        let relying = Relying { address: String::new(), roots: String::new() };
        let mut ca = Self { folder: folder.to_owned(), relying, seats: Vec::new(), stolen: None };
        let connector = open("pki", &ca.settings(), &HostRules::default());
        let authority = made(&connector, "internal", json!({"commonName": "Internal"})).await;
        let bundle = json!({"roots": format!("{}\n", authority.username.as_ref().unwrap())});
        std::fs::write(folder.join("apps/bundle.json"), bundle.to_string()).unwrap();
        for index in 0..count {
            let name = format!("ca-{index:02}");
            let first = made(&connector, &name, leaf("internal", &name)).await;
            if index == 0 {
                ca.stolen = Some(made(&connector, &name, leaf("internal", &name)).await);
            }
            ca.seats.push(Seat::of(name, first));
        }
        // And a generation of his own, which nobody trusts yet.
        let planted = made(&connector, "internal", json!({"commonName": "Internal"})).await;
        ca.seats.push(Seat::of(AUTHORITY.to_owned(), authority).planted(Some(planted)));
        // The relying party's own certificate is another's.
        let other = made(&connector, "other", json!({"commonName": "Other"})).await;
        let mut own = leaf("other", "relying");
        own["altNames"] = json!(["127.0.0.1"]);
        let own = made(&connector, "relying", own).await;
        let pair = json!({"chain": own.username, "key": own.secret.expose_str().unwrap()});
        std::fs::write(folder.join("relying.json"), pair.to_string()).unwrap();
        let roots = other.username.unwrap();
        std::fs::write(folder.join("relying.pem"), &roots).unwrap();
        // Only its certificate is needed from here on.
        std::fs::remove_dir_all(folder.join("authorities/other")).unwrap();
        ca.relying = Relying { address: serve(folder.to_owned(), true).await, roots };
        ca
    }

    fn settings(&self) -> Value {
        let relying = match self.relying.address.as_str() {
            "" => json!([]),
            address => json!([{"address": address, "roots": self.folder.join("relying.pem")}]),
        };
        json!({
            "folder": self.folder.join("authorities"), "publish": self.folder.join("lists"), "relyingParties": relying,
        })
    }
}

async fn made(connector: &Arc<dyn Connector>, name: &str, target: Value) -> Material {
    mint(connector, None, (name, target, Strategy::Reissue)).await
}

fn leaf(authority: &str, name: &str) -> Value {
    json!({"authority": authority, "commonName": format!("{name}.internal"), "uses": ["server", "client"]})
}

#[async_trait]
impl Part for Ca {
    fn name(&self) -> &'static str {
        "pki"
    }

    fn documents(&self) -> String {
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: ca}}\nspec: {{pki: {}}}\n",
            self.settings()
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        if seat == AUTHORITY {
            return ("system: ca, target: internal, commonName: Internal".to_owned(), "dual-trust");
        }
        (
            format!(
                "system: ca, target: {seat}, by: {AUTHORITY}, diesWithIssuer: true, authority: internal, commonName: {seat}.internal, uses: [server, client]"
            ),
            "reissue",
        )
    }

    fn more(&self, seat: &Seat) -> String {
        if seat.name == AUTHORITY { "  trustedBy: [\"apps:bundle.json#roots\"]\n".to_owned() } else { String::new() }
    }

    fn workload(&self, seat: &Seat, words: &str) -> Option<String> {
        // Nobody reads the authority; everybody trusts it.
        (seat.name != AUTHORITY).then(|| says(seat, words))
    }

    async fn accepts(&self, seat: &str, material: &Material) -> bool {
        // Of the authority a certificate is shown that it signed.
        let shown = if seat == AUTHORITY { material.secret.expose_str() } else { material.username.as_deref() };
        let shown = shown.unwrap();
        let chain = shown.find("-----BEGIN PRIVATE KEY-----").map_or(shown, |key| &shown[..key]);
        decided(|| async {
            match judge(&self.relying, chain, material.secret.expose()).await {
                Verdict::Accepted => Ok(true),
                Verdict::Denied => Ok(false),
                Verdict::Unclear(why) => Err(why),
            }
        })
        .await
    }

    async fn left(&self) -> Vec<String> {
        let stolen = self.stolen.as_ref().unwrap();
        let lives = self.accepts("the attacker's", stolen).await;
        lives.then(|| "a leaf that the attacker had signed is accepted".to_owned()).into_iter().collect()
    }

    fn calls(&self) -> Option<u64> {
        None
    }
}

//! Leaves of an authority of ours, whose list is what says that one is dead.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use remint_certificate::{Certificate, listed};
use remint_contract::{HostRules, Material, Strategy};
use serde_json::{Value, json};

use super::part::{Part, Seat, mint, open};

pub(crate) struct Ca {
    folder: PathBuf,
    seats: Vec<Seat>,
}

impl Ca {
    pub(crate) async fn with(count: usize, folder: &Path) -> Self {
        for name in ["authorities/internal", "lists"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        let mut ca = Self { folder: folder.to_owned(), seats: Vec::new() };
        let connector = open("pki", &ca.settings(), &HostRules::default());
        mint(&connector, None, ("internal", json!({"commonName": "Internal"}), Strategy::DualTrust)).await;
        for index in 0..count {
            let name = format!("ca-{index:02}");
            let first = mint(&connector, None, (&name, leaf(&name), Strategy::Reissue)).await;
            ca.seats.push(Seat { name, first, planted: None });
        }
        ca
    }

    fn settings(&self) -> Value {
        json!({"folder": self.folder.join("authorities"), "publish": self.folder.join("lists")})
    }
}

fn leaf(name: &str) -> Value {
    json!({"authority": "internal", "commonName": format!("{name}.internal"), "uses": ["server"]})
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
        (
            format!("system: ca, target: {seat}, authority: internal, commonName: {seat}.internal, uses: [server]"),
            "reissue",
        )
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        let Some(shown) = Certificate::of(material) else { return false };
        let mut lists = std::fs::read_dir(self.folder.join("lists")).unwrap().map(|entry| entry.unwrap().path());
        !lists.any(|list| {
            list.extension().is_some_and(|kind| kind == "crl")
                && listed(&std::fs::read(list).unwrap(), &shown.serial, None).unwrap()
        })
    }

    fn calls(&self) -> u64 {
        0
    }
}

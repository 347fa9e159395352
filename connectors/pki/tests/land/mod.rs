//! A folder of authorities, a web server for its lists, and TLS servers that serve or rely on certificates.

pub(crate) mod lists;
pub(crate) mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remint_contract::{
    Call, Clock as _, Connector, ConnectorKind as _, HostRules, MintRequest, Minted, OperationId, Strategy,
    SystemClock, Target,
};
use serde_json::{Value, json};

use self::lists::Lists;
use self::tls::{Belief, Believes};

pub(crate) struct Land {
    folder: tempfile::TempDir,
    pub(crate) lists: Lists,
    made: AtomicU64,
}

impl Land {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lists = Lists::of(folder.path().join("published")).await;
        Self { folder, lists, made: AtomicU64::new(0) }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("authorities")
    }

    pub(crate) fn settings(&self, relying: &[&str]) -> Value {
        std::fs::create_dir_all(self.folder()).unwrap();
        let relying: Vec<Value> = relying.iter().map(|address| json!({ "address": address })).collect();
        json!({
            "folder": self.folder(), "publish": self.folder.path().join("published"),
            "lists": [self.lists.address], "relyingParties": relying,
        })
    }

    /// What a server believes that reads the bundle of every authority, and every list, as they are published now.
    pub(crate) fn believes(&self) -> Believes {
        let (folder, published) = (self.folder(), self.folder.path().join("published"));
        Box::new(move || {
            let mut roots = String::new();
            for authority in folder.read_dir().unwrap() {
                for generation in authority.unwrap().path().join("generations").read_dir().into_iter().flatten() {
                    let path = generation.unwrap().path();
                    let Ok(text) = std::fs::read(&path) else { continue };
                    let Ok(record) = serde_json::from_slice::<Value>(&text) else { continue };
                    if record["revoked"].is_null() {
                        roots.push_str(record["chain"].as_str().unwrap());
                    }
                }
            }
            let lists = published.read_dir().unwrap().map(|entry| entry.unwrap().path());
            let lists = lists.filter(|path| path.extension().is_some_and(|extension| extension == "crl"));
            Belief { roots, lists: lists.filter_map(|path| std::fs::read(path).ok()).collect() }
        })
    }

    pub(crate) fn open(&self, relying: &[&str]) -> Arc<dyn Connector> {
        remint_pki::kind().open(&self.settings(relying), &HostRules::default()).unwrap()
    }

    /// As [`Land::open`], where the relying party's own certificate is another's.
    pub(crate) fn open_trusting(&self, relying: &str, roots: &std::path::Path) -> Arc<dyn Connector> {
        let mut settings = self.settings(&[relying]);
        settings["relyingParties"][0]["roots"] = json!(roots);
        remint_pki::kind().open(&settings, &HostRules::default()).unwrap()
    }

    pub(crate) fn call(&self) -> Call {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let deadline = SystemClock.now() + std::time::Duration::from_mins(1);
        Call { operation: OperationId(format!("operation-{number}")), deadline, actor: None }
    }

    /// An authority without a generation.
    pub(crate) fn authority(&self) -> Target {
        let name = format!("ca-{}", self.made.fetch_add(1, Ordering::SeqCst));
        std::fs::create_dir_all(self.folder().join(&name)).unwrap();
        Target { name, settings: json!({"commonName": "Tests"}) }
    }

    /// A leaf of an authority, for servers and clients on this machine.
    pub(crate) fn leaf(&self, authority: &Target) -> Target {
        let name = format!("leaf-{}", self.made.fetch_add(1, Ordering::SeqCst));
        let settings = json!({
            "authority": authority.name, "commonName": format!("{name}.internal"),
            "altNames": ["localhost", "127.0.0.1"], "uses": ["server", "client"], "ttl": "1h",
        });
        Target { name, settings }
    }
}

pub(crate) fn request(target: &Target, strategy: Strategy) -> MintRequest {
    MintRequest { target: target.clone(), strategy, old: None, old_username: None, proposed: None }
}

pub(crate) async fn mint(land: &Land, connector: &dyn Connector, target: &Target) -> Minted {
    let strategy = if target.settings.get("authority").is_some() { Strategy::Reissue } else { Strategy::DualTrust };
    connector.mint(&land.call(), &request(target, strategy)).await.unwrap()
}

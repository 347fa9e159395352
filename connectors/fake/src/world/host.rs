//! A host of workloads: each holds the values it read, uses them at the issuer when it works, and says which it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use remint_contract::{Material, SecretValue};
use tokio::sync::RwLock;

use super::caller::Caller;
use super::issuer::Issuer;
use super::service::{Answer, Asked, Desk, Service, lock};
use super::store::Store;
use crate::wire::{
    AtPath, Fields, HeldFingerprint, Leased, Nothing, OfTarget, OfWorkload, Secret, Status, Used, Worked,
};

/// What a host runs.
#[derive(Debug, Clone)]
pub struct HostSpec {
    pub name: String,
    pub latency: Duration,
    pub workloads: Vec<WorkloadSpec>,
}

/// Something that uses credentials.
#[derive(Debug, Clone)]
pub struct WorkloadSpec {
    /// What `runsOn.ref` names.
    pub name: String,
    pub holds: Vec<Holding>,
}

/// One value that a workload uses: where it reads it, and where it shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The store's name in the world.
    pub store: String,
    pub path: String,
    pub field: String,
    /// The field of the user name, when it has one.
    pub username: Option<String>,
    /// The issuer's name in the world; empty for what is only read, a bundle that says whom to trust.
    pub issuer: String,
    /// Not read from a store: a lease of this target is fetched from the issuer.
    pub leases: Option<String>,
}

impl Holding {
    /// A value without a user name, in the field `secret`.
    pub fn new(store: &str, path: &str, issuer: &str) -> Self {
        Self {
            store: store.to_owned(),
            path: path.to_owned(),
            field: "secret".to_owned(),
            username: None,
            issuer: issuer.to_owned(),
            leases: None,
        }
    }

    /// A lease that it fetches from the issuer by itself.
    pub fn leased(issuer: &str, target: &str) -> Self {
        Self { leases: Some(target.to_owned()), ..Self::new(issuer, target, issuer) }
    }
}

/// A running host.
pub struct Host {
    service: Arc<Service>,
    workloads: BTreeMap<String, Running>,
    stores: BTreeMap<String, Arc<Store>>,
    issuers: BTreeMap<String, Arc<Issuer>>,
    caller: Caller,
    ignoring_reload: Mutex<BTreeSet<String>>,
    /// (workload, path) → the path it reads instead.
    misreading: Mutex<BTreeMap<(String, String), String>>,
}

struct Running {
    spec: WorkloadSpec,
    /// By index of `spec.holds`. Work holds this for reading, so a reload waits until the work under way is done:
    /// after a reload nothing uses the old value any more.
    held: RwLock<Vec<Option<Material>>>,
}

impl std::ops::Deref for Host {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Host {
    pub(crate) fn new(
        spec: HostSpec,
        service: Arc<Service>,
        stores: BTreeMap<String, Arc<Store>>,
        issuers: BTreeMap<String, Arc<Issuer>>,
        caller: Caller,
    ) -> Self {
        let running = |spec: WorkloadSpec| {
            let held = RwLock::new(vec![None; spec.holds.len()]);
            (spec.name.clone(), Running { spec, held })
        };
        let workloads = spec.workloads.into_iter().map(running).collect();
        let (ignoring_reload, misreading) = (Mutex::default(), Mutex::default());
        Self { service, workloads, stores, issuers, caller, ignoring_reload, misreading }
    }

    /// The names of the workloads, sorted.
    pub fn workloads(&self) -> Vec<String> {
        self.workloads.keys().cloned().collect()
    }

    /// From now on this workload says yes to a reload and keeps what it has.
    pub fn ignore_reload(&self, workload: &str) {
        lock(&self.ignoring_reload).insert(workload.to_owned());
    }

    /// Ends [`Host::ignore_reload`].
    pub fn heed_reload(&self, workload: &str) {
        lock(&self.ignoring_reload).remove(workload);
    }

    /// From the next reload on this workload reads another path than it should: the wrong environment's.
    pub fn misread(&self, workload: &str, path: &str, instead: &str) {
        lock(&self.misreading).insert((workload.to_owned(), path.to_owned()), instead.to_owned());
    }

    /// Starts a workload again: it reads everything anew, whatever it ignores.
    pub async fn restart(&self, workload: &str) {
        if let Some(running) = self.workloads.get(workload) {
            self.read_all(running).await;
        }
    }

    async fn read_all(&self, running: &Running) {
        let mut fresh = Vec::with_capacity(running.spec.holds.len());
        for holding in &running.spec.holds {
            fresh.push(self.read(&running.spec.name, holding).await);
        }
        *running.held.write().await = fresh;
    }

    async fn read(&self, workload: &str, holding: &Holding) -> Option<Material> {
        if let Some(target) = &holding.leases {
            let url = self.issuers.get(&holding.issuer)?.urls().into_iter().next()?;
            let ask = OfTarget { target: target.clone() };
            let leased: Leased = self.caller.ask(&url, "lease", workload, None, &ask).await.ok()?;
            let Secret(token) = leased.token;
            return Some(Material::of(token));
        }
        let store = self.stores.get(&holding.store)?;
        let instead = lock(&self.misreading).get(&(workload.to_owned(), holding.path.clone())).cloned();
        let ask = AtPath { path: instead.unwrap_or_else(|| holding.path.clone()), version: None };
        let url = store.urls().into_iter().next()?;
        let found: Fields = self.caller.ask(&url, "read", workload, Some(store.mount()), &ask).await.ok()?;
        let field = |name: &String| found.fields.get(name).map(|Secret(value)| value.clone());
        let username = match &holding.username {
            Some(name) => Some(field(name)?.expose_str()?.to_owned()),
            None => None,
        };
        Some(Material { username, secret: field(&holding.field)? })
    }

    async fn status(&self, running: &Running) -> Answer {
        let held = running.held.read().await;
        let holds = running.spec.holds.iter().zip(held.iter());
        Answer::ok(&Status {
            holds: holds
                .filter_map(|(holding, held)| Some((holding, held.as_ref()?)))
                .flat_map(|(holding, held)| {
                    let path = format!("{}:{}", holding.store, holding.path);
                    let whole = HeldFingerprint { path: path.clone(), fingerprint: held.fingerprint() };
                    // A bundle of several is told line by line, too.
                    let lines = held.secret.expose_str().filter(|text| text.contains('\n')).unwrap_or_default().lines();
                    let line = |line: &str| Material::of(SecretValue::from(line)).fingerprint();
                    let each = lines.map(|text| HeldFingerprint { path: path.clone(), fingerprint: line(text) });
                    [whole].into_iter().chain(each.collect::<Vec<_>>())
                })
                .collect(),
        })
    }

    /// Shows every value it holds to its issuer; answers which were not accepted.
    async fn work(&self, running: &Running) -> Answer {
        let held = running.held.read().await;
        let mut failed = Vec::new();
        let shown = |(holding, _): &(&Holding, _)| !holding.issuer.is_empty();
        for (holding, held) in running.spec.holds.iter().zip(held.iter()).filter(shown) {
            let url = self.issuers.get(&holding.issuer).and_then(|issuer| issuer.urls().into_iter().next());
            let accepted = match (held, url) {
                (Some(held), Some(url)) => {
                    let name = &running.spec.name;
                    self.caller.ask::<Used>(&url, "use", name, Some(held), &Nothing {}).await.is_ok()
                }
                _ => false,
            };
            if !accepted {
                failed.push(format!("{}:{}", holding.store, holding.path));
            }
        }
        Answer::ok(&Worked { failed })
    }
}

#[async_trait]
impl Desk for Host {
    async fn answer(&self, asked: &Asked) -> Answer {
        if asked.verb == "check" {
            return Answer::ok(&Nothing {});
        }
        let workload = match asked.read::<OfWorkload>() {
            Ok(ask) => ask.workload,
            Err(refused) => return refused,
        };
        let Some(running) = self.workloads.get(&workload) else {
            return Answer::refuse(404, "no-workload", "this host runs no such workload");
        };
        match asked.verb.as_str() {
            // What it says it uses, and what it presents on the wire: a fake tells no lie about either.
            "status" | "served" => self.status(running).await,
            "work" => self.work(running).await,
            "reload" => {
                let ignores = lock(&self.ignoring_reload).contains(&workload);
                if !ignores && !asked.lie {
                    self.read_all(running).await;
                }
                Answer::ok(&Nothing {})
            }
            _ => Answer::refuse(405, "no-such-verb", "a host of workloads does not have this verb"),
        }
    }
}

//! The other side: services on real sockets that do what real issuers, stores and hosts do, and fail on demand.
//!
//! Flow: [`World::start`], then issuers, then the stores that trust them, then the hosts whose workloads read the
//! stores. Every service counts its calls and takes [`Fault`]s. Dropping the world ends all of it.
//!
//! What a service knows is plain state behind a lock, in modules free of HTTP (`issuer/versions`, `store/shelf`,
//! `fault`, `counts`); `service` is the only one that listens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use remint_contract::{Clock, SecretValue, SystemClock, VersionId};
use tokio::task::JoinSet;

pub mod attacker;
mod caller;
pub mod counts;
pub mod fault;
pub mod host;
pub mod issuer;
pub mod service;
pub mod store;
pub mod traffic;

pub use attacker::{Attacker, Loot};
pub use counts::{Counts, Tally};
pub use fault::{Fault, FaultId, Trouble};
pub use host::{Holding, Host, HostSpec, WorkloadSpec};
pub use issuer::{Issuer, IssuerSpec, LiveVersion, TargetSpec};
pub use service::Service;
pub use store::{Grant, Store, StoreSpec};
pub use traffic::{Failure, Traffic, TrafficReport};

use caller::Caller;
use service::lock;

/// Why the world cannot be built as asked.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    #[error("a listener on loopback cannot be opened")]
    Listen(#[source] std::io::Error),
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
    #[error("no {what} named `{name}` was started; start it before what refers to it")]
    NoService { what: &'static str, name: String },
    #[error("`{target}` cannot be seeded: {why}")]
    Seed { target: String, why: String },
    #[error("there is no version {0}")]
    NoVersion(VersionId),
    #[error("`{0}` is not a name for a document")]
    Name(#[source] remint_contract::NameError),
}

/// All services of one run.
pub struct World {
    clock: Arc<dyn Clock>,
    rng: Mutex<StdRng>,
    caller: Caller,
    issuers: BTreeMap<String, Arc<Issuer>>,
    stores: BTreeMap<String, Arc<Store>>,
    hosts: BTreeMap<String, Arc<Host>>,
    tasks: JoinSet<()>,
}

impl World {
    /// An empty world on the machine's clock, with values from a fixed seed.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    #[expect(clippy::unused_async, reason = "services are tasks: a world can only begin inside a runtime")]
    pub async fn start() -> Result<Self, WorldError> {
        Self::with(Arc::new(SystemClock), 0)
    }

    /// An empty world on a clock of the caller's, with values from a seed.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn with(clock: Arc<dyn Clock>, seed: u64) -> Result<Self, WorldError> {
        Ok(Self {
            clock,
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
            caller: Caller::new()?,
            issuers: BTreeMap::new(),
            stores: BTreeMap::new(),
            hosts: BTreeMap::new(),
            tasks: JoinSet::new(),
        })
    }

    /// Starts an issuer.
    ///
    /// # Errors
    /// No listener.
    pub async fn issuer(&mut self, spec: IssuerSpec) -> Result<Arc<Issuer>, WorldError> {
        let (service, listeners) = Service::bind(&spec.name, spec.endpoints, spec.latency, Arc::clone(&self.clock))
            .await
            .map_err(WorldError::Listen)?;
        let rng = StdRng::from_rng(&mut *lock(&self.rng));
        let name = spec.name.clone();
        let issuer = Arc::new(Issuer::new(spec, Arc::clone(&service), rng));
        service.serve(listeners, &issuer, &mut self.tasks);
        self.issuers.insert(name, Arc::clone(&issuer));
        Ok(issuer)
    }

    /// Starts a store. It trusts the issuers that its grants name.
    ///
    /// # Errors
    /// No listener, or a grant names an issuer that was not started.
    pub async fn store(&mut self, spec: StoreSpec) -> Result<Arc<Store>, WorldError> {
        let mut names: Vec<&String> = spec.grants.iter().map(|grant| &grant.issuer).collect();
        names.sort();
        names.dedup();
        let issuers = names
            .into_iter()
            .map(|name| Ok((name.clone(), find(&self.issuers, "issuer", name)?)))
            .collect::<Result<_, WorldError>>()?;
        let (service, listeners) =
            Service::bind(&spec.name, 1, spec.latency, Arc::clone(&self.clock)).await.map_err(WorldError::Listen)?;
        let name = spec.name.clone();
        let store = Arc::new(Store::new(spec, Arc::clone(&service), issuers, self.secret()));
        service.serve(listeners, &store, &mut self.tasks);
        self.stores.insert(name, Arc::clone(&store));
        Ok(store)
    }

    /// Starts a host; its workloads read their values before this returns.
    ///
    /// # Errors
    /// No listener, or a workload names a store or issuer that was not started.
    pub async fn workloads(&mut self, spec: HostSpec) -> Result<Arc<Host>, WorldError> {
        for holding in spec.workloads.iter().flat_map(|workload| &workload.holds) {
            if holding.leases.is_none() {
                find(&self.stores, "store", &holding.store)?;
            }
            if !holding.issuer.is_empty() {
                find(&self.issuers, "issuer", &holding.issuer)?;
            }
        }
        let (service, listeners) =
            Service::bind(&spec.name, 1, spec.latency, Arc::clone(&self.clock)).await.map_err(WorldError::Listen)?;
        let name = spec.name.clone();
        let (stores, issuers) = (self.stores.clone(), self.issuers.clone());
        let host = Arc::new(Host::new(spec, Arc::clone(&service), stores, issuers, self.caller.clone()));
        for workload in host.workloads() {
            host.restart(&workload).await;
        }
        service.serve(listeners, &host, &mut self.tasks);
        self.hosts.insert(name, Arc::clone(&host));
        Ok(host)
    }

    /// A running service by name, whatever its role.
    pub fn service(&self, name: &str) -> Option<&Service> {
        let issuer = self.issuers.get(name).map(|issuer| &***issuer);
        let store = || self.stores.get(name).map(|store| &***store);
        let host = || self.hosts.get(name).map(|host| &***host);
        issuer.or_else(store).or_else(host)
    }

    /// Adds a fault to a service.
    ///
    /// # Errors
    /// No such service.
    pub fn fault(&self, service: &str, fault: Fault) -> Result<FaultId, WorldError> {
        let found = self.service(service);
        found
            .map(|service| service.fault(fault))
            .ok_or_else(|| WorldError::NoService { what: "service", name: service.to_owned() })
    }

    /// The issuers by name.
    pub const fn issuers(&self) -> &BTreeMap<String, Arc<Issuer>> {
        &self.issuers
    }

    /// The stores by name.
    pub const fn stores(&self) -> &BTreeMap<String, Arc<Store>> {
        &self.stores
    }

    /// The hosts by name.
    pub const fn hosts(&self) -> &BTreeMap<String, Arc<Host>> {
        &self.hosts
    }

    /// Every secret value that any service ever drew, took or held: what a search for leaks looks for.
    pub fn ever(&self) -> Vec<SecretValue> {
        let issued = self.issuers.values().flat_map(|issuer| issuer.ever());
        issued.chain(self.stores.values().flat_map(|store| store.ever())).collect()
    }

    /// Lets a workload do its work once; answers the places (`store:path`) whose value was not accepted, `None` when the
    /// host or the workload did not answer.
    pub async fn work(&self, host: &str, workload: &str) -> Option<Vec<String>> {
        let url = self.hosts.get(host)?.urls().into_iter().next()?;
        traffic::work(&self.caller, &url, workload).await
    }

    /// A random value of this world.
    pub fn secret(&self) -> SecretValue {
        random_secret(&mut lock(&self.rng))
    }
}

fn find<T>(among: &BTreeMap<String, Arc<T>>, what: &'static str, name: &str) -> Result<Arc<T>, WorldError> {
    among.get(name).cloned().ok_or_else(|| WorldError::NoService { what, name: name.to_owned() })
}

/// 32 letters and digits. From a seed: good for a fake, never for anything else.
fn random_secret(rng: &mut StdRng) -> SecretValue {
    let bytes = (0..32).map(|_| rng.sample(rand::distr::Alphanumeric)).collect();
    SecretValue::new(bytes)
}

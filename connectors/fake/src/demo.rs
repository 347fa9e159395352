//! The demo's estate: real services, the documents that describe them, and an intruder on one host.
//!
//! Flow: [`Estate::start`] builds the cast (who there is, see `demo/cast`), starts the services and seeds every value,
//! and writes the documents. The compromised node is [`RUNNER`]. What he is after: a chain of credentials three deep, a
//! minter whose keys outlive it, a parent whose tokens die with it, a group, and two readers of one another's places.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use remint_contract::{Clock, MadeBy, Material, SystemClock, VersionId};

use crate::world::{Attacker, Holding, HostSpec, IssuerSpec, StoreSpec, TargetSpec, WorkloadSpec, World, WorldError};
use cast::{Cast, Member};

mod cast;
mod document;

/// The reference of the compromised workload.
pub const RUNNER: &str = "Workload/ci-runner";
/// The store that only Remint reaches; no auth.
pub const KEEP: &str = "remint-keep";
/// The runner's own files.
pub const RUNNER_FILES: &str = "runner-files";

/// What estate to build.
#[derive(Debug, Clone)]
pub struct Options {
    /// Credential documents, Remint's own among them. At least [`FEWEST`].
    pub credentials: usize,
    pub seed: u64,
    /// One of the two readers of one another can be delivered where the other does not read: cutting costs nothing.
    pub direct_path: bool,
    /// What every call to a service takes.
    pub latency: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { credentials: FEWEST, seed: 7, direct_path: false, latency: Duration::ZERO }
    }
}

/// The least number of credentials that shows everything.
pub const FEWEST: usize = 40;

/// A running estate.
pub struct Estate {
    pub world: World,
    /// Every document, as one multi-document YAML text.
    pub documents: String,
    /// Where Remint finds its own credentials: (credential, path in [`KEEP`]).
    pub own: Vec<(String, String)>,
    /// Where every credential is issued and lies. For comparison with what was delivered.
    pub placed: Vec<Placed>,
    /// Every credential that the compromised runner leads to, by any way. For comparison with what `reach` says.
    pub reached: BTreeSet<String>,
    foothold: Vec<(String, String)>,
}

/// One credential, as the services know it.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its name, and its target's at the issuer.
    pub name: String,
    pub issuer: String,
    /// (store, path); its value is in the field [`FIELD`].
    pub places: Vec<(String, String)>,
}

impl Estate {
    /// Starts every service on the machine's clock.
    ///
    /// # Errors
    /// A service cannot be started.
    pub async fn start(options: &Options) -> Result<Self, WorldError> {
        Self::start_at(options, Arc::new(SystemClock)).await
    }

    /// Starts every service on a clock of the caller's.
    ///
    /// # Errors
    /// A service cannot be started.
    pub async fn start_at(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, WorldError> {
        let cast = Cast::new(options.credentials.max(FEWEST), options.direct_path);
        let mut world = World::with(clock, options.seed)?;
        start_issuers(&mut world, &cast, options.latency).await?;
        start_stores(&mut world, &cast, options.latency).await?;
        seed(&world, &cast)?;
        let workloads = workloads(&cast);
        world.workloads(HostSpec { name: HOST.to_owned(), latency: options.latency, workloads }).await?;
        let documents = document::write(&cast, &world);
        let own = cast.members.iter().filter(|member| member.administers.is_some());
        let own = own.map(|member| (member.name.clone(), member.places[0].1.clone())).collect();
        let foothold = cast
            .members
            .iter()
            .flat_map(|member| &member.places)
            .filter(|(store, _)| store == RUNNER_FILES)
            .cloned()
            .collect();
        let reached = cast.members.iter().filter(|member| member.reached).map(|member| member.name.clone()).collect();
        let placed = cast.members.iter().map(|member| Placed {
            name: member.name.clone(),
            issuer: member.issuer.clone(),
            places: member.places.clone(),
        });
        let placed = placed.collect();
        Ok(Self { world, documents, own, placed, reached, foothold })
    }

    /// What the runner's host shows whoever broke into it: (store, path).
    pub fn foothold(&self) -> &[(String, String)] {
        &self.foothold
    }

    /// The intruder, on the runner. He knows every service but Remint's own store.
    ///
    /// # Errors
    /// Never, unless the estate was built wrong.
    pub fn attacker(&self) -> Result<Attacker, WorldError> {
        self.world.attacker(&self.foothold, &BTreeSet::from([KEEP.to_owned()]))
    }

    /// The workloads that traffic must leave out: nobody counts on a compromised one.
    pub fn dirty_workloads(&self) -> BTreeSet<String> {
        BTreeSet::from([cast::RUNNER_NAME.to_owned()])
    }

    /// The runner is rebuilt: whoever was on it sees nothing of it any more.
    pub fn rebuild_runner(&self) {
        if let Some(files) = self.world.stores().get(RUNNER_FILES) {
            files.end_footholds();
        }
    }
}

async fn start_issuers(world: &mut World, cast: &Cast, latency: Duration) -> Result<(), WorldError> {
    for (name, made_by) in ISSUERS {
        let mut spec = IssuerSpec { made_by, latency, ..IssuerSpec::new(name) };
        for member in cast.members.iter().filter(|member| member.issuer == name) {
            spec.targets.push(TargetSpec {
                admin: member.administers.as_deref() == Some(name),
                mints: member.mints.clone(),
                dies_with_parent: member.dies_with_parent,
                ..TargetSpec::new(&member.name)
            });
        }
        world.issuer(spec).await?;
    }
    Ok(())
}

async fn start_stores(world: &mut World, cast: &Cast, latency: Duration) -> Result<(), WorldError> {
    for name in STORES {
        let mut spec = StoreSpec { latency, ..StoreSpec::new(name) };
        for member in &cast.members {
            if member.administers.as_deref() == Some(name) || (name == RUNNER_FILES && member.name == FILES_ADMIN) {
                spec = spec.writable(&member.issuer, &member.name, "");
            }
            for (_, prefix) in member.reads.iter().filter(|(store, _)| store == name) {
                spec = spec.readable(&member.issuer, &member.name, prefix);
            }
        }
        world.store(spec).await?;
    }
    world.store(StoreSpec { latency, ..StoreSpec::new(KEEP).open() }).await?;
    Ok(())
}

/// Makes every first version, parents before children, and puts it where its consumers read it.
fn seed(world: &World, cast: &Cast) -> Result<(), WorldError> {
    let mut made: BTreeMap<&str, VersionId> = BTreeMap::new();
    for member in &cast.members {
        let (version, material) = seed_one(world, member, &made)?;
        for (store, path) in &member.places {
            if let Some(store) = world.stores().get(store) {
                store.put(path, &[(FIELD, &material.secret)])?;
            }
        }
        made.insert(&member.name, version);
    }
    Ok(())
}

fn seed_one(
    world: &World,
    member: &Member,
    made: &BTreeMap<&str, VersionId>,
) -> Result<(VersionId, Material), WorldError> {
    let missing = || WorldError::NoService { what: "issuer", name: member.issuer.clone() };
    let issuer = world.issuers().get(&member.issuer).ok_or_else(missing)?;
    let parent = member.minted_by.as_ref().and_then(|parent| made.get(parent.as_str()));
    let seeded = match parent {
        Some(parent) => issuer.seed_under(&member.name, parent)?,
        None => issuer.seed(&member.name)?,
    };
    if member.sessions {
        issuer.open_session(&seeded.0)?;
    }
    Ok(seeded)
}

fn workloads(cast: &Cast) -> Vec<WorkloadSpec> {
    let mut holds: BTreeMap<&str, Vec<Holding>> = BTreeMap::new();
    for member in &cast.members {
        if let (Some(workload), Some((store, path))) = (&member.consumer, member.places.last()) {
            holds.entry(workload).or_default().push(Holding::new(store, path, &member.issuer));
        }
    }
    holds.into_iter().map(|(name, holds)| WorkloadSpec { name: name.to_owned(), holds }).collect()
}

/// Names and makers of the issuers.
const ISSUERS: [(&str, MadeBy); 3] =
    [("ids-core", MadeBy::Issuer), ("ids-cloud", MadeBy::Remint), ("ids-tokens", MadeBy::IssuerOnce)];
/// The stores that need a credential.
const STORES: [&str; 3] = ["vault-ci", "vault-prod", RUNNER_FILES];
const HOST: &str = "hosts";
/// Remint writes the runner's files with the credential it has for this store.
const FILES_ADMIN: &str = "remint-vault-ci";
/// The field of a value in a store.
pub const FIELD: &str = "secret";

//! A world for an estate, and the processes that carry a reset on in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use remint::context::Context;
use remint::engine::host::HostSettings;
use remint::engine::record::ResetStatus;
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineError, EngineSettings};
use remint::escrow::{Escrow, Kek};
use remint::store::Store;
use remint_contract::{HostRules, Material, Ref, ResetId, SecretValue, Strategy};
use remint_core::estate::Estate;
use remint_core::plan::Plan;
use tokio::task::JoinHandle;

use super::clock::{Gate, OwnClock, Time};
use super::connector::{Net, Role, Settings, SimKinds};
use super::dice::Dice;
use super::estate::promised;
use super::fate::{Fair, Fate};
use super::store::{Line, MemoryStore};
use super::world::issuer::TargetSpec;
use super::world::{Holding, Issuer, Promise, Running, Shelf, World};

/// Everything of one run.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) estate: Estate,
    pub(crate) plan: Plan,
    /// For values and ids; what goes wrong is drawn elsewhere.
    pub(crate) dice: Dice,
    pub(crate) settings: EngineSettings,
}

/// One process over the store.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) gate: Arc<Gate>,
    pub(crate) engine: Engine,
}

pub(crate) fn settings() -> EngineSettings {
    EngineSettings {
        host: HostSettings {
            call_timeout: Duration::from_secs(2),
            tries: 4,
            backoff: Duration::from_millis(50),
            ..HostSettings::default()
        },
        poll: Duration::from_millis(300),
        patience: Duration::from_secs(4),
        lease: Duration::from_secs(6),
        skew: Duration::from_millis(500),
        reproofs: vec![Duration::from_secs(30), Duration::from_secs(90)],
        ..EngineSettings::default()
    }
}

impl Stage {
    /// The world as the estate says that it is, before anything happens.
    pub(crate) fn set(estate: Estate, plan: Plan, dice: Dice, deadlines: bool) -> Self {
        let world = World::new(Time::start());
        world.land(|state| {
            for system in estate.systems.values() {
                let own: Settings = serde_json::from_value(system.settings.clone()).unwrap();
                state.budgets.insert(own.name.clone(), system.budget);
                match own.role {
                    Role::Issuer => {
                        let mut issuer = Issuer::new(own.slots, own.made_by);
                        // A database login knows no operation; what was set is seen by trying it.
                        issuer.remembers = own.name != "roles";
                        issuer.deadlines = deadlines;
                        state.issuers.insert(own.name, issuer);
                    }
                    Role::Store => {
                        let Settings { staged, versioned, compares, .. } = own;
                        let mut shelf = Shelf::default();
                        (shelf.staged, shelf.versioned, shelf.compares) = (staged, versioned, compares);
                        (shelf.remembers, shelf.deadlines) = (staged, deadlines);
                        state.shelves.insert(own.name, shelf);
                    }
                    Role::Floor => {}
                }
            }
        });
        let stage = Self { world, store: Arc::default(), estate, plan, dice, settings: settings() };
        stage.seed();
        stage.furnish();
        stage
    }

    /// One version of every credential, minters first, and its value in every place.
    fn seed(&self) {
        let mut made: BTreeMap<Ref, String> = BTreeMap::new();
        while made.len() < self.estate.credentials.len() {
            for (own, credential) in &self.estate.credentials {
                let by = credential.issued_by.by.as_ref();
                if made.contains_key(own) || by.is_some_and(|by| !made.contains_key(by)) {
                    continue;
                }
                let target = credential.issued_by.target.name.clone();
                let username = (credential.rotation.strategy == Strategy::Alternate).then(|| format!("{target}-a"));
                let secret = SecretValue::from(format!("old-{target}-{:016x}", self.dice.next()));
                let material = Material { username, secret };
                let id = self.world.land(|state| {
                    let issuer = state.issuers.get_mut(credential.issued_by.system.name.as_str()).unwrap();
                    let admin = target.starts_with("root-");
                    let dies_with_parent = credential.issued_by.dies_with_issuer;
                    issuer.targets.entry(target.clone()).or_default().admin = admin;
                    issuer.targets.entry(target.clone()).or_default().dies_with_parent = dies_with_parent;
                    if let Some(by) = by {
                        let minter: &mut TargetSpec = issuer.targets.entry(by.name.to_string()).or_default();
                        minter.mints.push(target.clone());
                    }
                    let id = issuer.seed(&target, material.clone(), by.map(|by| made[by].clone()));
                    for place in &credential.delivered_to {
                        let fields = place.fields.iter();
                        let fields =
                            fields.map(|(field, template)| (field.clone(), template.render(&material).unwrap()));
                        let shelf = state.shelves.get_mut(place.at.system.name.as_str()).unwrap();
                        shelf.put(&place.at.path, fields.collect());
                    }
                    id
                });
                made.insert(own.clone(), id);
            }
        }
    }

    /// Every workload reads each credential from one of its places: where it will be written with the others, when there
    /// is one.
    fn furnish(&self) {
        self.world.land(|state| {
            for (own, credential) in &self.estate.credentials {
                let member = self.plan.members.iter().find(|member| member.credential == *own);
                let early = member.and_then(|member| member.destinations.first());
                let Some(place) = early.or_else(|| credential.delivered_to.first()) else { continue };
                for workload in credential.consumed_by.iter().filter(|workload| workload.name.as_str() != "remint") {
                    let running: &mut Running = state.workloads.entry(workload.name.to_string()).or_default();
                    running.holdings.push(Holding {
                        store: place.at.system.name.to_string(),
                        path: place.at.path.clone(),
                        issuer: credential.issued_by.system.name.to_string(),
                        target: credential.issued_by.target.name.clone(),
                        held: None,
                    });
                }
            }
            let all: Vec<String> = state.workloads.keys().cloned().collect();
            all.iter().for_each(|workload| state.reload(workload));
            let promised = promised(&self.estate, &self.plan);
            for member in self.plan.members.iter().filter(|member| promised.contains(&member.credential)) {
                for workload in member.consumers.iter().filter(|workload| workload.name.as_str() != "remint") {
                    let target = self.estate.credentials[&member.credential].issued_by.target.name.clone();
                    state.promises.push(Promise { workload: workload.name.to_string(), target });
                }
            }
        });
    }

    pub(crate) fn process(&self, name: &str, gate: Arc<Gate>, fate: Arc<dyn Fate>) -> Process {
        let line = Line {
            store: Arc::clone(&self.store),
            gate: Arc::clone(&gate),
            fate: Arc::clone(&fate),
            name: name.to_owned(),
        };
        let net = Net {
            process: name.to_owned(),
            gate: Arc::clone(&gate),
            world: Arc::clone(&self.world),
            fate,
            dice: self.dice.clone(),
        };
        let clock = OwnClock { time: self.world.time.clone(), gate: Arc::clone(&gate) };
        let store: Arc<dyn Store> = Arc::new(line);
        let engine = Engine::new(
            store,
            Arc::new(Escrow::new(kek(), Box::new(self.dice.clone()))),
            Arc::new(SimKinds(Arc::new(net))),
            HostRules::default(),
            Context { clock: Arc::new(clock), random: Arc::new(self.dice.clone()) },
            EngineSettings { holder: name.to_owned(), ..self.settings.clone() },
        );
        Process { name: name.to_owned(), gate, engine }
    }

    /// Somebody who looks and acts from outside, and whom nothing happens to.
    pub(crate) fn person(&self) -> Engine {
        self.process("person", Arc::default(), Arc::new(Fair)).engine
    }

    /// Asks for the plan and approves it.
    pub(crate) async fn ask(&self) -> ResetId {
        let engine = self.person();
        let id = ResetId("r-sim".to_owned());
        let asked = Asked {
            id: id.clone(),
            plan: self.plan.clone(),
            estate: self.estate.clone(),
            reason: "INC-1".to_owned(),
            by: "tester".to_owned(),
            at: engine.context.clock.now(),
        };
        engine.request(asked).await.unwrap();
        engine.approve(&id, "tester").await.unwrap();
        id
    }
}

impl Process {
    /// Carries the reset on until it is complete, as a daemon does; ends when the process dies.
    pub(crate) fn live(self, id: ResetId, world: Arc<World>, store: Arc<MemoryStore>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let gate = Arc::clone(&self.gate);
            tokio::select! {
                biased;
                () = gate.died() => world.trace(&format!("{} DIED", self.name)),
                () = self.carry(&id, &world, &store) => {}
            }
        })
    }

    async fn carry(&self, id: &ResetId, world: &World, store: &MemoryStore) {
        let clock = &self.engine.context.clock;
        loop {
            let now = clock.now();
            let done = match standing(store, id) {
                (ResetStatus::Running, _) => self.engine.run(id).await.map(drop),
                (ResetStatus::Provisional, due) if due.is_none_or(|due| due <= now) => {
                    self.engine.reprove(id).await.map(drop)
                }
                (ResetStatus::Complete, _) => return,
                _ => Ok(()),
            };
            let wait = match done {
                Ok(()) => Duration::from_secs(1),
                Err(EngineError::Busy(_)) => Duration::from_secs(2),
                Err(error) => {
                    world.trace(&format!("{} FAILED {error}", self.name));
                    Duration::from_secs(2)
                }
            };
            clock.sleep(wait).await;
        }
    }
}

/// How a reset stands, and when its next re-proof is due.
pub(crate) fn standing(store: &MemoryStore, id: &ResetId) -> (ResetStatus, Option<Timestamp>) {
    let look = |body: &serde_json::Value| {
        let status = serde_json::from_value(body["status"].clone()).unwrap();
        (status, body["reproofs"][0].as_str().map(|due| due.parse().unwrap()))
    };
    store.peek("reset", &id.0, look).unwrap()
}

/// One key file for all runs: what is sealed under it differs by the values.
fn kek() -> Kek {
    static FILE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = FILE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        Kek::create(&path, std::path::Path::new("/nowhere/state"), false, &Dice::new(0, 0)).unwrap();
        (folder, path)
    });
    Kek::load(path, std::path::Path::new("/nowhere/state"), false).unwrap()
}

//! A world for an estate, and the processes that carry a reset on in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use remint::context::Context;
use remint::engine::host::HostSettings;
use remint::engine::record::{ResetStatus, TaskRecord, Urgency};
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineError, EngineSettings};
use remint::escrow::{Escrow, Kek};
use remint::store::Store;
use remint_contract::{HostRules, Material, Ref, ResetId, SecretValue, Strategy};
use remint_core::estate::Estate;
use remint_core::plan::{Plan, Request};
use tokio::task::{JoinHandle, JoinSet};

use super::clock::{Gate, OwnClock, Time};
use super::connector::{Net, Role, Settings, SimKinds};
use super::dice::Dice;
use super::estate::promised;
use super::fate::{Fair, Fate};
use super::store::{Line, MemoryStore};
use super::world::issuer::TargetSpec;
use super::world::{Bundle, Holding, Issuer, Life, Promise, Running, Shelf, World};

/// Everything of one run.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) estate: Estate,
    /// What was asked for first.
    pub(crate) asked: Request,
    pub(crate) plan: Plan,
    /// For values and ids; what goes wrong is drawn elsewhere.
    pub(crate) dice: Dice,
    pub(crate) settings: EngineSettings,
    /// Every process has the same keys.
    escrow: Arc<Escrow>,
}

/// Whom verifiers trust beside what the estate knows of.
pub(crate) const STRANGER: &str = "pub-somebody-else";

/// The first reset of a run.
pub(crate) const FIRST: &str = "r-sim";

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
    pub(crate) fn set(estate: Estate, asked: Request, plan: Plan, dice: Dice, deadlines: bool) -> Self {
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
                        (issuer.issues, issuer.lag) = (own.issues, Duration::from_millis(own.lag));
                        state.issuers.insert(own.name, issuer);
                    }
                    Role::Store => {
                        let Settings { staged, versioned, compares, .. } = own;
                        let mut shelf = Shelf::default();
                        (shelf.staged, shelf.versioned, shelf.compares) = (staged, versioned, compares);
                        (shelf.remembers, shelf.deadlines) = (staged, deadlines);
                        shelf.lag = Duration::from_millis(own.lag);
                        state.shelves.insert(own.name, shelf);
                    }
                    Role::Floor => {}
                }
            }
        });
        let escrow = Arc::new(Escrow::new(kek(), Box::new(dice.clone())));
        let stage = Self { world, store: Arc::default(), estate, asked, plan, dice, settings: settings(), escrow };
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
                let username = match credential.rotation.strategy {
                    Strategy::Alternate => Some(format!("{target}-a")),
                    Strategy::DualTrust if !credential.trusted_by.is_empty() => Some(format!("pub-{target}-0")),
                    _ => None,
                };
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
                    for place in &credential.trusted_by {
                        let public = material.username.as_deref().unwrap_or_default();
                        let keys = SecretValue::from(format!("{STRANGER}\n{public}\n"));
                        let shelf = state.shelves.get_mut(place.system.name.as_str()).unwrap();
                        shelf.put(&place.path, [("keys".to_owned(), keys)].into());
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
                let place = early.or_else(|| credential.delivered_to.first());
                let leased = credential.rotation.strategy == Strategy::Ephemeral;
                let (store, path) =
                    place.map(|place| (place.at.system.name.to_string(), place.at.path.clone())).unwrap_or_default();
                for verifier in &credential.verified_by {
                    let running: &mut Running = state.workloads.entry(verifier.name.to_string()).or_default();
                    running.bundles.extend(credential.trusted_by.iter().map(|place| Bundle {
                        store: place.system.name.to_string(),
                        path: place.path.clone(),
                        text: String::new(),
                    }));
                    let target = credential.issued_by.target.name.clone();
                    state.verifiers.entry(target).or_default().push(verifier.name.to_string());
                }
                for workload in credential.consumed_by.iter().filter(|workload| workload.name.as_str() != "remint") {
                    let running: &mut Running = state.workloads.entry(workload.name.to_string()).or_default();
                    running.holdings.push(Holding {
                        store: store.clone(),
                        path: path.clone(),
                        leased,
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
            Arc::clone(&self.escrow),
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

    /// The systems that each credential needs: its issuer, its stores, and the hosts of its consumers.
    pub(crate) fn needs(&self) -> BTreeMap<String, BTreeSet<String>> {
        let all = self.estate.credentials.iter().map(|(name, credential)| {
            let places = credential.delivered_to.iter().map(|place| &place.at);
            let stores = places.chain(&credential.trusted_by).map(|at| at.system.name.to_string());
            let floor =
                (!credential.consumed_by.is_empty() || !credential.verified_by.is_empty()).then(|| "floor".to_owned());
            let own = credential.issued_by.system.name.to_string();
            (name.to_string(), stores.chain(floor).chain([own]).collect())
        });
        all.collect()
    }

    /// Asks for the plan and approves it.
    pub(crate) async fn ask(&self) -> ResetId {
        let id = ResetId(FIRST.to_owned());
        self.request(&id, &self.plan, Urgency::of(&self.plan), None).await;
        self.person().approve(&id, "tester").await.unwrap();
        id
    }

    /// Asks for a plan; nobody is promised any more what it does not promise.
    pub(crate) async fn request(&self, id: &ResetId, plan: &Plan, urgency: Urgency, exposed_at: Option<Timestamp>) {
        self.promise_no_more_than(plan);
        let engine = self.person();
        let asked = Asked {
            id: id.clone(),
            plan: plan.clone(),
            estate: self.estate.clone(),
            reason: "INC-1".to_owned(),
            by: "tester".to_owned(),
            at: engine.context.clock.now(),
        };
        engine.request_as(asked, urgency, exposed_at).await.unwrap();
    }

    /// What a task asks a person to do, done as its words say.
    pub(crate) fn do_by_hand(&self, task: &TaskRecord) {
        let Some(document) = self.estate.credentials.get(&task.about) else { return };
        let (system, target) = (document.issued_by.system.name.as_str(), &document.issued_by.target.name);
        let (makes, kills) = (task.what.starts_with("make "), task.what.starts_with("kill "));
        if !makes && !kills {
            return;
        }
        let told = self.world.land(|state| {
            let lying: Vec<_> = document
                .delivered_to
                .iter()
                .filter_map(|place| state.lies(place.at.system.name.as_str(), &place.at.path))
                .map(|lies| lies.secret)
                .collect();
            let issuer = state.issuers.get_mut(system)?;
            if !makes {
                // What lies where it is read stays, unless nothing else does yet.
                let first = task.id.ends_with("-disable");
                let old = issuer.versions.values_mut().filter(|version| version.target == *target);
                old.filter(|version| first || !lying.contains(&version.material.secret))
                    .for_each(|version| version.life = Life::Revoked);
                return Some(format!("KILLED BY HAND the old ones of {target}"));
            }
            let material = Material::of(SecretValue::from(format!("hand-{target}-{:016x}", self.dice.next())));
            let id = issuer.seed(target, material.clone(), None);
            for place in &document.delivered_to {
                let fields = place.fields.iter();
                let fields = fields.map(|(field, template)| (field.clone(), template.render(&material).unwrap()));
                let shelf = state.shelves.get_mut(place.at.system.name.as_str())?;
                shelf.put(&place.at.path, fields.collect());
            }
            Some(format!("MADE BY HAND {id}"))
        });
        if let Some(told) = told {
            self.world.trace(&told);
        }
    }

    /// What this plan stops, cuts, or writes elsewhere first is not promised to its consumers.
    pub(crate) fn promise_no_more_than(&self, plan: &Plan) {
        let still = promised(&self.estate, plan);
        self.world.land(|state| {
            for member in &plan.members {
                let document = &self.estate.credentials[&member.credential];
                let target = &document.issued_by.target.name;
                let system = document.issued_by.system.name.as_str();
                let read = |workload: &str, running: &BTreeMap<String, Running>| {
                    let held = running.get(workload).map(|running| running.holdings.clone()).unwrap_or_default();
                    let early = |holding: &Holding| {
                        let lies = |at: &remint_contract::Location| {
                            at.system.name.as_str() == holding.store && at.path == holding.path
                        };
                        holding.leased || member.destinations.iter().any(|place| lies(&place.at))
                    };
                    held.iter().filter(|holding| holding.target == *target && holding.issuer == system).all(early)
                };
                let workloads = std::mem::take(&mut state.workloads);
                state.promises.retain(|promise| {
                    promise.target != *target
                        || still.contains(&member.credential) && read(&promise.workload, &workloads)
                });
                state.workloads = workloads;
            }
        });
    }
}

impl Process {
    /// Carries every reset on until it is over, as a daemon does; ends when the process dies.
    pub(crate) fn live(self, world: Arc<World>, store: Arc<MemoryStore>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let gate = Arc::clone(&self.gate);
            tokio::select! {
                biased;
                () = gate.died() => world.trace(&format!("{} DIED", self.name)),
                () = self.carry_all(&world, &store) => {}
            }
        })
    }

    async fn carry_all(&self, world: &Arc<World>, store: &Arc<MemoryStore>) {
        let mut known = BTreeSet::new();
        let desk: Arc<Desk> = Arc::default();
        let mut seats = JoinSet::new();
        loop {
            for id in store.ids("reset") {
                if known.insert(id.clone()) {
                    let seat = Seat {
                        id: ResetId(id),
                        name: self.name.clone(),
                        engine: self.engine.clone(),
                        world: Arc::clone(world),
                        store: Arc::clone(store),
                        desk: Arc::clone(&desk),
                    };
                    // A daemon that starts looks at everything that is not over.
                    seat.asked();
                    seats.spawn(seat.carry());
                }
            }
            self.engine.context.clock.sleep(Duration::from_millis(500)).await;
        }
    }
}

/// Resets that somebody acted on, or that another one let go.
type Desk = Mutex<BTreeSet<ResetId>>;

/// One reset in one process.
struct Seat {
    id: ResetId,
    name: String,
    engine: Engine,
    world: Arc<World>,
    store: Arc<MemoryStore>,
    desk: Arc<Desk>,
}

impl Seat {
    fn asked(&self) {
        self.desk.lock().unwrap().insert(self.id.clone());
    }

    async fn carry(self) {
        let clock = Arc::clone(&self.engine.context.clock);
        let mut rung = self.store.revision("signal", &self.id.0);
        loop {
            let signal = self.store.revision("signal", &self.id.0);
            if std::mem::replace(&mut rung, signal) != signal {
                self.asked();
            }
            let (id, engine) = (&self.id, &self.engine);
            let (status, due, again) = standing(&self.store, id);
            let now = clock.now();
            // A daemon claims what is due before it begins, and leaves alone what another one has.
            if self.store.is_held(&format!("reset/{id}"), &self.name, now) {
                self.asked();
                clock.sleep(Duration::from_secs(1)).await;
                continue;
            }
            let asked = || self.desk.lock().unwrap().remove(id);
            let past = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
            let done = match status {
                ResetStatus::Running => Some(engine.run(id).await.map(drop)),
                ResetStatus::Resting | ResetStatus::Paused | ResetStatus::Aborted if asked() => {
                    Some(engine.run(id).await.map(drop))
                }
                ResetStatus::Resting if past(again) => match engine.retry_unreachable(id).await {
                    Ok(_) => Some(engine.run(id).await.map(drop)),
                    Err(error) => Some(Err(error)),
                },
                ResetStatus::Provisional if due.is_none() || past(due) => Some(engine.reprove(id).await.map(drop)),
                ResetStatus::Complete | ResetStatus::Rejected => return,
                _ => None,
            };
            let wait = match done {
                None => Duration::from_secs(1),
                Some(done) => self.ended(done).await,
            };
            clock.sleep(wait).await;
        }
    }

    /// How long to wait after an end like this; who waits for this reset may find the way free.
    async fn ended(&self, done: Result<(), EngineError>) -> Duration {
        let wait = match done {
            Ok(()) => Duration::from_secs(1),
            // As a daemon does: it looks again when a lease could be over.
            Err(EngineError::Busy(_)) => {
                self.asked();
                Duration::from_secs(2)
            }
            Err(error) => {
                self.world.trace(&format!("{} FAILED {}: {error}", self.name, self.id));
                self.asked();
                Duration::from_secs(2)
            }
        };
        // Nobody waits for the only one.
        if self.store.ids("reset").len() < 2 {
            return wait;
        }
        match self.engine.let_go(&self.id).await {
            Ok(free) => self.desk.lock().unwrap().extend(free),
            Err(error) => self.world.trace(&format!("{} FAILED to let others go: {error}", self.name)),
        }
        wait
    }
}

/// What the systems can do, for who plans.
pub(crate) fn kinds() -> SimKinds {
    let world = World::new(Time::start());
    SimKinds(Arc::new(Net {
        process: String::new(),
        gate: Arc::default(),
        world,
        fate: Arc::new(Fair),
        dice: Dice::new(0, 0),
    }))
}

/// How a reset stands, when its next re-proof is due, and when what could not be reached is tried again.
pub(crate) fn standing(store: &MemoryStore, id: &ResetId) -> (ResetStatus, Option<Timestamp>, Option<Timestamp>) {
    let look = |body: &serde_json::Value| {
        let status = serde_json::from_value(body["status"].clone()).unwrap();
        let time = |value: &serde_json::Value| value.as_str().map(|due| due.parse().unwrap());
        (status, time(&body["reproofs"][0]), time(&body["again"]["at"]))
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

//! Kills a real daemon at random while it resets, over and over, and counts at the servers and files what came of it.
//!
//! Flow: [`run`] builds a world that outlives the daemon — roles of a real PostgreSQL delivered to files ([`roles`]), and
//! the demo's HTTP services — with consumers that keep using what was delivered ([`consumer`]); then it starts the daemon
//! ([`daemon`]), has a person ask for one reset after another ([`operator`]), and kills it after a time that the seed
//! says, until every kill was made. The last daemon runs undisturbed to the end of its reset, and everything is counted
//! ([`count`]): nothing of that is asked of Remint but whether its sealed values open and its evidence verifies.
//!
//! Guarantees: the same seed gives the same resets and the same times; which effect a kill meets is the machine's affair.
//! Every process that was started is ended before this returns or when it is dropped.
//!
//! Errors: what keeps it from counting. What Remint did wrong is no error but a number in [`Tally`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use remint_fake::demo;
use serde::Serialize;
use tempfile::TempDir;

use consumer::Consumers;
use count::{Counted, count};
use daemon::{Program, kill, stop, tail};
use operator::{Operator, Scopes};
use roles::Roles;
pub use server::{Login, Server};

mod consumer;
pub mod count;
mod daemon;
mod door;
mod operator;
mod roles;
mod server;

/// An error is a sentence for a person.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Where the daemon under test keeps its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    Sqlite,
    Postgresql,
}

/// What to do.
pub struct Options {
    /// The program under test.
    pub program: PathBuf,
    /// Without one there are no roles, and no store over PostgreSQL.
    pub server: Option<Server>,
    pub store: Store,
    pub kills: u32,
    pub seed: u64,
    /// Roles of the database.
    pub roles: usize,
    /// The longest that a daemon lives before it is killed.
    pub life: Duration,
    /// How long the last reset may take without kills.
    pub patience: Duration,
    /// Everything stays on disk for a look.
    pub keep: bool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Tally {
    pub store: Store,
    pub kills: u32,
    /// Kills of a daemon whose reset was under way.
    pub kills_in_flight: u32,
    /// Kills while a call of Remint was being answered by one of the demo's services.
    pub kills_in_call: u32,
    /// Commands that were killed before they ended, beside the kills of daemons: `keys rotate`, `keys rewrap`, `reprove`.
    pub commands_killed: u32,
    /// How often a person paused a reset and let it go on, and had the rest of one contained.
    pub pauses: u32,
    pub escalations: u32,
    pub resets: usize,
    /// Rotations that settled.
    pub settled: usize,
    pub lost: usize,
    pub orphans: usize,
    pub double_live: usize,
    pub evidence_ok: bool,
    /// How often a person had to let something parked try again.
    pub retries: u32,
    pub requests: u64,
    pub failed_requests: usize,
    /// Of those, the ones during a rolling reset, in the outage that its plan announced. Any other is a problem.
    pub announced_requests: u32,
    pub seconds: f64,
    /// What is wrong, in words, and what rested or was refused meanwhile.
    pub problems: Vec<String>,
    pub notes: Vec<String>,
}

impl Tally {
    /// True when nothing was lost, orphaned, alive twice or wrong.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.evidence_ok
    }
}

/// Runs it over one store.
///
/// # Errors
/// The world cannot be built or counted, or the program not be started.
pub async fn run(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Outcome<Tally> {
    let began = Instant::now();
    let folder = tempfile::Builder::new().prefix("remint-chaos-").tempdir()?;
    let stage = Stage::build(options, &folder).await?;
    let mut lives = Lives::new(options, &stage);
    let lived = lives.live(options, &stage, say).await;
    let finished = match lived {
        Ok(()) => lives.finish(options, &stage, say).await,
        Err(error) => Err(error),
    };
    let dropped = stage.drop().await;
    if options.keep {
        say(&format!("everything is in {}", folder.keep().display()));
    }
    let mut tally = finished?;
    dropped?;
    tally.seconds = began.elapsed().as_secs_f64();
    Ok(tally)
}

/// The world, and the program's own folder.
struct Stage {
    database: Option<Database>,
    demo: demo::Estate,
    traffic: remint_fake::world::Traffic,
    program: Program,
    key: String,
}

/// The side of the world that is a real server.
pub(crate) struct Database {
    pub(crate) roles: Roles,
    pub(crate) consumers: Consumers,
    /// The daemon's own store, when it is here.
    store: Option<String>,
}

impl Stage {
    async fn build(options: &Options, folder: &TempDir) -> Outcome<Self> {
        let mut rng = StdRng::seed_from_u64(options.seed ^ u64::from(std::process::id()));
        let name = format!("x{:08x}", rng.random::<u32>());
        for part in ["estate", "keys"] {
            std::fs::create_dir(folder.path().join(part))?;
        }
        let cast = demo::Options { seed: options.seed, latency: LATENCY, ..demo::Options::default() };
        let demo = demo::Estate::start(&cast).await?;
        std::fs::write(folder.path().join("estate/demo.yaml"), &demo.documents)?;
        let database = match &options.server {
            None => None,
            Some(server) => Some(Database::build(server, options, &name, folder.path()).await?),
        };
        let url = database.as_ref().and_then(|database| database.url(folder.path()));
        if options.store == Store::Postgresql && url.is_none() {
            return Err("a store over PostgreSQL needs a server".into());
        }
        // The program of now: what is built meanwhile is another.
        let own = folder.path().join("remint");
        if std::fs::hard_link(&options.program, &own).is_err() {
            std::fs::copy(&options.program, &own)?;
        }
        let program = Program::new(own, folder.path().to_owned(), url);
        let (made, answer) = program.ask(["init", "--single-operator"]).await?;
        let key = answer["key"].as_str().filter(|_| made.success()).ok_or("the state could not be made")?.to_owned();
        let traffic = demo.world.traffic(Duration::from_millis(100), &BTreeSet::new());
        Ok(Self { database, demo, traffic, program, key })
    }

    /// True while a service is answering a call of Remint's.
    fn is_calling(&self) -> bool {
        let world = &self.demo.world;
        let names = world.issuers().keys().chain(world.stores().keys()).chain(world.hosts().keys());
        names.filter_map(|name| world.service(name)).any(|service| service.counts().of("remint").in_flight > 0)
    }

    async fn drop(self) -> Outcome<()> {
        match self.database {
            Some(database) => database.drop().await,
            None => Ok(()),
        }
    }
}

impl Database {
    async fn build(server: &Server, options: &Options, name: &str, folder: &Path) -> Outcome<Self> {
        let roles = Roles::create(server.clone(), format!("{name}_"), options.roles, folder).await?;
        std::fs::write(folder.join("estate/database.yaml"), roles.documents()?)?;
        let mut store = None;
        if options.store == Store::Postgresql {
            std::fs::write(folder.join(PASSWORD), &server.boss.password)?;
            server.run(format!("CREATE DATABASE {name}")).await?;
            store = Some(name.to_owned());
        }
        let consumers = Consumers::start(&roles);
        Ok(Self { roles, consumers, store })
    }

    /// Where the daemon's store is, when it is here.
    fn url(&self, folder: &Path) -> Option<String> {
        let (Server { address, boss }, name) = (&self.roles.server, self.store.as_ref()?);
        let password = folder.join(PASSWORD);
        Some(format!("postgres://{}@{address}/{name}?password_file={}", boss.user, password.display()))
    }

    async fn drop(self) -> Outcome<()> {
        let Self { roles, consumers, store } = self;
        drop(consumers);
        if let Some(store) = store {
            roles.server.run(format!("DROP DATABASE {store} WITH (FORCE)")).await?;
        }
        roles.drop().await
    }
}

/// One daemon after another.
struct Lives {
    operator: Operator,
    rng: StdRng,
    kills: u32,
    in_flight: u32,
    in_call: u32,
    commands: u32,
}

impl Lives {
    fn new(options: &Options, stage: &Stage) -> Self {
        let credential = |name: &str| format!("Credential/{name}");
        let roles = stage.database.as_ref().map(|database| &database.roles);
        let count = roles.map_or(0, |roles| roles.count);
        let database: Vec<String> = (0..count).map(|index| format!("Credential/c{index:02}")).collect();
        let all = [vec![credential("ci-deploy")], database.clone()].concat();
        let own = ["remint-ids-core", "remint-vault-ci"].into_iter().chain(roles.map(|_| "pg-admin"));
        let own = own.map(credential).collect();
        let demo = stage.demo.placed.iter().map(|placed| credential(&placed.name));
        let scopes = Scopes {
            wide: vec![all, own],
            single: demo.chain(database).collect(),
            except: roles.map(Roles::except).unwrap_or_default(),
        };
        let operator = Operator::new(stage.program.door(), scopes, StdRng::seed_from_u64(options.seed));
        let rng = StdRng::seed_from_u64(options.seed.wrapping_add(1));
        Self { operator, rng, kills: 0, in_flight: 0, in_call: 0, commands: 0 }
    }

    /// Starts and kills until every kill was made.
    async fn live(&mut self, options: &Options, stage: &Stage, say: &(dyn Fn(&str) + Sync)) -> Outcome<()> {
        let mut unlooked = 0;
        while self.kills < options.kills {
            let mut child = stage.program.serve()?;
            // Some die while they start; most while they work.
            let longest = if self.rng.random_bool(0.15) { options.life / 8 } else { options.life };
            let life = longest.mul_f64(self.rng.random_range(0.02..1.0));
            self.operator.running = None;
            tokio::select! {
                () = tokio::time::sleep(life) => {}
                () = self.operator.attend() => {}
                ended = child.wait() => {
                    let log = tail(&stage.program.log(), 5);
                    return Err(format!("the daemon ended by itself ({}):\n{log}", ended?).into());
                }
            }
            self.in_call += u32::from(stage.is_calling());
            kill(&mut child).await?;
            self.kills += 1;
            if self.rng.random_bool(COMMANDS) {
                self.command(stage).await?;
            }
            // The kills before this life met what it found when it first answered.
            if let Some(running) = self.operator.running {
                self.in_flight += if running { unlooked } else { 0 };
                unlooked = 0;
            }
            unlooked += 1;
            if self.kills.is_multiple_of(10) || self.kills == options.kills {
                say(&format!(
                    "{:?}: {} of {} kills, {} resets over, {} retries",
                    options.store,
                    self.kills,
                    options.kills,
                    self.operator.taken.len(),
                    self.operator.retries
                ));
            }
        }
        Ok(())
    }

    /// Somebody uses the time between two daemons for a command, and that is killed, too.
    async fn command(&mut self, stage: &Stage) -> Outcome<()> {
        let reset = self.operator.taken.last().cloned();
        let mut child = match (self.rng.random_range(0..3), &reset) {
            (0, _) | (_, None) => stage.program.begin(&["keys", "rotate", "--rewrap"])?,
            (1, _) => stage.program.begin(&["keys", "rewrap"])?,
            (_, Some(reset)) => stage.program.begin(&["reprove", reset])?,
        };
        let life = LONGEST_COMMAND.mul_f64(self.rng.random_range(0.1..1.0));
        if tokio::time::timeout(life, child.wait()).await.is_err() {
            kill(&mut child).await?;
            self.commands += 1;
        }
        Ok(())
    }

    /// The last daemon runs to the end of its reset; then everything is counted.
    async fn finish(mut self, options: &Options, stage: &Stage, say: &(dyn Fn(&str) + Sync)) -> Outcome<Tally> {
        let mut problems = Vec::new();
        let mut child = stage.program.serve()?;
        self.operator.running = None;
        self.operator.last = true;
        if tokio::time::timeout(options.patience, self.operator.attend()).await.is_err() {
            problems.push(format!("the last reset did not end in {} s", options.patience.as_secs()));
        }
        self.in_flight += u32::from(self.operator.running == Some(true));
        let settled = self.operator.settled().await?;
        say(&format!("{:?}: {settled} rotations settled; counting", options.store));
        let counted = count(stage.database.as_ref(), &stage.demo).await?;
        if !stop(&mut child).await? {
            problems.push("the last daemon did not stop as it should".to_owned());
        }
        let Counted { mut lost, mut orphans, double_live } = counted;
        orphans.extend(self.operator.foreign.iter().map(|name| format!("reported as foreign: {name}")));
        let evidence_ok = self.look(stage, &mut lost, &mut problems).await?;
        let report = stage.traffic.report();
        let seen = |database: &Database| database.consumers.seen(|ledger| (ledger.requests, ledger.failed.clone()));
        let (requests, mut failed) = stage.database.as_ref().map(seen).unwrap_or_default();
        failed.extend(report.failures.into_iter().map(|failure| (failure.workload, failure.began)));
        let mut rolling: BTreeMap<&str, u32> = BTreeMap::new();
        for (name, _) in failed.iter().filter(|(_, at)| self.operator.rolled(*at)) {
            *rolling.entry(name).or_default() += 1;
        }
        let unannounced = rolling.iter().filter(|(name, _)| !CUT.contains(name));
        problems.extend(unannounced.map(|(name, times)| format!("{name} failed {times} times in rolling resets")));
        let tally = Tally {
            store: options.store,
            kills: self.kills,
            kills_in_flight: self.in_flight,
            kills_in_call: self.in_call,
            commands_killed: self.commands,
            pauses: self.operator.pauses,
            escalations: self.operator.escalations,
            resets: self.operator.taken.len(),
            settled,
            lost: lost.len(),
            orphans: orphans.len(),
            double_live: double_live.len(),
            evidence_ok,
            retries: self.operator.retries,
            requests: requests + report.requests,
            failed_requests: failed.len(),
            announced_requests: CUT.iter().filter_map(|name| rolling.get(name)).sum(),
            seconds: 0.0,
            problems: [problems, lost, orphans, double_live].concat(),
            notes: self.notes(),
        };
        Ok(tally)
    }

    /// Every sealed value opens, the store is whole, and the evidence of every reset verifies.
    async fn look(&self, stage: &Stage, lost: &mut Vec<String>, problems: &mut Vec<String>) -> Outcome<bool> {
        let before = problems.len();
        let (_, checked) = stage.program.ask(["store", "check"]).await?;
        for problem in checked["problems"].as_array().into_iter().flatten() {
            let place = problem["place"].as_str().unwrap_or_default();
            let what = format!("{place}: {}", problem["what"].as_str().unwrap_or_default());
            if place.starts_with("the sealed value") { lost.push(what) } else { problems.push(what) }
        }
        for id in &self.operator.taken {
            // The old values are tried again as often as the settlement asks for, ahead of its time.
            for _ in 0..REPROOFS {
                stage.program.ask(["reprove", id]).await?;
            }
            let bundle = stage.program.estate().with_file_name(format!("{id}.bundle"));
            let file = bundle.display().to_string();
            let (exported, _) = stage.program.ask(["evidence", "export", id, "--out", &file]).await?;
            let (verified, report) = stage.program.ask(["evidence", "verify", &file, "--key", &stage.key]).await?;
            if !(exported.success() && verified.success()) {
                problems.push(format!("the evidence of {id} does not verify: {}", report["findings"]));
            }
        }
        Ok(problems.len() == before)
    }

    fn notes(&self) -> Vec<String> {
        let parked = self.operator.parked.iter().map(|(why, times)| format!("parked {times} times: {why}"));
        parked.chain(self.operator.refused.iter().map(|why| format!("not planned: {why}"))).collect()
    }
}

/// How often a command is killed between two daemons, and how long it may take.
const COMMANDS: f64 = 0.3;
const LONGEST_COMMAND: Duration = Duration::from_millis(400);

/// The demo's two that read one another's places: the one cut of its plans.
const CUT: [&str; 2] = ["svc-loop-a", "svc-loop-b"];

/// The password of the daemon's own store, in the folder of a run.
const PASSWORD: &str = "keys/store-password";

/// How often old values are tried again until a settlement is final.
const REPROOFS: usize = 2;

/// What every call to a service of the demo takes: long enough for a kill to come in between.
const LATENCY: Duration = Duration::from_millis(15);

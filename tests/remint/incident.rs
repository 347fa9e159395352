//! One incident across real systems: a CI runner read what lies in a folder, and the attacker minted a key of his own at each
//! issuer. One reset, through the engine, with workloads that use everything all the time.

mod acme;
mod bao;
mod ca;
mod chain;
mod client;
mod cluster;
mod db;
mod hub;
pub(crate) mod moto;
pub(crate) mod part;
mod pg;
#[path = "../../connectors/kubernetes/tests/cluster/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it belongs to the connector's own tests, which need other parts of it")]
mod real;
#[path = "../../connectors/acme/tests/pebble/web.rs"]
#[allow(dead_code, reason = "it belongs to the connector's own tests, which need other parts of it")]
mod web;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use remint::context::Context;
use remint::engine::host::HostSettings;
use remint::engine::record::{DecisionWord, Finding, ResetStatus, RotationRecord};
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::registry::Registry;
use remint::store::sqlite::SqliteStore;
use remint_contract::{HostRules, Ref, ResetId};
use remint_core::estate::{Estate, SourceFile, load};
use remint_core::machine::State;
use remint_core::plan::{Node, Request, Selector, plan};
use serde_json::json;

use crate::rig::told;
use acme::Acme;
use bao::Bao;
use ca::Ca;
use chain::Chain;
use client::{Clients, Words};
use cluster::Cluster;
use db::Db;
use hub::Hub;
use moto::Moto;
use part::Part;
use pg::Pg;

/// Nothing here may take longer.
const PATIENCE: Duration = Duration::from_mins(8);

struct Incident {
    folder: tempfile::TempDir,
    parts: Vec<Arc<dyn Part>>,
    words: Words,
    estate: Estate,
    engine: Engine,
}

impl Incident {
    async fn over(folder: tempfile::TempDir, parts: Vec<Arc<dyn Part>>, rules: HostRules) -> Self {
        let words = Words::open().await;
        let path = |name: &str| folder.path().join(name);
        for part in &parts {
            for seat in part.seats() {
                let file = format!("{}:{}.json", seat.folder(), seat.name);
                if part.places(seat).contains(&file) {
                    let lies = json!({"user": seat.first.username, "secret": seat.first.secret.expose_str().unwrap()});
                    std::fs::write(path(&file.replace(':', "/")), lies.to_string()).unwrap();
                }
            }
        }
        let text = documents(folder.path(), &parts, &words);
        let files = [SourceFile { name: "estate.yaml".to_owned(), bytes: text.into_bytes() }];
        let estate = load(&files, &Registry::new()).map_err(|problems| panic!("{problems}")).unwrap().estate;
        let (state, key) = (path("state"), path("keys/kek"));
        Kek::create(&key, &state, false, &SystemRandomness).unwrap();
        let escrow = Arc::new(Escrow::new(Kek::load(&key, &state, false).unwrap(), Box::new(SystemRandomness)));
        let store = Arc::new(SqliteStore::open(&state).unwrap());
        let settings = EngineSettings {
            poll: Duration::from_millis(100),
            // What takes its time on a busy machine is no failure.
            patience: Duration::from_mins(3),
            host: HostSettings { call_timeout: Duration::from_mins(2), ..HostSettings::default() },
            reproofs: vec![Duration::ZERO],
            ..EngineSettings::default()
        };
        let engine = Engine::new(store, escrow, Arc::new(Registry::new()), rules, Context::system(), settings);
        Self { folder, parts, words, estate, engine }
    }

    /// Asks for a reset of all that the runner reached, and approves it.
    async fn approved(&self, change: impl FnOnce(&mut Request)) -> ResetId {
        let runner = Node::Doc("Workload/ci-runner".parse().unwrap());
        let mut request = Request::new(vec![runner.clone()]);
        // Rebuilt, and its ways to read cut, before anything is written where it read.
        request.clean.insert(runner);
        for seat in self.parts.iter().filter(|part| part.is_rebuilt()).flat_map(|part| part.seats()) {
            request.clean.insert(Node::Doc(format!("Workload/{}", seat.name).parse().unwrap()));
        }
        change(&mut request);
        let now = self.engine.context.clock.now();
        let plan = plan(&self.estate, &request, &*self.engine.kinds, now)
            .unwrap_or_else(|refusals| panic!("{}", refusals.iter().map(ToString::to_string).collect::<String>()));
        let id = self.engine.context.reset().unwrap();
        let asked = Asked {
            id: id.clone(),
            plan,
            estate: self.estate.clone(),
            reason: "INC-1".to_owned(),
            by: "tester".to_owned(),
            at: now,
        };
        self.engine.request(asked).await.unwrap();
        self.engine.approve(&id, "tester").await.unwrap();
        id
    }

    /// Carries it on until it rests, decides what was found, and goes on, until nothing is open. Answers what was found
    /// that belongs to the incident's own credentials: all of that was revoked.
    async fn carried(&self, id: &ResetId) -> (ResetStatus, Vec<Finding>) {
        let mut revoked = Vec::new();
        loop {
            let reset = tokio::time::timeout(PATIENCE, self.engine.run(id)).await.unwrap().unwrap();
            let findings = self.engine.findings(Some(id)).await.unwrap();
            let open: Vec<_> = findings.into_iter().filter(|finding| finding.decision.is_none()).collect();
            if open.is_empty() {
                return (reset.status, revoked);
            }
            for finding in open {
                // What other tests left on the same server is theirs.
                let system = finding.system.name.as_str();
                let ours = finding.credential.is_some() || self.parts.iter().any(|part| part.owns(system));
                let word = if ours { DecisionWord::Revoke } else { DecisionWord::Except };
                self.engine.decide(&finding.id, word, "tester", "looked at").await.unwrap();
                if ours {
                    revoked.push(finding);
                }
            }
            self.engine.carry_out(id).await.unwrap();
            self.engine.retry(id, None).await.unwrap();
        }
    }

    /// One line for each system; what is not as it should be, in words.
    async fn table(&self, id: &ResetId, found: &[Finding], began: Timestamp) -> (String, Vec<String>) {
        let records = self.engine.rotations(id).await.unwrap();
        let (mut table, mut wrong) = (String::new(), Vec::new());
        writeln!(
            table,
            "{:<20} {:>11} {:>7} {:>7} {:>7} {:>6} {:>7}",
            "system", "credentials", "settled", "refused", "foreign", "calls", "seconds"
        )
        .unwrap();
        for part in &self.parts {
            let (mut settled, mut refused, mut foreign, mut last) = (0, 0, 0, 0.0_f64);
            for seat in part.seats() {
                let reference: Ref = format!("Credential/{}", seat.name).parse().unwrap();
                match records.iter().find(|record| record.credential == reference) {
                    Some(record) if matches!(record.rotation.state, State::Settled { .. }) => {
                        settled += 1;
                        last = last.max(record.since.duration_since(began).as_secs_f64());
                    }
                    Some(record) => wrong.push(words(record)),
                    None => wrong.push(format!("{reference} is not in the reset")),
                }
                if part.accepts(&seat.name, &seat.first).await {
                    wrong.push(format!("{}: the old value is accepted", seat.name));
                } else {
                    refused += 1;
                }
                if let Some(planted) = &seat.planted {
                    foreign += usize::from(found.iter().any(|finding| part.is_planted(seat, finding)));
                    if part.accepts(&seat.name, planted).await {
                        wrong.push(format!("{}: the attacker's own is accepted", seat.name));
                    }
                }
                let new = part.lies(seat, self.folder.path()).await;
                if new == seat.first || !part.accepts(&seat.name, &new).await {
                    wrong.push(format!("{}: no new value works", seat.name));
                }
            }
            wrong.extend(part.left().await);
            let planted = part.seats().iter().filter(|seat| seat.planted.is_some()).count();
            if foreign != planted {
                wrong.push(format!("{}: {foreign} of {planted} foreign versions were found", part.name()));
            }
            writeln!(
                table,
                "{:<20} {:>11} {settled:>7} {refused:>7} {foreign:>7} {:>6} {last:>7.1}",
                part.name(),
                part.seats().len(),
                part.calls().map_or("-".to_owned(), |calls| calls.to_string())
            )
            .unwrap();
        }
        (table, wrong)
    }
}

fn words(record: &RotationRecord) -> String {
    match &record.rotation.state {
        State::Parked { step, reason } => format!("{} parked at {step}: {reason}", record.credential),
        state => format!("{} {state}", record.credential),
    }
}

fn folders() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["apps", "ops", "state", "keys"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    folder
}

fn documents(folder: &Path, parts: &[Arc<dyn Part>], words: &Words) -> String {
    let mut text = format!(
        "apiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: apps}}\nspec: {{file: {{root: \"{root}/apps\"}}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: ops}}\nspec: {{file: {{root: \"{root}/ops\"}}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: Identity\nmetadata: {{name: apps}}\nspec: {{class: workload, tier: privileged, owners: {{business: b, policy: p, execution: e}}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: Identity\nmetadata: {{name: pods}}\nspec: {{class: workload, tier: standard, owners: {{business: b, policy: p, execution: e}}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: Identity\nmetadata: {{name: remint}}\nspec: {{class: machine, tier: privileged, owners: {{business: b, policy: p, execution: e}}}}\n\
         ---\napiVersion: remint.dev/v1alpha1\nkind: Workload\nmetadata: {{name: ci-runner}}\nspec: {{reads: [\"apps:*\", \"ops:*\"]}}\n",
        root = folder.display()
    );
    for part in parts {
        text.push_str(&part.documents());
        for seat in part.seats() {
            let (issued, strategy) = part.issued(&seat.name);
            let workload = part.workload(seat, &words.address);
            let name = &seat.name;
            write!(
                text,
                "---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: {name}}}\nspec:\n  type: token\n  identity: {identity}\n  issuedBy: {{{issued}}}\n  deliveredTo: [{places}]\n  consumedBy: [{reader}]\n  unlocks: [{unlocks}]\n{more}  rotation: {{strategy: {strategy}}}\n",
                identity = if seat.own { "remint" } else { part.identity() },
                places = part.places(seat),
                reader = workload.as_ref().map_or("", |_| name),
                unlocks = part.unlocks(name),
                more = part.more(seat),
            )
            .unwrap();
            if let Some(workload) = workload {
                write!(
                    text,
                    "---\napiVersion: remint.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}}}\nspec: {workload}\n"
                )
                .unwrap();
            }
        }
    }
    text
}

/// Are these servers there? In CI they must be.
#[expect(clippy::disallowed_methods, reason = "where the test servers are comes from the environment")]
fn there(test: &str, servers: &[&str]) -> bool {
    let missing: Vec<_> = servers.iter().filter(|name| std::env::var(format!("REMINT_TEST_{name}")).is_err()).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing:?} are not set in CI");
    // Past the harness, which hides what a passing test prints.
    let mut out = std::io::stderr();
    writeln!(out, "SKIPPED {test}: no {missing:?}; run `cargo xtask test incident`").unwrap();
    false
}

/// A reset in rolling mode: nobody who works with it notices.
async fn rolls(incident: Incident) {
    let parts = incident.parts.clone();
    let (mut failures, table) = resets(incident, None).await;
    failures.retain(|name| {
        !parts.iter().any(|part| part.seats().iter().any(|seat| seat.name == *name) && part.is_out(name))
    });
    assert!(failures.is_empty(), "{failures:?}\n{table}");
}

/// A reset that first kills what the attacker holds, and replaces it after.
async fn contains(incident: Incident) {
    resets(incident, Some("*".parse().unwrap())).await;
}

/// Whose uses failed, and the table.
async fn resets(incident: Incident, contain: Option<Selector>) -> (Vec<String>, String) {
    let mode = if contain.is_some() { "contain" } else { "rolling" };
    let clients = Clients::start(&incident.parts, &incident.words, incident.folder.path());
    let began = incident.engine.context.clock.now();
    let id = incident.approved(|request| request.contain = contain).await;
    let (status, found) = incident.carried(&id).await;
    let (uses, failures) = clients.stop().await;
    let (table, wrong) = incident.table(&id, &found, began).await;
    let out = |name: &String| {
        incident.parts.iter().any(|part| part.seats().iter().any(|seat| seat.name == *name) && part.is_out(name))
    };
    let (all, announced) = (failures.len(), failures.iter().filter(|name| out(name)).count());
    println!(
        "{mode}: {uses} uses by workloads, {all} refused, {announced} of them of values that the plan says are out\n{table}"
    );
    assert!(wrong.is_empty(), "{wrong:#?}\n{table}");
    assert_eq!(status, ResetStatus::Provisional);
    // Only what was killed before another was made cannot be compared with it, where its issuer forgets what it killed.
    let told = told(&incident.engine, &id).await.into_iter();
    let forgotten = told.filter(|(kind, ..)| kind == "rights.not-compared").count();
    assert!(mode == "contain" || forgotten == 0, "{forgotten}");
    let (reset, outcome) = incident.engine.reprove(&id).await.unwrap();
    assert!(outcome.alive.is_empty() && outcome.unclear.is_empty(), "{:?} {:?}", outcome.alive, outcome.unclear);
    assert_eq!(reset.status, ResetStatus::Complete);
    (failures, table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_cluster_that_a_runner_read_are_replaced_while_they_are_used() {
    if !there("kubernetes", &["KUBERNETES"]) {
        return;
    }
    let folder = folders();
    let cluster = Cluster::with(3).await;
    rolls(Incident::over(folder, vec![Arc::new(cluster)], HostRules::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_hub_that_a_runner_read_are_replaced_while_they_are_used() {
    if !there("jupyterhub", &["JUPYTERHUB"]) {
        return;
    }
    let folder = folders();
    let hub = Hub::with(3).await;
    let rules = hub.rules();
    rolls(Incident::over(folder, vec![Arc::new(hub)], rules).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_keys_that_a_runner_read_are_replaced_while_they_are_used() {
    if !there("aws", &["AWS"]) {
        return;
    }
    let folder = folders();
    let moto = Moto::with(3).await;
    rolls(Incident::over(folder, vec![Arc::new(moto)], HostRules::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approles_that_a_runner_read_are_replaced_while_they_are_used() {
    if !there("openbao", &["OPENBAO"]) {
        return;
    }
    let folder = folders();
    let bao = Bao::with(3, None).await;
    rolls(Incident::over(folder, vec![Arc::new(bao)], HostRules::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_that_a_runner_read_are_replaced_while_they_are_used() {
    let folder = folders();
    let ca = Ca::with(3, folder.path()).await;
    rolls(Incident::over(folder, vec![Arc::new(ca)], HostRules::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_of_a_database_that_a_runner_read_take_turns_while_they_are_used() {
    if !there("postgresql", &["POSTGRES"]) {
        return;
    }
    let pg = Pg::with(3).await;
    rolls(Incident::over(folders(), vec![Arc::new(pg)], HostRules::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_that_a_vault_gives_out_are_replaced_after_the_one_that_it_makes_them_with() {
    if !there("openbao and postgresql", &["OPENBAO", "POSTGRES"]) {
        return;
    }
    let (bao, pg) = (Bao::with(0, None).await, Pg::with(0).await);
    let db = Db::with(2, &pg, &bao).await;
    let parts: Vec<Arc<dyn Part>> = vec![Arc::new(bao), Arc::new(pg), Arc::new(db)];
    rolls(Incident::over(folders(), parts, HostRules::default()).await).await;
}

/// A vault can only replace the password of a login that it gives out, and it does so with one that is itself replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_that_a_vault_gives_out_are_contained_and_nobody_has_to_decide_about_what_that_leaves() {
    if !there("openbao and postgresql", &["OPENBAO", "POSTGRES"]) {
        return;
    }
    let (bao, pg) = (Bao::with(0, None).await, Pg::with(0).await);
    let db = Db::with(2, &pg, &bao).await;
    let parts: Vec<Arc<dyn Part>> = vec![Arc::new(bao), Arc::new(pg), Arc::new(db)];
    contains(Incident::over(folders(), parts, HostRules::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_and_its_leaves_are_contained_and_then_restored() {
    let folder = folders();
    let ca = Ca::with(3, folder.path()).await;
    contains(Incident::over(folder, vec![Arc::new(ca)], HostRules::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_a_public_authority_that_a_runner_read_are_replaced_while_they_are_used() {
    if !there("pebble", &["PEBBLE"]) {
        return;
    }
    let folder = folders();
    let acme = Acme::with(2, folder.path()).await;
    rolls(Incident::over(folder, vec![Arc::new(acme)], HostRules::default()).await).await;
}

/// All at once: sixty credentials.
async fn everywhere() -> Option<Incident> {
    if !there("everywhere", &["KUBERNETES", "JUPYTERHUB", "AWS", "OPENBAO", "POSTGRES", "PEBBLE"]) {
        return None;
    }
    let folder = folders();
    let (cluster, hub) = (Cluster::with(8).await, Arc::new(Hub::with(8).await));
    let (bao, moto, pg) = (Bao::with(7, Some(part::fresh())).await, Moto::with(7).await, Pg::with(7).await);
    let (ca, acme) = (Ca::with(6, folder.path()).await, Acme::with(3, folder.path()).await);
    let db = Db::with(5, &pg, &bao).await;
    let chain = Chain::with(&hub, &cluster.namespace, &bao).await;
    let rules = hub.rules();
    let parts: Vec<Arc<dyn Part>> = vec![
        Arc::new(bao),
        Arc::new(db),
        Arc::new(pg),
        Arc::new(moto),
        Arc::new(cluster),
        Arc::new(ca),
        Arc::new(acme),
        hub,
        Arc::new(chain),
    ];
    Some(Incident::over(folder, parts, rules).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_incident_over_every_system_is_over_and_nobody_noticed() {
    let Some(incident) = everywhere().await else { return };
    rolls(incident).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_incident_over_every_system_is_contained_and_then_restored() {
    let Some(incident) = everywhere().await else { return };
    contains(incident).await;
}

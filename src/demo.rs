//! The demo: a whole incident, played against an embedded estate of real HTTP services.
//!
//! Flow: services, traffic and an intruder on a CI runner → reach → plan → approval → waves → old credentials refused →
//! a foreign key found and decided upon → the runner rebuilt and cleaned → re-proof, shortened to seconds → evidence,
//! exported and verified.
//!
//! What the summary says of the intruder and of the traffic is counted at the services, never in Remint's own store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use remint_contract::{HostRules, Kinds, Ref, ResetId};
use remint_core::estate::{Estate, SourceFile, load};
use remint_core::graph::{Graph, draw, reach};
use remint_core::machine::State;
use remint_core::plan::{Node, Plan, Request, plan, render_plan, render_reach};
use remint_evidence_format::bundle::verify;
use remint_fake::demo::{self as cast, RUNNER};
use remint_fake::world::{Attacker, Traffic, WorldError};
use serde::Serialize;

use crate::app::{App, AppError, Places};
use crate::context::Context;
use crate::engine::host::HostSettings;
use crate::engine::record::{DecisionWord, Reset, ResetStatus};
use crate::engine::reset::{Request as Asked, plan_bytes};
use crate::engine::{EngineError, EngineSettings};
use crate::evidence::{ExportError, SequencerError, export};
use crate::watch::Watch;
use outage::{Outages, Watching};

mod outage;

/// Who plays the person.
const PERSON: &str = "demo-responder";

/// What to play.
#[derive(Debug, Clone)]
pub struct Options {
    pub contain: bool,
    pub credentials: usize,
    pub seed: u64,
    /// Where the state, the graph and the bundle go.
    pub folder: PathBuf,
    pub watch: bool,
}

/// How it ended.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub reset: String,
    pub mode: &'static str,
    pub credentials: usize,
    pub settled: usize,
    pub failed: usize,
    pub tasks: usize,
    pub exceptions: usize,
    pub foreign: usize,
    pub proof: Proofs,
    pub attacker_read: u64,
    pub attacker_minted: u64,
    /// Found by trying every value he ever held at the issuers.
    pub attacker_alive: usize,
    pub requests: u64,
    /// Outside announced outages.
    pub failed_requests: usize,
    /// Inside announced outages.
    pub outage_requests: usize,
    pub seconds: f64,
    pub bundle: PathBuf,
    pub key: String,
    /// The bundle verified, and the settlement is final.
    #[serde(skip)]
    pub verified: bool,
    #[serde(skip)]
    pub complete: bool,
}

/// Credentials by how their old value is known to be dead.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Proofs {
    pub refused: usize,
    pub refused_uncontrolled: usize,
    pub published: usize,
    pub absent: usize,
    pub attested: usize,
}

/// Why the demo could not be played.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the services of the demo could not be started")]
    World(#[from] WorldError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the evidence could not be put in order")]
    Sequencer(#[from] SequencerError),
    #[error("the evidence could not be exported")]
    Export(#[from] ExportError),
    #[error("there is no plan: {0}")]
    Plan(String),
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the clock of the announced outages stopped")]
    Watching(#[from] tokio::task::JoinError),
    #[error("the intruder did not get anywhere in a minute")]
    Intruder,
}

/// Plays it; `say` is given the words, paragraph by paragraph.
///
/// # Errors
/// The services, the state or the plan failed. A reset that does not settle is no error: the summary says so.
pub async fn play(options: &Options, kinds: Arc<dyn Kinds>, say: &(dyn Fn(&str) + Sync)) -> Result<Summary, DemoError> {
    let context = Context::system();
    let began = context.clock.now();
    let stage = cast::Estate::start(&cast::Options {
        credentials: options.credentials,
        seed: options.seed,
        ..cast::Options::default()
    })
    .await?;
    let app = open(options, &context, Arc::clone(&kinds)).await?;
    let files = [SourceFile { name: "demo.yaml".to_owned(), bytes: stage.documents.clone().into_bytes() }];
    write(&options.folder.join("estate.yaml"), stage.documents.as_bytes())?;
    let loaded = load(&files, &*kinds).map_err(AppError::from)?;
    let estate = app.activate(loaded.estate, PERSON).await?;

    let traffic = stage.world.traffic(Duration::from_millis(20), &stage.dirty_workloads());
    let mut attacker = stage.attacker()?;
    attacker.begin(Duration::from_millis(25));
    settle_in(&attacker, &context).await?;
    say(&format!(
        "1. The incident. {} credentials, {} workloads under steady traffic. Somebody is on {RUNNER}, and keeps reading.",
        estate.credentials.len(),
        estate.workloads.len()
    ));

    let from = vec![Node::Doc(RUNNER.parse().map_err(|_| DemoError::Plan(format!("{RUNNER} is no reference")))?)];
    let graph = Graph::build(&estate);
    let starts: Vec<_> = from.iter().filter_map(|node| graph.number(node)).collect();
    let reached = reach(&graph, &starts);
    write(&options.folder.join("graph.svg"), draw::svg(&graph, &reached).as_bytes())?;
    say(&format!("2. Reach: what he can get at, and by which path.\n\n{}", render_reach(&reached.explain(&graph))));

    let plan = planned(options, &estate, from, &*kinds, &context)?;
    say(&format!("3. The plan.\n\n{}", render_plan(&plan, &estate)));

    let watching = Watching::begin(app.engine.watch(), Outages::new(&plan));
    let id = context.reset().map_err(EngineError::from)?;
    let request = Asked {
        id: id.clone(),
        plan: plan.clone(),
        estate: estate.clone(),
        reason: "INC-2041: the CI runner is compromised".to_owned(),
        by: PERSON.to_owned(),
        at: context.clock.now(),
    };
    app.engine.request(request).await?;
    app.engine.approve(&id, PERSON).await?;
    say(&format!("4. Approved by {PERSON}: reset {id}, plan {}. It runs.", plan.digest.short(12)));
    let reset = carry(&app, &id, options.watch, say).await?;
    let reset = cleaned(&app, &stage, &attacker, reset, options.watch, say).await?;
    let reset = reproved(&app, reset, &context, say).await?;
    let bundle = options.folder.join(format!("{id}.remint-evidence"));
    let verified = evidence(&app, &reset, &bundle, say).await?;

    let loot = attacker.stop().await;
    let alive = attacker.alive().await;
    let outages = watching.end().await?;
    let mut summary = sum_up(&app, &reset, &estate, traffic, &outages).await?;
    summary.mode = if options.contain { "contain" } else { "rolling" };
    summary.attacker_read = loot.read;
    summary.attacker_minted = loot.minted;
    summary.attacker_alive = alive;
    summary.seconds = context.clock.now().duration_since(began).as_secs_f64();
    summary.bundle = bundle;
    summary.verified = verified;
    Ok(summary)
}

async fn open(options: &Options, context: &Context, kinds: Arc<dyn Kinds>) -> Result<App, DemoError> {
    let places = Places {
        state: options.folder.join("state"),
        kek: options.folder.join("state/kek"),
        same_folder: true,
        store: None,
    };
    drop(App::init(&places, context, Arc::clone(&kinds)).await?);
    let settings = EngineSettings {
        poll: Duration::from_millis(20),
        patience: Duration::from_secs(5),
        reproofs: vec![Duration::from_secs(1), Duration::from_secs(2)],
        host: HostSettings { call_timeout: Duration::from_secs(10), ..HostSettings::default() },
        ..EngineSettings::default()
    };
    Ok(App::open(&places, context, kinds, HostRules::default(), settings).await?)
}

/// Until he has read and minted something: without that there would be nothing to show.
async fn settle_in(attacker: &Attacker, context: &Context) -> Result<(), DemoError> {
    for _ in 0..2400 {
        let loot = attacker.loot();
        if loot.read > 0 && loot.minted > 0 && loot.rounds > 1 {
            return Ok(());
        }
        context.clock.sleep(Duration::from_millis(25)).await;
    }
    Err(DemoError::Intruder)
}

fn planned(
    options: &Options,
    estate: &Estate,
    from: Vec<Node>,
    kinds: &dyn Kinds,
    context: &Context,
) -> Result<Plan, DemoError> {
    let mut request = Request::new(from);
    if options.contain {
        request.contain = "*".parse().ok();
    }
    plan(estate, &request, kinds, context.clock.now())
        .map_err(|refusals| DemoError::Plan(refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
}

/// Runs until nothing more happens without a person, and plays the person where a stranger is found.
async fn carry(app: &App, id: &ResetId, watch: bool, say: &(dyn Fn(&str) + Sync)) -> Result<Reset, DemoError> {
    loop {
        let board = watch.then(|| Watch::start(&app.engine, id));
        let reset = app.engine.run(id).await;
        if let Some(board) = board {
            board.end().await;
        }
        let reset = reset?;
        app.engine.carry_out(id).await?;
        let findings = app.engine.findings(Some(id)).await?;
        let undecided: Vec<_> = findings.iter().filter(|finding| finding.decision.is_none()).collect();
        if undecided.is_empty() {
            let open = findings.iter().any(|finding| finding.decision.as_ref().is_some_and(|decision| !decision.done));
            let resting = reset.status == ResetStatus::Resting && !open;
            return if resting { Ok(app.engine.run(id).await?) } else { Ok(reset) };
        }
        for finding in undecided {
            say(&format!(
                "   The sweep found a foreign key at {}: {} ({}). {PERSON} decides, as a person would: revoke it.",
                finding.system, finding.version, finding.label
            ));
            let why = "nobody here made it; it appeared during the incident";
            app.engine.decide(&finding.id, DecisionWord::Revoke, PERSON, why).await?;
        }
        app.engine.retry(id, None).await?;
    }
}

/// The runner is rebuilt, and said to be: what waited in the dark goes on.
async fn cleaned(
    app: &App,
    stage: &cast::Estate,
    attacker: &Attacker,
    reset: Reset,
    watch: bool,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Reset, DemoError> {
    let dark = app.engine.rotations(&reset.id).await?;
    let dark = dark.iter().filter(|record| matches!(record.rotation.state, State::Dark { .. })).count();
    stage.rebuild_runner();
    attacker.end_foothold();
    say(&format!(
        "5. {dark} credentials are dark: dead, and nothing new before their reader is clean. The runner is rebuilt; {PERSON} says so."
    ));
    for node in &reset.plan.dirty {
        app.engine.clean(&reset.id, node, PERSON, "rebuilt from a clean image").await?;
    }
    carry(app, &reset.id, watch, say).await
}

/// The old values are tried again, twice, a second apart.
async fn reproved(
    app: &App,
    mut reset: Reset,
    context: &Context,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Reset, DemoError> {
    while let (ResetStatus::Provisional, Some(due)) = (reset.status, reset.reproofs.first()) {
        let left = due.duration_since(context.clock.now());
        if left.is_positive() {
            context.clock.sleep(left.unsigned_abs()).await;
        }
        let (next, outcome) = app.engine.reprove(&reset.id).await?;
        say(&format!(
            "6. Tried again: {} old values refused, {} alive, {} unclear.",
            outcome.refused.len(),
            outcome.alive.len(),
            outcome.unclear.len()
        ));
        if !outcome.unclear.is_empty() {
            break;
        }
        reset = next;
    }
    Ok(reset)
}

async fn evidence(app: &App, reset: &Reset, path: &Path, say: &(dyn Fn(&str) + Sync)) -> Result<bool, DemoError> {
    app.sequencer.flush().await?;
    let bytes = export(&*app.engine.store, &reset.id, &plan_bytes(&reset.plan), &app.key).await?;
    write(path, &bytes)?;
    let report = verify(&bytes, Some(app.key.verifier()));
    say(&format!("7. Evidence: {} bytes, verified offline.\n\n{}", bytes.len(), report.render()));
    Ok(report.ok)
}

async fn sum_up(
    app: &App,
    reset: &Reset,
    estate: &Estate,
    traffic: Traffic,
    outages: &Outages,
) -> Result<Summary, DemoError> {
    let records = app.engine.rotations(&reset.id).await?;
    let mut proof = Proofs::default();
    for grade in records.iter().filter_map(|record| record.rotation.facts.proof) {
        match grade {
            remint_contract::ProofGrade::Refused => proof.refused += 1,
            remint_contract::ProofGrade::RefusedUncontrolled => proof.refused_uncontrolled += 1,
            remint_contract::ProofGrade::Published => proof.published += 1,
            remint_contract::ProofGrade::Absent => proof.absent += 1,
            remint_contract::ProofGrade::Attested => proof.attested += 1,
        }
    }
    let settled = records.iter().filter(|record| matches!(record.rotation.state, State::Settled { .. })).count();
    let report = traffic.stop().await;
    let (announced, failed): (Vec<_>, Vec<_>) =
        report.failures.iter().partition(|failure| outages.announced(failure, estate));
    let exceptions: BTreeSet<&Ref> = reset.plan.exceptions.iter().collect();
    Ok(Summary {
        reset: reset.id.to_string(),
        mode: "",
        credentials: records.len(),
        settled,
        failed: records.len() - settled,
        tasks: app.engine.tasks(Some(&reset.id)).await?.len(),
        exceptions: exceptions.len(),
        foreign: app.engine.findings(Some(&reset.id)).await?.len(),
        proof,
        attacker_read: 0,
        attacker_minted: 0,
        attacker_alive: 0,
        requests: report.requests,
        failed_requests: failed.len(),
        outage_requests: announced.len(),
        seconds: 0.0,
        bundle: PathBuf::new(),
        key: app.key.verifier().to_string(),
        verified: false,
        complete: reset.status == ResetStatus::Complete,
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    std::fs::write(path, bytes).map_err(|source| DemoError::Write { path: path.to_owned(), source })
}

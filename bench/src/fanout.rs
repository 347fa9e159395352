//! `bench fanout`: ten thousand credentials through every step, over a store on disk, against four systems that answer
//! after 20 ms, 64 at a time each, in four shapes.
//!
//! The bound is `max(critical path, calls ÷ budget)` with the latency that the systems measured themselves; the ratio says
//! how much longer it took. Each shape is run once whole and once interrupted in the middle: every task of the engine is
//! dropped, and another engine goes on over the same store. A run that leaves one credential wrong in the town is an
//! error, whatever its time.

pub(crate) mod contain;
mod counted;
mod ideal;
mod rates;
mod shape;
mod town;

use std::sync::Arc;
use std::time::{Duration, Instant};

use remint::context::Context;
use remint::engine::record::{Reset, ResetStatus};
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::store::Store;
use remint::store::sqlite::SqliteStore;
use remint_contract::{HostRules, Kinds, ResetId};
use remint_core::plan::{Plan, plan};
use serde::Serialize;

use crate::{Outcome, process};
use counted::Counted;
use shape::Shape;
use town::Town;

const SYSTEMS: usize = 4;

/// What a person may choose.
struct Options {
    credentials: usize,
    latency: Duration,
    budget: usize,
    shapes: Vec<Shape>,
    growth: bool,
    json: bool,
}

/// Everything.
#[derive(Serialize)]
struct Report {
    store: &'static str,
    durability: &'static str,
    credentials: usize,
    latency_ms: u64,
    budget: usize,
    systems: usize,
    shapes: Vec<Run>,
    /// At zero latency: microseconds a credential, by the number of credentials.
    growth: Vec<Growth>,
    rates: rates::Rates,
    transitions_per_s: f64,
    peak_mb: u64,
}

/// One shape.
#[derive(Serialize)]
struct Run {
    shape: &'static str,
    seconds: f64,
    ideal_seconds: f64,
    ratio: f64,
    /// The same, killed once in the middle and recovered.
    seconds_recovered: f64,
    calls_per_credential: f64,
    measured_latency_ms: f64,
    critical_path_calls: u64,
    most_at_once: Vec<usize>,
    cpu_ms_per_credential: f64,
    commits: u64,
    entries: u64,
}

#[derive(Serialize)]
struct Growth {
    credentials: usize,
    us_per_credential: f64,
    commits_per_s: f64,
}

/// Runs it and prints the report.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let options = Options::read(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(report(&options))?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

async fn report(options: &Options) -> Outcome<Report> {
    let mut shapes = Vec::new();
    for &shape in &options.shapes {
        let whole = play(shape, options.credentials, options.latency, options.budget, None).await?;
        let half = whole.took / 2;
        let recovered = play(shape, options.credentials, options.latency, options.budget, Some(half)).await?;
        shapes.push(whole.against(recovered.took));
    }
    let mut growth = Vec::new();
    let mut transitions_per_s = 0.0;
    let counts: &[usize] = if options.growth { &[1_000, 10_000, 100_000] } else { &[] };
    for &credentials in counts {
        let played = play(Shape::Flat, credentials, Duration::ZERO, options.budget, None).await?;
        let per_s = ratio(played.commits, played.took.as_secs_f64());
        transitions_per_s = f64::max(transitions_per_s, ratio(played.changes, played.took.as_secs_f64()));
        growth.push(Growth {
            credentials,
            us_per_credential: played.took.as_secs_f64() * 1e6 / count(credentials),
            commits_per_s: per_s,
        });
    }
    Ok(Report {
        store: "sqlite",
        durability: "WAL, synchronous=FULL",
        credentials: options.credentials,
        latency_ms: u64::try_from(options.latency.as_millis()).unwrap_or(u64::MAX),
        budget: options.budget,
        systems: SYSTEMS,
        shapes,
        growth,
        rates: rates::measure().await?,
        transitions_per_s,
        peak_mb: process::peak_mb()?,
    })
}

/// One reset, measured.
struct Played {
    shape: Shape,
    took: Duration,
    ideal: Duration,
    credentials: usize,
    calls: u64,
    latency: Duration,
    path: u64,
    most: Vec<usize>,
    cpu: Duration,
    commits: u64,
    changes: u64,
    entries: u64,
}

impl Played {
    fn against(self, recovered: Duration) -> Run {
        Run {
            shape: self.shape.name(),
            seconds: self.took.as_secs_f64(),
            ideal_seconds: self.ideal.as_secs_f64(),
            ratio: self.took.as_secs_f64() / self.ideal.as_secs_f64(),
            seconds_recovered: recovered.as_secs_f64(),
            calls_per_credential: ratio(self.calls, count(self.credentials)),
            measured_latency_ms: self.latency.as_secs_f64() * 1e3,
            critical_path_calls: self.path,
            most_at_once: self.most,
            cpu_ms_per_credential: self.cpu.as_secs_f64() * 1e3 / count(self.credentials),
            commits: self.commits,
            entries: self.entries,
        }
    }
}

async fn play(
    shape: Shape,
    credentials: usize,
    latency: Duration,
    budget: usize,
    kill: Option<Duration>,
) -> Outcome<Played> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    for name in ["state", "keys"] {
        tokio::fs::create_dir(at(name)).await?;
    }
    let town = Arc::new(Town::new(SYSTEMS, latency));
    let (estate, request) = shape::of(shape, credentials, &town, budget)?;
    Kek::create(&at("keys/kek"), &at("state"), false, &SystemRandomness)?;
    let kek = || Kek::load(&at("keys/kek"), &at("state"), false);
    let store = Arc::new(Counted::new(SqliteStore::open(&at("state"))?));
    let engine = |holder: &str| -> Outcome<Engine> {
        let escrow = Arc::new(Escrow::new(kek()?, Box::new(SystemRandomness)));
        let settings = EngineSettings { holder: holder.to_owned(), ..EngineSettings::default() };
        let kinds = Arc::clone(&town) as Arc<dyn Kinds>;
        let store = Arc::clone(&store) as Arc<dyn Store>;
        Ok(Engine::new(store, escrow, kinds, HostRules::default(), Context::system(), settings))
    };
    let first = engine("bench")?;
    let now = first.context.clock.now();
    let plan = plan(&estate, &request, &*town, now)
        .map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    if plan.members.len() != credentials {
        return Err(format!("{} of {credentials} are members", plan.members.len()).into());
    }
    let id = first.context.reset()?;
    let asked = Asked {
        id: id.clone(),
        plan: plan.clone(),
        estate,
        reason: "benchmark".to_owned(),
        by: "benchmark".to_owned(),
        at: now,
    };
    first.request(asked).await?;
    first.approve(&id, "benchmark").await?;

    let before = (store.counts(), process::cpu()?);
    let began = Instant::now();
    if let Some(after) = kill {
        let mut doomed = tokio::task::JoinSet::new();
        let (doomed_engine, doomed_id) = (first, id.clone());
        doomed.spawn(async move { doomed_engine.run(&doomed_id).await });
        tokio::time::sleep(after).await;
        doomed.shutdown().await;
        settled(&engine("bench")?, &id, &plan).await?;
    } else {
        settled(&first, &id, &plan).await?;
    }
    let took = began.elapsed();
    let cpu = process::cpu()?.saturating_sub(before.1);
    let after = store.counts();
    let wrong = town.wrong();
    if !wrong.is_empty() {
        return Err(format!("{} credentials are wrong in the town, the first is {}", wrong.len(), wrong[0]).into());
    }
    let (calls, measured) = town.measured();
    let load = town.load();
    let busiest = load.iter().map(|(calls, _)| *calls).max().unwrap_or_default();
    let path = ideal::critical_path(&plan);
    let budgeted = measured.mul_f64(ratio(busiest, count(budget)));
    Ok(Played {
        shape,
        took,
        ideal: budgeted.max(measured.mul_f64(ratio(path, 1.0))),
        credentials,
        calls,
        latency: measured,
        path,
        most: load.into_iter().map(|(_, most)| most).collect(),
        cpu,
        commits: after.commits - before.0.commits,
        changes: after.rotations - before.0.rotations,
        entries: after.entries - before.0.entries,
    })
}

/// Carries the reset on; anything but all settled is an error.
async fn settled(engine: &Engine, id: &ResetId, plan: &Plan) -> Outcome<Reset> {
    let reset = engine.run(id).await?;
    if reset.status != ResetStatus::Provisional {
        let open = engine.rotations(id).await?;
        let open: Vec<_> = open.iter().filter(|known| known.rotation.state.name() != "settled").collect();
        let first = open.first().map(|known| format!("{}: {:?}", known.credential, known.rotation.state));
        return Err(format!("{} of {} did not settle: {first:?}", open.len(), plan.members.len()).into());
    }
    Ok(reset)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
fn ratio(part: u64, of: f64) -> f64 {
    part as f64 / of
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
fn count(count: usize) -> f64 {
    count as f64
}

fn print(report: &Report) {
    println!(
        "{} credentials, {} systems, {} at once on each, {} ms; {} ({})",
        report.credentials, report.systems, report.budget, report.latency_ms, report.store, report.durability
    );
    println!(
        " {:<8}{:>9}{:>9}{:>8}{:>12}{:>8}{:>10}{:>10}",
        "shape", "seconds", "ideal", "ratio", "recovered", "calls", "cpu ms", "commits"
    );
    for run in &report.shapes {
        println!(
            " {:<8}{:>9.2}{:>9.2}{:>8.3}{:>12.2}{:>8.1}{:>10.2}{:>10}",
            run.shape,
            run.seconds,
            run.ideal_seconds,
            run.ratio,
            run.seconds_recovered,
            run.calls_per_credential,
            run.cpu_ms_per_credential,
            run.commits
        );
    }
    for growth in &report.growth {
        println!(
            " {:>7} at zero latency: {:.0} us a credential, {:.0} commits/s",
            growth.credentials, growth.us_per_credential, growth.commits_per_s
        );
    }
    println!(
        " {:.0} durable transitions/s; raw one-row commits {:.0}/s, group commits from 64 callers {:.0}/s; peak {} MB",
        report.transitions_per_s, report.rates.raw_commit_per_s, report.rates.group_commit_per_s, report.peak_mb
    );
}

impl Options {
    fn read(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self {
            credentials: 10_000,
            latency: Duration::from_millis(20),
            budget: 64,
            shapes: Shape::ALL.to_vec(),
            growth: true,
            json: false,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
            let number = || value.parse::<usize>().map_err(|_| format!("`{word} {value}`: write a number"));
            match word.as_str() {
                "-o" | "--output" if value == "json" || value == "table" => options.json = value == "json",
                "--credentials" => options.credentials = number()?.max(1),
                "--latency" => options.latency = Duration::from_millis(number()?.try_into()?),
                "--budget" => options.budget = number()?.max(1),
                "--growth" => options.growth = value == "yes",
                "--shape" => {
                    options.shapes = Shape::ALL.into_iter().filter(|shape| shape.name() == value).collect();
                }
                _ => {
                    let known =
                        "-o json|table, --credentials N, --latency MS, --budget N, --shape NAME, --growth yes|no";
                    return Err(format!("`{word} {value}` is not known; there is: {known}").into());
                }
            }
        }
        Ok(options)
    }
}

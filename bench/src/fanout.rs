//! `bench fanout`: ten thousand credentials through every step, over a store on disk, against four systems that answer
//! after 20 ms, 64 at a time each, in four shapes, over both back ends.
//!
//! All of them are one wave (`--canary N` asks for a smaller first one): a canary is waited for on purpose, and costs the
//! time of one rotation each time the waves grow, however many follow.
//!
//! The bound is `max(critical path, calls ÷ budget)` with the latency that the systems measured themselves; the ratio says
//! how much longer it took. Each shape is run once whole and once interrupted in the middle: every task of the engine is
//! dropped, and another engine goes on over the same store. A run that leaves one credential wrong in the town is an
//! error, whatever its time.

pub(crate) mod contain;
mod counted;
mod ideal;
mod kept;
mod rates;
pub(crate) mod recorded;
pub(crate) mod shape;
pub(crate) mod town;

use std::sync::Arc;
use std::time::{Duration, Instant};

use remint::context::Context;
use remint::engine::record::{Reset, ResetStatus};
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::store::Store;
use remint_contract::{HostRules, Kinds, ResetId};
use remint_core::plan::{Plan, plan};
use serde::Serialize;

use crate::server::Server;
use crate::{Outcome, process};
use counted::Counted;
use kept::Kept;
use shape::Shape;
use town::Town;

const SYSTEMS: usize = 4;

/// What a person may choose.
struct Options {
    credentials: usize,
    latency: Duration,
    budget: usize,
    shapes: Vec<Shape>,
    stores: Vec<Kept>,
    /// Credentials of the first wave; all of them unless it is given.
    canary: Option<usize>,
    growth: bool,
    json: bool,
}

/// Everything.
#[derive(Serialize)]
struct Report {
    credentials: usize,
    latency_ms: u64,
    budget: usize,
    systems: usize,
    canary: usize,
    shapes: Vec<Sides>,
    stores: Vec<Backend>,
    peak_mb: u64,
}

/// One shape, over each back end.
#[derive(Serialize)]
struct Sides {
    shape: &'static str,
    ratio_sqlite: Option<f64>,
    ratio_postgres: Option<f64>,
    runs: Vec<Run>,
}

/// One shape over one back end.
#[derive(Serialize)]
struct Run {
    store: &'static str,
    seconds: f64,
    ideal_seconds: f64,
    ratio: f64,
    /// Until the first call, and after the last one.
    seconds_before: f64,
    seconds_after: f64,
    /// Of what the budgets allow between the two, the share that was made use of.
    use_of_budget: f64,
    /// The same, killed once in the middle and recovered.
    seconds_recovered: f64,
    calls_per_credential: f64,
    measured_latency_ms: f64,
    critical_path_calls: u64,
    waves: usize,
    most_at_once: Vec<usize>,
    cpu_ms_per_credential: f64,
    commits: u64,
    entries: u64,
}

/// What one back end can do.
#[derive(Serialize)]
struct Backend {
    store: &'static str,
    durability: String,
    rates: rates::Rates,
    /// Ends of steps and intents opened and closed, made durable in a second: the most of the runs at zero latency.
    transitions_per_s: Option<f64>,
    /// At zero latency: microseconds a credential, by the number of credentials.
    growth: Vec<Growth>,
}

#[derive(Serialize)]
struct Growth {
    credentials: usize,
    us_per_credential: f64,
    commits_per_s: f64,
    transitions_per_s: f64,
    /// Those of them that are ends of steps.
    steps_per_s: f64,
    cpu_ms_per_credential: f64,
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
    for kept in &options.stores {
        kept.warm().await?;
    }
    let mut shapes = Vec::new();
    for &shape in &options.shapes {
        let mut runs = Vec::new();
        for kept in &options.stores {
            let whole = play(shape, kept, options.credentials, options.latency, options, None).await?;
            let half = whole.took / 2;
            let recovered = play(shape, kept, options.credentials, options.latency, options, Some(half)).await?;
            runs.push(whole.against(kept, recovered.took));
        }
        let ratio = |store: &str| runs.iter().find(|run| run.store == store).map(|run| run.ratio);
        let (ratio_sqlite, ratio_postgres) = (ratio("sqlite"), ratio("postgres"));
        shapes.push(Sides { shape: shape.name(), ratio_sqlite, ratio_postgres, runs });
    }
    let mut stores = Vec::new();
    for kept in &options.stores {
        stores.push(backend(kept, options).await?);
    }
    Ok(Report {
        credentials: options.credentials,
        latency_ms: u64::try_from(options.latency.as_millis()).unwrap_or(u64::MAX),
        budget: options.budget,
        systems: SYSTEMS,
        canary: options.canary.unwrap_or(options.credentials),
        shapes,
        stores,
        peak_mb: process::peak_mb()?,
    })
}

async fn backend(kept: &Kept, options: &Options) -> Outcome<Backend> {
    let mut growth = Vec::new();
    let counts: &[usize] = if options.growth { &[1_000, 10_000, 100_000] } else { &[] };
    for &credentials in counts {
        let played = play(Shape::Flat, kept, credentials, Duration::ZERO, options, None).await?;
        let per_s = |many: u64| ratio(many, played.took.as_secs_f64());
        growth.push(Growth {
            credentials,
            us_per_credential: played.took.as_secs_f64() * 1e6 / count(credentials),
            commits_per_s: per_s(played.commits),
            transitions_per_s: per_s(played.steps + played.intents),
            steps_per_s: per_s(played.steps),
            cpu_ms_per_credential: played.cpu.as_secs_f64() * 1e3 / count(credentials),
        });
    }
    Ok(Backend {
        store: kept.name(),
        durability: kept.durability().await?,
        rates: rates::measure(kept).await?,
        transitions_per_s: growth.iter().map(|growth| growth.transitions_per_s).reduce(f64::max),
        growth,
    })
}

/// One reset, measured.
struct Played {
    took: Duration,
    ideal: Duration,
    credentials: usize,
    calls: u64,
    latency: Duration,
    path: u64,
    waves: usize,
    most: Vec<usize>,
    cpu: Duration,
    commits: u64,
    steps: u64,
    intents: u64,
    entries: u64,
    before: f64,
    after: f64,
    used: f64,
}

impl Played {
    fn against(self, kept: &Kept, recovered: Duration) -> Run {
        Run {
            store: kept.name(),
            seconds: self.took.as_secs_f64(),
            ideal_seconds: self.ideal.as_secs_f64(),
            ratio: self.took.as_secs_f64() / self.ideal.as_secs_f64(),
            seconds_before: self.before,
            seconds_after: self.after,
            use_of_budget: self.used,
            seconds_recovered: recovered.as_secs_f64(),
            calls_per_credential: ratio(self.calls, count(self.credentials)),
            measured_latency_ms: self.latency.as_secs_f64() * 1e3,
            critical_path_calls: self.path,
            waves: self.waves,
            most_at_once: self.most,
            cpu_ms_per_credential: self.cpu.as_secs_f64() * 1e3 / count(self.credentials),
            commits: self.commits,
            entries: self.entries,
        }
    }
}

async fn play(
    shape: Shape,
    kept: &Kept,
    credentials: usize,
    latency: Duration,
    options: &Options,
    kill: Option<Duration>,
) -> Outcome<Played> {
    let budget = options.budget;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    for name in ["state", "keys"] {
        tokio::fs::create_dir(at(name)).await?;
    }
    let town = Arc::new(Town::new(SYSTEMS, latency));
    let (estate, mut request) = shape::of(shape, credentials, &town, budget)?;
    request.canary = options.canary.unwrap_or(credentials);
    Kek::create(&at("keys/kek"), &at("state"), false, &SystemRandomness)?;
    let kek = || Kek::load(&at("keys/kek"), &at("state"), false);
    let store = Arc::new(Counted::new(kept.open(&at("state"), &at("keys")).await?));
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
    let ended = Instant::now();
    let took = ended.duration_since(began);
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
    let (first, last, used) = town.span(budget).ok_or("no call was made")?;
    let budgeted = measured.mul_f64(ratio(busiest, count(budget)));
    Ok(Played {
        took,
        ideal: budgeted.max(measured.mul_f64(ratio(path, 1.0))),
        credentials,
        calls,
        latency: measured,
        path,
        waves: plan.waves.len(),
        most: load.into_iter().map(|(_, most)| most).collect(),
        cpu,
        commits: after.commits - before.0.commits,
        steps: after.rotations - before.0.rotations,
        intents: after.intents - before.0.intents,
        entries: after.entries - before.0.entries,
        before: first.saturating_duration_since(began).as_secs_f64(),
        after: ended.saturating_duration_since(last).as_secs_f64(),
        used,
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
        "{} credentials, {} systems, {} at once on each, {} ms",
        report.credentials, report.systems, report.budget, report.latency_ms
    );
    println!(
        " {:<8}{:<10}{:>9}{:>9}{:>8}{:>8}{:>8}{:>6}{:>12}{:>8}{:>10}{:>10}",
        "shape",
        "store",
        "seconds",
        "ideal",
        "ratio",
        "before",
        "after",
        "used",
        "recovered",
        "calls",
        "cpu ms",
        "commits"
    );
    for sides in &report.shapes {
        for run in &sides.runs {
            println!(
                " {:<8}{:<10}{:>9.2}{:>9.2}{:>8.3}{:>8.2}{:>8.2}{:>6.2}{:>12.2}{:>8.1}{:>10.2}{:>10}",
                sides.shape,
                run.store,
                run.seconds,
                run.ideal_seconds,
                run.ratio,
                run.seconds_before,
                run.seconds_after,
                run.use_of_budget,
                run.seconds_recovered,
                run.calls_per_credential,
                run.cpu_ms_per_credential,
                run.commits
            );
        }
    }
    for store in &report.stores {
        println!(
            " {} ({}): one-row commits {:.0}/s, from 64 callers {:.0}/s",
            store.store, store.durability, store.rates.raw_commit_per_s, store.rates.group_commit_per_s
        );
        for growth in &store.growth {
            println!(
                " {:>8} at zero latency: {:.0} us and {:.2} ms CPU a credential, {:.0} transitions/s in {:.0} commits/s",
                growth.credentials,
                growth.us_per_credential,
                growth.cpu_ms_per_credential,
                growth.transitions_per_s,
                growth.commits_per_s
            );
        }
    }
    println!(" most memory held: {} MB", report.peak_mb);
}

impl Options {
    fn read(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self {
            credentials: 10_000,
            latency: Duration::from_millis(20),
            budget: 64,
            shapes: Shape::ALL.to_vec(),
            stores: vec![Kept::Sqlite, Kept::Postgres(Server::find()?)],
            canary: None,
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
                "--store" => options.stores.retain(|kept| kept.name() == value),
                "--canary" => options.canary = Some(number()?.max(1)),
                "--growth" => options.growth = value == "yes",
                "--shape" => {
                    options.shapes = Shape::ALL.into_iter().filter(|shape| shape.name() == value).collect();
                }
                _ => {
                    let known = "-o json|table, --credentials N, --latency MS, --budget N, --shape NAME, --store NAME, \
                         --canary N, --growth yes|no";
                    return Err(format!("`{word} {value}` is not known; there is: {known}").into());
                }
            }
        }
        Ok(options)
    }
}

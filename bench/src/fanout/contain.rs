//! `bench contain`: how long it takes until the last old value is refused, where one target in ten always fails.
//!
//! A prober outside of the budget looks at the town itself. Ideal is what the strategy's calls to the refusal take at the
//! budget, with the latency that the town measured: read, verify, probe, disable.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use remint::context::Context;
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::store::sqlite::SqliteStore;
use remint_contract::{HostRules, Kinds};
use remint_core::plan::plan;
use serde::Serialize;

use super::count;
use super::shape::{self, Shape};
use super::town::Town;
use crate::Outcome;

/// Calls of the strategy `overlap` until the old value is refused.
const CALLS: usize = 4;
/// One of so many targets always fails.
const FAILING: usize = 10;

#[derive(Serialize)]
struct Report {
    credentials: usize,
    failing: usize,
    time_to_contain: f64,
    calls: usize,
    budget: usize,
    latency_ms: f64,
    ideal: f64,
    ratio: f64,
    not_contained: usize,
    /// The listed ones are exactly those that fail.
    not_contained_exact: bool,
    /// Minted before the last old value of a working target was refused.
    replaced_before: u64,
    total_seconds: f64,
}

pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut credentials, mut budget, mut json) = (10_000, 64, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or_else(|| format!("{word} takes a value"));
        match word.as_str() {
            "--credentials" => credentials = next()?.parse()?,
            "--budget" => budget = next()?.parse()?,
            "-o" => json = next()? == "json",
            other => return Err(format!("`{other}` is none of --credentials, --budget, -o json").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(play(credentials, budget))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!(
            "{} credentials, {} failing: contained in {:.2} s, ideal {:.2} s, ratio {:.3}; {} not contained",
            report.credentials,
            report.failing,
            report.time_to_contain,
            report.ideal,
            report.ratio,
            report.not_contained
        );
    }
    Ok(())
}

async fn play(credentials: usize, budget: usize) -> Outcome<Report> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    for name in ["state", "keys"] {
        tokio::fs::create_dir(at(name)).await?;
    }
    let town = Arc::new(Town::new(1, Duration::from_millis(20)));
    let (estate, mut request) = shape::of(Shape::Flat, credentials, &town, budget)?;
    request.contain = Some("*".parse()?);
    let failing: BTreeSet<String> = (0..credentials).step_by(FAILING).map(shape::name).collect();
    town.fail(0, failing.iter().cloned());
    Kek::create(&at("keys/kek"), &at("state"), false, &SystemRandomness)?;
    let kek = Kek::load(&at("keys/kek"), &at("state"), false)?;
    let escrow = Arc::new(Escrow::new(kek, Box::new(SystemRandomness)));
    let store = Arc::new(SqliteStore::open(&at("state"))?);
    let kinds = Arc::clone(&town) as Arc<dyn Kinds>;
    let engine = Engine::new(store, escrow, kinds, HostRules::default(), Context::system(), EngineSettings::default());
    let now = engine.context.clock.now();
    let plan = plan(&estate, &request, &*town, now)
        .map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let id = engine.context.reset()?;
    let by = || "benchmark".to_owned();
    engine.request(Asked { id: id.clone(), plan, estate, reason: by(), by: by(), at: now }).await?;
    let minted = town.minted();
    let began = Instant::now();
    engine.approve(&id, "benchmark").await?;
    let prober = tokio::spawn({
        let town = Arc::clone(&town);
        async move {
            while town.old_values() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            (began.elapsed(), town.minted(), town.measured().1)
        }
    });
    let reset = engine.run(&id).await?;
    let total = began.elapsed();
    let (took, by_then, latency) = tokio::time::timeout(Duration::from_secs(1), prober)
        .await
        .map_err(|_| "an old value of a working target lives after the run")??;
    let missing: BTreeSet<String> =
        engine.not_contained(&reset).await?.iter().map(|credential| credential.name.to_string()).collect();
    let calls = CALLS * credentials;
    let ideal = latency.mul_f64(count(calls) / count(budget)).as_secs_f64();
    Ok(Report {
        credentials,
        failing: failing.len(),
        time_to_contain: took.as_secs_f64(),
        calls,
        budget,
        latency_ms: latency.as_secs_f64() * 1e3,
        ideal,
        ratio: took.as_secs_f64() / ideal,
        not_contained: missing.len(),
        not_contained_exact: missing == failing,
        replaced_before: by_then - minted,
        total_seconds: total.as_secs_f64(),
    })
}

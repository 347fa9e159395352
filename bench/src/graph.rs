//! `graph`: reach and components on a million nodes and five million edges of three families, beside the frozen baseline,
//! and a plan over an estate of a hundred thousand credentials.
//!
//! Every timing is the median of five after one warm-up; baseline and ours take turns, so that both see the same machine.

mod estate;
mod families;

use std::error::Error;
use std::time::{Duration, Instant};

use remint_core::graph::{Graph, components, reach};
use remint_core::plan;
use serde_json::{Value, json};

use crate::baseline::breadth_first;
use crate::process;
use families::{Edges, FAMILIES};

const NODES: u32 = 1_000_000;
const EDGES: usize = 5_000_000;
const CREDENTIALS: usize = 100_000;
const ROUNDS: usize = 5;

/// Runs it and prints one JSON object with `-o json`, else a table; `--only plan` leaves the families out.
pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let only_plan = words.starts_with(&["--only", "plan"]);
    if only_plan {
        words.drain(..2);
    }
    let as_json = match words[..] {
        [] => false,
        ["-o", "json"] => true,
        _ => return Err("usage: graph [--only plan] [-o json]".into()),
    };
    let wanted = if only_plan { &[][..] } else { &FAMILIES[..] };
    let families =
        wanted.iter().map(|(name, make)| family(name, &make(NODES, EDGES))).collect::<Result<Vec<_>, _>>()?;
    let (members, seconds_plan) = plan_of_many()?;
    let report = json!({
        "families": families,
        "seconds_plan_100k": seconds_plan,
        "members_planned": members,
        "peak_mb": process::peak_mb().map_err(|error| error.to_string())?,
    });
    if as_json {
        println!("{report}");
    } else {
        print(&report);
    }
    Ok(())
}

/// One family, measured. An error when the two reached sets differ.
fn family(name: &str, edges: &Edges) -> Result<Value, Box<dyn Error>> {
    let (offsets, targets) = families::flat(NODES, edges);
    let started = Instant::now();
    let graph = Graph::from_edges(NODES, edges.iter().map(|&(from, to)| (from, to, families::verb(from, to))));
    let build = started.elapsed();

    let baseline = breadth_first(&offsets, &targets, 0);
    let ours = reach(&graph, &[0]);
    let count: usize = baseline.iter().map(|&visited| usize::from(visited)).sum();
    let equal = (0..NODES).zip(&baseline).all(|(node, &visited)| ours.contains(node) == (visited == 1));
    if !equal || ours.order.len() != count {
        return Err(format!("{name}: reach finds {} nodes and the baseline {count}", ours.order.len()).into());
    }
    drop((baseline, ours));

    let (mut plain, mut reached) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(time(|| breadth_first(&offsets, &targets, 0)));
        reached.push(time(|| reach(&graph, &[0])));
    }
    let found = components(&graph.edges);
    let order = median((0..ROUNDS).map(|_| time(|| components(&graph.edges))).collect());
    let (plain, reached) = (median(plain), median(reached));
    Ok(json!({
        "name": name,
        "nodes": NODES,
        "edges": edges.len(),
        "reached": count,
        "seconds_build": seconds(build),
        "seconds_baseline": seconds(plain),
        "seconds_reach": seconds(reached),
        "ratio_reach": round(reached.as_secs_f64() / plain.as_secs_f64()),
        "seconds_components": seconds(order),
        "components": found.len(),
    }))
}

/// The plan of a reset that reaches every credential of a large estate: how many members, and the median time.
fn plan_of_many() -> Result<(usize, f64), Box<dyn Error>> {
    let (estate, request) = estate::of(CREDENTIALS)?;
    let make = || plan::plan(&estate, &request, &estate::Kinds, jiff::Timestamp::UNIX_EPOCH);
    let members = make().map_err(|refusals| format!("there is no plan: {:?}", refusals.first()))?.members.len();
    let taken = median((0..ROUNDS).map(|_| time(make)).collect());
    Ok((members, seconds(taken)))
}

/// How long it takes; dropping the result is not part of it.
fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    let result = std::hint::black_box(work());
    let taken = started.elapsed();
    drop(result);
    taken
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10_000.0
}

fn round(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

fn print(report: &Value) {
    println!(
        "{:<12} {:>9} {:>10} {:>9} {:>6} {:>11} {:>11}",
        "family", "reached", "baseline", "reach", "ratio", "components", "in seconds"
    );
    for family in report["families"].as_array().into_iter().flatten() {
        println!(
            "{:<12} {:>9} {:>10} {:>9} {:>6} {:>11} {:>11}",
            family["name"].as_str().unwrap_or_default(),
            family["reached"].to_string(),
            family["seconds_baseline"].to_string(),
            family["seconds_reach"].to_string(),
            family["ratio_reach"].to_string(),
            family["components"].to_string(),
            family["seconds_components"].to_string(),
        );
    }
    println!("plan of {} members: {} s", report["members_planned"], report["seconds_plan_100k"]);
    println!("most memory held: {} MB", report["peak_mb"]);
}

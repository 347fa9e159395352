//! Whole resets in simulated time, with everything that can go wrong drawn from a seed.
//!
//! Flow: [`run::run`] makes an estate, a plan and a world from the seed, has one to three processes carry the reset on
//! while calls, commits, processes and clocks fail, then leaves them alone until it is over, and [`check`] looks at the
//! world, the store and the evidence. `REMINT_SEED=n` replays one seed and prints its whole trace; `REMINT_SEEDS=n` says
//! how many are run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

mod chance;
pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod connector;
mod coverage;
pub(crate) mod dice;
pub(crate) mod estate;
pub(crate) mod fate;
pub(crate) mod person;
mod run;
mod scene;
pub(crate) mod stage;
mod store;
pub(crate) mod world;

use coverage::Table;

/// What the environment asks for.
fn asked(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its environment which seeds to run")]
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The table, what went wrong, complete resets, and members.
type Found = (Table, Vec<String>, u64, usize);

#[test]
fn every_seed_ends_with_nothing_lost_and_nothing_left() {
    if let Some(seed) = asked("REMINT_SEED") {
        let outcome = run::run(seed);
        println!("{}", outcome.story);
        assert!(outcome.wrong.is_empty(), "seed {seed}: {:#?}", outcome.wrong);
        return;
    }
    let seeds = asked("REMINT_SEEDS").unwrap_or(ALL);
    let table = run_seeds(seeds, |seed| !scene::has_several(seed));
    let holes = table.holes();
    println!("{} pairs of an edge and a fault were not seen", holes.len());
    let missing: Vec<_> = holes.iter().filter(|hole| ALWAYS.iter().any(|edge| hole.starts_with(edge))).collect();
    // Fewer seeds cannot show them all.
    assert!(seeds < ALL || missing.is_empty(), "never taken under that fault: {missing:#?}");
}

/// Edges that every kind of fault meets in so many seeds with one reset; the table shows the others.
const ALWAYS: [&str; 3] = ["waiting --cleared-->", "planned --start-->", "settled --reproved-->"];

#[test]
#[ignore = "seed 416 never comes to an end: a reset that takes over and the one it takes from wait for ever"]
fn every_seed_with_several_resets_ends_too_and_all_of_them_take_every_edge_under_every_fault() {
    let seeds = asked("REMINT_SEEDS").unwrap_or(ALL);
    let table = run_seeds(seeds, |_| true);
    let (open, holes): (Vec<String>, Vec<String>) = table.holes().into_iter().partition(|hole| is_open(hole));
    println!("{} pairs of an edge and a fault were not seen; known:\n{}", open.len() + holes.len(), open.join("\n"));
    assert!(seeds < ALL || holes.is_empty(), "never taken:\n{}", holes.join("\n"));
}

/// Runs the first so many seeds that suit.
fn run_seeds(seeds: u64, suits: fn(u64) -> bool) -> Table {
    let all: Arc<Vec<u64>> =
        Arc::new((0..).filter(|seed| suits(*seed)).take(usize::try_from(seeds).unwrap()).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let found: Arc<Mutex<Found>> = Arc::default();
    let threads: Vec<_> = (0..std::thread::available_parallelism().map_or(2, usize::from))
        .map(|_| {
            let (all, next, found) = (Arc::clone(&all), Arc::clone(&next), Arc::clone(&found));
            std::thread::spawn(move || {
                while let Some(&seed) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let outcome = std::panic::catch_unwind(|| run::run(seed));
                    let mut found = found.lock().unwrap();
                    match outcome {
                        Ok(outcome) => {
                            found.0.add(&outcome.table);
                            found.2 += u64::from(outcome.complete);
                            found.3 += outcome.members;
                            if !outcome.wrong.is_empty() {
                                println!("REMINT_SEED={seed}: {:?}", outcome.wrong);
                                found.1.push(format!("REMINT_SEED={seed}: {}", outcome.wrong.join("\n    ")));
                            }
                        }
                        Err(_) => found.1.push(format!("REMINT_SEED={seed}: it panicked")),
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let (table, mut wrong, complete, members) = std::mem::take(&mut *found.lock().unwrap());
    println!("{seeds} seeds, {members} rotations, {complete} resets complete\n{table}");
    wrong.sort();
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {seeds} seeds went wrong:\n{shown}", wrong.len());
    table
}

/// Edges that no scene brings together with every kind of fault yet: they are counted, and not asked for.
const OPEN: [&str; 15] = [
    "doing --destroyed--> parked",
    "doing --done--> dark",
    "doing --spoiled--> waiting",
    "doing --superseded--> superseded",
    "parked --revised--> waiting",
    "parked --superseded--> superseded",
    "parked --rolled-back--> rolled-back",
    "rolled-back --retry--> waiting",
    "rolled-back --revised--> waiting",
    "rolled-back --superseded--> superseded",
    "settled --resurrected--> parked",
    "unknown --failed--> parked",
    "unknown --revised--> waiting",
    "unknown --superseded--> superseded",
    "waiting --revised--> waiting",
];

fn is_open(hole: &str) -> bool {
    OPEN.iter().any(|edge| hole.starts_with(edge))
}

/// How many seeds CI runs. In so many, every edge is met by every kind of fault.
const ALL: u64 = 3000;

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..6 {
        let (one, two) = (run::run(seed), run::run(seed));
        assert!(one.fingerprint.0 > 20, "seed {seed} did nothing");
        if one.fingerprint != two.fingerprint {
            let differs = one.story.lines().zip(two.story.lines()).position(|(one, two)| one != two).unwrap_or(0);
            let around =
                |story: &str| story.lines().skip(differs.saturating_sub(3)).take(6).collect::<Vec<_>>().join("\n");
            panic!("seed {seed} differs at line {differs}:\n{}\n--\n{}", around(&one.story), around(&two.story));
        }
    }
}

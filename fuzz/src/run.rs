//! One target, fed until a time or a count is reached, or something fails.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::mutate::mutate;
use crate::sample;
use crate::target::Target;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    Passed(Duration),
    Inputs(u64),
}

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    pub inputs: u64,
    /// Different outcomes that were seen.
    pub outcomes: usize,
    pub took: Duration,
    /// An input that something asserted fails for, and the words.
    pub found: Option<(Vec<u8>, String)>,
}

/// Inputs that are kept for their outcome, at most: the oldest of them are as good as any.
const KEPT: usize = 4096;

/// Feeds a target with its seeds, and then with what mutation makes of them.
pub fn run(target: &Target, seeds: &[Vec<u8>], number: u64, until: Until) -> Ran {
    let started = Instant::now();
    let mut random = SmallRng::seed_from_u64(number);
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut outcomes = HashSet::new();
    let mut inputs = 0;
    let mut left = seeds.iter().cloned();
    loop {
        let seed = left.next();
        let over = match until {
            Until::Passed(time) => inputs % 64 == 0 && started.elapsed() >= time,
            Until::Inputs(count) => inputs >= count,
        };
        if seed.is_none() && over {
            return Ran { inputs, outcomes: outcomes.len(), took: started.elapsed(), found: None };
        }
        let input = seed.unwrap_or_else(|| {
            // Half of them grow from the seeds: far from what is good everything ends at the first line.
            let pool = if random.random() { seeds } else { &kept };
            let one = pool.choose(&mut random).cloned().unwrap_or_default();
            let other = seeds.choose(&mut random).cloned().unwrap_or_default();
            mutate(&mut random, &one, &other, target.words)
        });
        inputs += 1;
        match catch_unwind(AssertUnwindSafe(|| (target.read)(&input))) {
            Ok(outcome) => {
                if outcomes.insert(outcome) && kept.len() < KEPT {
                    kept.push(input);
                }
            }
            Err(panic) => {
                let words = panic.downcast_ref::<String>().cloned();
                let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
                let found = Some((input, words));
                return Ran { inputs, outcomes: outcomes.len(), took: started.elapsed(), found };
            }
        }
    }
}

/// Where the seeds of a target lie.
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target.name)
}

/// The committed inputs of a target, by name, and the one that is made.
pub fn seeds(target: &Target) -> sample::Made<Vec<Vec<u8>>> {
    let mut paths =
        std::fs::read_dir(folder(target))?.map(|file| file.map(|file| file.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    let mut seeds = vec![sample::of(target.name)?];
    for path in paths {
        seeds.push(std::fs::read(path)?);
    }
    Ok(seeds)
}

//! `bench schedule`: what the next time of a schedule costs, over a hundred thousand of them in many zones, and what they
//! cost while nothing is due.
//!
//! The bound beside it is what no schedule can do without: an instant read in its zone, a civil time of it found on the
//! clock again, and a place in the order of what comes next. Idle is one thread that sleeps until the earliest is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use remint_core::schedule::{Schedule, Zone};
use serde_json::json;

use crate::{Outcome, process};

/// What people write: nightly, weekly, hourly, in working hours, on the first of the month, either day.
const TEXTS: [&str; 8] = [
    "30 2 * * *",
    "0 2 * * 0",
    "15 */6 * * *",
    "*/15 1-5 * * *",
    "0 4 * * mon-fri",
    "0 3 1 * *",
    "45 23 13 * 5",
    "0 1 29 2 *",
];

/// All the year round, and on a day when clocks change.
const FROM: [&str; 4] =
    ["2028-01-15T10:20:30Z", "2028-03-25T22:10:00Z", "2028-07-01T00:00:00Z", "2028-10-28T23:30:00Z"];

/// Runs it and prints the report.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut count, mut quiet, mut machine) = (100_000, Duration::from_secs(10), false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or_else(|| format!("{word} takes a value"));
        match word.as_str() {
            "--schedules" => count = next()?.parse()?,
            "--seconds" => quiet = Duration::from_secs(next()?.parse()?),
            "-o" => machine = next()? == "json",
            other => return Err(format!("`{other}` is none of --schedules, --seconds, -o json").into()),
        }
    }
    let before = process::peak_mb()?;
    let schedules = load(count)?;
    let loaded_mb = process::peak_mb()? - before;
    let (mut next, mut bound) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let from: Vec<Timestamp> = FROM.iter().map(|at| at.parse()).collect::<Result<_, _>>()?;
    for (index, schedule) in schedules.iter().enumerate() {
        let at = from[index % from.len()];
        next.push(timed(|| schedule.next_after(at)));
        bound.push(timed(|| least(schedule.zone(), at)));
    }
    let (next, bound) = (Spread::of(next), Spread::of(bound));
    let idle = idle(&schedules, quiet)?;
    let ratio = next.median / bound.median;
    if machine {
        let spread = |spread: &Spread| json!({ "median_us": spread.median, "p99_us": spread.p99 });
        let report = json!({
            "schedules": count, "loaded_mb": loaded_mb, "next": spread(&next), "bound": spread(&bound), "ratio": ratio,
            "idle_cpu_percent": idle, "quiet_seconds": quiet.as_secs_f64(),
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{count} schedules, {loaded_mb} MB, {idle:.3} % of a core while nothing is due");
        println!("next   median {:>8.2} us   p99 {:>8.2} us", next.median, next.p99);
        println!("bound  median {:>8.2} us   p99 {:>8.2} us   ratio {ratio:.1}", bound.median, bound.p99);
    }
    Ok(())
}

/// Every zone with every text, again and again.
fn load(count: usize) -> Outcome<Vec<Schedule>> {
    let zones: Vec<Zone> = remint_core::schedule::zones().map(Zone::named).collect::<Result<_, _>>()?;
    let pairs = (0..count).map(|index| (TEXTS[index % TEXTS.len()], &zones[index / TEXTS.len() % zones.len()]));
    Ok(pairs.map(|(text, zone)| Schedule::new(text, zone.clone())).collect::<Result<_, _>>()?)
}

/// What no schedule can do without.
fn least(zone: &Zone, at: Timestamp) -> Option<Timestamp> {
    let shown = zone.at(at);
    let then = shown.date().tomorrow().ok()?.at(2, 30, 0, 0);
    let next = shown.time_zone().to_ambiguous_timestamp(then).compatible().ok()?;
    let mut order = BinaryHeap::with_capacity(1);
    order.push(Reverse(next));
    order.pop().map(|Reverse(next)| next)
}

/// Microseconds.
fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64() * 1e6
}

/// Per cent of a core while one thread waits for whatever is due.
fn idle(schedules: &[Schedule], quiet: Duration) -> Outcome<f64> {
    let now = wall();
    let due =
        schedules.iter().enumerate().filter_map(|(index, schedule)| Some(Reverse((schedule.next_after(now)?, index))));
    let mut order: BinaryHeap<Reverse<(Timestamp, usize)>> = due.collect();
    let (before, began) = (process::cpu_of(std::process::id())?, Instant::now());
    while began.elapsed() < quiet {
        let now = wall();
        let Some(Reverse((at, index))) = order.peek().copied() else { break };
        if at <= now {
            order.pop();
            order.extend(schedules[index].next_after(now).map(|at| Reverse((at, index))));
            continue;
        }
        let wait = at.duration_since(now).unsigned_abs();
        std::thread::sleep(wait.min(quiet.saturating_sub(began.elapsed())));
    }
    let used = process::cpu_of(std::process::id())?.saturating_sub(before);
    Ok(100.0 * used.as_secs_f64() / began.elapsed().as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark waits for real time")]
fn wall() -> Timestamp {
    Timestamp::now()
}

struct Spread {
    median: f64,
    p99: f64,
}

impl Spread {
    fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        let at = |part: usize| all.get(all.len() * part / 100).copied().unwrap_or_default();
        Self { median: at(50), p99: at(99) }
    }
}

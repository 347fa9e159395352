//! `bench evidence`: a million entries, appended durably and verified, beside the raw SHA-256 of the same provider over the
//! same bytes and beside plain inserts of the same rows.
//!
//! The entries are those that a real reset of a thousand credentials recorded, over again in reset after reset, each closed
//! by its own closing entry. One thread does the work on either side; a store has one writer of its own, which the caller
//! waits for. Everything is timed in turns, so that both sides see the same machine, and the median counts.

mod rows;

use std::sync::Arc;
use std::time::{Duration, Instant};

use remint::evidence::{Sequencer, Tiles};
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Store};
use remint_contract::SystemClock;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::ledger::{CLOSED, Ledger};
use remint_evidence_format::note::SigningKey;
use remint_evidence_format::tile::Chains;
use remint_evidence_format::tree::{Frontier, Hash, sha256, verify_inclusion};
use remint_evidence_format::{Draft, entry};
use serde::Serialize;

use crate::fanout::recorded;
use crate::{Outcome, process};

/// Entries of one durable commit, on both sides.
const BATCH: usize = 100;
const ROUNDS: usize = 9;
const PROOFS: u64 = 1000;

#[derive(Serialize)]
struct Report {
    entries: u64,
    bytes: u64,
    /// Of the provider, over these bytes in one piece.
    sha256_mb_per_s: f64,
    /// The tree alone, against that.
    ratio_verify: f64,
    /// With numbers, chains, closing counts and unknown fields.
    ratio_verify_full: f64,
    /// Committed, numbered, chained, placed and signed, against plain inserts of the same rows.
    ratio_append: f64,
    seconds_verify: f64,
    seconds_verify_full: f64,
    seconds_append: f64,
    seconds_inserts: f64,
    /// An inclusion proof out of the store, and its verification: the median.
    proof_ms: f64,
    /// Of evidence, for each credential that a reset replaced.
    bytes_per_rotation: u64,
    peak_mb: u64,
}

/// Runs it and prints the report; `--entries N` for less than a million.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut wanted, mut json) = (1_000_000, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or_else(|| format!("{word} takes a value"));
        match word.as_str() {
            "--entries" => wanted = next()?.parse()?,
            "-o" => json = next()? == "json",
            other => return Err(format!("`{other}` is none of --entries, -o json").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(report(wanted))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!(
            "{} entries: verified at {:.2} x SHA-256 (in full {:.2} x), appended at {:.2} x plain inserts; a proof in {:.3} ms; {} bytes a rotation",
            report.entries,
            report.ratio_verify,
            report.ratio_verify_full,
            report.ratio_append,
            report.proof_ms,
            report.bytes_per_rotation
        );
    }
    Ok(())
}

async fn report(wanted: u64) -> Outcome<Report> {
    let real = recorded::reset(1000).await?;
    let folder = tempfile::tempdir()?;
    let key = Arc::new(SigningKey::from_seed("bench", zeroize::Zeroizing::new([7; 32]))?);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path())?);
    let mut sequencer = Sequencer::new(Arc::clone(&store), Arc::clone(&key), Arc::new(SystemClock), "bench");
    let (appended, rows) = append(&*store, &mut sequencer, &real.drafts, wanted).await?;
    let inserted = rows::insert(&folder.path().join("plain.db"), &rows, BATCH)?;

    let (size, note) = store.checkpoint().await?.ok_or("nothing was signed")?;
    let signed = Checkpoint::open(note.as_bytes(), key.verifier())?;
    let whole: Vec<u8> = rows.iter().flat_map(|row| row.bytes.iter().copied()).collect();
    // In the same place for both: a tile has its entries one after the other, too.
    let mut rest = whole.as_slice();
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        let (entry, after) = rest.split_at(row.bytes.len());
        entries.push(entry);
        rest = after;
    }
    let (mut raw, mut tree, mut full) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        raw.push(time(|| std::hint::black_box(sha256(&whole)) != Hash([0; 32]))?);
        tree.push(time(|| {
            let mut frontier = Frontier::default();
            entries.iter().for_each(|bytes| frontier.append(entry::hash(bytes)));
            frontier.root() == signed.root && frontier.size() == size
        })?);
        full.push(time(|| {
            let (mut chains, mut frontier) = (Chains::default(), Frontier::default());
            let read = entries.iter().try_for_each(|bytes| chains.read(bytes).map(|hash| frontier.append(hash)));
            read.is_ok() && frontier.root() == signed.root && chains.resets().values().all(Ledger::is_closed)
        })?);
    }
    let (raw, tree, full) = (median(raw), median(tree), median(full));
    let bytes = whole.len() as u64;
    Ok(Report {
        entries: size,
        bytes,
        sha256_mb_per_s: bytes as f64 / 1e6 / raw.as_secs_f64(),
        ratio_verify: ratio(tree, raw),
        ratio_verify_full: ratio(full, raw),
        ratio_append: ratio(appended, inserted),
        seconds_verify: tree.as_secs_f64(),
        seconds_verify_full: full.as_secs_f64(),
        seconds_append: appended.as_secs_f64(),
        seconds_inserts: inserted.as_secs_f64(),
        proof_ms: proofs(store, &signed).await?.as_secs_f64() * 1e3,
        bytes_per_rotation: real.bytes / 1000,
        peak_mb: process::peak_mb()?,
    })
}

/// Appends resets until there are so many entries, each reset placed before the next; gives the time that the store and the
/// sequencer took, and the rows that came of it.
async fn append(
    store: &dyn Store,
    sequencer: &mut Sequencer,
    drafts: &[Draft],
    wanted: u64,
) -> Outcome<(Duration, Vec<rows::Row>)> {
    let mut took = Duration::ZERO;
    let mut rows = Vec::new();
    for turn in 0.. {
        if rows.len() as u64 >= wanted {
            break;
        }
        let reset = format!("r-{turn}");
        let mut ledger = Ledger::new(&reset);
        let left = usize::try_from(wanted)?.saturating_sub(rows.len() + 1);
        let mut told = drafts.iter().take(left).map(|draft| Draft { reset: Some(reset.clone()), ..draft.clone() });
        loop {
            let mut entries: Vec<Draft> = told.by_ref().take(BATCH).collect();
            let last = entries.is_empty();
            if last {
                let (kind, at) = (CLOSED.to_owned(), drafts.last().map(|draft| draft.at.clone()).unwrap_or_default());
                entries.push(Draft { kind, at, reset: Some(reset.clone()), subject: None, body: ledger.closing() });
            }
            let started = Instant::now();
            let committed = store.commit(Change { entries, ..Change::default() }).await?;
            took += started.elapsed();
            for stored in committed.entries {
                ledger.read(&entry::parse(&stored.bytes)?, entry::hash(&stored.bytes))?;
                rows.push(rows::Row { reset: reset.clone(), number: stored.number, bytes: stored.bytes });
            }
            if last {
                break;
            }
        }
        let started = Instant::now();
        sequencer.flush().await?;
        took += started.elapsed();
    }
    Ok((took, rows))
}

/// Inclusion proofs of places all over the log, out of the store's tiles, each verified.
async fn proofs(store: Arc<dyn Store>, signed: &Checkpoint) -> Outcome<Duration> {
    let tiles = Tiles::new(Arc::clone(&store));
    // What is kept in memory from then on.
    tiles.inclusion(0, signed.size).await?;
    let mut took = Vec::new();
    for turn in 0..PROOFS.min(signed.size) {
        let index = turn * (signed.size / PROOFS.min(signed.size));
        let leaf = store.sequenced(index, 1).await?.pop().map(|stored| entry::hash(&stored.bytes)).ok_or("no entry")?;
        let started = Instant::now();
        let path = tiles.inclusion(index, signed.size).await?.ok_or("no proof")?;
        if !verify_inclusion(leaf, index, signed.size, &path, signed.root) {
            return Err(format!("the proof of entry {index} does not verify").into());
        }
        took.push(started.elapsed());
    }
    Ok(median(took))
}

fn time(work: impl FnOnce() -> bool) -> Outcome<Duration> {
    let started = Instant::now();
    let right = work();
    let took = started.elapsed();
    if right { Ok(took) } else { Err("what was read is not what was signed".into()) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn ratio(one: Duration, other: Duration) -> f64 {
    (one.as_secs_f64() / other.as_secs_f64() * 1000.0).round() / 1000.0
}

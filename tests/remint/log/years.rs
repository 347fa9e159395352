//! Years that are closed, and verified by themselves.

use std::sync::Arc;
use std::time::Duration;

use remint::evidence::Sequencer;
use remint::evidence::years::Year;
use remint::store::Change;
use remint_contract::Clock;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::{entry, shard};

use super::Log;
use crate::store::draft;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Runs a sequencer for one look around, as a daemon that is idle does.
async fn idle(log: &Log) {
    let key = Arc::clone(&log.key);
    Sequencer::new(Arc::clone(&log.store), key, log.clock(), "test").run(std::future::ready(())).await;
}

#[tokio::test]
async fn a_year_is_closed_by_its_last_entry_and_a_checkpoint_of_exactly_its_size() {
    let log = Log::new();
    log.grow(3).await;
    assert_eq!(Year::all(&*log.store).await.unwrap(), []);
    log.clock.advance(YEAR);
    idle(&log).await;
    let years = Year::all(&*log.store).await.unwrap();
    assert_eq!(years.len(), 1);
    assert_eq!((years[0].year, years[0].from, years[0].to), (2023, 0, 4));
    idle(&log).await;
    assert_eq!(log.checkpoint().await.size, 4, "an idle log closes a year once");

    log.grow(6).await;
    log.clock.advance(YEAR);
    log.grow(2).await;
    log.grow(1).await;
    let years = Year::all(&*log.store).await.unwrap();
    assert_eq!(
        years.iter().map(|year| (year.year, year.from, year.to)).collect::<Vec<_>>(),
        [(2023, 0, 4), (2024, 4, 13)]
    );
    assert_eq!(log.checkpoint().await.size, 14);

    let entries = log.store.sequenced(0, 100).await.unwrap();
    let mut before: Option<(Checkpoint, Year)> = None;
    for year in years {
        let closed = Checkpoint::open(year.note.as_bytes(), log.verifier()).unwrap();
        assert_eq!(closed.size, year.to);
        let of_year = entries.iter().filter(|stored| (year.from..year.to).contains(&stored.index.unwrap()));
        let edge = before.as_ref().map(|(_, year)| year.edge()).unwrap_or_default();
        let bytes = of_year.map(|stored| stored.bytes.as_slice());
        let verified = shard::verify(before.as_ref().map(|(closed, _)| closed), edge, &closed, bytes);
        assert_eq!(verified, Ok(year.year));
        before = Some((closed, year));
    }
}

#[tokio::test]
async fn a_year_whose_closing_entry_was_committed_and_not_placed_is_closed_once() {
    let log = Log::new();
    log.grow(3).await;
    log.clock.advance(YEAR);
    // Whoever committed it ended before it had a place.
    let body = shard::body(2023, 0);
    let once = remint::engine::record::put("year-closing", "0", "", &body, remint::store::Rule::Insert).unwrap();
    let closing = remint_evidence_format::Draft {
        kind: shard::CLOSED.to_owned(),
        at: log.clock.now().to_string(),
        body,
        ..draft(None, 0)
    };
    let change = Change { puts: vec![once], entries: vec![closing], ..Change::default() };
    log.store.commit(change).await.unwrap();
    idle(&log).await;
    log.grow(2).await;
    let entries = log.store.sequenced(0, 100).await.unwrap();
    let closings = entries.iter().filter(|stored| entry::parse(&stored.bytes).unwrap().kind == shard::CLOSED);
    assert_eq!((closings.count(), entries.len()), (1, 6));
    assert_eq!(Year::all(&*log.store).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_log_that_slept_for_years_closes_the_one_it_has() {
    let log = Log::new();
    log.grow(1).await;
    log.clock.advance(3 * YEAR);
    log.grow(1).await;
    log.grow(1).await;
    let years: Vec<i64> = Year::all(&*log.store).await.unwrap().iter().map(|year| year.year).collect();
    assert_eq!(years, [2023]);
}

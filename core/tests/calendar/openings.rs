//! Openings: which one is due, and what becomes of those that nobody was there for.

use std::time::Duration;

use super::{at, estate, window};

const NIGHTLY: &str = "cron: \"0 2 * * *\", timeZone: Europe/Berlin, duration: 2h";

#[test]
fn an_opening_is_due_while_it_lasts_and_in_one_look_only() {
    let window = window(&estate(&format!("{{{NIGHTLY}}}"), &[]));
    let since = at("2026-06-01T12:00:00Z");
    assert_eq!(window.due(since, at("2026-06-01T23:59:59Z")).open, None, "not yet");
    let due = window.due(since, at("2026-06-02T00:00:00Z"));
    let opening = due.open.unwrap();
    assert_eq!((opening.opens, opening.closes), (at("2026-06-02T00:00:00Z"), at("2026-06-02T02:00:00Z")));
    assert_eq!(window.due(due.seen, at("2026-06-02T00:00:01Z")).open, None, "again");
    let late = window.due(since, at("2026-06-02T01:59:59Z"));
    assert_eq!((late.open, late.late), (Some(opening), false), "whoever comes late finds it open");
}

#[test]
fn three_missed_windows_are_skipped_or_made_up_for_once() {
    let (since, now) = (at("2026-06-01T12:00:00Z"), at("2026-06-04T10:00:00Z"));
    let skip = window(&estate(&format!("{{{NIGHTLY}}}"), &[])).due(since, now);
    assert_eq!((skip.open, skip.missed, skip.last_missed), (None, 3, Some(at("2026-06-04T00:00:00Z"))));
    let catch_up = window(&estate(&format!("{{{NIGHTLY}, missed: catch-up}}"), &[])).due(since, now);
    let opening = catch_up.open.unwrap();
    assert_eq!((catch_up.late, catch_up.missed), (true, 2), "the last of them, now");
    assert_eq!((opening.scheduled, opening.opens), (at("2026-06-04T00:00:00Z"), now));
    assert_eq!(opening.closes, at("2026-06-04T12:00:00Z"), "for as long as it would have been open");
    for due in [skip, catch_up] {
        assert_eq!(due.seen, at("2026-06-04T00:00:00Z"));
    }
}

#[test]
fn what_is_made_up_for_ends_before_the_next_opening() {
    let window = window(&estate(&format!("{{{NIGHTLY}, missed: catch-up}}"), &[]));
    let due = window.due(at("2026-06-01T12:00:00Z"), at("2026-06-02T23:30:00Z"));
    assert_eq!(due.open.unwrap().closes, at("2026-06-03T00:00:00Z"));
}

#[test]
fn nothing_opens_on_a_blackout_date_and_nothing_stays_open_into_one() {
    let spec = "{cron: \"0 22 * * *\", timeZone: Europe/Berlin, duration: 4h, missed: catch-up, \
                blackout: [\"2026-12-24..2026-12-26\", \"2027-01-01\"]}";
    let window = window(&estate(spec, &[]));
    let before = window.next(at("2026-12-23T12:00:00Z")).unwrap();
    assert_eq!(
        (before.opens, before.closes),
        (at("2026-12-23T21:00:00Z"), at("2026-12-23T23:00:00Z")),
        "until midnight there"
    );
    assert_eq!(window.next(before.scheduled).unwrap().opens, at("2026-12-27T21:00:00Z"));
    let (missed, now) = (at("2026-12-22T12:00:00Z"), at("2026-12-25T12:00:00Z"));
    let held = window.due(missed, now);
    assert_eq!((held.open, held.missed, held.seen), (None, 0, missed), "what was missed waits for a day that is free");
    assert!(window.due(held.seen, at("2026-12-27T12:00:00Z")).late);
}

#[test]
fn a_jitter_is_the_same_for_every_replica_and_another_one_at_each_opening() {
    let spec = format!("{{{NIGHTLY}, jitter: 30m}}");
    let window = window(&estate(&spec, &[]));
    let mut after = at("2026-06-01T12:00:00Z");
    let mut jitters = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let opening = window.next(after).unwrap();
        assert_eq!(window.next(after), Some(opening));
        let jitter = opening.opens.duration_since(opening.scheduled).unsigned_abs();
        assert!(jitter <= Duration::from_mins(30));
        assert_eq!(opening.closes.duration_since(opening.opens).unsigned_abs(), Duration::from_hours(2));
        jitters.insert(jitter);
        after = opening.scheduled;
    }
    assert!(jitters.len() > 15, "{jitters:?}");
}

#[test]
fn an_opening_waits_for_its_jitter_and_is_not_lost_by_a_look_before() {
    let window = window(&estate(&format!("{{{NIGHTLY}, jitter: 1h, missed: catch-up}}"), &[]));
    let opening = window.next(at("2026-06-01T12:00:00Z")).unwrap();
    assert!(opening.opens > opening.scheduled);
    let early = window.due(at("2026-06-01T12:00:00Z"), opening.scheduled);
    assert_eq!((early.open, early.seen), (None, at("2026-06-01T12:00:00Z")));
    assert_eq!(window.due(early.seen, opening.opens).open, Some(opening));
}

#[test]
fn a_manual_window_opens_for_nobody_and_still_says_when() {
    let window = window(&estate(&format!("{{{NIGHTLY}, manualOnly: true}}"), &[]));
    let due = window.due(at("2026-06-01T12:00:00Z"), at("2026-06-04T01:00:00Z"));
    assert_eq!((due.open, due.missed), (None, 0));
    assert!(window.next(at("2026-06-01T12:00:00Z")).is_some());
}

#[test]
fn a_clock_that_was_set_back_opens_nothing_again() {
    let window = window(&estate(&format!("{{{NIGHTLY}, missed: catch-up}}"), &[]));
    let due = window.due(at("2026-06-01T12:00:00Z"), at("2026-06-02T00:10:00Z"));
    let back = window.due(due.seen, at("2026-06-01T20:00:00Z"));
    assert_eq!((back.open, back.missed, back.seen), (None, 0, due.seen));
}

//! A year of schedules over twelve zones, beside `croner`: every difference has a name here, and every name a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use remint_core::schedule::{Schedule, Zone};

/// Clocks that leap by an hour, by half of one, at midnight, the other way round, and never.
const ZONES: [&str; 12] = [
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kolkata",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
];

/// Looked at all year long.
const SPARSE: [&str; 22] = [
    "0 2 * * 0",
    "30 2 * * *",
    "0 0 * * *",
    "15 0 * * *",
    "59 23 * * *",
    "0 3 * * *",
    "0,30 2 * * *",
    "15 1-3 * * *",
    "0 */2 * * *",
    "0 */6 * * *",
    "45 2-22/4 * * *",
    "0 0 29 2 *",
    "0 12 29 2 1",
    "0 0 13 * 5",
    "0 9 1-7 * 1",
    "59 23 31 * *",
    "0 0 * * 7",
    "5 4 * * sun",
    "0 0 1 jan,jul *",
    "30 1 * 3,10,11 *",
    "0 4 */10 * *",
    "0 4 * * mon-fri",
];

/// Looked at in the days around a change of the clock, and at the end of February.
const DENSE: [&str; 6] =
    ["* * * * *", "*/15 * * * *", "7,37 * * * *", "*/30 2 * * *", "* 2 * * *", "10-50/20 */3 * * *"];

/// Where a time is that only one of the two has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    Ours,
    Oracle,
}

struct Difference<'a> {
    text: &'a str,
    only: Only,
    /// So soon after a leap that the clock before it would still show what was leapt over.
    leapt: bool,
    /// The clock shows this for the second time.
    second: bool,
}

/// One name, and the differences that it is.
type Named = (&'static str, fn(&Difference<'_>) -> bool);

/// Every difference from the oracle.
const NAMED: [Named; 3] = [
    // It counts only a single minute at a single hour as a fixed time; here a list or a range of hours is one, too.
    ("several fixed times are not repeated when the clock goes back", |found| {
        found.second && found.only == Only::Oracle && several(found.text)
    }),
    ("several fixed times that are leapt over come at the first instant after", |found| {
        found.leapt && found.only == Only::Ours && several(found.text)
    }),
    // It drops them; here the time that passed counts.
    ("what a star names and the clock leaps over comes as long after as it would have", |found| {
        found.leapt && found.only == Only::Ours && star(found.text)
    }),
];

fn times(text: &str) -> (&str, &str) {
    let mut fields = text.split(' ');
    (fields.next().unwrap(), fields.next().unwrap())
}

fn star(text: &str) -> bool {
    times(text).0.contains('*') || times(text).1.contains('*')
}

fn several(text: &str) -> bool {
    !star(text) && [times(text).0, times(text).1].iter().any(|field| field.contains([',', '-']))
}

/// The zone as it is built in: what a machine has of it may be older or newer.
fn clock(name: &str) -> TimeZone {
    Zone::named(name).unwrap().at(Timestamp::UNIX_EPOCH).time_zone().clone()
}

fn year(zone: &TimeZone) -> (Zoned, Zoned) {
    let begins = |year| jiff::civil::date(year, 1, 1).to_zoned(zone.clone()).unwrap();
    (begins(2028), begins(2029))
}

/// The days around every change of the clock, and the end of February.
fn days(zone: &TimeZone) -> Vec<(Zoned, Zoned)> {
    let (begins, ends) = year(zone);
    let changes = zone.following(begins.timestamp()).map(|change| change.timestamp().to_zoned(zone.clone()));
    let leap_day = jiff::civil::date(2028, 2, 29).to_zoned(zone.clone()).unwrap();
    let around = |at: Zoned| (&at - Span::new().hours(30), &at + Span::new().hours(30));
    changes.take_while(|change| *change < ends).chain([leap_day]).map(around).collect()
}

fn ours(text: &str, zone: &str, from: &Zoned, until: &Zoned) -> BTreeSet<Timestamp> {
    let schedule = Schedule::new(text, Zone::named(zone).unwrap()).unwrap();
    let mut times = Vec::new();
    let mut at = from.timestamp();
    while let Some(next) = schedule.next_after(at).filter(|next| *next <= until.timestamp()) {
        assert!(next > at, "{text} in {zone} goes back from {at} to {next}");
        times.push(next);
        at = next;
    }
    let set: BTreeSet<Timestamp> = times.iter().copied().collect();
    assert_eq!(set.len(), times.len(), "{text} in {zone} doubles");
    set
}

fn oracle(text: &str, from: &Zoned, until: &Zoned) -> BTreeSet<Timestamp> {
    let cron = croner::Cron::from_str(text).unwrap();
    let mut times = BTreeSet::new();
    let mut at = from.clone();
    while let Ok(next) = cron.find_next_occurrence(&at, false)
        && next <= *until
    {
        times.insert(next.timestamp());
        at = next;
    }
    times
}

fn difference<'a>(text: &'a str, zone: &TimeZone, at: Timestamp, only: Only) -> Difference<'a> {
    let change = zone.preceding(at + Span::new().seconds(1)).next();
    let change = change.map(|change| change.timestamp());
    let before = change.map(|change| zone.to_offset(change - Span::new().seconds(1)).seconds());
    let now = zone.to_offset(at).seconds();
    let since = change.map_or(i64::MAX, |change| at.as_second() - change.as_second());
    let width = before.map_or(0, |before| now - before);
    Difference { text, only, leapt: since < i64::from(width), second: since < i64::from(-width) }
}

#[test]
fn a_year_over_twelve_zones_is_what_the_oracle_says_but_for_named_differences() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut compared, mut unnamed) = (0, Vec::new());
    for name in ZONES {
        let zone = clock(name);
        let sparse = SPARSE.iter().map(|text| (*text, vec![year(&zone)]));
        let dense = DENSE.iter().map(|text| (*text, days(&zone)));
        for (text, (from, until)) in
            sparse.chain(dense).flat_map(|(text, spans)| spans.into_iter().map(move |span| (text, span)))
        {
            let (ours, oracle) = (ours(text, name, &from, &until), oracle(text, &from, &until));
            compared += ours.union(&oracle).count();
            let ours_only = ours.difference(&oracle).map(|at| (*at, Only::Ours));
            let oracle_only = oracle.difference(&ours).map(|at| (*at, Only::Oracle));
            for (at, only) in ours_only.chain(oracle_only) {
                let found = difference(text, &zone, at, only);
                match NAMED.iter().find(|(_, holds)| holds(&found)) {
                    Some((name, _)) => *seen.entry(name).or_default() += 1,
                    None => unnamed.push(format!("{text} in {name}: {only:?} {}", at.to_zoned(zone.clone()))),
                }
            }
        }
    }
    assert!(unnamed.is_empty(), "{} differences have no name:\n{}", unnamed.len(), unnamed.join("\n"));
    assert!(compared > 100_000, "only {compared} times were compared");
    let names: BTreeSet<&str> = NAMED.iter().map(|(name, _)| *name).collect();
    assert_eq!(seen.keys().copied().collect::<BTreeSet<_>>(), names, "a name without a difference");
}

#[test]
fn every_year_has_both_changes_of_the_clock_and_a_leap_day() {
    let changes = |name: &str| {
        let zone = clock(name);
        let (begins, ends) = year(&zone);
        zone.following(begins.timestamp()).take_while(|change| change.timestamp() < ends.timestamp()).count()
    };
    let counts: Vec<usize> = ZONES.iter().map(|name| changes(name)).collect();
    assert_eq!(counts, [2, 2, 2, 2, 2, 2, 2, 2, 0, 2, 2, 2], "of the year and the zones above");
    assert!(jiff::civil::date(2028, 1, 1).in_leap_year());
}

//! Random schedules at random moments, against their meaning spelled out minute by minute.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};
use proptest::prelude::*;
use remint_core::schedule::{Schedule, Zone};

const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/Havana",
    "America/St_Johns",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "UTC",
];

/// A field as text, and the values that it names.
#[derive(Debug, Clone)]
struct Field {
    text: String,
    values: BTreeSet<i8>,
}

impl Field {
    fn star(&self) -> bool {
        self.text.starts_with('*')
    }
}

fn field(least: i8, most: i8) -> impl Strategy<Value = Field> {
    let list = prop::collection::btree_set(least..=most, 1..4).prop_map(|values| Field {
        text: values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        values,
    });
    let range = (least..=most, least..=most, 1..=4_i8).prop_map(|(a, b, step)| Field {
        text: format!("{}-{}/{step}", a.min(b), a.max(b)),
        values: (a.min(b)..=a.max(b)).step_by(usize::try_from(step).unwrap()).collect(),
    });
    let step = (1..=6_i8).prop_map(move |step| Field {
        text: format!("*/{step}"),
        values: (least..=most).step_by(usize::try_from(step).unwrap()).collect(),
    });
    let every = Just(Field { text: "*".into(), values: (least..=most).collect() });
    prop_oneof![list, range, step, every]
}

/// True when the fields name this reading of the clock.
fn named(fields: &[Field; 5], at: DateTime) -> bool {
    let [minute, hour, day, month, weekday] = fields;
    let days = match (day.text == "*", weekday.text == "*") {
        (false, false) => {
            day.values.contains(&at.day()) || weekday.values.contains(&at.weekday().to_sunday_zero_offset())
        }
        _ => day.values.contains(&at.day()) && weekday.values.contains(&at.weekday().to_sunday_zero_offset()),
    };
    minute.values.contains(&at.minute())
        && hour.values.contains(&at.hour())
        && month.values.contains(&at.month())
        && days
}

/// The instants that a reading of the clock means.
fn instants(zone: &TimeZone, at: DateTime, elapses: bool) -> Vec<Timestamp> {
    let on = |offset: jiff::tz::Offset| offset.to_timestamp(at).unwrap();
    match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => vec![on(offset)],
        AmbiguousOffset::Fold { before, after } if elapses => vec![on(before), on(after)],
        AmbiguousOffset::Fold { before, .. } => vec![on(before)],
        AmbiguousOffset::Gap { before, .. } if elapses => vec![on(before)],
        AmbiguousOffset::Gap { before, .. } => {
            vec![zone.preceding(on(before) + Span::new().seconds(1)).next().unwrap().timestamp()]
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_comes_in_three_days_is_what_the_fields_name(
        fields in (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)),
        zone in 0..ZONES.len(),
        change in 0..6_usize,
        begins in -2880..60_i64,
    ) {
        let fields = [fields.0, fields.1, fields.2, fields.3, fields.4];
        let text = fields.iter().map(|field| field.text.as_str()).collect::<Vec<_>>().join(" ");
        let named_zone = Zone::named(ZONES[zone]).unwrap();
        let Ok(schedule) = Schedule::new(&text, named_zone.clone()) else {
            // A date that no year has.
            return Ok(());
        };
        // As it is built in: what a machine has of it may be older or newer.
        let zone = named_zone.at(Timestamp::UNIX_EPOCH).time_zone().clone();
        let year: Timestamp = "2027-06-01T00:00:00Z".parse().unwrap();
        let at = zone.following(year).nth(change).map_or(year, |change| change.timestamp());
        let (from, until) = (at + Span::new().minutes(begins), at + Span::new().minutes(begins + 3 * 1440));
        let elapses = fields[0].star() || fields[1].star();
        let first = zone.to_datetime(from - Span::new().hours(3)).round(jiff::Unit::Minute).unwrap();
        let expected: BTreeSet<Timestamp> = (0..(3 * 1440 + 600))
            .map(|minute| first + Span::new().minutes(minute))
            .filter(|at| named(&fields, *at))
            .flat_map(|at| instants(&zone, at, elapses))
            .filter(|at| *at > from && *at <= until)
            .collect();
        let found: Vec<Timestamp> = schedule.between(from, until).collect();
        prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{} in {:?}", text, zone.iana_name());
    }
}

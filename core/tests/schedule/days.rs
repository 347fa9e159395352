//! The days when clocks change, one by one.

use remint_core::schedule::{Schedule, Zone};

/// What the clock shows when it comes, with its distance from UTC.
fn comes(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let zone = Zone::named(zone).unwrap();
    let schedule = Schedule::new(text, zone.clone()).unwrap();
    let mut at = after.parse().unwrap();
    let mut found = Vec::new();
    while found.len() < count
        && let Some(next) = schedule.next_after(at)
    {
        found.push(zone.at(next).strftime("%m-%d %H:%M%:z").to_string());
        at = next;
    }
    found
}

#[test]
fn a_fixed_time_that_is_leapt_over_comes_once_at_the_first_instant_after() {
    let berlin = |text| comes(text, "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
    assert_eq!(berlin("30 2 * * *"), ["03-29 03:00+02:00", "03-30 02:30+02:00"]);
    assert_eq!(berlin("0,20,40 2 * * *"), ["03-29 03:00+02:00", "03-30 02:00+02:00"], "three of them, once");
    let cairo = comes("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", 2);
    assert_eq!(cairo, ["04-24 01:00+03:00", "04-25 00:00+03:00"], "a midnight that is not there");
}

#[test]
fn a_fixed_time_that_is_shown_twice_comes_once_the_first() {
    let berlin = |after| comes("30 2 * * *", "Europe/Berlin", after, 2);
    let (first, next) = ("10-25 02:30+02:00", "10-26 02:30+01:00");
    assert_eq!(berlin("2026-10-24T12:00:00Z"), [first, next]);
    assert_eq!(berlin("2026-10-25T00:45:00Z")[0], next, "asked between the two");
    assert_eq!(berlin("2026-10-25T01:10:00Z")[0], next, "asked when it is shown again");
}

#[test]
fn with_a_star_the_time_that_passes_counts() {
    let berlin = |text, after, count| comes(text, "Europe/Berlin", after, count);
    assert_eq!(
        berlin("*/30 * * * *", "2026-10-24T23:59:00Z", 6),
        [
            "10-25 02:00+02:00",
            "10-25 02:30+02:00",
            "10-25 02:00+01:00",
            "10-25 02:30+01:00",
            "10-25 03:00+01:00",
            "10-25 03:30+01:00"
        ]
    );
    assert_eq!(
        berlin("*/30 * * * *", "2026-03-29T00:00:00Z", 3),
        ["03-29 01:30+01:00", "03-29 03:00+02:00", "03-29 03:30+02:00"]
    );
    // Two hours after midnight are two hours after midnight.
    assert_eq!(
        berlin("0 */2 * * *", "2026-03-28T22:30:00Z", 3),
        ["03-29 00:00+01:00", "03-29 03:00+02:00", "03-29 04:00+02:00"]
    );
    assert_eq!(
        berlin("*/30 2 * * *", "2026-03-28T22:30:00Z", 3),
        ["03-29 03:00+02:00", "03-29 03:30+02:00", "03-30 02:00+02:00"]
    );
}

#[test]
fn a_date_that_a_zone_left_out_comes_when_the_next_one_begins() {
    // Samoa had no 30 December 2011.
    assert_eq!(comes("0 2 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1), ["12-31 00:00+14:00"]);
}

#[test]
fn either_day_field_is_enough_when_both_are_given() {
    let utc = |text| comes(text, "UTC", "2026-02-01T00:00:00Z", 4);
    assert_eq!(utc("0 0 13 * 5"), ["02-06 00:00+00:00", "02-13 00:00+00:00", "02-20 00:00+00:00", "02-27 00:00+00:00"]);
    assert_eq!(utc("0 0 10 * 1"), ["02-02 00:00+00:00", "02-09 00:00+00:00", "02-10 00:00+00:00", "02-16 00:00+00:00"]);
}

#[test]
fn the_leap_day_comes_in_leap_years() {
    let zone = Zone::named("Europe/Berlin").unwrap();
    let schedule = Schedule::new("0 0 29 2 *", zone.clone()).unwrap();
    let years: Vec<i16> = schedule
        .between("2026-01-01T00:00:00Z".parse().unwrap(), "2041-01-01T00:00:00Z".parse().unwrap())
        .map(|at| zone.at(at).year())
        .collect();
    assert_eq!(years, [2028, 2032, 2036, 2040]);
}

#[test]
fn a_date_that_no_year_has_is_refused() {
    let utc = || Zone::named("UTC").unwrap();
    let error = Schedule::new("0 0 30 2 *", utc()).unwrap_err();
    assert_eq!(error.to_string(), "the schedule never comes: no year has such a date, at character 5");
    assert!(Schedule::new("0 0 30 2 1", utc()).is_ok(), "Mondays come");
}

#[test]
fn a_zone_has_a_name_and_no_guess() {
    assert_eq!(Zone::named("europe/berlin").unwrap().name(), "Europe/Berlin");
    assert_eq!(Zone::named("Europe/Berln").unwrap_err().to_string(), "`Europe/Berln` is not a time zone");
    assert!(Zone::named("CEST").is_err(), "an abbreviation is no zone");
}

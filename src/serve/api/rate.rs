//! How often somebody may ask. The Unix socket has no limit: only the daemon's own user can open it.
//!
//! Guarantees: what is kept is bounded, however many come: who is new when it is full shares one count with the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use remint_core::gate::{Caller, Entrance};

use crate::serve::connection::Source;

/// What everybody has left.
#[derive(Debug, Default)]
pub(in crate::serve) struct Rates {
    callers: Mutex<HashMap<String, Bucket>>,
    sources: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

/// So many at once, and so many a second.
#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: f64,
    per_second: f64,
}

const ASKING: Rate = Rate { burst: 400.0, per_second: 100.0 };
/// Of refused logins: whoever guesses waits.
const REFUSED: Rate = Rate { burst: 20.0, per_second: 2.0 };
/// Callers and sources that are told apart.
const MOST: usize = 4096;

impl Rates {
    /// How long this caller has to wait; `None`: not at all, and one is taken.
    pub(super) fn asks(&self, caller: &Caller, now: Timestamp) -> Option<Duration> {
        if caller.entrance == Entrance::Socket {
            return None;
        }
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = callers.contains_key(&caller.principal) || callers.len() < MOST;
        let name = if known { caller.principal.clone() } else { String::new() };
        callers.entry(name).or_insert(Bucket::full(ASKING, now)).take(ASKING, now)
    }

    /// How long a source has to wait whose logins were refused.
    pub(super) fn refusals(&self, source: &Source, now: Timestamp) -> Option<Duration> {
        let address = address(source)?;
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.get_mut(&address)?.wait(REFUSED, now)
    }

    /// One more was refused.
    pub(super) fn refused(&self, source: &Source, now: Timestamp) {
        let Some(address) = address(source) else { return };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= MOST {
            sources.retain(|_, bucket| bucket.wait(REFUSED, now).is_some() || bucket.left < REFUSED.burst);
        }
        if sources.len() < MOST || sources.contains_key(&address) {
            sources.entry(address).or_insert(Bucket::full(REFUSED, now)).take(REFUSED, now);
        }
    }
}

impl Bucket {
    const fn full(rate: Rate, at: Timestamp) -> Self {
        Self { left: rate.burst, at }
    }

    fn fill(&mut self, rate: Rate, now: Timestamp) {
        // A clock that went back fills nothing.
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.left = (self.left + passed * rate.per_second).min(rate.burst);
        self.at = now;
    }

    /// Until there is one.
    fn wait(&mut self, rate: Rate, now: Timestamp) -> Option<Duration> {
        self.fill(rate, now);
        (self.left < 1.0).then(|| Duration::from_secs_f64((1.0 - self.left) / rate.per_second))
    }

    fn take(&mut self, rate: Rate, now: Timestamp) -> Option<Duration> {
        let wait = self.wait(rate, now);
        if wait.is_none() {
            self.left -= 1.0;
        }
        wait
    }
}

fn address(source: &Source) -> Option<IpAddr> {
    match source {
        Source::Socket(_) => None,
        Source::Address(address) | Source::Network { address, .. } => Some(*address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_too_often_waits_and_nobody_else_does() {
        let rates = Rates::default();
        let now = Timestamp::UNIX_EPOCH;
        let (loud, quiet) = (Caller::plain("token:a", Entrance::Api), Caller::plain("token:b", Entrance::Api));
        let taken = (0..1000).filter(|_| rates.asks(&loud, now).is_none()).count();
        assert_eq!(taken, 400);
        assert!(rates.asks(&quiet, now).is_none());
        let later = now + Duration::from_millis(100);
        assert_eq!((0..100).filter(|_| rates.asks(&loud, later).is_none()).count(), 10);
        assert!((0..1000).all(|_| rates.asks(&Caller::plain("unix:1", Entrance::Socket), now).is_none()));
    }

    #[test]
    fn a_source_that_guesses_waits() {
        let rates = Rates::default();
        let now = Timestamp::UNIX_EPOCH;
        let source = Source::Address([127, 0, 0, 1].into());
        for _ in 0..20 {
            assert!(rates.refusals(&source, now).is_none());
            rates.refused(&source, now);
        }
        assert!(rates.refusals(&source, now).is_some());
        assert!(rates.refusals(&source, now + Duration::from_secs(1)).is_none());
        assert!(rates.refusals(&Source::Address([127, 0, 0, 2].into()), now).is_none());
    }
}

//! Leave to make one call: a slot, a circuit that is closed or tried, and the moment that the pace allows.
//!
//! Some targets of a system may fail while the others answer, and those that fail ask again and again. So a circuit is tried
//! by a stranger where one waits, that is a rotation whose last call here did not fail; and no stranger is told that the
//! system is down because of tries that strangers did not make.

use jiff::Timestamp;

use super::{Bucket, News};
use crate::engine::host::circuit::Way;
use crate::engine::host::line::Place;
use crate::engine::host::pace::Held;
use crate::store::StoreError;

/// Leave to make one call.
pub(in crate::engine::host) struct Turn {
    _held: Held,
    /// This call tries a circuit that is half open.
    trying: bool,
    number: u64,
    stranger: bool,
}

impl Turn {
    pub(in crate::engine::host) const fn trying(&self) -> bool {
        self.trying
    }
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine::host) enum NoTurn {
    #[error("its budget cannot be had")]
    Store(#[from] StoreError),
    #[error("its circuit is open since {since}, {times} tries in a row failed, and the next is made after {until}")]
    Down { since: Timestamp, until: Timestamp, times: u32 },
}

/// A stranger that waits for an open circuit.
struct Stranger<'a>(&'a Bucket);

impl<'a> Stranger<'a> {
    fn waits(bucket: &'a Bucket) -> Self {
        bucket.lock().strangers += 1;
        Self(bucket)
    }
}

impl Drop for Stranger<'_> {
    fn drop(&mut self) {
        self.0.lock().strangers -= 1;
        // Who let it go first may try now.
        self.0.changed.notify_waiters();
    }
}

impl Bucket {
    /// Waits until this call may begin.
    pub(in crate::engine::host) async fn turn(&self, place: Place) -> Result<Turn, NoTurn> {
        if self.lock().circuit.is_some() {
            // What others tried before this call asked is no news to it.
            self.look(News::Again).await?;
        }
        let known = self.lock().circuit.as_ref().map_or((0, 0), |open| (open.times, open.strangers));
        loop {
            // In line first: what waits for an open circuit is as many as may call at a time, and not ten thousand that
            // each word of it would wake.
            let held = self.slots(place, 1).await?;
            // What belongs to no rotation is asked for once.
            let stranger = place.number == 0 || !self.lock().failed.contains(&place.number);
            let mut trying = self.pass(known, stranger).await?;
            self.spaced().await;
            while !self.lasts() {
                self.look(News::Nothing).await?;
            }
            trying &= self.lock().circuit.is_some();
            if trying || self.lock().circuit.is_none() {
                return Ok(Turn { _held: held, trying, number: place.number, stranger });
            }
        }
    }

    /// Waits in line until the next call may begin.
    async fn spaced(&self) {
        let now = || self.context.clock.now();
        let _line = if self.pace.spaced(now()) { Some(self.line.lock().await) } else { None };
        while let Err(wait) = self.pace.begin(now()) {
            self.context.clock.sleep(wait).await;
        }
    }

    /// Waits while the circuit is open; true for the call that tries. Nobody is told that a system is down without a try
    /// that failed since he asked.
    async fn pass(&self, known: (u32, u32), stranger: bool) -> Result<bool, NoTurn> {
        let mut waits = None;
        loop {
            let changed = self.changed.notified();
            let Some(open) = self.lock().circuit.clone() else { return Ok(false) };
            let (failed, known) = if stranger { (open.strangers, known.1) } else { (open.times, known.0.max(1)) };
            if failed >= self.settings.tries && failed > known {
                return Err(NoTurn::Down { since: open.since, until: open.until, times: open.times });
            }
            if stranger && waits.is_none() {
                waits = Some(Stranger::waits(self));
            }
            match open.way(self.context.clock.now()) {
                Way::Try if !stranger && self.lock().strangers > 0 => changed.await,
                Way::Try => {
                    if self.look(News::Claim).await? {
                        return Ok(true);
                    }
                }
                Way::Wait(until) => {
                    let wait = until.duration_since(self.context.clock.now()).unsigned_abs();
                    tokio::select! {
                        () = changed => {}
                        () = self.context.clock.sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// The system answered, whatever it said.
    pub(in crate::engine::host) async fn answered(&self, turn: &Turn) {
        let closes = {
            let mut inner = self.lock();
            inner.failures = 0;
            inner.failed.remove(&turn.number);
            turn.trying && inner.circuit.is_some()
        };
        if closes {
            self.spread(News::Closed).await;
        }
    }

    /// The system could not be reached, or had no time.
    pub(in crate::engine::host) async fn failed(&self, turn: &Turn) {
        let news = {
            let mut inner = self.lock();
            inner.failures += 1;
            inner.failed.insert(turn.number);
            let now = self.context.clock.now();
            if inner.failures == 1 {
                inner.failing = now;
            }
            // Many calls at once may fail in a row while others are answered: a system is down when it stays so.
            let lasting = now.duration_since(inner.failing).unsigned_abs() >= self.settings.backoff * 2;
            match &inner.circuit {
                None if inner.failures >= self.settings.failures && lasting => News::Opened,
                Some(_) if turn.trying => News::TryFailed(turn.stranger),
                _ => return,
            }
        };
        self.spread(news).await;
    }
}

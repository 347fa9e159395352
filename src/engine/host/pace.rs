//! The pace of calls from this process: how many at a time, how far apart, and never while the system asked for quiet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::budget::Part;
use super::line::{Line, Place, Ticket};

/// This process's part of a budget, and who uses it.
pub(super) struct Pace {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    part: Part,
    line: Line,
    /// Slots given back that are still in use: they go when their calls end.
    debt: u32,
    busy: u32,
    waiting: u32,
    /// The most that was busy or waiting since it was last asked for.
    peak: u32,
    least: u32,
    /// The next call's turn; by a clock that nobody sets.
    next: Instant,
    quiet: Timestamp,
}

/// Slots in use. Dropping it lets them go.
pub struct Held {
    pace: Arc<Pace>,
    count: u32,
}

/// Somebody stands in line. Dropping it before it is served leaves the line.
struct InLine<'p> {
    pace: &'p Arc<Pace>,
    ticket: Ticket,
    count: u32,
    held: bool,
}

/// Somebody waits for slots.
pub(super) struct Waiting<'p>(&'p Pace, u32);

impl Pace {
    pub(super) fn new() -> Self {
        let inner = Inner {
            part: Part::default(),
            line: Line::default(),
            debt: 0,
            busy: 0,
            waiting: 0,
            peak: 0,
            least: 1,
            next: Instant::now(),
            quiet: Timestamp::UNIX_EPOCH,
        };
        Self { inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody waits for slots, for as long as this lives.
    pub(super) fn waiting(&self, count: u32) -> Waiting<'_> {
        let mut inner = self.lock();
        inner.waiting += count;
        inner.peak = inner.peak.max(inner.busy + inner.waiting);
        inner.least = inner.least.max(count);
        Waiting(self, count)
    }

    /// Waits for slots, in line.
    pub(super) async fn take(self: &Arc<Self>, place: Place, count: u32) -> Held {
        let (ticket, told) = self.lock().line.join(place, count);
        let mut in_line = InLine { pace: self, ticket, count, held: false };
        self.serve();
        if told.await.is_err() {
            // Only what is served leaves the line while somebody stands in it.
            std::future::pending::<()>().await;
        }
        in_line.held = true;
        self.lock().busy += count;
        Held { pace: Arc::clone(self), count }
    }

    /// Tells who is next, without the lock.
    fn serve(&self) {
        let next = self.lock().line.serve();
        next.tell();
    }

    /// How many this process would use, and the least that is of use, since it was last asked.
    pub(super) fn demand(&self) -> (u32, u32) {
        let mut inner = self.lock();
        let now = inner.busy + inner.waiting;
        let least = inner.least;
        inner.least = 1;
        (std::mem::replace(&mut inner.peak, now).max(now), least)
    }

    /// Nobody uses it or waits for it.
    pub(super) fn idle(&self) -> bool {
        let inner = self.lock();
        inner.busy + inner.waiting == 0
    }

    /// What this process may use at most until its calls have ended.
    pub(super) fn used(&self) -> Part {
        let inner = self.lock();
        Part { slots: inner.part.slots + inner.debt, rate: inner.part.rate }
    }

    /// Gives slots back; those in use go when their calls end.
    pub(super) fn shrink(&self, part: Part) {
        let mut inner = self.lock();
        let less = inner.part.slots.saturating_sub(part.slots);
        let free = inner.line.free.min(less);
        inner.line.free -= free;
        inner.debt += less - free;
        inner.part.slots -= less;
        // What still has a slot keeps its distance.
        if part.slots > 0 {
            inner.part.rate = inner.part.rate.min(part.rate);
        }
    }

    /// Takes more. The first call waits its turn: somebody else may just have had it.
    pub(super) fn grow(&self, part: Part) {
        let mut inner = self.lock();
        let more = part.slots.saturating_sub(inner.part.slots);
        if let (0, Some(gap)) = (inner.part.slots, gap(part.rate)) {
            inner.next = inner.next.max(Instant::now() + gap);
        }
        let paid = more.min(inner.debt);
        inner.debt -= paid;
        inner.line.free += more - paid;
        inner.part.slots += more;
        if part.slots > 0 {
            inner.part.rate = part.rate;
        }
        drop(inner);
        self.serve();
    }

    /// Begins a call now, or says how long to wait before asking again. Nobody has a turn ahead of its time: the rate may
    /// be another by then.
    pub(super) fn begin(&self, now: Timestamp) -> Result<(), Duration> {
        let mut inner = self.lock();
        let (here, next) = (Instant::now(), inner.next);
        let wait =
            next.duration_since(here).max(Duration::try_from(inner.quiet.duration_since(now)).unwrap_or_default());
        if !wait.is_zero() {
            return Err(wait);
        }
        if let Some(gap) = gap(inner.part.rate) {
            // Timers are late by about a millisecond, which only matters, and is only made up for, where calls are close.
            let late = if gap < CLOSE { gap * 4 } else { Duration::ZERO };
            inner.next = here.checked_sub(late).map_or(next, |least| next.max(least)) + gap;
        }
        Ok(())
    }

    /// True when calls are spaced, or wait for quiet.
    pub(super) fn spaced(&self, now: Timestamp) -> bool {
        let inner = self.lock();
        inner.part.rate > 0 || inner.quiet > now
    }

    /// No call begins before then; true when that is later than was known.
    pub(super) fn hush(&self, until: Timestamp) -> bool {
        let mut inner = self.lock();
        let later = until > inner.quiet;
        inner.quiet = inner.quiet.max(until);
        later
    }

    pub(super) fn quiet(&self) -> Timestamp {
        self.lock().quiet
    }
}

/// Between two calls; a little more where lateness is made up for, so that no second ever sees one too many.
fn gap(rate: u32) -> Option<Duration> {
    let gap = (rate > 0).then(|| Duration::from_secs(1) / rate)?;
    Some(if gap < CLOSE { gap + gap / 50 } else { gap })
}

/// Calls closer than this are close.
const CLOSE: Duration = Duration::from_millis(20);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= self.1;
    }
}

impl Inner {
    /// Slots that are not in use any more; what was given back while they were goes first.
    fn free(&mut self, count: u32) {
        let gone = self.debt.min(count);
        self.debt -= gone;
        self.line.free += count - gone;
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if self.held {
            return;
        }
        {
            let mut inner = self.pace.lock();
            if !inner.line.leave(&self.ticket) {
                // It was served, and gave up before it knew.
                inner.free(self.count);
            }
        }
        self.pace.serve();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        {
            let mut inner = self.pace.lock();
            inner.busy -= self.count;
            inner.free(self.count);
        }
        self.pace.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(slots: u32) -> Part {
        Part { slots, rate: 0 }
    }

    #[tokio::test]
    async fn what_is_given_back_while_in_use_goes_when_its_call_ends() {
        let pace = Arc::new(Pace::new());
        pace.grow(part(3));
        let (one, two) = (pace.take(Place::default(), 1).await, pace.take(Place::default(), 1).await);
        pace.shrink(part(1));
        assert_eq!(pace.used(), part(2), "two still run");
        drop(one);
        assert_eq!(pace.used(), part(1));
        assert_eq!(pace.lock().line.free, 0);
        drop(two);
        assert_eq!(pace.lock().line.free, 1);
        pace.grow(part(4));
        assert_eq!(pace.used(), part(4));
        assert_eq!(pace.lock().line.free, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_spaced_by_the_rate_whatever_becomes_of_the_clock() {
        let pace = Pace::new();
        pace.grow(Part { slots: 9, rate: 4 });
        let (start, mut begun) = (Instant::now(), Vec::new());
        let mut clock = Timestamp::from_second(1_800_000_000).unwrap();
        while begun.len() < 5 {
            match pace.begin(clock) {
                Ok(()) => begun.push(start.elapsed().as_millis()),
                Err(wait) => tokio::time::sleep(wait).await,
            }
            clock -= Duration::from_hours(1);
        }
        assert_eq!(begun, [250, 500, 750, 1000, 1250], "the first waits its turn, too");
    }

    #[tokio::test]
    async fn whoever_waits_is_counted_and_counted_no_more_when_it_gives_up() {
        let pace = Arc::new(Pace::new());
        drop(pace.waiting(2));
        assert_eq!(pace.demand(), (2, 2), "it was there");
        assert_eq!(pace.demand(), (0, 1));
        assert!(pace.idle());
    }
}

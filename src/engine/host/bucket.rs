//! One budget as this process uses it: a slice of the shared record, looked at once a second while calls are made.
//!
//! Flow: a call asks for a [`Turn`]. Without a slice the record is read and one is taken, by compare-and-set; alone that is
//! the whole budget. While it is used, a keeper looks at the record now and then: it renews the slice, gives back what others
//! should have, and learns of a `Retry-After` or an open circuit that another replica met. What is not used goes back.
//!
//! Guarantees: no call begins unless the slice outlasts it, so that what a dead holder had can be taken when its lease is
//! over; slots in use are never given to somebody else; one commit at most each look, but for a circuit or a
//! `Retry-After`, which everybody has to know at once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Ref;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;

use super::HostSettings;
use super::budget::{Part, Shared, Slice, Whole};
use super::circuit::Open;
use super::line::Place;
use super::pace::{Held, Pace};
use crate::context::Context;
use crate::engine::Progress;
use crate::engine::record::{kind, put, read};
use crate::store::{Change, Key, Rule, Store, StoreError};

mod turn;

pub(super) use turn::Turn;

/// One budget.
pub(crate) struct Bucket {
    name: String,
    pub(super) system: Ref,
    store: Arc<dyn Store>,
    context: Context,
    holder: String,
    settings: HostSettings,
    progress: broadcast::Sender<Progress>,
    pace: Arc<Pace>,
    inner: Mutex<Inner>,
    /// One after another, where calls are spaced.
    line: tokio::sync::Mutex<()>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
    /// The circuit changed.
    changed: Notify,
    me: Weak<Bucket>,
    keepers: Keepers,
}

/// What looks at the records of used budgets; it ends with the engine.
pub(super) type Keepers = Arc<Mutex<JoinSet<()>>>;

struct Inner {
    whole: Whole,
    /// The end of this process's slice.
    until: Timestamp,
    circuit: Option<Open>,
    /// Failures in a row, here.
    failures: u32,
    /// When the first of them ended.
    failing: Timestamp,
    /// Rotations whose last call here failed.
    failed: HashSet<u64>,
    /// Calls of other rotations that wait for an open circuit.
    strangers: u32,
    /// Somebody looks at the record now and then.
    kept: bool,
}

/// What a look tells the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// A slice is needed.
    Nothing,
    /// The keeper reads what others wrote.
    Again,
    Quiet(Timestamp),
    Opened,
    /// Claims the one try.
    Claim,
    /// Whether it was a stranger's.
    TryFailed(bool),
    Closed,
    /// Gives the slice back.
    Leave,
}

impl Bucket {
    #[expect(clippy::too_many_arguments, reason = "made in one place, from the engine's own parts")]
    pub(super) fn new(
        name: String,
        system: Ref,
        whole: Whole,
        store: Arc<dyn Store>,
        context: Context,
        holder: String,
        settings: HostSettings,
        progress: broadcast::Sender<Progress>,
        me: Weak<Self>,
        keepers: Keepers,
    ) -> Self {
        let inner = Inner {
            whole,
            until: Timestamp::UNIX_EPOCH,
            circuit: None,
            failures: 0,
            failing: Timestamp::UNIX_EPOCH,
            failed: HashSet::new(),
            strangers: 0,
            kept: false,
        };
        Self {
            name,
            system,
            store,
            context,
            holder,
            settings,
            progress,
            pace: Arc::new(Pace::new()),
            inner: Mutex::new(inner),
            line: tokio::sync::Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            me,
            keepers,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The documents may give it another size.
    pub(super) fn resize(&self, whole: Whole) {
        self.lock().whole = whole;
    }

    /// Somebody looks at the record from now on, for as long as the budget is used.
    fn keep(&self) {
        if !std::mem::replace(&mut self.lock().kept, true) {
            let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
            while keepers.try_join_next().is_some() {}
            keepers.spawn(keep(self.me.clone(), self.settings.look));
        }
    }

    /// Slots for as long as they are held; more than the whole is the whole.
    pub(super) async fn slots(&self, place: Place, count: u32) -> Result<Held, StoreError> {
        let count = count.min(self.lock().whole.slots).max(1);
        let _waiting = self.pace.waiting(count);
        // Whoever is counted as waiting is waited for by the keeper; so it is asked for after that.
        self.keep();
        loop {
            if !self.lasts() {
                self.look(News::Nothing).await?;
            }
            let held = self.pace.take(place, count).await;
            if self.lasts() {
                return Ok(held);
            }
        }
    }

    /// No call to the system begins before this has passed, from no replica.
    pub(super) async fn hush(&self, wait: Duration) {
        let until = self.context.clock.now() + wait;
        let near = self.pace.quiet() + NEAR;
        if self.pace.hush(until) && until > near {
            self.spread(News::Quiet(until)).await;
        }
    }

    /// A call that was made is over, whether or not the others can be told.
    async fn spread(&self, news: News) {
        if let Err(error) = self.look(news).await {
            tracing::warn!(budget = self.name, %error, "the other replicas could not be told");
        }
    }

    /// True while a call that begins now ends within the slice.
    fn lasts(&self) -> bool {
        self.context.clock.now() + self.settings.call_timeout <= self.lock().until
    }

    /// Reads the record, writes what is new, and takes in what others wrote. True when a claim was granted.
    async fn look(&self, news: News) -> Result<bool, StoreError> {
        let _one = self.looking.lock().await;
        // Somebody else looked while this one waited to; or the budget is used again.
        if matches!(news, News::Nothing | News::Leave) && self.lasts() {
            return Ok(false);
        }
        let key = Key { kind: kind::BUDGET, id: self.name.clone() };
        let (wants, least) = self.pace.demand();
        loop {
            let record = self.store.get(&key).await?;
            let (revision, mut shared) = match record {
                None => (None, Shared::default()),
                Some(record) => (Some(record.revision), read::<Shared>(record)?),
            };
            let now = self.context.clock.now();
            let before = shared.clone();
            let granted = self.tell(&mut shared, news, now);
            let part = self.cut(&mut shared, news, wants, least, now);
            if shared != before {
                let rule = revision.map_or(Rule::Insert, Rule::Revision);
                let puts = vec![put(kind::BUDGET, self.name.clone(), "", &shared, rule)?];
                match self.store.commit(Change { puts, ..Change::default() }).await {
                    Ok(_) => {}
                    // What is read again says whether it was written: a store that goes away for a moment must not look
                    // like a system that cannot be reached.
                    Err(StoreError::Stale { .. } | StoreError::Exists { .. } | StoreError::Unanswered(_)) => continue,
                    Err(error) => return Err(error),
                }
            }
            self.adopt(&shared, part, now);
            return Ok(granted);
        }
    }

    /// Writes the news; true when a claim was granted.
    fn tell(&self, shared: &mut Shared, news: News, now: Timestamp) -> bool {
        let first = self.settings.backoff.max(Duration::from_millis(1));
        match news {
            News::Nothing | News::Again | News::Leave => {}
            News::Quiet(until) => shared.quiet = shared.quiet.max(Some(until)),
            News::Opened => {
                shared.circuit.get_or_insert_with(|| Open::new(now, first));
            }
            News::Claim => {
                let until = now + self.settings.call_timeout;
                return shared.circuit.as_mut().is_some_and(|open| open.claim(&self.holder, now, until));
            }
            News::TryFailed(stranger) => {
                if let Some(open) = &mut shared.circuit {
                    open.again(now, first, stranger);
                }
            }
            News::Closed => shared.circuit = None,
        }
        if shared.quiet.is_some_and(|quiet| quiet <= now) {
            shared.quiet = None;
        }
        false
    }

    /// Cuts this process's slice anew: gives back first, takes what is free. Returns what may be used once it is written.
    fn cut(&self, shared: &mut Shared, news: News, wants: u32, least: u32, now: Timestamp) -> Part {
        let whole = self.lock().whole;
        shared.reclaim(now);
        if news == News::Leave {
            shared.slices.remove(&self.holder);
            return Part::default();
        }
        let alone = shared.slices.keys().all(|name| *name == self.holder);
        let known = shared.slices.get(&self.holder).copied();
        let until = now + self.settings.call_timeout + self.settings.slice;
        let mut mine = known.unwrap_or(Slice { slots: 0, rate: 0, wants, least, since: now, until });
        // Nobody to share with: what is wanted is nobody's business, and need not be written.
        let other = wants > mine.wants.saturating_mul(2) || wants < mine.wants / 2 || least > mine.least;
        if !alone && other {
            (mine.wants, mine.least) = (wants, least);
        }
        mine.wants = mine.wants.max(1);
        if mine.until < now + self.settings.call_timeout + self.settings.slice / 3 * 2 {
            mine.until = until;
        }
        shared.slices.insert(self.holder.clone(), mine);
        if shared.turn_over(whole, &self.holder, now) {
            mine.since = now;
            shared.slices.insert(self.holder.clone(), mine);
        }
        let (fair, free) = (shared.fair(whole, &self.holder), shared.free(whole, &self.holder));
        let part = Part { slots: fair.slots.min(free.slots), rate: fair.rate.min(free.rate) };
        self.pace.shrink(part);
        let used = self.pace.used();
        mine.slots = part.slots.max(used.slots);
        mine.rate = part.rate;
        shared.slices.insert(self.holder.clone(), mine);
        part
    }

    /// From now on this is what is known here.
    fn adopt(&self, shared: &Shared, part: Part, now: Timestamp) {
        let (opened, closed) = {
            let mut inner = self.lock();
            inner.until = shared.slices.get(&self.holder).map_or(Timestamp::UNIX_EPOCH, |slice| slice.until);
            let before = std::mem::replace(&mut inner.circuit, shared.circuit.clone());
            if before.is_some() && inner.circuit.is_none() {
                inner.failures = 0;
            }
            (before.is_none() && inner.circuit.is_some(), before.is_some() && inner.circuit.is_none())
        };
        if let Some(quiet) = shared.quiet {
            self.pace.hush(quiet);
        }
        self.pace.grow(part);
        if opened || closed {
            let until = shared.circuit.as_ref().map(|open| open.until);
            if opened {
                tracing::warn!(system = %self.system, ?until, "the circuit opens: nothing is sent until one try gets an answer");
            } else {
                tracing::info!(system = %self.system, "the circuit closes: it answers again");
            }
            let system = self.system.clone();
            // Nobody watching is not a failure.
            let _ = self.progress.send(Progress::Circuit { system, until, at: now });
        }
        self.changed.notify_waiters();
    }
}

/// Looks at the record now and then for as long as the budget is used, and gives the slice back afterwards.
async fn keep(bucket: Weak<Bucket>, every: Duration) {
    let mut idle = false;
    loop {
        tokio::time::sleep(every).await;
        // The engine may be gone, and its store with it.
        let Some(bucket) = bucket.upgrade() else { return };
        if bucket.pace.idle() && idle {
            let left = {
                let mut inner = bucket.lock();
                let left = bucket.pace.idle();
                if left {
                    inner.kept = false;
                    inner.until = Timestamp::UNIX_EPOCH;
                    bucket.pace.shrink(Part::default());
                }
                left
            };
            if left {
                bucket.spread(News::Leave).await;
                return;
            }
        }
        idle = bucket.pace.idle();
        if let Err(error) = bucket.look(News::Again).await {
            tracing::warn!(budget = bucket.name, %error, "the budget cannot be renewed");
        }
    }
}

/// A `Retry-After` that ends this soon after one that is known is not worth telling.
const NEAR: Duration = Duration::from_millis(250);

//! Simulated time, and the gate at which a process is stopped or dies.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use remint_contract::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What everybody's time is counted from.
#[derive(Clone)]
pub(crate) struct Time {
    start: Instant,
    /// A jump of the whole world's clocks, in milliseconds.
    jumped: Arc<AtomicI64>,
}

impl Time {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), jumped: Arc::default() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn now(&self) -> Timestamp {
        let base = Timestamp::from_second(1_800_000_000).unwrap();
        base + self.start.elapsed() + SignedDuration::from_millis(self.jumped.load(Ordering::SeqCst))
    }

    pub(crate) fn jump(&self, by: SignedDuration) {
        self.jumped.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// One process's clock: the world's, a little off.
pub(crate) struct OwnClock {
    pub(crate) time: Time,
    pub(crate) gate: Arc<Gate>,
}

#[async_trait]
impl Clock for OwnClock {
    fn now(&self) -> Timestamp {
        self.time.now() + SignedDuration::from_millis(self.gate.off.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
        self.gate.pass().await;
    }
}

const OPEN: u8 = 0;
const STOPPED: u8 = 1;
const DEAD: u8 = 2;

/// Every await of a process that reaches the outside passes here.
#[derive(Default)]
pub(crate) struct Gate {
    state: AtomicU8,
    woken: Notify,
    died: Notify,
    /// How far its clock is off, in milliseconds.
    pub(crate) off: AtomicI64,
    /// Until when its store cannot be reached.
    pub(crate) cut_off: Mutex<Option<Instant>>,
    pub(crate) slow: Mutex<Option<Instant>>,
}

impl Gate {
    /// Goes on at once, once woken, or never.
    pub(crate) async fn pass(&self) {
        loop {
            let woken = self.woken.notified();
            match self.state.load(Ordering::SeqCst) {
                OPEN => return,
                STOPPED => woken.await,
                _ => std::future::pending::<()>().await,
            }
        }
    }

    pub(crate) fn stop(&self) {
        let _ = self.state.compare_exchange(OPEN, STOPPED, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(crate) fn wake(&self) {
        let _ = self.state.compare_exchange(STOPPED, OPEN, Ordering::SeqCst, Ordering::SeqCst);
        self.woken.notify_waiters();
    }

    /// From now on nothing of the process goes on; whoever runs it has to drop it.
    pub(crate) fn kill(&self) {
        self.state.store(DEAD, Ordering::SeqCst);
        self.died.notify_one();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state.load(Ordering::SeqCst) == DEAD
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::SeqCst) == STOPPED
    }

    /// Returns when the process died.
    pub(crate) async fn died(&self) {
        while !self.is_dead() {
            self.died.notified().await;
        }
    }
}

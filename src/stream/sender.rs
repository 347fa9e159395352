//! The one sender: where a stream stands, when it tries again, and what it gives up on.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Clock;
use remint_evidence_format::{FormatError, Stored};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Event, Sink, Undelivered};
use crate::engine::record::{entry, put, read};
use crate::store::{Change, Fence, Key, Rule, Store, StoreError};

/// Why a stream did not move.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("an entry of the log cannot be read")]
    Entry(#[from] FormatError),
}

/// Which entries a stream tells of: those whose kind begins with one of these; all where there is none.
#[derive(Debug, Clone, Default)]
pub struct Wanted(pub Vec<String>);

impl Wanted {
    fn has(&self, kind: &str) -> bool {
        let kind = kind.strip_prefix("dev.remint.").unwrap_or(kind);
        // What a stream does is told too, but not what it could not tell: that would never end.
        !kind.starts_with("stream.")
            && (self.0.is_empty() || self.0.iter().any(|start| kind.starts_with(start.as_str())))
    }
}

/// Where a stream stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    /// The next entry of the log.
    next: u64,
    /// How often that one was tried.
    attempts: u32,
    again: Option<Timestamp>,
}

/// An event that nobody took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub stream: String,
    pub event: String,
    pub index: u64,
    pub why: String,
    pub at: Timestamp,
    pub attempts: u32,
}

/// Sends one stream.
pub struct Sender {
    name: String,
    wanted: Wanted,
    sink: Box<dyn Sink>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    holder: String,
    origin: String,
}

impl Sender {
    /// `origin` is the log's name; `holder` this process's, for the lease.
    pub fn new(
        name: impl Into<String>,
        wanted: Wanted,
        sink: Box<dyn Sink>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        holder: impl Into<String>,
        origin: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), wanted, sink, store, clock, holder: holder.into(), origin: origin.into() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends what is due, at most `BATCH` entries of the log; gives how many events were delivered.
    ///
    /// # Errors
    /// The store fails: what was delivered since the last time it was told is delivered once more.
    pub async fn turn(&self) -> Result<usize, StreamError> {
        let now = self.clock.now();
        let lease = format!("stream/{}", self.name);
        let Some(fence) = self.store.lease(&lease, &self.holder, now, now + HELD).await? else { return Ok(0) };
        let key = self.key();
        let mut standing: Standing = match self.store.get(&key).await? {
            Some(record) => read(record)?,
            None => Standing::default(),
        };
        if standing.again.is_some_and(|again| again > now) {
            return Ok(0);
        }
        let mut delivered = 0;
        let before = standing.clone();
        for stored in self.store.sequenced(standing.next, BATCH).await? {
            let Some(index) = stored.index else { break };
            let event = Event::of(&stored, index, &self.origin)?;
            if self.wanted.has(&event.kind) {
                match self.sink.send(&event, self.clock.now()).await {
                    Ok(()) => delivered += 1,
                    Err(undelivered) => {
                        return self.put_off(&fence, standing, &stored, event, undelivered, delivered).await;
                    }
                }
            }
            standing = Standing { next: index + 1, ..Standing::default() };
            // A crash repeats few: receivers know an event by its id.
            if delivered > 0 && delivered % NOTED == 0 {
                self.note(&fence, &standing, Change::default()).await?;
            }
        }
        if standing != before {
            self.note(&fence, &standing, Change::default()).await?;
        }
        Ok(delivered)
    }

    /// Sends until `stop`.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        loop {
            if let Err(error) = self.turn().await {
                tracing::error!(stream = %self.name, error = &error as &dyn std::error::Error, "a stream stands still");
            }
            tokio::select! {
                () = &mut stop => return,
                () = self.clock.sleep(EVERY) => {}
            }
        }
    }

    /// Tries the event again later, or makes it a dead letter and goes on.
    async fn put_off(
        &self,
        fence: &Fence,
        standing: Standing,
        stored: &Stored,
        event: Event,
        undelivered: Undelivered,
        delivered: usize,
    ) -> Result<usize, StreamError> {
        let now = self.clock.now();
        let attempts = standing.attempts + 1;
        let (why, dead) = match undelivered {
            Undelivered::Later(why) => (why, attempts >= ATTEMPTS),
            Undelivered::Never(why) => (why, true),
        };
        if !dead {
            tracing::warn!(stream = %self.name, event = %event.id, attempts, %why, "an event is tried again later");
            let wait = FIRST.saturating_mul(1 << (attempts - 1).min(16)).min(LONGEST);
            let standing = Standing { attempts, again: Some(now + wait), ..standing };
            self.note(fence, &standing, Change::default()).await?;
            return Ok(delivered);
        }
        let index = stored.index.unwrap_or(standing.next);
        let letter =
            DeadLetter { stream: self.name.clone(), event: event.id, index, why: why.clone(), at: now, attempts };
        let mut change = Change::default();
        change.puts.push(put("dead-letter", format!("{}/{index:012}", self.name), &self.name, &letter, Rule::Upsert)?);
        let body = json!({ "stream": self.name, "event": letter.event, "why": why, "attempts": attempts });
        change.entries.push(entry("stream.dead-lettered", now, None, None, &body));
        self.note(fence, &Standing { next: index + 1, ..Standing::default() }, change).await?;
        Ok(delivered)
    }

    async fn note(&self, fence: &Fence, standing: &Standing, mut change: Change) -> Result<(), StoreError> {
        let key = self.key();
        change.fence = Some(fence.clone());
        change.puts.push(put(key.kind, key.id, "", standing, Rule::Upsert)?);
        self.store.commit(change).await.map(drop)
    }

    fn key(&self) -> Key {
        Key { kind: "stream", id: self.name.clone() }
    }
}

/// Entries looked at in one turn.
const BATCH: usize = 256;
/// How many deliveries a crash may repeat.
const NOTED: usize = 16;
/// A try may take as long as a webhook's patience, and the lease outlasts a batch of notes.
const HELD: Duration = Duration::from_mins(2);
const EVERY: Duration = Duration::from_secs(1);
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(1);
/// With the waits above, about eleven hours.
const ATTEMPTS: u32 = 22;

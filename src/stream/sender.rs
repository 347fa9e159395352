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

/// Which entries a stream tells of: those whose kind begins with one of these, or that call somebody as one of these words
/// (`alarm`, `task`) says; all where there is none.
#[derive(Debug, Clone, Default)]
pub struct Wanted(pub Vec<String>);

impl Wanted {
    fn has(&self, event: &Event) -> bool {
        let kind = event.kind.strip_prefix("dev.remint.").unwrap_or(&event.kind);
        let calls = |word: &String| event.call.as_ref().is_some_and(|call| call.sort.word() == word);
        // What a stream does is told too, but not what it could not tell: that would never end.
        !kind.starts_with("stream.")
            && (self.0.is_empty() || self.0.iter().any(|start| calls(start) || kind.starts_with(start.as_str())))
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
    /// Events that were delivered.
    #[serde(default)]
    sent: u64,
    /// What kept the last event that was not delivered at once.
    #[serde(default)]
    why: Option<String>,
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

impl DeadLetter {
    fn id(&self) -> String {
        format!("{}/{:012}", self.stream, self.index)
    }
}

/// How a stream stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    pub stream: String,
    pub sent: u64,
    /// Entries of the log that it has not come to yet, wanted or not.
    pub waiting: u64,
    pub dead: usize,
    /// What kept the last event that was not delivered at once.
    pub last_error: Option<String>,
}

/// What trying dead letters again did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retried {
    pub delivered: usize,
    pub dead: usize,
    /// What kept the first of those that are left.
    pub why: Option<String>,
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
            let mut sent = standing.sent;
            if self.wanted.has(&event) {
                match self.sink.send(&event, self.clock.now()).await {
                    Ok(()) => {
                        delivered += 1;
                        sent += 1;
                    }
                    Err(undelivered) => {
                        return self.put_off(&fence, standing, &stored, event, undelivered, delivered).await;
                    }
                }
            }
            standing = Standing { next: index + 1, attempts: 0, again: None, sent, why: standing.why };
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

    /// How the stream stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn status(&self) -> Result<Status, StreamError> {
        let standing: Standing = match self.store.get(&self.key()).await? {
            Some(record) => read(record)?,
            None => Standing::default(),
        };
        let size = self.store.checkpoint().await?.map_or(0, |(size, _)| size);
        Ok(Status {
            stream: self.name.clone(),
            sent: standing.sent,
            waiting: size.saturating_sub(standing.next),
            dead: self.store.list(LETTER, Some(&self.name)).await?.len(),
            last_error: standing.why,
        })
    }

    /// Tries every dead letter once more, the oldest first, and ends with the first that the address cannot take now. They
    /// come after what was sent meanwhile: an event's place in the log is in its id.
    ///
    /// # Errors
    /// The store fails: what was delivered since the last time that was recorded may be delivered once more.
    pub async fn retry(&self) -> Result<Retried, StreamError> {
        let letters = self.store.list(LETTER, Some(&self.name)).await?;
        let mut retried = Retried { delivered: 0, dead: letters.len(), why: None };
        for record in letters {
            let (key, revision) = (Key { kind: LETTER, id: record.id.clone() }, record.revision);
            let letter: DeadLetter = read(record)?;
            let Some(stored) = self.store.sequenced(letter.index, 1).await?.pop() else { continue };
            let event = Event::of(&stored, letter.index, &self.origin)?;
            let now = self.clock.now();
            let mut change = Change { expects: vec![(key.clone(), revision)], ..Change::default() };
            let (kept, over) = match self.sink.send(&event, now).await {
                Ok(()) => {
                    change.deletes.push(key);
                    let body = json!({ "stream": self.name, "event": letter.event });
                    change.entries.push(entry("stream.delivered-late", now, None, None, &body));
                    (None, false)
                }
                Err(Undelivered::Later(why)) => (Some(why), true),
                Err(Undelivered::Never(why)) => (Some(why), false),
            };
            if let Some(why) = kept.clone() {
                let letter = DeadLetter { why, at: now, attempts: letter.attempts + 1, ..letter };
                change.puts.push(put(LETTER, letter.id(), &self.name, &letter, Rule::Upsert)?);
            }
            match self.store.commit(change).await {
                Ok(_) if kept.is_none() => {
                    retried.delivered += 1;
                    retried.dead -= 1;
                }
                // Somebody else has just tried it, too.
                Ok(_) | Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            retried.why = retried.why.or(kept);
            if over {
                break;
            }
        }
        Ok(retried)
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
            let standing = Standing { attempts, again: Some(now + wait), why: Some(why), ..standing };
            self.note(fence, &standing, Change::default()).await?;
            return Ok(delivered);
        }
        let index = stored.index.unwrap_or(standing.next);
        let letter =
            DeadLetter { stream: self.name.clone(), event: event.id, index, why: why.clone(), at: now, attempts };
        let after = Standing { next: index + 1, attempts: 0, again: None, sent: standing.sent, why: Some(why.clone()) };
        let mut change = Change::default();
        change.puts.push(put(LETTER, letter.id(), &self.name, &letter, Rule::Upsert)?);
        let body = json!({ "stream": self.name, "event": letter.event, "why": why, "attempts": attempts });
        change.entries.push(entry("stream.dead-lettered", now, None, None, &body));
        self.note(fence, &after, change).await?;
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

/// The kind of the records of dead letters.
const LETTER: &str = "dead-letter";
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

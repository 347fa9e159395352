//! Having others see the log: asks witnesses to cosign the newest checkpoint (c2sp.org/tlog-witness), keeps what they sign,
//! and knows how long the oldest entry has been without a quorum.
//!
//! Flow: [`Witnessing::round`] sends the newest checkpoint to every witness that has not signed it, with a proof from the size
//! that the witness saw last; [`Witnessing::run`] does that as the log grows, and asks one that failed again after
//! [`PATIENCE`]. [`unwitnessed`] compares the log with what a quorum saw.
//!
//! Guarantees: the record of what a quorum saw never goes back; a cosignature is kept only when it fits the checkpoint. A
//! witness that saw more than there is here, or something else, is an error that says so: that is what it is for.
//!
//! Errors: a witness that does not answer delays nothing and nobody; the age grows, and past the limit it is an alarm: an
//! entry, and so an event of every stream that wants it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Clock;
use remint_evidence_format::cosignature::{Quorum, WitnessKey, Witnessed};
use remint_evidence_format::note::Note;
use remint_evidence_format::{FormatError, entry};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use self::asking::Asking;
use super::tiles::{TileError, Tiles};
use crate::engine::record::{put, read};
use crate::store::{Change, Key, Rule, Store, StoreError};

pub use self::alarm::{OVER, RAISED};
pub use self::asking::Refusal;

mod alarm;
mod asking;

/// How often a running client looks for a new checkpoint.
const EVERY: Duration = Duration::from_secs(1);

/// After how long a witness that failed is asked again.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Who is asked, and what is wanted.
#[derive(Debug, Clone)]
pub struct Policy {
    pub quorum: Quorum,
    /// The submission prefix of each witness of the quorum, in its order.
    pub urls: Vec<String>,
    /// How old the oldest entry may be that no quorum saw.
    pub alarm_after: Duration,
}

/// Why a round could not be made at all.
#[derive(Debug, thiserror::Error)]
pub enum WitnessingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tile(#[from] TileError),
    #[error("the checkpoint that was kept with its cosignatures cannot be read")]
    Kept(#[from] FormatError),
    #[error("no connection to witnesses can be set up")]
    Client(#[source] reqwest::Error),
}

/// What a round showed.
#[derive(Debug)]
pub struct Round {
    pub size: u64,
    pub witnessed: Witnessed,
    /// Witnesses that did not sign, and why.
    pub refused: Vec<(String, Refusal)>,
}

/// A checkpoint with the cosignatures that were gathered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cosigned {
    size: u64,
    note: String,
}

/// How far a witness is.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    size: u64,
}

/// The client of the witnesses of one log.
pub struct Witnessing {
    store: Arc<dyn Store>,
    policy: Policy,
    asking: Asking,
    clock: Arc<dyn Clock>,
    /// When a witness that failed is asked again, by name.
    later: Mutex<BTreeMap<String, Timestamp>>,
    alarmed: AtomicBool,
}

impl Witnessing {
    /// # Errors
    /// No client for HTTP can be set up on this machine.
    pub fn new(store: Arc<dyn Store>, policy: Policy, clock: Arc<dyn Clock>) -> Result<Self, WitnessingError> {
        let asking = Asking::new(Tiles::new(Arc::clone(&store)))?;
        Ok(Self { store, policy, asking, clock, later: Mutex::default(), alarmed: AtomicBool::new(false) })
    }

    /// Asks until `stop`; says once when the age passes its limit, and once when it is below it again.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        loop {
            match self.round().await {
                Ok(round) => {
                    for (witness, refusal) in round.iter().flat_map(|round| &round.refused) {
                        let refusal = refusal as &dyn std::error::Error;
                        tracing::warn!(witness, refusal, "a witness did not cosign the newest checkpoint");
                    }
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the log was not shown to its witnesses");
                }
            }
            self.watch().await;
            tokio::select! {
                () = &mut stop => return,
                () = self.clock.sleep(EVERY) => {}
            }
        }
    }

    /// Asks every witness that has not signed the newest checkpoint; `None` when there is none, or all have.
    ///
    /// # Errors
    /// The store fails. A witness that fails is part of the answer.
    pub async fn round(&self) -> Result<Option<Round>, WitnessingError> {
        let Some((size, note)) = self.store.checkpoint().await? else { return Ok(None) };
        let mut gathered = match self.kept(NEWEST).await? {
            Some(kept) if kept.size == size => kept.note,
            _ => note.clone(),
        };
        let signed = self.policy.quorum.check(&Note::parse(gathered.as_bytes())?)?;
        let now = self.clock.now();
        let later = self.later.lock().await.clone();
        let due = self.policy.quorum.witnesses().iter().zip(&self.policy.urls).filter(|(key, _)| {
            let has = signed.by.iter().any(|seen| seen.witness == key.name());
            !has && later.get(key.name()).is_none_or(|at| *at <= now)
        });
        let answers = futures::future::join_all(due.map(|(key, url)| self.ask(key, url, size, &note))).await;
        if answers.is_empty() {
            return Ok(None);
        }
        let mut puts = Vec::new();
        let mut refused = Vec::new();
        for (key, answer) in answers {
            match answer {
                Ok(line) => {
                    gathered.push_str(&line);
                    puts.push(put(WITNESS, key.name(), "", &Progress { size }, Rule::Upsert)?);
                    self.later.lock().await.remove(key.name());
                }
                Err(refusal) => {
                    self.later.lock().await.insert(key.name().to_owned(), now + PATIENCE);
                    refused.push((key.name().to_owned(), refusal));
                }
            }
        }
        let witnessed = self.policy.quorum.check(&Note::parse(gathered.as_bytes())?)?;
        if !puts.is_empty() {
            let cosigned = Cosigned { size, note: gathered };
            puts.push(put(COSIGNED, NEWEST, "", &cosigned, Rule::Upsert)?);
            if witnessed.holds() && self.kept(QUORUM).await?.is_none_or(|kept| kept.size <= size) {
                puts.push(put(COSIGNED, QUORUM, "", &cosigned, Rule::Upsert)?);
            }
            self.store.commit(Change { puts, ..Change::default() }).await?;
        }
        Ok(Some(Round { size, witnessed, refused }))
    }

    /// How far the witnesses are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unwitnessed(&self) -> Result<Unwitnessed, StoreError> {
        unwitnessed(&*self.store, &self.policy.quorum).await
    }

    /// Whether the age is past its limit, as far as this client saw last.
    pub fn alarmed(&self) -> bool {
        self.alarmed.load(Ordering::Relaxed)
    }

    async fn ask<'k>(
        &self,
        key: &'k WitnessKey,
        url: &str,
        size: u64,
        note: &str,
    ) -> (&'k WitnessKey, Result<String, Refusal>) {
        let known = match self.store.get(&Key { kind: WITNESS, id: key.name().to_owned() }).await {
            Ok(record) => record.and_then(|record| read::<Progress>(record).ok()).map_or(0, |progress| progress.size),
            // It says itself how far it is.
            Err(_) => 0,
        };
        (key, self.asking.cosign(key, url, known, size, note).await)
    }

    /// Looks at the age, and records where it crossed its limit.
    pub async fn watch(&self) {
        let now = self.clock.now();
        let unwitnessed = match self.unwitnessed().await {
            Ok(unwitnessed) => unwitnessed,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                return tracing::error!(error, "nobody knows how long the log has been without a witness");
            }
        };
        let age = unwitnessed.age(now);
        let (seconds, past) = (age.as_secs(), age > self.policy.alarm_after);
        if let Err(error) = alarm::record(&*self.store, &unwitnessed, self.policy.alarm_after, now).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the alarm is not recorded; it is tried again");
        }
        if past != self.alarmed.swap(past, Ordering::Relaxed) {
            if past {
                tracing::error!(seconds, "ALARM: the oldest entry that no quorum of witnesses saw is too old");
            } else {
                tracing::info!(seconds, "a quorum of witnesses sees the log again");
            }
        }
    }

    async fn kept(&self, id: &str) -> Result<Option<Cosigned>, StoreError> {
        kept(&*self.store, id).await
    }
}

/// How much of a log no quorum of witnesses saw, and since when there is such an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwitnessed {
    /// Entries that a quorum saw.
    pub witnessed: u64,
    /// When the oldest entry was recorded that it did not see; `None` when it saw all.
    pub since: Option<Timestamp>,
}

impl Unwitnessed {
    pub fn age(&self, now: Timestamp) -> Duration {
        self.since.map_or(Duration::ZERO, |since| now.duration_since(since).try_into().unwrap_or_default())
    }

    /// The line for a person.
    pub fn sentence(&self, now: Timestamp) -> String {
        match self.since {
            None => format!("A quorum of witnesses saw all {} entries.", self.witnessed),
            Some(since) => format!(
                "A quorum of witnesses saw {} entries; the oldest that it did not see was recorded at {since}, {} s ago.",
                self.witnessed,
                self.age(now).as_secs()
            ),
        }
    }
}

/// How far the witnesses of a quorum are, by what is kept in the store.
///
/// # Errors
/// The store cannot be read.
pub async fn unwitnessed(store: &dyn Store, quorum: &Quorum) -> Result<Unwitnessed, StoreError> {
    let kept = kept(store, QUORUM).await?.filter(|kept| {
        let note = Note::parse(kept.note.as_bytes());
        note.is_ok_and(|note| quorum.check(&note).is_ok_and(|witnessed| witnessed.holds()))
    });
    let witnessed = kept.map_or(0, |kept| kept.size);
    let oldest = match store.sequenced(witnessed, 1).await?.pop() {
        Some(oldest) => Some(oldest),
        None => store.unsequenced(1).await?.pop(),
    };
    let since = oldest.and_then(|oldest| entry::parse(&oldest.bytes).ok()?.at.parse().ok());
    Ok(Unwitnessed { witnessed, since })
}

/// The checkpoint to show for the first `size` entries: one that a quorum saw when it covers them, else the newest one,
/// with the cosignatures that there are. Its size comes with it.
///
/// # Errors
/// The store cannot be read.
pub async fn checkpoint_over(store: &dyn Store, size: u64) -> Result<Option<(u64, String)>, StoreError> {
    if let Some(kept) = kept(store, QUORUM).await?.filter(|kept| kept.size >= size) {
        return Ok(Some((kept.size, kept.note)));
    }
    let Some((newest, note)) = store.checkpoint().await?.filter(|(newest, _)| *newest >= size) else { return Ok(None) };
    let cosigned = kept(store, NEWEST).await?.filter(|kept| kept.size == newest);
    Ok(Some((newest, cosigned.map_or(note, |kept| kept.note))))
}

/// What was kept of the log that the store holds now; a log that was begun anew has another origin and no witness yet.
async fn kept(store: &dyn Store, id: &str) -> Result<Option<Cosigned>, StoreError> {
    let Some(record) = store.get(&Key { kind: COSIGNED, id: id.to_owned() }).await? else { return Ok(None) };
    let kept: Cosigned = read(record)?;
    let newest = store.checkpoint().await?;
    Ok(newest.filter(|(_, newest)| newest.lines().next() == kept.note.lines().next()).map(|_| kept))
}

const COSIGNED: &str = "cosigned";
const WITNESS: &str = "witness";
const NEWEST: &str = "newest";
const QUORUM: &str = "quorum";

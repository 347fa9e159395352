//! Places in the tree: the one sequencer takes entries in commit order, hashes them and signs a checkpoint per batch.
//!
//! Flow: [`Sequencer::run`] in the daemon, [`Sequencer::flush`] where a command needs everything placed now. Each takes
//! the lease `sequencer`, appends what has no place yet and stores the checkpoint under the lease's fencing number.
//!
//! Guarantees: an entry gets one place, in commit order, however many sequencers there are: the store takes a batch only
//! from the lease's holder and only when it follows the entries that have their places. An entry waits at most
//! [`MERGE_DELAY`] and the time of a batch. Nothing is signed on top of a tree that does not match its own checkpoint. A batch
//! ends where a year is closed, so that there is a checkpoint of exactly that size.
//!
//! Errors: one is no reason to stop; the next flush starts from what the store holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Clock;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::tree::Frontier;
use remint_evidence_format::{Draft, FormatError};
use tokio::sync::Mutex;

use crate::engine::record::put;
use crate::evidence::anchor::{Anchor, AnchorError, Remembered};
use crate::evidence::signer::{SignError, Signer};
use crate::evidence::years::{self, Open, Year};
use crate::store::{Change, Fence, Leaf, Rule, Store, StoreError};

/// How often a running sequencer looks: half of the second that an entry may wait, so that a batch has the other half.
pub const MERGE_DELAY: Duration = Duration::from_millis(500);

/// Why nothing was placed.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    #[error("the store did not let the sequencer work")]
    Store(#[from] StoreError),
    #[error("every entry has its place, and the anchor was not brought up to it")]
    Anchor(#[from] AnchorError),
    #[error("a checkpoint could not be signed")]
    Sign(#[source] FormatError),
    #[error("a checkpoint was not signed")]
    Signer(#[from] SignError),
    #[error(
        "the newest checkpoint was not signed by this key; start with the key file and evidence.key that belong to this state"
    )]
    Foreign(#[source] FormatError),
    #[error(
        "the {size} entries in the store do not give the root that their checkpoint signs: the store was changed from \
         outside; keep a copy of it, and compare it with a backup or an exported bundle"
    )]
    Changed { size: u64 },
}

/// What a flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Every entry has its place; so many got theirs now.
    Placed(u64),
    /// Another sequencer holds the lease, and places them.
    Elsewhere,
}

/// Gives entries their places.
pub struct Sequencer {
    store: Arc<dyn Store>,
    key: Arc<dyn Signer>,
    /// The key that is just being followed by the other one: it signs too.
    before: Option<Arc<dyn Signer>>,
    clock: Arc<dyn Clock>,
    holder: String,
    anchor: Option<Anchor>,
    /// The size of the checkpoint that the anchor has, as far as this sequencer put it there.
    anchored: AtomicU64,
    /// The right edge of the tree as this sequencer left it; `None` when it has to be built from the store.
    frontier: Mutex<Option<Frontier>>,
    /// It has the lease, as far as it knows.
    sequences: AtomicBool,
    /// The year that entries go into, once it is known.
    year: Mutex<Option<Open>>,
}

impl Sequencer {
    /// A sequencer called `holder`. Replicas need different names; a state folder, which one process holds, needs one
    /// name for ever, so that nobody waits for the lease of a process that crashed.
    pub fn new(
        store: Arc<dyn Store>,
        key: Arc<impl Signer + 'static>,
        clock: Arc<dyn Clock>,
        holder: impl Into<String>,
    ) -> Self {
        Self::signed_by(store, key, clock, holder)
    }

    /// The same, whatever it is that signs.
    pub fn signed_by(
        store: Arc<dyn Store>,
        key: Arc<dyn Signer>,
        clock: Arc<dyn Clock>,
        holder: impl Into<String>,
    ) -> Self {
        Self {
            store,
            key,
            before: None,
            clock,
            holder: holder.into(),
            anchor: None,
            anchored: AtomicU64::new(0),
            frontier: Mutex::new(None),
            sequences: AtomicBool::new(false),
            year: Mutex::new(None),
        }
    }

    /// True when it had the lease when it last looked.
    #[must_use]
    pub fn sequences(&self) -> bool {
        self.sequences.load(Ordering::Relaxed)
    }

    /// Has every checkpoint signed by the key before, too, and goes on from one that only that key signed.
    #[must_use]
    pub fn following(mut self, before: Arc<dyn Signer>) -> Self {
        self.before = Some(before);
        self
    }

    /// Has every checkpoint written to a second place, too.
    #[must_use]
    pub fn with_anchor(mut self, anchor: Option<Anchor>) -> Self {
        self.anchor = anchor;
        self
    }

    /// Goes on from this tree without asking who signed the checkpoint over it: the first step of a log that is begun
    /// anew.
    pub async fn begin_from(&self, frontier: Frontier) {
        *self.frontier.lock().await = Some(frontier);
    }

    /// Gives every entry that is committed now its place.
    ///
    /// # Errors
    /// The store fails, or its entries are not the ones that were signed.
    pub async fn flush(&self) -> Result<Flush, SequencerError> {
        let mut kept = self.frontier.lock().await;
        let mut placed = 0;
        let mut held: Option<(Fence, Timestamp)> = None;
        // Asked before the lease is taken: an idle sequencer writes nothing.
        while !self.store.unsequenced(1).await?.is_empty() {
            let Some(renewed) = self.renew(held.take()).await? else { return Ok(Flush::Elsewhere) };
            let fence = &held.insert(renewed).0;
            // Taken out: after an error it is built anew.
            let frontier = self.catch_up(kept.take()).await?;
            self.turn(fence).await?;
            // Asked again under the lease: another sequencer may just have placed them.
            let mut leaves = self.store.leaves(PLACED).await?;
            leaves.truncate(years::until_close(&leaves));
            placed += leaves.len() as u64;
            *kept = Some(if leaves.is_empty() { frontier } else { self.place(fence, frontier, &leaves).await? });
        }
        self.anchor().await?;
        Ok(Flush::Placed(placed))
    }

    /// Puts the newest checkpoint into the anchor, when it is not there yet; the state remembers where.
    async fn anchor(&self) -> Result<(), SequencerError> {
        let Some(anchor) = &self.anchor else { return Ok(()) };
        let Some((size, note)) = self.store.checkpoint().await? else { return Ok(()) };
        if self.anchored.load(Ordering::Relaxed) == size {
            return Ok(());
        }
        anchor.write(&note, self.key.verifier().name(), size)?;
        if Remembered::of(&*self.store).await?.as_ref() != Some(&anchor.path) {
            let body = Remembered { path: anchor.path.clone() };
            let key = Remembered::key();
            let puts = vec![put(key.kind, key.id, "", &body, Rule::Upsert)?];
            self.store.commit(Change { puts, ..Change::default() }).await?;
        }
        self.anchored.store(size, Ordering::Relaxed);
        Ok(())
    }

    /// Flushes every [`MERGE_DELAY`] until `stop`, and once more; then lets the lease go.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let stopping = tokio::select! {
                () = &mut stop => true,
                () = self.clock.sleep(MERGE_DELAY) => false,
            };
            if let Err(error) = self.work().await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "entries are committed but have no place yet"
                );
            }
            if stopping {
                break;
            }
        }
        if let Ok(Some(fence)) = self.hold().await {
            // The lease ends by itself when this fails.
            let _ = self.store.release(&fence).await;
        }
    }

    /// A flush, which an idle log whose year is over has reason for, too.
    async fn work(&self) -> Result<Flush, SequencerError> {
        if self.over().await?.is_some()
            && let Some(fence) = self.hold().await?
        {
            self.turn(&fence).await?;
        }
        self.flush().await
    }

    /// The entry that closes the year, when it is over.
    async fn over(&self) -> Result<Option<Draft>, StoreError> {
        let mut year = self.year.lock().await;
        if year.is_none() {
            *year = Open::of(&*self.store).await?;
        }
        Ok(year.as_ref().and_then(|year| year.over(self.clock.now())))
    }

    /// Closes the year, once, when it is over.
    async fn turn(&self, fence: &Fence) -> Result<(), SequencerError> {
        let Some(closing) = self.over().await? else { return Ok(()) };
        let once = put("year-closing", closing.body["from"].to_string(), "", &closing.body, Rule::Insert)?;
        let change =
            Change { fence: Some(fence.clone()), puts: vec![once], entries: vec![closing], ..Change::default() };
        match self.store.commit(change).await {
            Ok(_) => Ok(()),
            // Committed before, by another one or by one that did not come to place it: what is open now, the store says.
            Err(StoreError::Exists { .. }) => {
                *self.year.lock().await = None;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn hold(&self) -> Result<Option<Fence>, StoreError> {
        let now = self.clock.now();
        let held = self.store.lease(LEASE, &self.holder, now, now + HELD).await;
        self.sequences.store(matches!(held, Ok(Some(_))), Ordering::Relaxed);
        held
    }

    /// The lease, and since when it is held: renewed while half of it is left and not for every batch, for that would be a
    /// commit of its own.
    async fn renew(&self, held: Option<(Fence, Timestamp)>) -> Result<Option<(Fence, Timestamp)>, StoreError> {
        let now = self.clock.now();
        match held.filter(|(_, since)| now < *since + HELD / 2) {
            Some(held) => Ok(Some(held)),
            None => Ok(self.hold().await?.map(|fence| (fence, now))),
        }
    }

    /// The right edge of the tree in the store.
    async fn catch_up(&self, kept: Option<Frontier>) -> Result<Frontier, SequencerError> {
        let Some((size, note)) = self.store.checkpoint().await? else { return Ok(Frontier::default()) };
        if let Some(frontier) = kept.filter(|frontier| frontier.size() == size) {
            return Ok(frontier);
        }
        let signed = self.opened(&note).map_err(SequencerError::Foreign)?;
        let mut frontier = Frontier::default();
        while frontier.size() < size {
            let wanted = usize::try_from(size - frontier.size()).map_or(BATCH, |left| left.min(BATCH));
            let hashes = self.store.hashes(frontier.size(), wanted).await?;
            if hashes.is_empty() {
                return Err(SequencerError::Changed { size });
            }
            hashes.into_iter().for_each(|hash| frontier.append(hash));
        }
        if signed.size != size || signed.root != frontier.root() {
            return Err(SequencerError::Changed { size });
        }
        Ok(frontier)
    }

    /// Appends the entries, signs and stores.
    async fn place(&self, fence: &Fence, mut frontier: Frontier, leaves: &[Leaf]) -> Result<Frontier, SequencerError> {
        for leaf in leaves {
            frontier.append(leaf.hash);
        }
        let note = self.sign(&frontier).await?;
        if let Some(closed) = leaves.last()
            && let Some(record) = Year::put(closed, &frontier, &note)?
        {
            // Before the place is given: nobody could sign exactly this tree again later.
            let change = Change { fence: Some(fence.clone()), puts: vec![record], ..Change::default() };
            self.store.commit(change).await?;
            *self.year.lock().await = None;
        }
        let ids: Vec<u64> = leaves.iter().map(|leaf| leaf.id).collect();
        self.store.sequence(fence, &ids, frontier.size(), &note).await?;
        Ok(frontier)
    }

    /// The signed checkpoint of a tree.
    async fn sign(&self, frontier: &Frontier) -> Result<String, SequencerError> {
        let origin = self.key.verifier().name().to_owned();
        let checkpoint = Checkpoint { origin, size: frontier.size(), root: frontier.root() };
        let text = checkpoint.body();
        let attach = |signer: &Arc<dyn Signer>, signature: Vec<u8>| {
            checkpoint.attach(signer.verifier(), &signature).map_err(SequencerError::Sign)
        };
        let mut note = attach(&self.key, self.key.sign(text.as_bytes()).await?)?;
        if let Some(before) = &self.before {
            let signed = attach(before, before.sign(text.as_bytes()).await?)?;
            note.push_str(&signed[text.len() + 1..]);
        }
        Ok(note)
    }

    /// A checkpoint that this key signed, or the one before.
    fn opened(&self, note: &str) -> Result<Checkpoint, FormatError> {
        let opened = Checkpoint::open(note.as_bytes(), self.key.verifier());
        match (&self.before, opened) {
            (Some(before), Err(_)) => Checkpoint::open(note.as_bytes(), before.verifier()),
            (_, opened) => opened,
        }
    }
}

/// The lease of the one sequencer.
const LEASE: &str = "sequencer";

/// How long a lease lasts: many merge delays, so that a slow batch does not lose it, and short enough that another
/// replica soon goes on.
const HELD: Duration = Duration::from_secs(10);

/// Entries read at a time: some megabytes.
const BATCH: usize = 4096;

/// Entries placed at a time, under one checkpoint: a megabyte of hashes.
const PLACED: usize = 16_384;

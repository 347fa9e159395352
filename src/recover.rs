//! Recovery: a store that is older than the world begins a log anew, voids what was approved before, and asks every issuer
//! before anything moves.
//!
//! Flow: [`begin`] puts a new signing key in place and commits, in one change, the first entry of the new log (what the
//! anchor says, and which entries are lost) with a word on every reset; [`crate::engine::Engine::reconcile`] asks the
//! issuers and commits, in one change, what that showed. In between the state stays read only.
//!
//! Guarantees: interrupted anywhere, the state is read only still, and the same command goes on. No approval from before the
//! gap moves anything.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use remint_contract::Ref;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::entry as format;
use remint_evidence_format::ledger::Gap;
use remint_evidence_format::note::{Note, VerifierKey};
use remint_evidence_format::tree::Frontier;
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::{App, AppError, origin, successor};
use crate::engine::Engine;
use crate::engine::reconcile::Reconciled;
use crate::engine::record::{ResetStatus, entry, kind, put, read};
use crate::escrow::SystemRandomness;
use crate::evidence::Sequencer;
use crate::evidence::anchor::{Remembered, Standing, restored, unreconciled};
use crate::evidence::elsewhere::kept_by;
use crate::evidence::key::{is_there, succeed, succeed_in};
use crate::evidence::signer::{Signer, note};
use crate::store::{Change, Key, Rule, Store, StoreError};

/// What a recovery did.
#[derive(Debug, Serialize)]
pub struct Recovery {
    /// `None` when the log was begun anew by an earlier call, and the issuers are asked now.
    pub begun: Option<Begun>,
    pub reconciled: Reconciled,
}

/// The new log.
#[derive(Debug, Serialize)]
pub struct Begun {
    pub before: String,
    pub origin: String,
    /// The public half of the new key.
    pub key: String,
    /// Entries that are left.
    pub from: u64,
    /// Entries that there were, when the anchor says.
    pub to: Option<u64>,
    /// Whether the old key could still say which one comes after it.
    pub last_words: bool,
    pub resets: Vec<Voided>,
}

/// What became of one reset.
#[derive(Debug, Serialize)]
pub struct Voided {
    pub reset: String,
    pub words: &'static str,
}

/// Recovers a state; `without` names issuers that cannot be asked now, each of which becomes a task.
///
/// # Errors
/// There is nothing to recover; an issuer cannot be asked.
pub async fn recover(app: &App, by: &str, without: &BTreeSet<Ref>) -> Result<Recovery, AppError> {
    if app.standing.is_sound() {
        return Err(AppError::Behind("this store is as new as its anchor; there is nothing to recover".to_owned()));
    }
    let mut engine = app.engine.clone();
    engine.store = Arc::clone(&app.store);
    let (begun, key) = if app.standing == Standing::Unreconciled {
        (None, Arc::clone(&app.key))
    } else {
        let (begun, key) = begin(app, &engine, by).await?;
        (Some(begun), key)
    };
    for reset in engine.resets().await?.iter().filter(|reset| reset.status == ResetStatus::Complete) {
        engine.closing(reset).await?;
    }
    let gap = gap_of(&*app.store).await?;
    let reconciled = engine.reconcile(&gap, by, without, vec![unreconciled()]).await?;
    let sequencer = sequencer(app, key);
    sequencer.flush().await?;
    Ok(Recovery { begun, reconciled })
}

/// Begins the new log.
async fn begin(app: &App, engine: &Engine, by: &str) -> Result<(Begun, Arc<dyn Signer>), AppError> {
    let store = &*app.store;
    let now = engine.context.clock.now();
    let (placed, newest) = store.checkpoint().await?.unwrap_or_default();
    let before = origin(&newest);
    let Past { base, whole, keys } = past(store, placed).await?;

    let anchor = match &app.anchor {
        Some(anchor) => anchor.read()?,
        None => None,
    };
    let parsed = anchor.as_deref().and_then(|text| {
        let note = Note::parse(text.as_bytes()).ok()?;
        let checkpoint = Checkpoint::parse(note.text).ok()?;
        let signed = keys.iter().any(|key| note.verify(key).is_ok()) || note.verify(app.key.verifier()).is_ok();
        Some((checkpoint, signed))
    });
    let there = parsed.as_ref().filter(|(checkpoint, _)| checkpoint.origin == before).map(|(checkpoint, _)| checkpoint);
    // Where the anchor contradicts what is here, nothing here is known to have been in that log.
    let from = if matches!(app.standing, Standing::Forked { .. }) { 0 } else { whole.size() };
    let to = there.map(|checkpoint| checkpoint.size.max(from));
    let root = whole.root().to_string();
    let to_root = there.filter(|checkpoint| checkpoint.size >= from).map(|checkpoint| checkpoint.root.to_string());

    let name = successor(&before);
    let old = Checkpoint::open(newest.as_bytes(), app.key.verifier()).is_ok().then(|| Arc::clone(&app.key));
    let key = if app.key.verifier().name() == name { Arc::clone(&app.key) } else { successor_key(app, &name).await? };
    let verifier = key.verifier().to_string();
    let words = format!(
        "remint.dev/last-words/v1\n{before} ends\n{verifier}\n{from} {root}\n{} {}\n",
        to.map_or_else(|| "-".to_owned(), |to| to.to_string()),
        to_root.as_deref().unwrap_or("-")
    );
    let last_words = match old {
        Some(old) => note(&words, &old).await.ok(),
        None => None,
    };

    let gap = Gap { before: before.clone(), origin: name.clone(), from, to };
    let mut change = Change { deletes: vec![restored()], ..Change::default() };
    let marker = unreconciled();
    change.puts.push(put(marker.kind, marker.id, "", &body_of(&gap), Rule::Upsert)?);
    let mut body = body_of(&gap);
    let more = json!({
        "key": verifier,
        "by": by,
        "from-root": root,
        "to-root": to_root,
        "last-words": last_words,
        "anchor": parsed.as_ref().map(|(checkpoint, signed)| json!({
            "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.to_string(), "signed": signed,
        })),
    });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    change.entries.push(entry("log.recovered", now, None, None, &body));
    let resets = void(engine, &gap, &mut change).await?;
    store.commit(change).await?;

    let sequencer = sequencer(app, Arc::clone(&key));
    sequencer.begin_from(base).await;
    sequencer.flush().await?;
    let begun = Begun { before, origin: name, key: verifier, from, to, last_words: last_words.is_some(), resets };
    Ok((begun, key))
}

/// The key of the new log.
async fn successor_key(app: &App, name: &str) -> Result<Arc<dyn Signer>, AppError> {
    let (escrow, last) = (&app.engine.escrow, app.key.verifier().name());
    if let Some(keeper) = &app.signing
        && let Some(kept) = kept_by(keeper, &*app.store).await?
    {
        let signer = kept.named(name).await?;
        signer.keep(&*app.store).await?;
        return Ok(Arc::new(signer));
    }
    Ok(if is_there(&app.folder) {
        Arc::new(succeed(&app.folder, last, name, escrow, &SystemRandomness)?)
    } else {
        Arc::new(succeed_in(&*app.store, last, name, escrow, &SystemRandomness).await?)
    })
}

/// Every reset gets its word on the gap; what was approved before has to be approved again.
async fn void(engine: &Engine, gap: &Gap, change: &mut Change) -> Result<Vec<Voided>, AppError> {
    let now = engine.context.clock.now();
    let mut told = Vec::new();
    for mut reset in engine.resets().await? {
        let words = match reset.status {
            ResetStatus::Rejected => continue,
            ResetStatus::Running | ResetStatus::Resting | ResetStatus::Paused => {
                reset.approval = None;
                reset.revision = None;
                reset.standstill = None;
                reset.status = ResetStatus::Requested;
                // Whoever approves it decides today, not an hour after the first request.
                reset.requested_at = now;
                let id = reset.id.0.clone();
                change.puts.push(put(kind::RESET, id.clone(), &id, &reset, Rule::Upsert)?);
                "its approval is void: it waits for a new one"
            }
            ResetStatus::Requested => "it was not approved, and waits for that still",
            ResetStatus::Provisional => "it is settled; its re-proofs stay due",
            ResetStatus::Complete => "it was complete, and stays so",
            ResetStatus::Aborted => "it was aborted, and stays so",
        };
        let mut body = body_of(gap);
        body["words"] = json!(words);
        body["status"] = json!(reset.status);
        change.entries.push(entry("reset.recovered", now, Some(&reset.id), None, &body));
        told.push(Voided { reset: reset.id.0, words });
    }
    Ok(told)
}

/// What is known of the log so far.
struct Past {
    /// The tree of the entries that had a place.
    base: Frontier,
    /// The tree with those that had none yet.
    whole: Frontier,
    /// Keys that the entries name.
    keys: Vec<VerifierKey>,
}

async fn past(store: &dyn Store, placed: u64) -> Result<Past, AppError> {
    let mut base = Frontier::default();
    let mut keys = Vec::new();
    let mut note_key = |reset: Option<&String>, bytes: &[u8]| {
        // Only entries of no reset name keys, and there are few of those.
        if reset.is_some() {
            return;
        }
        let body = format::parse(bytes).ok().and_then(|entry| entry.body().ok());
        let key = body.as_ref().and_then(|body| body.get("key")).and_then(Value::as_str);
        keys.extend(key.and_then(|key| VerifierKey::parse(key).ok()));
    };
    while base.size() < placed {
        let batch = store.sequenced(base.size(), 4096).await?;
        if batch.is_empty() {
            let what = format!("has fewer entries than its checkpoint says ({placed})");
            return Err(StoreError::Broken { what, source: None }.into());
        }
        for stored in &batch {
            base.append(format::hash(&stored.bytes));
            note_key(stored.reset.as_ref(), &stored.bytes);
        }
    }
    let mut whole = base.clone();
    for stored in store.unsequenced(usize::MAX).await? {
        whole.append(format::hash(&stored.bytes));
        note_key(stored.reset.as_ref(), &stored.bytes);
    }
    Ok(Past { base, whole, keys })
}

/// The gap of the recovery that is under way.
async fn gap_of(store: &dyn Store) -> Result<Value, AppError> {
    let record = store.get(&unreconciled()).await?;
    Ok(record.map(read).transpose()?.unwrap_or_else(|| json!({})))
}

fn body_of(gap: &Gap) -> Value {
    let mut body = json!({ "before": gap.before, "origin": gap.origin, "from": gap.from });
    if let Some(to) = gap.to {
        body["to"] = json!(to);
    }
    body
}

fn sequencer(app: &App, key: Arc<dyn Signer>) -> Sequencer {
    let clock = Arc::clone(&app.engine.context.clock);
    let sequencer = Sequencer::signed_by(Arc::clone(&app.store), key, clock, app.engine.settings.holder.clone());
    sequencer.with_anchor(app.anchor.clone())
}

/// Notes that a store was restored, until it is recovered; gives where its anchor was.
///
/// # Errors
/// The store failed.
pub async fn mark_restored(store: &dyn Store, from: &str) -> Result<Option<PathBuf>, StoreError> {
    let Key { kind, id } = restored();
    let puts = vec![put(kind, id, "", &json!({ "from": from }), Rule::Upsert)?];
    store.commit(Change { puts, ..Change::default() }).await?;
    Remembered::of(store).await
}

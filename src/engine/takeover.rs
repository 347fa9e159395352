//! At most one rotation owns a credential: who is more urgent takes over, who is as urgent joins or queues, who is less
//! urgent queues.
//!
//! Flow: a request owns what is free at once; when it is approved, and whenever it goes on, [`Engine::claim`] settles the
//! rest. A take-over moves the owner's row, and the lower rotation to `superseded`, in one transaction; whatever the lower
//! run does next for that member is refused by the store, in whichever process it runs, and its intents are handed over
//! ([`Engine::inherit`]).
//!
//! Guarantees: a credential has one owner at any time; nothing that the lower rotation made is forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use remint_contract::{CredentialId, ResetId, Verb};
use remint_core::machine::{Event, Rotation, State};
use remint_core::step::{Path, Step};
use serde_json::json;

use crate::engine::effect::{Stop, Task};
use crate::engine::join::{Waiting, dies_again, serves};
use crate::engine::outcome::{graded, record};
use crate::engine::record::{
    IntentOutcome, IntentRecord, Owner, Reset, ResetStatus, RotationRecord, entry, kind, put, read,
};
use crate::engine::{Engine, EngineError, Progress};
use crate::store::{Change, Key, Rule, StoreError};

/// What an intent to mint is about once its rotation was taken over: what it made is killed, and never used.
pub(crate) const GIVEN_UP: &str = "given up";

/// How often a claim is worked out anew when somebody else's change came first.
const TRIES: usize = 8;

/// Another reset as far as it stands in the way.
pub(super) struct Other {
    pub(super) reset: Reset,
    /// Its rotations with the revisions of their records.
    pub(super) rotations: HashMap<CredentialId, (RotationRecord, u64)>,
    /// Credentials of which a mint was begun and has no outcome.
    pub(super) minting: Vec<CredentialId>,
}

impl Engine {
    /// Makes a reset the owner of what it may own, and its other members wait where they must; true when that changed.
    pub(crate) async fn claim(&self, id: &ResetId) -> Result<bool, EngineError> {
        for _ in 1..TRIES {
            match self.claim_once(id).await {
                Err(EngineError::Store(StoreError::Stale { .. } | StoreError::Exists { .. })) => {}
                done => return done,
            }
        }
        self.claim_once(id).await
    }

    async fn claim_once(&self, id: &ResetId) -> Result<bool, EngineError> {
        let reset = self.reset(id).await?;
        let owners = self.owners().await?;
        let mut others: BTreeMap<ResetId, Other> = BTreeMap::new();
        let (mut change, mut waiting) = (Change::default(), Waiting::default());
        let (mut rotations, mut revisions) = (Vec::new(), Vec::new());
        for stored in self.store.list(kind::ROTATION, Some(&id.0)).await? {
            revisions.push(stored.revision);
            rotations.push(read::<RotationRecord>(stored)?);
        }
        let stuck = self.stuck(&reset, &rotations).await?;
        for (mine, revision) in rotations.into_iter().zip(revisions) {
            let owner = owners.get(&mine.credential);
            let waits = matches!(mine.rotation.state, State::Planned | State::Queued { .. } | State::Joined { .. });
            let lost = matches!(mine.rotation.state, State::Waiting { .. } | State::Parked { .. })
                && owner.is_none_or(|(owner, _)| owner.reset != *id);
            // What an aborted reset did not begin is anybody's, until somebody sends it forward.
            if !(waits || lost) || !may_claim(&reset, &mine.credential) {
                continue;
            }
            // Whom it joined may have lost it to a third one.
            let joined = match &mine.rotation.state {
                State::Joined { with } => Some(with.clone()),
                _ => None,
            };
            for named in joined.into_iter().chain(owner.map(|(owner, _)| owner.reset.clone())) {
                if named != *id && !others.contains_key(&named) {
                    let other = self.other(&named).await?;
                    others.insert(named, other);
                }
            }
            let next = if lost {
                self.regain(&reset, &mine, owner, &others, &mut change).await?
            } else {
                self.settle_one(&reset, &mine, owner, (&others, &mut waiting, &stuck), &mut change)?
            };
            if next != mine.rotation {
                let event = next.state.to_string();
                let body = json!({ "state": event });
                let now = self.context.clock.now();
                let next = RotationRecord { rotation: next, since: now, ..mine };
                let mut word = ("rotation.moved", body);
                if let State::Settled { .. } = next.rotation.state {
                    graded(&mut word.1, &next.rotation);
                    word.0 = "rotation.settled";
                }
                change.entries.push(entry(word.0, now, Some(id), Some(&next.credential), &word.1));
                change.puts.push(put(kind::ROTATION, next.key().id, &id.0, &next, Rule::Revision(revision))?);
            }
        }
        if change.puts.is_empty() {
            return Ok(false);
        }
        self.store.commit(change).await?;
        self.changed.notify_waiters();
        Ok(true)
    }

    /// One member that owns nothing yet: what it comes to.
    fn settle_one(
        &self,
        reset: &Reset,
        mine: &RotationRecord,
        owner: Option<&(Owner, u64)>,
        (others, waiting, stuck): (&BTreeMap<ResetId, Other>, &mut Waiting, &BTreeSet<CredentialId>),
        change: &mut Change,
    ) -> Result<Rotation, EngineError> {
        let member = &reset.plan.members[mine.index];
        let key = mine.credential.to_string();
        let row = Owner { reset: reset.id.clone() };
        let on = |rotation: &Rotation, event: Event| rotation.on(member, &event).map(|(next, _)| next);
        let freed = |rotation: &Rotation| match rotation.state {
            State::Planned => Ok(rotation.clone()),
            _ => on(rotation, Event::Freed),
        };
        if let State::Joined { with } = &mine.rotation.state
            && let Some(other) = others.get(with)
        {
            match other.rotations.get(&mine.credential).map(|(record, _)| &record.rotation) {
                Some(rotation) if matches!(rotation.state, State::Settled { .. }) => {
                    let vouched = on(&mine.rotation, Event::Vouched { facts: Box::new(rotation.facts.clone()) });
                    // What was shown there may be too little here: then it is rotated again.
                    if let Ok(settled) = vouched {
                        return Ok(settled);
                    }
                }
                Some(rotation) if stands(other, rotation) && !stuck.contains(&mine.credential) => {
                    return Ok(mine.rotation.clone());
                }
                _ => {}
            }
        }
        let Some((held, revision)) = owner else {
            change.puts.push(put(kind::OWNER, key, &reset.id.0, &row, Rule::Insert)?);
            return Ok(freed(&mine.rotation)?);
        };
        if held.reset == reset.id {
            return Ok(freed(&mine.rotation)?);
        }
        let (Some(other), approved) = (others.get(&held.reset), reset.approval.is_some()) else {
            return Ok(mine.rotation.clone());
        };
        let theirs = other.rotations.get(&mine.credential);
        let going = theirs.filter(|(record, _)| stands(other, &record.rotation));
        let Some((lower, at)) = going else {
            // It ended there: proven dead, given up, or never approved in time.
            change.puts.push(put(kind::OWNER, key, &reset.id.0, &row, Rule::Revision(*revision))?);
            return Ok(freed(&mine.rotation)?);
        };
        if !approved {
            return Ok(mine.rotation.clone());
        }
        if reset.urgency > other.reset.urgency || stuck.contains(&mine.credential) {
            let lowers = &other.reset.plan.members[lower.index];
            let (mut next, _) = lower.rotation.on(lowers, &Event::Superseded { by: reset.id.clone() })?;
            if dies_again(other, lower) {
                // What it knew was handed over.
                (next, _) = Rotation::new().on(lowers, &Event::Queued { behind: reset.id.clone() })?;
            }
            let now = self.context.clock.now();
            let body = json!({ "event": "superseded", "why": format!("{}", next.state), "by": reset.id.0 });
            let lower_next = RotationRecord { rotation: next, since: now, ..lower.clone() };
            let scope = &other.reset.id;
            change.puts.push(put(kind::ROTATION, lower.key().id, &scope.0, &lower_next, Rule::Revision(*at))?);
            change.entries.push(entry("rotation.parked", now, Some(scope), Some(&lower.credential), &body));
            change.puts.push(put(kind::OWNER, key, &reset.id.0, &row, Rule::Revision(*revision))?);
            return Ok(Rotation::over(&lower.rotation));
        }
        if reset.urgency == other.reset.urgency && serves(reset, waiting, mine.index, other, lower) {
            return Ok(on(&freed(&mine.rotation)?, Event::Joined { with: held.reset.clone() })?);
        }
        Ok(on(&freed(&mine.rotation)?, Event::Queued { behind: held.reset.clone() })?)
    }

    async fn other(&self, id: &ResetId) -> Result<Other, EngineError> {
        let reset = self.reset(id).await?;
        let mut rotations = HashMap::new();
        for record in self.store.list(kind::ROTATION, Some(&id.0)).await? {
            let revision = record.revision;
            let rotation: RotationRecord = read(record)?;
            rotations.insert(rotation.credential.clone(), (rotation, revision));
        }
        let mut minting = Vec::new();
        for record in self.store.list(kind::INTENT, Some(&id.0)).await? {
            let intent: IntentRecord = read(record)?;
            if intent.verb == Verb::Mint {
                minting.push(intent.credential);
            }
        }
        Ok(Other { reset, rotations, minting })
    }

    /// Who owns what, with the revisions of the rows.
    pub(crate) async fn owners(&self) -> Result<HashMap<CredentialId, (Owner, u64)>, EngineError> {
        let mut owners = HashMap::new();
        for record in self.store.list(kind::OWNER, None).await? {
            let revision = record.revision;
            let Ok(credential) = record.id.parse() else { continue };
            owners.insert(credential, (read(record)?, revision));
        }
        Ok(owners)
    }

    /// The rows that a reset owns: what it may let go at its end.
    pub(crate) async fn owned_by(&self, id: &ResetId) -> Result<Vec<Key>, EngineError> {
        let rows = self.store.list(kind::OWNER, Some(&id.0)).await?;
        Ok(rows.into_iter().map(|row| Key { kind: kind::OWNER, id: row.id }).collect())
    }

    /// Takes over the intents of rotations that this reset superseded. What a mint made is asked about and killed; every
    /// other effect is this reset's to do in its own way.
    pub(crate) async fn inherit(&self, id: &ResetId) -> Result<(), EngineError> {
        let mut intents = self.store.list(kind::INTENT, None).await?;
        intents.retain(|record| record.scope != id.0);
        // Whoever lost a credential records nothing of it any more: what is not there by now does not come.
        let owners = if intents.is_empty() { HashMap::new() } else { self.owners().await? };
        let mut change = Change::default();
        for record in intents {
            let (scope, revision) = (record.scope.clone(), record.revision);
            let mut intent: IntentRecord = read(record)?;
            let mine = owners.get(&intent.credential).is_some_and(|(owner, _)| owner.reset == *id);
            if !mine {
                continue;
            }
            let now = self.context.clock.now();
            let body = json!({ "operation": intent.operation.0, "verb": intent.verb.to_string(), "from": scope });
            change.entries.push(entry("effect.inherited", now, Some(id), Some(&intent.credential), &body));
            let key = intent.operation.0.clone();
            if intent.verb == Verb::Mint {
                GIVEN_UP.clone_into(&mut intent.about);
                change.puts.push(put(kind::INTENT, key, &id.0, &intent, Rule::Revision(revision))?);
            } else {
                change.deletes.push(Key { kind: kind::INTENT, id: key });
            }
        }
        if !change.entries.is_empty() {
            self.store.commit(change).await?;
        }
        Ok(())
    }

    /// Members that another reset took over and settled: what waited for them may go on.
    pub(crate) async fn settled_elsewhere(
        &self,
        rotations: &[Rotation],
        reset: &Reset,
    ) -> Result<BTreeSet<usize>, EngineError> {
        let mut by: BTreeMap<ResetId, Vec<usize>> = BTreeMap::new();
        for (index, rotation) in rotations.iter().enumerate() {
            if let State::Superseded { by: other } = &rotation.state {
                by.entry(other.clone()).or_default().push(index);
            }
        }
        let mut settled = BTreeSet::new();
        for (other, indexes) in by {
            let theirs = self.rotations(&other).await?;
            let done = |credential: &CredentialId| {
                theirs.iter().any(|record| {
                    record.credential == *credential && matches!(record.rotation.state, State::Settled { .. })
                })
            };
            settled.extend(indexes.into_iter().filter(|&index| done(&reset.plan.members[index].credential)));
        }
        Ok(settled)
    }

    /// Says that a credential is dead and has no value: at once, and again for as long as that is so.
    pub(crate) fn alarm_dark(&self, reset: &ResetId, credential: &CredentialId, since: jiff::Timestamp) {
        tracing::error!(%reset, %credential, %since, "dark: it is dead, and its readers must be clean before it gets a new value");
        let at = self.context.clock.now();
        self.tell(Progress::Dark { reset: reset.clone(), credential: credential.clone(), since, at });
    }

    /// Alarms every credential that is dark, of all open resets.
    pub async fn alarm_all_dark(&self) -> Result<(), EngineError> {
        for reset in self.resets().await? {
            if !matches!(reset.status, ResetStatus::Running | ResetStatus::Resting) {
                continue;
            }
            for record in self.rotations(&reset.id).await? {
                if let State::Dark { since } = record.rotation.state {
                    self.alarm_dark(&reset.id, &record.credential, since);
                }
            }
        }
        Ok(())
    }

    /// The members of a reset that had to be stopped first and are not known to be: whoever reads the summary has to see
    /// these by name.
    pub async fn not_contained(&self, reset: &Reset) -> Result<Vec<CredentialId>, EngineError> {
        let records = self.rotations(&reset.id).await?;
        let missing = records.into_iter().filter(|record| {
            let contained = reset.plan.members.get(record.index).is_some_and(|member| member.path == Path::Contain);
            contained && !is_contained(&record.rotation)
        });
        Ok(missing.map(|record| record.credential).collect())
    }

    /// Resets that may go on because of how this one stands now: a credential that they waited for is theirs, or this one
    /// settled what it took over from them. Each time something has to have changed, so that two that wait for each other
    /// do not wake each other for ever.
    pub async fn let_go(&self, id: &ResetId) -> Result<Vec<ResetId>, EngineError> {
        let settled = matches!(self.reset(id).await?.status, ResetStatus::Provisional | ResetStatus::Complete);
        let mut free = Vec::new();
        for other in self.waiting_for(id).await? {
            if self.claim(&other).await? || settled {
                free.push(other);
            }
        }
        Ok(free)
    }

    /// Open resets with members that wait for this one.
    pub async fn waiting_for(&self, id: &ResetId) -> Result<Vec<ResetId>, EngineError> {
        let mut found = Vec::new();
        for reset in self.resets().await? {
            let open = matches!(reset.status, ResetStatus::Running | ResetStatus::Resting | ResetStatus::Provisional);
            if reset.id == *id || !open {
                continue;
            }
            let waits = self.rotations(&reset.id).await?.iter().any(|record| match &record.rotation.state {
                State::Queued { behind: other } | State::Joined { with: other } | State::Superseded { by: other } => {
                    other == id
                }
                _ => false,
            });
            if waits {
                found.push(reset.id);
            }
        }
        Ok(found)
    }
}

/// What a mint of a rotation that was taken over made joins what is killed, durably before its intent is forgotten.
pub(crate) async fn adopt(task: &mut Task, rotation: &Rotation, step: Step) -> Result<(), Stop> {
    // On the contain path nothing is minted before it is stopped: what was is of another life of this rotation.
    let early = task.member().path == Path::Contain && matches!(step, Step::Capture | Step::Disable);
    let given_up =
        |task: &Task| task.intent(Verb::Mint, GIVEN_UP).or_else(|| task.intent(Verb::Mint, "new").filter(|_| early));
    if given_up(task).is_none() {
        return Ok(());
    }
    crate::engine::step::resolve(task).await?;
    let mut next = Rotation { state: State::Waiting { step }, ..rotation.clone() };
    while let Some(intent) = given_up(task) {
        if let IntentOutcome::Minted(version) = &intent.outcome {
            next = next.with(version.clone());
        }
        task.close(&intent, "effect.given-up", Some("its rotation was taken over or revised"));
    }
    task.facts.also.clone_from(&next.facts.also);
    task.pending.puts.push(record(&task.run, task.index, &next)?);
    task.flush().await
}

/// Was the old version stopped, as far as anybody can say?
pub(crate) fn is_contained(rotation: &Rotation) -> bool {
    match &rotation.state {
        State::Superseded { .. } | State::Joined { .. } | State::Settled { .. } | State::Dark { .. } => true,
        State::Parked { step: Step::Prove | Step::Sweep, .. } => false,
        _ => rotation.facts.ended.contains(&Step::Disable),
    }
}

/// An aborted reset takes only what somebody sent forward.
fn may_claim(reset: &Reset, credential: &CredentialId) -> bool {
    let sent = reset.standstill.as_ref().is_some_and(|standstill| standstill.forward.contains(credential));
    reset.status != ResetStatus::Aborted || sent
}

/// Does this rotation still do something with its credential, or will it?
pub(super) fn stands(other: &Other, rotation: &Rotation) -> bool {
    let open = !matches!(other.reset.status, ResetStatus::Complete | ResetStatus::Rejected);
    open && !matches!(
        rotation.state,
        State::Settled { .. } | State::Superseded { .. } | State::Queued { .. } | State::Joined { .. }
    )
}

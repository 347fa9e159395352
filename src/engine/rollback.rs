//! Rollback: a parked rotation goes back to its old version, before that was stopped or killed. The credential stays open.
//!
//! Flow: [`Engine::rollback`] first records that the new version is given up, then has readers see the old value again and
//! consumers use it, and kills the new version last, where it was never sent anywhere. What could not be brought back is said, and the same command tries
//! it again; `retry` goes forward instead, with a third version.
//!
//! Guarantees: nothing that was disabled or revoked is enabled again; no consumer loses its value, because a new version
//! that was sent to a place stays alive: the write may land after it was given up. It is killed with the old one.
//!
//! Errors: refused, with the reason, where only forward is safe.

use std::sync::{Arc, PoisonError};

use remint_contract::{ConfirmGrade, Ref, ResetId, Strategy, Verb};
use remint_core::machine::{Event, Rotation, State, Version};
use remint_core::plan::Member;
use remint_core::step::{Course, Step};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::effect::{Stop, Task};
use crate::engine::lease::Lease;
use crate::engine::outcome;
use crate::engine::record::{IntentRecord, RotationRecord, entry, kind, read};
use crate::engine::run::Run;
use crate::engine::{Engine, EngineError, step};

/// What became of one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    pub credential: Ref,
    /// Is the new version dead? One that was sent somewhere lives until somebody goes forward.
    pub killed: bool,
    /// Why it is not all the way back.
    pub unfinished: Option<String>,
}

impl Engine {
    /// Goes back to the old version with every parked rotation of a reset for which that is safe, or with one of them.
    ///
    /// # Errors
    /// Refused where it is safe for none, or not for the one; nothing was changed then.
    pub async fn rollback(
        &self,
        id: &ResetId,
        only: Option<&Ref>,
        by: &str,
        reason: &str,
    ) -> Result<Vec<Back>, EngineError> {
        let done = self.under(id, |lease| self.rollback_under(lease, id, only, (by, reason))).await?;
        self.ring(id).await?;
        Ok(done)
    }

    async fn rollback_under(
        &self,
        lease: Arc<Lease>,
        id: &ResetId,
        only: Option<&Ref>,
        words: (&str, &str),
    ) -> Result<Vec<Back>, EngineError> {
        let run = self.run_for_rollback(lease, id).await?;
        let records = self.rotations(id).await?;
        let wanted: Vec<_> =
            records.iter().filter(|record| only.is_none_or(|only| *only == record.credential)).collect();
        if let (Some(only), []) = (only, wanted.as_slice()) {
            return Err(EngineError::Refused(format!("{only} is not part of reset {id}")));
        }
        let mut back = Vec::new();
        for record in wanted {
            match (safe(&run, &records, record), only) {
                (Ok(()), _) => back.push(self.take_back(&run, record, words).await?),
                (Err(why), Some(only)) => return Err(EngineError::Refused(format!("{only} does not go back: {why}"))),
                (Err(_), None) => {}
            }
        }
        if back.is_empty() {
            return Err(EngineError::Refused(format!(
                "nothing of reset {id} can go back: only what is parked before its old version was stopped does; `remint get rotations --reset {id}` shows what is parked"
            )));
        }
        Ok(back)
    }

    async fn run_for_rollback(&self, lease: Arc<Lease>, id: &ResetId) -> Result<Arc<Run>, EngineError> {
        let known = self.reset(id).await?;
        let estate = self.estate(&known.plan.estate.to_string()).await?;
        let run = Run::new(
            known,
            Arc::clone(&estate),
            Arc::new(self.host(estate)),
            Arc::clone(&self.store),
            Arc::clone(&self.escrow),
            self.context.clone(),
            self.settings.clone(),
            lease,
        );
        {
            let mine = self.owners().await?.into_iter().filter(|(_, (owner, _))| owner.reset == *id);
            let mut owned = run.owned.lock().unwrap_or_else(PoisonError::into_inner);
            owned.extend(mine.map(|(credential, (_, revision))| (credential, revision)));
        }
        for record in self.store.list(kind::INTENT, Some(&id.0)).await? {
            let intent: IntentRecord = read(record)?;
            let mut intents = run.intents.lock().unwrap_or_else(PoisonError::into_inner);
            intents.entry(intent.credential.clone()).or_default().push(intent);
        }
        Ok(Arc::new(run))
    }

    async fn take_back(
        &self,
        run: &Arc<Run>,
        record: &RotationRecord,
        (by, why): (&str, &str),
    ) -> Result<Back, EngineError> {
        let member = &run.members[record.index];
        let mut task = Task::new(Arc::clone(run), record.index, record.rotation.facts.clone());
        let mut rotation = record.rotation.clone();
        let sent = was_sent(member, &rotation);
        if matches!(rotation.state, State::Parked { .. }) {
            rotation = rotation.on(member, &Event::RolledBack)?.0;
            // What was to be written is written no more; what was sent has been answered, or asked about.
            for intent in open(run, &record.credential) {
                task.close(&intent, "effect.failed", Some("given up: it goes back"));
            }
            let body =
                json!({ "event": Event::RolledBack.name(), "state": rotation.state.to_string(), "by": by, "why": why });
            task.pending.puts.push(outcome::record(run, record.index, &rotation)?);
            task.pending.entries.push(told(run, &record.credential, &body));
            task.flush().await.map_err(broken)?;
        }
        let given_up = rotation.facts.also.clone();
        task.facts = rotation.facts;
        let Some(old) = task.facts.old.clone() else { return Err(EngineError::Gone(record.credential.clone())) };
        let mut body = json!({ "event": "withdrawn", "versions": ids(&given_up), "killed": !sent, "by": by });
        let unfinished = match step::back(&mut task, &old, &given_up, sent).await {
            Ok(()) => None,
            Err(Stop::Broken(error)) => return Err(error),
            Err(stop) => Some(sentence(stop)),
        };
        if let Some(unfinished) = &unfinished {
            body["event"] = json!("not withdrawn");
            body["why"] = json!(unfinished);
        }
        task.pending.entries.push(told(run, &record.credential, &body));
        task.flush().await.map_err(broken)?;
        let killed = !sent && unfinished.is_none();
        Ok(Back { credential: record.credential.clone(), killed, unfinished })
    }
}

/// Was the new version sent to a place, or may it have been?
fn was_sent(member: &Member, rotation: &Rotation) -> bool {
    let at = |step: Step| member.steps().iter().position(|other| *other == step);
    let begun = match rotation.state.step() {
        Some(step) => at(Step::Deliver).is_none_or(|deliver| at(step).is_none_or(|step| step >= deliver)),
        None => true,
    };
    begun || !rotation.facts.delivered.is_empty()
}

fn told(run: &Run, credential: &Ref, body: &serde_json::Value) -> remint_evidence_format::Draft {
    entry("rotation.moved", run.context.clock.now(), Some(&run.id), Some(credential), body)
}

fn ids(versions: &[Version]) -> Vec<&str> {
    versions.iter().filter_map(|version| version.id.as_ref()).map(|id| id.0.as_str()).collect()
}

/// Intents of a credential that are not closed.
fn open(run: &Run, credential: &Ref) -> Vec<IntentRecord> {
    run.intents.lock().unwrap_or_else(PoisonError::into_inner).get(credential).cloned().unwrap_or_default()
}

/// May it go back? Otherwise why not, and what else there is.
fn safe(run: &Run, records: &[RotationRecord], record: &RotationRecord) -> Result<(), String> {
    let member = &run.members[record.index];
    let forward = format!("`remint retry {} --only {}` goes forward", run.id, record.credential);
    let rotation = &record.rotation;
    match &rotation.state {
        State::RolledBack => {}
        State::Parked { .. } => {
            if rotation.on(member, &Event::RolledBack).is_err() {
                return Err(format!("its old version was stopped or killed, and that is not undone; {forward}"));
            }
        }
        state => return Err(format!("it is {state}, and only what is parked goes back")),
    }
    if member.course() != Course::Replace || member.strategy == Strategy::InPlace {
        return Err(format!("with its strategy the old value is not there to go back to; {forward}"));
    }
    if member.remint_acts {
        return Err(format!("Remint itself acts with it; {forward}"));
    }
    if rotation.facts.old.is_none() || (rotation.facts.new.is_none() && rotation.facts.also.is_empty()) {
        return Err(format!("nothing new was made for it; `remint abort {}` ends the reset", run.id));
    }
    let dies_with = |other: &&RotationRecord| {
        let document = run.estate.credentials.get(&other.credential);
        let issued = document.map(|document| &document.issued_by);
        let minted = other.rotation.facts.new.is_some()
            || open(run, &other.credential).iter().any(|intent| intent.verb == Verb::Mint);
        minted && issued.is_some_and(|issued| issued.dies_with_issuer && issued.by.as_ref() == Some(&record.credential))
    };
    if let Some(child) = records.iter().find(dies_with) {
        return Err(format!("{} was minted with the new one, and would die with it; {forward}", child.credential));
    }
    let unknown = |intent: &IntentRecord| matches!(intent.verb, Verb::Mint | Verb::Revoke | Verb::Disable);
    if matches!(rotation.state, State::Parked { .. })
        && let Some(intent) = open(run, &record.credential).into_iter().find(unknown)
    {
        return Err(format!("it is not known what became of a {}; {forward}, and asks first", intent.verb));
    }
    match by_word(run, member) {
        Some(workload) => Err(format!("{workload} is seen by a person only, who said it uses the new one; {forward}")),
        None => Ok(()),
    }
}

/// A consumer that only a person's word confirms.
fn by_word<'r>(run: &Run, member: &'r Member) -> Option<&'r Ref> {
    member.consumers.iter().find(|consumer| {
        let workload = run.estate.workloads.get(consumer);
        workload.is_some_and(|workload| workload.confirm.how.0 == ConfirmGrade::Attested)
    })
}

fn broken(stop: Stop) -> EngineError {
    match stop {
        Stop::Broken(error) => error,
        stop => EngineError::Refused(sentence(stop)),
    }
}

fn sentence(stop: Stop) -> String {
    match stop {
        Stop::Park(reason) => reason.to_string(),
        Stop::Failed { what, .. } => what,
        Stop::Lost => "a call got no answer".to_owned(),
        Stop::Destroyed { change } => change,
        Stop::Spoiled => "the value is not accepted any more".to_owned(),
        Stop::Broken(error) => error.to_string(),
    }
}

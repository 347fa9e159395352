//! Escalating: a running reset gets a revised plan, in which some credentials are stopped before they are replaced, or the
//! other way round.
//!
//! Flow: [`Engine::escalate`] plans anew from the same estate and scope and keeps the revision beside the plan, which goes on;
//! [`Engine::approve`] puts it in the plan's place, turns the members that changed, and moves their owner rows on, in one
//! transaction. A run that goes on meanwhile, in whichever process, is refused its next change, and begins again with the
//! new plan.
//!
//! Guarantees: what was revoked stays as it is, what was stopped does not roll; a value that was minted before its
//! credential turned to contain is killed with the old one.

use std::collections::BTreeSet;

use remint_contract::{Ref, ResetId, Verb};
use remint_core::approval::Delta;
use remint_core::machine::{Event, State};
use remint_core::plan::{Selector, Turn, revise};
use remint_core::step::{Path, Step};
use remint_evidence_format::ledger::{PLAN_SHA256, REVISED};
use serde_json::json;

use crate::engine::planned::Planned;
use crate::engine::record::{
    Approval, IntentRecord, Owner, Reset, ResetStatus, Revision, RotationRecord, Urgency, entry, kind, put, read,
};
use crate::engine::takeover::GIVEN_UP;
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Rule, StoreError};

/// How often an approval is begun anew when the run came first.
const TRIES: usize = 32;

/// What a revision is asked to change.
#[derive(Debug, Clone, Default)]
pub struct Escalation {
    pub contain: Option<Selector>,
    pub roll: Option<Selector>,
    pub reason: String,
    pub by: String,
}

impl Engine {
    /// Asks for a revision of a running reset's plan; what would change. The plan goes on until the revision is approved.
    ///
    /// # Errors
    /// The reset is not under way, nothing would change, or there is no such plan.
    pub async fn escalate(&self, id: &ResetId, asked: Escalation) -> Result<(Reset, Vec<Turn>), EngineError> {
        let known = self.reset(id).await?;
        if !matches!(known.status, ResetStatus::Running | ResetStatus::Resting) {
            return Err(EngineError::Refused(format!(
                "reset {id} is {:?}, not under way: ask for a new reset instead",
                known.status
            )));
        }
        let estate = self.estate(&known.plan.estate.to_string()).await?;
        let mut fixed = BTreeSet::new();
        for record in self.rotations(id).await? {
            if went_too_far(&record, known.plan.members[record.index].path) {
                fixed.insert(record.credential);
            }
        }
        let now = self.context.clock.now();
        let (contain, roll) = (asked.contain.as_ref(), asked.roll.as_ref());
        let plan = revise(&known.plan, &estate, contain, roll, &fixed, &known.cleaned, &*self.kinds, now)
            .map_err(|refusals| EngineError::Refused(sentences(&refusals)))?;
        let delta = plan.delta(&known.plan);
        if delta.is_empty() {
            let fixed = if fixed.is_empty() {
                String::new()
            } else {
                format!("; these went too far to turn: {}", crate::engine::names(&fixed))
            };
            return Err(EngineError::Refused(format!("nothing of reset {id} would change{fixed}")));
        }
        let parent = known.plan.digest;
        let reset = self
            .change_reset(id, "reset.escalated", |reset| {
                if reset.plan.digest != parent {
                    return Err(EngineError::Refused(format!(
                        "the plan of reset {id} was revised meanwhile; ask again"
                    )));
                }
                let body = json!({
                    "revision": plan.digest.to_string(), "parent": parent.to_string(), "delta": delta,
                    "reason": asked.reason, "requested-by": asked.by,
                });
                if let Some(case) = &mut reset.case {
                    case.revise(plan.digest, Delta::between(&reset.plan, &plan), now).map_err(refused)?;
                }
                reset.revision = Some(Revision { plan, reason: asked.reason.clone(), by: asked.by.clone(), at: now });
                Ok(body)
            })
            .await?;
        Ok((reset, delta))
    }

    /// Says yes to exactly the difference that stands in the reset.
    pub(super) async fn approve_revision(
        &self,
        id: &ResetId,
        by: &str,
        needs: Option<u32>,
    ) -> Result<Reset, EngineError> {
        for _ in 1..TRIES {
            match self.revise_once(id, by, needs).await {
                Err(EngineError::Store(StoreError::Stale { .. })) => tokio::task::yield_now().await,
                done => return done,
            }
        }
        self.revise_once(id, by, needs).await
    }

    async fn revise_once(&self, id: &ResetId, by: &str, needs: Option<u32>) -> Result<Reset, EngineError> {
        let key = Key { kind: kind::RESET, id: id.0.clone() };
        let stored = self.store.get(&key).await?.ok_or_else(|| EngineError::NoReset(id.clone()))?;
        let at = stored.revision;
        let mut reset = self.with_plan(stored).await?;
        let Some(revision) = reset.revision.take() else {
            return Err(EngineError::Refused(format!("no revision of reset {id} waits for approval")));
        };
        let now = self.context.clock.now();
        let delta = revision.plan.delta(&reset.plan);
        let turned: BTreeSet<&Ref> = delta.iter().map(|turn| &turn.credential).collect();
        let mut change = Change::default();
        let owners = self.owners().await?;
        for stored in self.store.list(kind::ROTATION, Some(&id.0)).await? {
            let revised = stored.revision;
            let record: RotationRecord = read(stored)?;
            let own = owners.get(&record.credential).filter(|(owner, _)| owner.reset == *id);
            let Some((_, row)) = own else { continue };
            // Every row moves on: whoever runs the old plan records nothing more.
            let owner = Owner { reset: id.clone() };
            change.puts.push(put(kind::OWNER, record.credential.to_string(), &id.0, &owner, Rule::Revision(*row))?);
            if !turned.contains(&record.credential) {
                continue;
            }
            if went_too_far(&record, reset.plan.members[record.index].path) {
                return Err(EngineError::Refused(format!(
                    "{} went on meanwhile, too far to turn: ask for the revision again",
                    record.credential
                )));
            }
            if let State::Doing { step } = &record.rotation.state {
                return Err(EngineError::Refused(format!(
                    "{} is in the middle of its step {step}: approve the revision again when that has ended",
                    record.credential
                )));
            }
            let (rotation, _) = record.rotation.on(&revision.plan.members[record.index], &Event::Revised)?;
            let next = RotationRecord { rotation, since: now, ..record };
            let body = json!({ "event": "revised", "state": next.rotation.state.to_string() });
            change.entries.push(entry("rotation.moved", now, Some(id), Some(&next.credential), &body));
            change.puts.push(put(kind::ROTATION, next.key().id, &id.0, &next, Rule::Revision(revised))?);
        }
        for stored in self.store.list(kind::INTENT, Some(&id.0)).await? {
            let revised = stored.revision;
            let mut intent: IntentRecord = read(stored)?;
            if intent.verb == Verb::Mint && turned.contains(&intent.credential) {
                GIVEN_UP.clone_into(&mut intent.about);
                let key = intent.operation.0.clone();
                change.puts.push(put(kind::INTENT, key, &id.0, &intent, Rule::Revision(revised))?);
            }
        }
        if let Some(case) = &mut reset.case {
            case.promote(now).map_err(refused)?;
        }
        let digest = revision.plan.digest.to_string();
        let plan = Planned::of(revision.plan);
        let body = json!({
            "approved-by": by, "plan": digest, "parent": reset.plan.digest.to_string(), "delta": delta,
            "grade": "recorded", PLAN_SHA256: plan.hash(), "needs": needs,
        });
        change.entries.push(entry(REVISED, now, Some(id), None, &body));
        reset.plan = plan;
        self.keep_plan(&reset.plan);
        change.puts.push(reset.plan.put()?);
        reset.urgency = reset.urgency.max(Urgency::of(&reset.plan));
        reset.approval = Some(Approval { by: by.to_owned(), at: now, digest, grade: "recorded".to_owned() });
        reset.status = ResetStatus::Running;
        change.puts.push(put(kind::RESET, id.0.clone(), &id.0, &reset, Rule::Revision(at))?);
        self.store.commit(change).await?;
        self.changed.notify_waiters();
        Ok(reset)
    }
}

fn refused(refusal: remint_core::approval::Refusal) -> EngineError {
    EngineError::Refused(refusal.to_string())
}

/// What was killed for good stays; what was stopped, or may have been, does not roll.
fn went_too_far(record: &RotationRecord, path: Path) -> bool {
    let facts = &record.rotation.facts;
    match (&record.rotation.state, path) {
        (State::Settled { .. } | State::Superseded { .. } | State::Dark { .. }, _)
        | (_, Path::Cut)
        | (State::Unknown { .. }, Path::Contain) => true,
        (_, Path::Contain) => facts.ended.contains(&Step::Disable),
        (_, Path::Rolling) => facts.ended.contains(&Step::Revoke),
    }
}

fn sentences(refusals: &[remint_core::plan::Refusal]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

//! Persons' word on a reset of a governed state: signing its plan or revision, and taking that back.
//!
//! Flow: [`Engine::sign`] takes a signature in, and when it was the last one that was missing the reset starts, or the
//! revision takes the plan's place; [`Engine::withdraw`] takes it back, and what has begun nothing begins nothing.
//!
//! Guarantees: however many sign at once, from however many replicas, each signature is kept and the reset starts once:
//! the reset's record is compared and set.

use remint_contract::ResetId;
use remint_core::approval::{Delta, Lack, Party, Refusal, Signature, Way};
use remint_core::digest::Digest;
use remint_evidence_format::approval::{SIGNED, WITHDRAWN};
use remint_evidence_format::ledger::{PLAN_SHA256, STARTED};
use serde_json::json;

use crate::engine::record::{Approval, Reset, ResetStatus};
use crate::engine::signed::{in_turn, keep, tell};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, StoreError};

/// What a signature came to.
#[derive(Debug)]
pub struct Signed {
    pub reset: Reset,
    /// What the credentials still take, each sentence once; empty when the plan goes on.
    pub lacks: Vec<String>,
}

impl Engine {
    /// Takes in a yes to exactly the plan, or the waiting revision, with this digest.
    ///
    /// # Errors
    /// The state is not governed, it is another plan, the request is too old, or the clock went back.
    pub async fn sign(&self, id: &ResetId, digest: Digest, signature: Signature) -> Result<Signed, EngineError> {
        let known = self.reset(id).await?;
        if self.too_old(&known) {
            let by = signature.by.to_string();
            self.reject(id, &by, "expired").await?;
            return Err(EngineError::Expired { id: id.clone(), asked: known.requested_at.to_string() });
        }
        in_turn(|| self.sign_once(id, digest, &signature)).await
    }

    async fn sign_once(&self, id: &ResetId, digest: Digest, signature: &Signature) -> Result<Signed, EngineError> {
        let now = self.context.clock.now();
        let known = self.reset(id).await?;
        let planned = self.estate(&known.plan.estate.to_string()).await?;
        // What a revision changes is judged by what its own members take.
        let waits = known.revision.as_ref().map_or(&*known.plan, |revision| &revision.plan);
        let permits = self.permits(waits, &planned).await?.ok_or_else(ungoverned)?;
        let mut lacks = Vec::new();
        let mut ready = false;
        let mut change = Change::default();
        let hashes = keep(signature, &id.0, &mut change)?;
        let signed = self
            .change_reset_and(id, SIGNED, change, |reset| {
                if !matches!(reset.status, ResetStatus::Requested) && reset.revision.is_none() {
                    return Err(EngineError::Refused(format!("nothing of reset {id} waits for approval")));
                }
                let plan = reset.plan.clone();
                let revised = reset.revision.as_ref().map(|revision| revision.plan.clone());
                let case = reset.case.as_mut().ok_or_else(ungoverned)?;
                case.sign(digest, signature.clone()).map_err(refused)?;
                let (judged, of) = match &revised {
                    Some(revised) => (case.promoted(), Delta::between(&plan, revised)),
                    None => (case.clone(), Delta { limits: true, ..Delta::default() }),
                };
                let plan = revised.as_ref().unwrap_or(&plan);
                for (index, member) in plan.members.iter().enumerate() {
                    if !of.touches(&member.credential) {
                        continue;
                    }
                    if let Err(lack) = permits.judge(plan, &judged, index, now) {
                        let words = lack.to_string();
                        if !lacks.contains(&words) {
                            lacks.push(words);
                        }
                    }
                }
                ready = lacks.is_empty();
                let mut body = json!({ "plan": digest.to_string(), "by": signature.by.to_string(), "lacks": lacks });
                tell(&mut body, signature, hashes.as_ref());
                Ok(body)
            })
            .await?;
        if !ready {
            return Ok(Signed { reset: signed, lacks });
        }
        let reset = if signed.status == ResetStatus::Requested {
            self.begin(id).await?
        } else {
            self.approve_revision(id, &approvers(&signed), Some(permits.persons())).await?
        };
        self.ring(id).await?;
        Ok(Signed { reset, lacks })
    }

    /// Starts a reset that has all it takes; one that waited for a cool-down is asked again.
    ///
    /// # Errors
    /// Something is missing, or it is started already.
    pub async fn begin(&self, id: &ResetId) -> Result<Reset, EngineError> {
        let now = self.context.clock.now();
        let known = self.reset(id).await?;
        let planned = self.estate(&known.plan.estate.to_string()).await?;
        let permits = self.permits(&known.plan, &planned).await?.ok_or_else(ungoverned)?;
        // It was signed in time, and rests: that is not what makes it too old.
        if self.too_old_after(&known, permits.rest()) {
            self.reject(id, "remint", "expired").await?;
            return Err(EngineError::Expired { id: id.clone(), asked: known.requested_at.to_string() });
        }
        let started = self
            .change_reset(id, STARTED, |reset| {
                if reset.status != ResetStatus::Requested {
                    return Err(EngineError::Refused(format!("reset {id} does not wait for approval")));
                }
                let lack: Option<Lack> =
                    (0..reset.plan.members.len()).find_map(|index| permits.standing(reset, index, now).err());
                if let Some(lack) = lack {
                    return Err(EngineError::Refused(format!("reset {id} is not approved: {lack}")));
                }
                let (by, digest) = (approvers(reset), reset.plan.digest.to_string());
                let grade = reset.case.as_ref().map_or("recorded", |case| weakest(&case.signatures)).to_owned();
                let body = json!({
                    "approved-by": by, "plan": digest, "grade": grade, PLAN_SHA256: reset.plan.hash(),
                    "needs": permits.persons(),
                });
                reset.approval = Some(Approval { by, at: now, digest, grade });
                reset.status = ResetStatus::Running;
                Ok(body)
            })
            .await?;
        self.claim(id).await?;
        Ok(started)
    }

    /// Begins what has all it takes and rested long enough, and rejects what is too old; gives what began.
    ///
    /// # Errors
    /// The store failed.
    pub async fn begin_rested(&self) -> Result<Vec<ResetId>, EngineError> {
        let mut began = Vec::new();
        if self.settings.executor.is_none() {
            return Ok(began);
        }
        for reset in self.resets().await? {
            if reset.status != ResetStatus::Requested || reset.case.is_none() {
                continue;
            }
            match self.begin(&reset.id).await {
                Ok(_) => began.push(reset.id),
                // It lacks something, is over, or somebody acted on it at this moment.
                Err(
                    EngineError::Refused(_)
                    | EngineError::Expired { .. }
                    | EngineError::Store(StoreError::Stale { .. }),
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(began)
    }

    /// Starts a reset that goes on by another way than the yes of persons to its plan alone.
    pub(crate) async fn start_by_way(&self, id: &ResetId, way: Way, by: &str) -> Result<Reset, EngineError> {
        let now = self.context.clock.now();
        let known = self.reset(id).await?;
        let planned = self.estate(&known.plan.estate.to_string()).await?;
        let needs = self.permits(&known.plan, &planned).await?.map_or(0, |permits| permits.persons());
        let started = self
            .change_reset(id, STARTED, |reset| {
                if reset.status != ResetStatus::Requested {
                    return Err(EngineError::Refused(format!("reset {id} does not wait for approval")));
                }
                let word = way.word();
                let case = reset.case.as_mut().ok_or_else(ungoverned)?;
                let standing = match &way {
                    Way::Standing { id, .. } => Some(id.clone()),
                    Way::BreakGlass { .. } => None,
                };
                case.way = Some(way);
                let (by, digest, grade) = (by.to_owned(), reset.plan.digest.to_string(), "recorded".to_owned());
                let body = json!({
                    "approved-by": by, "plan": digest, "grade": grade, PLAN_SHA256: reset.plan.hash(), "needs": needs,
                    "by-way-of": word, "standing": standing,
                });
                reset.approval = Some(Approval { by, at: now, digest, grade });
                reset.status = ResetStatus::Running;
                Ok(body)
            })
            .await?;
        self.claim(id).await?;
        Ok(started)
    }

    /// Takes back what a party signed: what has begun nothing begins nothing, the rest goes on.
    ///
    /// # Errors
    /// The party signed nothing, or the clock went back.
    pub async fn withdraw(&self, id: &ResetId, by: &Party, reason: &str) -> Result<Reset, EngineError> {
        let now = self.context.clock.now();
        let reset = self
            .change_reset(id, WITHDRAWN, |reset| {
                let case = reset.case.as_mut().ok_or_else(ungoverned)?;
                case.withdraw(by, now).map_err(refused)?;
                Ok(json!({ "by": by.to_string(), "person": by.person().map(ToString::to_string), "reason": reason }))
            })
            .await?;
        self.ring(id).await?;
        Ok(reset)
    }
}

fn approvers(reset: &Reset) -> String {
    let signatures = reset.case.iter().flat_map(|case| &case.signatures);
    let alive = signatures.filter(|signature| signature.withdrawn.is_none());
    alive.map(|signature| signature.by.to_string()).collect::<Vec<_>>().join(", ")
}

/// A chain of words is as strong as its weakest: one that nobody can check makes it that.
fn weakest(signatures: &[Signature]) -> &str {
    let grades = signatures.iter().map(|signature| signature.strength.grade.as_str());
    grades.fold("", |all, grade| if all.is_empty() || grade == "recorded" { grade } else { all })
}

fn refused(refusal: Refusal) -> EngineError {
    EngineError::Refused(refusal.to_string())
}

fn ungoverned() -> EngineError {
    EngineError::Refused("nobody governs this state: remint approve takes its operator's word".to_owned())
}

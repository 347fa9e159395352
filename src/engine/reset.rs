//! Acts on a reset: asking for it, approving it, and what people say while it runs. Each is one durable change with its
//! entry; carrying on is [`Engine::run`].

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{Ref, ResetId};
use remint_core::approval::{Case, Party};
use remint_core::estate::Estate;
use remint_core::machine::{Event, Rotation, State};
use remint_core::plan::Plan;
use serde_json::json;

use crate::engine::planned::Planned;
use crate::engine::record::{
    Approval, Attestation, Decision, DecisionWord, Finding, Reset, ResetStatus, RotationRecord, TaskRecord, Urgency,
    entry, kind, put, read,
};
use crate::engine::remind::due;
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Rule, StoreError};
use remint_evidence_format::entry::GOVERNED;
use remint_evidence_format::ledger::{PLAN_SHA256, STARTED};

/// A request that is older than this never starts.
const NOT_AFTER: Duration = Duration::from_hours(1);

/// An exception on one operator's word ends after this, and is asked about again.
pub(crate) const EXCEPTION: Duration = Duration::from_hours(30 * 24);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Stamped by who asks: the same id runs once, for ever.
    pub id: ResetId,
    pub plan: Plan,
    pub estate: Estate,
    pub reason: String,
    pub by: String,
    /// When it was asked for, by the clock of who asks.
    pub at: Timestamp,
}

impl Engine {
    /// Records a request for an incident: the reset and its rotations, or nothing at all; then what is free is its own.
    ///
    /// # Errors
    /// Asked for already, or expired.
    pub async fn request(&self, request: Request) -> Result<Reset, EngineError> {
        let urgency = Urgency::of(&request.plan);
        self.request_as(request, urgency, None).await
    }

    /// As [`Engine::request`], by how urgent it is and since when the attacker may have what he has. What another reset
    /// owns is settled when this one is approved: taken over, joined, or waited for.
    ///
    /// # Errors
    /// Asked for already, or expired.
    pub async fn request_as(
        &self,
        request: Request,
        urgency: Urgency,
        exposed_at: Option<Timestamp>,
    ) -> Result<Reset, EngineError> {
        self.request_of(request, urgency, exposed_at, None).await
    }

    /// As [`Engine::request_as`], of a party that the gate let through: the reset waits for the persons that it takes.
    ///
    /// # Errors
    /// Asked for already, expired, or by nobody where the state is governed.
    pub async fn request_of(
        &self,
        request: Request,
        urgency: Urgency,
        exposed_at: Option<Timestamp>,
        party: Option<Party>,
    ) -> Result<Reset, EngineError> {
        self.request_with(request, urgency, exposed_at, (party, false), Change::default()).await
    }

    /// The same, of one that only carries what others wrote: it takes one person more.
    ///
    /// # Errors
    /// As [`Engine::request_of`].
    pub async fn request_carried(
        &self,
        request: Request,
        urgency: Urgency,
        exposed_at: Option<Timestamp>,
        party: Option<Party>,
    ) -> Result<Reset, EngineError> {
        self.request_with(request, urgency, exposed_at, (party, true), Change::default()).await
    }

    /// The same, with more in the same change.
    pub(crate) async fn request_with(
        &self,
        request: Request,
        urgency: Urgency,
        exposed_at: Option<Timestamp>,
        (party, carried): (Option<Party>, bool),
        more: Change,
    ) -> Result<Reset, EngineError> {
        let now = self.context.clock.now();
        if party.is_some() != self.settings.executor.is_some() {
            return Err(EngineError::Refused(
                "this state is governed, and nobody said who asks; nothing was asked for".to_owned(),
            ));
        }
        if now.duration_since(request.at).unsigned_abs() > NOT_AFTER {
            return Err(EngineError::Expired { id: request.id, asked: request.at.to_string() });
        }
        let case = party.map(|party| Case { carried, ..Case::open(party, request.plan.digest, now) });
        let reset = Reset {
            case,
            id: request.id,
            plan: Planned::of(request.plan),
            reason: request.reason,
            requested_by: request.by,
            requested_at: request.at,
            approval: None,
            status: ResetStatus::Requested,
            urgency,
            exposed_at,
            revision: None,
            cleaned: BTreeSet::new(),
            reproofs: Vec::new(),
            standstill: None,
            again: None,
        };
        let scope = reset.id.0.clone();
        let mut change = more;
        change.puts.push(put(kind::RESET, scope.clone(), &scope, &reset, Rule::Insert)?);
        change.puts.push(reset.plan.put()?);
        self.keep_plan(&reset.plan);
        change.puts.push(put(kind::ESTATE, reset.plan.estate.to_string(), "", &request.estate, Rule::Upsert)?);
        for (index, member) in reset.plan.members.iter().enumerate() {
            let record = RotationRecord {
                reset: reset.id.clone(),
                index,
                credential: member.credential.clone(),
                rotation: Rotation::new(),
                since: now,
            };
            change.puts.push(put(kind::ROTATION, record.key().id, &scope, &record, Rule::Insert)?);
        }
        for (number, task) in reset.plan.tasks.iter().enumerate() {
            let id = format!("{}-t{number}", reset.id);
            let record = TaskRecord {
                id: id.clone(),
                reset: reset.id.clone(),
                about: task.node.clone(),
                what: task.why.clone(),
                attested: None,
                due: due(&request.estate, reset.plan.limits.deadline, &task.node, now),
                reminded: None,
            };
            change.puts.push(put(kind::TASK, id, &scope, &record, Rule::Insert)?);
        }
        let body = json!({
            "plan": reset.plan.digest.to_string(),
            PLAN_SHA256: reset.plan.hash(),
            "estate": reset.plan.estate.to_string(),
            "from": reset.plan.from.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "reached": reset.plan.reached.len(),
            "credentials": reset.plan.members.len(),
            "reason": reset.reason,
            "requested-by": reset.requested_by,
            "person": reset.case.as_ref().and_then(|case| case.requester.person()).map(ToString::to_string),
            "governance": reset.case.as_ref().map(|_| GOVERNED),
        });
        change.entries.push(entry("reset.requested", now, Some(&reset.id), None, &body));
        for member in &reset.plan.members {
            let body = json!({ "strategy": member.strategy, "path": member.path });
            change.entries.push(entry("credential.reached", now, Some(&reset.id), Some(&member.credential), &body));
        }
        for task in &reset.plan.tasks {
            change.entries.push(entry(
                "task.opened",
                now,
                Some(&reset.id),
                Some(&task.node),
                &json!({ "why": task.why }),
            ));
        }
        self.leave_out(&reset, &mut change).await?;
        match self.store.commit(change).await {
            Ok(_) => {
                self.claim(&reset.id).await?;
                Ok(reset)
            }
            Err(StoreError::Exists { kind: kind::RESET, .. }) => Err(EngineError::Twice(reset.id)),
            Err(error) => Err(error.into()),
        }
    }

    /// Says yes to exactly the plan that stands in the reset. One that waited too long is over, and frees what it owned.
    pub async fn approve(&self, id: &ResetId, by: &str) -> Result<Reset, EngineError> {
        let now = self.context.clock.now();
        let known = self.reset(id).await?;
        if known.case.is_some() {
            return Err(EngineError::Refused(format!(
                "reset {id} takes the signatures of persons: remint approve {id}"
            )));
        }
        let old = now.duration_since(known.requested_at).unsigned_abs() > NOT_AFTER;
        if known.status == ResetStatus::Requested && old {
            self.reject(id, by, "expired").await?;
            return Err(EngineError::Expired { id: id.clone(), asked: known.requested_at.to_string() });
        }
        if known.status != ResetStatus::Requested && known.revision.is_some() {
            return self.approve_revision(id, by, None).await;
        }
        let approved = self
            .change_reset(id, STARTED, |reset| {
                if reset.status != ResetStatus::Requested {
                    return Err(EngineError::Refused(format!("reset {id} does not wait for approval")));
                }
                let digest = reset.plan.digest.to_string();
                reset.approval =
                    Some(Approval { by: by.to_owned(), at: now, digest: digest.clone(), grade: "recorded".to_owned() });
                reset.status = ResetStatus::Running;
                Ok(json!({ "approved-by": by, "plan": digest, "grade": "recorded", PLAN_SHA256: reset.plan.hash() }))
            })
            .await?;
        self.claim(id).await?;
        Ok(approved)
    }

    /// True once a request is too old to start.
    pub(crate) fn too_old(&self, reset: &Reset) -> bool {
        self.too_old_after(reset, Duration::ZERO)
    }

    /// The same, for one that had to rest so long.
    pub(crate) fn too_old_after(&self, reset: &Reset, rest: Duration) -> bool {
        let age = self.context.clock.now().duration_since(reset.requested_at).unsigned_abs();
        reset.status == ResetStatus::Requested && age > NOT_AFTER.saturating_add(rest)
    }

    /// Says no; the credentials have no owner any more.
    pub async fn reject(&self, id: &ResetId, by: &str, reason: &str) -> Result<Reset, EngineError> {
        let freed = self.owned_by(id).await?;
        let freed = Change { deletes: freed, ..Change::default() };
        self.change_reset_and(id, "reset.rejected", freed, |reset| {
            if reset.status != ResetStatus::Requested {
                return Err(EngineError::Refused(format!(
                    "reset {id} was approved already; it can be aborted, not rejected"
                )));
            }
            reset.status = ResetStatus::Rejected;
            Ok(json!({ "by": by, "reason": reason }))
        })
        .await
    }

    /// A dirty node is clean again, on somebody's word: what waited in the dark may go on.
    pub async fn clean(&self, id: &ResetId, node: &Ref, by: &str, reason: &str) -> Result<Reset, EngineError> {
        let cleaned = self.change_reset(id, "node.cleaned", |reset| {
            if !reset.plan.dirty.contains(node) {
                let dirty = crate::engine::names(&reset.plan.dirty);
                return Err(EngineError::Refused(format!(
                    "{node} is not a dirty node of reset {id}; those are: {dirty}"
                )));
            }
            reset.cleaned.insert(node.clone());
            Ok(json!({ "node": node.to_string(), "by": by, "reason": reason, "grade": "attested" }))
        });
        let reset = cleaned.await?;
        self.ring(id).await?;
        Ok(reset)
    }

    /// A person's word on a finding. What it asks for is done when the reset goes on.
    pub async fn decide(
        &self,
        finding: &str,
        word: DecisionWord,
        by: &str,
        reason: &str,
    ) -> Result<Finding, EngineError> {
        let now = self.context.clock.now();
        let key = Key { kind: kind::FINDING, id: finding.to_owned() };
        let record = self
            .store
            .get(&key)
            .await?
            .ok_or_else(|| EngineError::NoRecord { kind: kind::FINDING, id: finding.to_owned() })?;
        let revision = record.revision;
        let mut found: Finding = read(record)?;
        found.decision = Some(Decision {
            word,
            by: by.to_owned(),
            at: now,
            reason: reason.to_owned(),
            done: word != DecisionWord::Revoke,
        });
        let mut change = Change::default();
        change.puts.push(put(kind::FINDING, finding, &found.reset.0, &found, Rule::Revision(revision))?);
        let body = json!({ "finding": finding, "decision": word, "by": by, "why": reason });
        change.entries.push(entry("foreign.decided", now, Some(&found.reset), Some(&found.subject()), &body));
        self.store.commit(change).await?;
        self.wake(&found.reset).await?;
        Ok(found)
    }

    /// A person attests that a task was done.
    pub async fn attest(&self, task: &str, by: &str, words: &str) -> Result<TaskRecord, EngineError> {
        let now = self.context.clock.now();
        let key = Key { kind: kind::TASK, id: task.to_owned() };
        let record = self
            .store
            .get(&key)
            .await?
            .ok_or_else(|| EngineError::NoRecord { kind: kind::TASK, id: task.to_owned() })?;
        let revision = record.revision;
        let mut known: TaskRecord = read(record)?;
        known.attested = Some(Attestation { by: by.to_owned(), at: now, words: words.to_owned() });
        let mut change = Change::default();
        change.puts.push(put(kind::TASK, task, &known.reset.0, &known, Rule::Revision(revision))?);
        let body = json!({ "task": task, "by": by, "why": words });
        change.entries.push(entry("task.attested", now, Some(&known.reset), Some(&known.about), &body));
        self.store.commit(change).await?;
        self.wake(&known.reset).await?;
        Ok(known)
    }

    /// Lets parked members try again: all of a reset, or one credential.
    pub async fn retry(&self, id: &ResetId, only: Option<&Ref>) -> Result<usize, EngineError> {
        self.retry_some(id, |record| only.is_none_or(|only| *only == record.credential)).await
    }

    /// Lets those try again that could not be reached.
    pub async fn retry_unreachable(&self, id: &ResetId) -> Result<usize, EngineError> {
        self.retry_some(id, |record| crate::engine::parked::unreachable(&record.rotation)).await
    }

    async fn retry_some(&self, id: &ResetId, wanted: impl Fn(&RotationRecord) -> bool) -> Result<usize, EngineError> {
        let moved = loop {
            match self.retry_once(id, &wanted).await {
                // A run moved one of them meanwhile, and what that wrote counts.
                Err(EngineError::Store(StoreError::Stale { .. })) => {}
                done => break done?,
            }
        };
        self.wake(id).await?;
        Ok(moved)
    }

    async fn retry_once(&self, id: &ResetId, wanted: &impl Fn(&RotationRecord) -> bool) -> Result<usize, EngineError> {
        let reset = self.reset(id).await?;
        let mut change = Change::default();
        for stored in self.store.list(kind::ROTATION, Some(&id.0)).await? {
            let revision = stored.revision;
            let record: RotationRecord = read(stored)?;
            if !wanted(&record) || !matches!(record.rotation.state, State::Parked { .. } | State::RolledBack) {
                continue;
            }
            let (rotation, _) = record.rotation.on(&reset.plan.members[record.index], &Event::Retry)?;
            let now = self.context.clock.now();
            let next = RotationRecord { rotation, since: now, ..record };
            change.puts.push(put(kind::ROTATION, next.key().id, &id.0, &next, Rule::Revision(revision))?);
            let body = json!({ "event": "retry", "state": next.rotation.state.to_string() });
            change.entries.push(entry("rotation.moved", now, Some(id), Some(&next.credential), &body));
        }
        let moved = change.puts.len();
        self.store.commit(change).await?;
        Ok(moved)
    }

    /// A resting reset has something to do again. When a run writes it at the same time, what that run wrote counts.
    pub(super) async fn wake(&self, id: &ResetId) -> Result<(), EngineError> {
        let key = Key { kind: kind::RESET, id: id.0.clone() };
        self.ring(id).await?;
        loop {
            let Some(record) = self.store.get(&key).await? else { return Ok(()) };
            let revision = record.revision;
            let mut reset = self.with_plan(record).await?;
            if reset.status != ResetStatus::Resting {
                return Ok(());
            }
            reset.status = ResetStatus::Running;
            let puts = vec![put(kind::RESET, id.0.clone(), &id.0, &reset, Rule::Revision(revision))?];
            match self.store.commit(Change { puts, ..Change::default() }).await {
                Err(StoreError::Stale { .. }) => {}
                done => return Ok(done.map(drop)?),
            }
        }
    }

    pub(crate) async fn change_reset(
        &self,
        id: &ResetId,
        word: &str,
        change: impl FnOnce(&mut Reset) -> Result<serde_json::Value, EngineError>,
    ) -> Result<Reset, EngineError> {
        self.change_reset_and(id, word, Change::default(), change).await
    }

    /// The same, with more in the same change.
    pub(crate) async fn change_reset_and(
        &self,
        id: &ResetId,
        word: &str,
        more: Change,
        change: impl FnOnce(&mut Reset) -> Result<serde_json::Value, EngineError>,
    ) -> Result<Reset, EngineError> {
        let key = Key { kind: kind::RESET, id: id.0.clone() };
        let record = self.store.get(&key).await?.ok_or_else(|| EngineError::NoReset(id.clone()))?;
        let revision = record.revision;
        let mut reset = self.with_plan(record).await?;
        let body = change(&mut reset)?;
        let now = self.context.clock.now();
        let mut all = more;
        all.puts.push(put(kind::RESET, id.0.clone(), &id.0, &reset, Rule::Revision(revision))?);
        all.entries.push(entry(word, now, Some(id), None, &body));
        self.store.commit(all).await?;
        Ok(reset)
    }
}

/// The bytes of a plan's file in a bundle; a plan that was stored and read again has the same.
#[must_use]
pub fn plan_bytes(plan: &Plan) -> Vec<u8> {
    // Maps have string keys and no number is a float, so this cannot fail; an empty file would not verify.
    serde_json::to_vec(plan).unwrap_or_default()
}

pub(crate) fn plan_hash(plan: &Plan) -> String {
    let digest = String::from(remint_core::digest::Digest::of(&plan_bytes(plan)));
    digest.trim_start_matches("sha256:").to_owned()
}

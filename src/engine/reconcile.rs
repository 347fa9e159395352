//! Reconciliation: what a store knows that is older than the world is held against what the issuers list.
//!
//! Flow: every issuer of the estate is listed once; then each rotation that is not over is judged, each credential that was
//! settled, and each version that nobody knows; all of it is one change.
//!
//! | what the issuers say | what becomes of it |
//! |---|---|
//! | alive, and unknown to the store | a finding: a person decides |
//! | the store thinks it current, and it is not alive | the rotation parks; of a finished one, a task |
//! | a value whose seal is gone | the rotation parks and names it; of a settled one the issuer's list stands for it |
//! | an intent is open | it is asked about before the step is done again |
//!
//! Guarantee: nothing at an issuer is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use remint_contract::{Live, OperationId, Ref, ResetId, Target, Verb, VersionId};
use remint_core::digest::Digest;
use remint_core::estate::{Credential, Estate};
use remint_core::machine::{Event, Facts, State, Version};
use remint_core::plan::{Limits, Plan};
use remint_core::step::Step;
use remint_evidence_format::ledger::{PLAN_SHA256, STARTED};
use serde::Serialize;
use serde_json::{Value, json};

use crate::engine::host::{Ask, Host};
use crate::engine::planned::Planned;
use crate::engine::record::{
    Approval, Finding, IntentOutcome, IntentRecord, Reset, ResetStatus, RotationRecord, TaskRecord, Urgency, entry,
    kind, put, read,
};
use crate::engine::step::finding_id;
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Rule};

/// What a reconciliation showed.
#[derive(Debug, Default, Serialize)]
pub struct Reconciled {
    /// Issuers that were asked.
    pub asked: Vec<String>,
    /// Issuers that could not be, each a task now.
    pub not_asked: Vec<String>,
    pub findings: Vec<String>,
    /// What parked, and why.
    pub parked: Vec<(String, String)>,
    pub tasks: Vec<String>,
    /// Open intents that will be asked about.
    pub to_be_asked: usize,
    /// The reset under which findings and tasks of nobody else are kept.
    pub reset: Option<String>,
}

/// What is gathered on the way.
struct Sheet {
    change: Change,
    seen: Reconciled,
    /// For what belongs to no reset.
    own: ResetId,
    own_entries: Vec<remint_evidence_format::Draft>,
}

impl Engine {
    /// Asks every issuer and records what that showed, with the deletion of `deletes`.
    ///
    /// # Errors
    /// An issuer that is not in `without` cannot be asked: nothing was recorded.
    pub async fn reconcile(
        &self,
        gap: &Value,
        by: &str,
        without: &BTreeSet<Ref>,
        deletes: Vec<Key>,
    ) -> Result<Reconciled, EngineError> {
        let resets = self.resets().await?;
        let open: Vec<&Reset> = resets
            .iter()
            .filter(|reset| !matches!(reset.status, ResetStatus::Complete | ResetStatus::Rejected))
            .collect();
        let estate = Arc::new(self.known_estate(&open).await?);
        let host = self.host(Arc::clone(&estate));
        let own = self.context.reset()?;
        let change = Change { deletes, ..Change::default() };
        let mut sheet = Sheet { change, seen: Reconciled::default(), own, own_entries: Vec::new() };
        let listed = self.list_issuers(&host, &estate, without, &mut sheet).await?;

        let mut owned = BTreeSet::new();
        let mut current: BTreeMap<Ref, VersionId> = BTreeMap::new();
        for reset in &resets {
            let is_open = open.iter().any(|open| open.id == reset.id);
            let mut reopened = false;
            for record in self.rotations(&reset.id).await? {
                if let (State::Settled { .. }, Some(Version { id: Some(id), .. })) =
                    (&record.rotation.state, &record.rotation.facts.new)
                {
                    current.insert(record.credential.clone(), id.clone());
                }
                if is_open && !matches!(record.rotation.state, State::Superseded { .. }) {
                    owned.insert(record.credential.clone());
                    reopened |= self.judge(reset, record, &host, &estate, &listed, &mut sheet).await?;
                }
            }
            if reopened && reset.status == ResetStatus::Provisional {
                let mut reset = reset.clone();
                let now = self.context.clock.now();
                (reset.approval, reset.status, reset.requested_at) = (None, ResetStatus::Requested, now);
                let id = reset.id.0.clone();
                sheet.change.puts.push(put(kind::RESET, id.clone(), &id, &reset, Rule::Upsert)?);
                let body = json!({ "why": "what it settled does not hold; its approval is void" });
                sheet.change.entries.push(entry("reset.reopened", now, Some(&reset.id), None, &body));
            }
            if is_open {
                self.ask_intents(&reset.id, &mut sheet).await?;
            }
        }
        for (name, credential) in estate.credentials.iter().filter(|(name, _)| !owned.contains(*name)) {
            self.judge_finished(name, credential, current.get(name), &host, &listed, &mut sheet).await?;
        }
        for (system, live) in &listed {
            for live in live.iter().filter(|live| live.target.is_none()) {
                let own = sheet.own.clone();
                self.found(&own, system, None, live, &mut sheet)?;
            }
        }
        self.settle_sheet(gap, by, &estate, sheet).await
    }

    /// The active estate, with what resets that are not over were planned from.
    async fn known_estate(&self, open: &[&Reset]) -> Result<Estate, EngineError> {
        let mut known = self.active_estate().await?.map(Arc::unwrap_or_clone).unwrap_or_default();
        for reset in open {
            let planned = self.estate(&reset.plan.estate.to_string()).await?;
            for (name, system) in &planned.systems {
                known.systems.entry(name.clone()).or_insert_with(|| system.clone());
            }
            for (name, credential) in &planned.credentials {
                known.credentials.entry(name.clone()).or_insert_with(|| credential.clone());
            }
        }
        Ok(known)
    }

    /// Everything alive at every issuer that lists.
    async fn list_issuers(
        &self,
        host: &Host,
        estate: &Estate,
        without: &BTreeSet<Ref>,
        sheet: &mut Sheet,
    ) -> Result<BTreeMap<Ref, Vec<Live>>, EngineError> {
        let mut issued: BTreeMap<&Ref, Vec<&Credential>> = BTreeMap::new();
        for credential in estate.credentials.values() {
            issued.entry(&credential.issued_by.system).or_default().push(credential);
        }
        let mut listed = BTreeMap::new();
        for (system, credentials) in issued {
            if without.contains(system) {
                sheet.seen.not_asked.push(system.to_string());
                let what =
                    format!("list {system} by hand and compare: it could not be asked when the log was begun anew");
                self.task(system, &what, sheet)?;
                continue;
            }
            if !host.connector(system)?.describe().verbs.contains(&Verb::Enumerate) {
                continue;
            }
            let by = credentials.iter().find_map(|credential| credential.issued_by.by.as_ref());
            let has_auth = estate.systems.get(system).is_some_and(|system| system.auth.is_some());
            let actor = match by {
                Some(by) if !has_auth => Some(host.material(by).await?),
                _ => None,
            };
            let by_name: BTreeMap<&str, &Target> = credentials
                .iter()
                .map(|credential| (credential.issued_by.target.name.as_str(), &credential.issued_by.target))
                .collect();
            let targets: Vec<Target> = by_name.into_values().cloned().collect();
            let operation = OperationId("reconcile".into());
            let ask = Ask { system, verb: Verb::Enumerate, operation: &operation, actor };
            let live = host
                .call(ask, |connector, call| {
                    let targets = targets.clone();
                    async move { connector.enumerate(&call, &targets).await }
                })
                .await?;
            sheet.seen.asked.push(system.to_string());
            listed.insert(system.clone(), live);
        }
        Ok(listed)
    }

    /// One rotation of a reset that is not over; true when it parked.
    async fn judge(
        &self,
        reset: &Reset,
        record: RotationRecord,
        host: &Host,
        estate: &Estate,
        listed: &BTreeMap<Ref, Vec<Live>>,
        sheet: &mut Sheet,
    ) -> Result<bool, EngineError> {
        let facts = &record.rotation.facts;
        let settled = matches!(record.rotation.state, State::Settled { .. });
        let live = estate.credentials.get(&record.credential).and_then(|credential| mine(credential, listed));
        let mut wrong = Vec::new();
        if let Some(live) = &live {
            let alive = |version: &Option<Version>| {
                let id = version.as_ref()?.id.as_ref()?;
                Some((id.clone(), live.iter().any(|live| live.version == *id)))
            };
            let killed = facts.ended.contains(&Step::Revoke) || facts.ended.contains(&Step::Disable);
            match alive(&facts.old) {
                Some((old, false)) if !killed && !settled => {
                    wrong.push(format!("the issuer lists {old}, the old version, no more"));
                }
                Some((old, true)) if settled => wrong.push(format!("the issuer lists {old} again, which was dead")),
                _ => {}
            }
            if let Some((new, false)) = alive(&facts.new) {
                wrong.push(format!("the issuer does not list {new}, which the store thinks is current"));
            }
            let versions = [&facts.old, &facts.new].into_iter().flatten();
            let mut known: Vec<VersionId> = versions.filter_map(|version| version.id.clone()).collect();
            let credential = &estate.credentials[&record.credential];
            if known.is_empty() {
                // The store knows no version at all: the one in use is the one to be replaced.
                match live.as_slice() {
                    [only] => known.push(only.version.clone()),
                    _ => known.extend(self.in_use(credential, host).await),
                }
            }
            for stranger in live.iter().filter(|live| !known.contains(&live.version)) {
                self.found(&reset.id, &credential.issued_by.system, Some(&record.credential), stranger, sheet)?;
            }
        }
        let mut gone = Vec::new();
        for sealed in [&facts.old, &facts.new].into_iter().flatten().filter_map(|version| version.sealed.as_ref()) {
            if self.store.sealed(sealed).await?.is_none() {
                gone.push(sealed.clone());
            }
        }
        let now = self.context.clock.now();
        if !gone.is_empty() && !settled {
            wrong.push(format!("the sealed value {} is gone", gone.join(", ")));
        }
        if wrong.is_empty() {
            if !gone.is_empty() {
                let body = json!({ "values": gone, "why": "not in the backup; the issuer's own list stands for them" });
                sheet.change.entries.push(entry(
                    "rotation.unheld",
                    now,
                    Some(&reset.id),
                    Some(&record.credential),
                    &body,
                ));
                let facts = Facts {
                    old: unheld(facts.old.as_ref(), &gone),
                    new: unheld(facts.new.as_ref(), &gone),
                    ..facts.clone()
                };
                let mut next = record;
                next.rotation.facts = facts;
                sheet.change.puts.push(put(kind::ROTATION, next.key().id, &reset.id.0, &next, Rule::Upsert)?);
            }
            return Ok(false);
        }
        let what = wrong.join("; ");
        let event = Event::Recovered { what: what.clone() };
        let (rotation, _) = record.rotation.on(&reset.plan.members[record.index], &event)?;
        let next = RotationRecord { rotation, since: now, ..record };
        let body = json!({ "event": event.name(), "state": next.rotation.state.to_string(), "why": what });
        sheet.change.entries.push(entry("rotation.parked", now, Some(&reset.id), Some(&next.credential), &body));
        sheet.change.puts.push(put(kind::ROTATION, next.key().id, &reset.id.0, &next, Rule::Upsert)?);
        sheet.seen.parked.push((next.credential.to_string(), what));
        Ok(true)
    }

    /// A credential that no open reset owns.
    async fn judge_finished(
        &self,
        name: &Ref,
        credential: &Credential,
        current: Option<&VersionId>,
        host: &Host,
        listed: &BTreeMap<Ref, Vec<Live>>,
        sheet: &mut Sheet,
    ) -> Result<(), EngineError> {
        let Some(live) = mine(credential, listed) else { return Ok(()) };
        let current = match current {
            Some(current) => {
                if live.iter().all(|live| live.version != *current) {
                    let system = &credential.issued_by.system;
                    let what = format!(
                        "{system} does not list {current}, which the store thinks is current; see what is in use"
                    );
                    self.task(name, &what, sheet)?;
                }
                Some(current.clone())
            }
            // Nobody here ever made one: the only one that lives is the one in use.
            None if live.len() < 2 => return Ok(()),
            None => self.in_use(credential, host).await,
        };
        let own = sheet.own.clone();
        for stranger in live.iter().filter(|live| current.as_ref() != Some(&live.version)) {
            self.found(&own, &credential.issued_by.system, Some(name), stranger, sheet)?;
        }
        Ok(())
    }

    /// The version of what lies at the source of truth; `None` when nobody can say.
    async fn in_use(&self, credential: &Credential, host: &Host) -> Option<VersionId> {
        let material = host.read(credential.source()?).await.ok()?;
        let target = &credential.issued_by.target;
        let operation = OperationId("reconcile".into());
        let system = &credential.issued_by.system;
        let ask = Ask { system, verb: Verb::Verify, operation: &operation, actor: None };
        let verified = host
            .call(ask, |connector, call| {
                let (target, material) = (target.clone(), material.clone());
                async move { connector.verify(&call, &target, &material).await }
            })
            .await;
        verified.ok().map(|verified| verified.version)
    }

    /// What was intended and not closed is asked about by whoever goes on, without the seals that are gone.
    async fn ask_intents(&self, reset: &ResetId, sheet: &mut Sheet) -> Result<(), EngineError> {
        for record in self.store.list(kind::INTENT, Some(&reset.0)).await? {
            let mut intent: IntentRecord = read(record)?;
            intent.outcome = IntentOutcome::Open;
            if let Some(sealed) = &intent.sealed
                && self.store.sealed(sealed).await?.is_none()
            {
                intent.sealed = None;
            }
            sheet.change.puts.push(put(kind::INTENT, intent.operation.0.clone(), &reset.0, &intent, Rule::Upsert)?);
            sheet.seen.to_be_asked += 1;
        }
        Ok(())
    }

    fn found(
        &self,
        reset: &ResetId,
        system: &Ref,
        credential: Option<&Ref>,
        live: &Live,
        sheet: &mut Sheet,
    ) -> Result<(), EngineError> {
        let now = self.context.clock.now();
        let id = finding_id(&reset.0, &system.to_string(), &live.version);
        let finding = Finding {
            id: id.clone(),
            reset: reset.clone(),
            system: system.clone(),
            credential: credential.cloned(),
            version: live.version.clone(),
            label: live.label.clone(),
            found_at: now,
            decision: None,
        };
        let why = format!("alive at {system}, and unknown to a store that is older than the world");
        let body = json!({ "why": why, "finding": id, "label": live.label,
            "credential": credential.map(ToString::to_string) });
        let told = entry("foreign.found", now, Some(reset), Some(&finding.subject()), &body);
        if *reset == sheet.own {
            sheet.own_entries.push(told);
        } else {
            sheet.change.entries.push(told);
        }
        sheet.change.puts.push(put(kind::FINDING, id.clone(), &reset.0, &finding, Rule::Upsert)?);
        sheet.seen.findings.push(id);
        Ok(())
    }

    fn task(&self, about: &Ref, what: &str, sheet: &mut Sheet) -> Result<(), EngineError> {
        let now = self.context.clock.now();
        let id = format!("{}-t{}", sheet.own, sheet.seen.tasks.len());
        let own = sheet.own.clone();
        let record = TaskRecord {
            id: id.clone(),
            reset: own.clone(),
            about: about.clone(),
            what: what.to_owned(),
            attested: None,
            due: None,
            reminded: None,
        };
        sheet.change.puts.push(put(kind::TASK, id.clone(), &own.0, &record, Rule::Insert)?);
        sheet.own_entries.push(entry("task.opened", now, Some(&own), Some(about), &json!({ "why": what })));
        sheet.seen.tasks.push(id);
        Ok(())
    }

    /// Commits it all. What belongs to no reset is kept under one of its own, without members: decisions, tasks, re-proof and
    /// bundle are those of every reset.
    async fn settle_sheet(
        &self,
        gap: &Value,
        by: &str,
        estate: &Estate,
        sheet: Sheet,
    ) -> Result<Reconciled, EngineError> {
        let Sheet { mut change, mut seen, own, own_entries } = sheet;
        let now = self.context.clock.now();
        if !own_entries.is_empty() {
            let plan = empty(estate);
            let digest = plan.digest.to_string();
            let approval =
                Approval { by: by.to_owned(), at: now, digest: digest.clone(), grade: "recorded".to_owned() };
            let reset = Reset {
                id: own.clone(),
                plan: Planned::of(plan),
                reason: "the log was begun anew".to_owned(),
                requested_by: by.to_owned(),
                requested_at: now,
                approval: Some(approval),
                status: ResetStatus::Resting,
                cleaned: BTreeSet::new(),
                reproofs: Vec::new(),
                urgency: Urgency::default(),
                exposed_at: None,
                revision: None,
                standstill: None,
                again: None,
                case: None,
            };
            change.puts.push(put(kind::ESTATE, estate.digest().to_string(), "", estate, Rule::Upsert)?);
            change.puts.push(reset.plan.put()?);
            change.puts.push(put(kind::RESET, own.0.clone(), &own.0, &reset, Rule::Insert)?);
            let body =
                json!({ "approved-by": by, "plan": digest, "grade": "recorded", PLAN_SHA256: reset.plan.hash() });
            change.entries.push(entry(STARTED, now, Some(&own), None, &body));
            change.entries.push(entry("reset.recovered", now, Some(&own), None, gap));
            change.entries.extend(own_entries);
            seen.reset = Some(own.0);
        }
        let body = json!({ "asked": seen.asked, "not-asked": seen.not_asked, "findings": seen.findings.len(),
            "parked": seen.parked.len(), "tasks": seen.tasks.len(), "to-be-asked": seen.to_be_asked, "by": by });
        change.entries.push(entry("log.reconciled", now, None, None, &body));
        self.store.commit(change).await?;
        Ok(seen)
    }
}

/// What lives of one credential; `None` where its issuer was not listed.
fn mine<'l>(credential: &Credential, listed: &'l BTreeMap<Ref, Vec<Live>>) -> Option<Vec<&'l Live>> {
    let live = listed.get(&credential.issued_by.system)?;
    let target = credential.issued_by.target.name.as_str();
    Some(live.iter().filter(|live| live.target.as_deref() == Some(target)).collect())
}

fn unheld(version: Option<&Version>, gone: &[String]) -> Option<Version> {
    let mut version = version?.clone();
    version.sealed = version.sealed.filter(|sealed| !gone.contains(sealed));
    Some(version)
}

/// A plan that replaces nothing.
fn empty(estate: &Estate) -> Plan {
    let mut plan = Plan {
        parent: None,
        digest: Digest::of(b""),
        estate: estate.digest(),
        from: Vec::new(),
        reached: Vec::new(),
        dirty: BTreeSet::new(),
        waves: Vec::new(),
        members: Vec::new(),
        precedences: Vec::new(),
        cuts: Vec::new(),
        tasks: Vec::new(),
        exceptions: Vec::new(),
        new_destinations: Vec::new(),
        limits: Limits::default(),
        eta: std::time::Duration::ZERO,
        occasion: None,
    };
    plan.digest = plan.recompute();
    plan
}

//! Summing up: what a reset came to, whether it is complete, and the closing entry.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{Live, Material, OperationId, Ref, ResetId, Target, Verb};
use remint_core::estate::{CredentialClass, Estate};
use remint_core::machine::{Rotation, State};
use remint_evidence_format::ledger::Ledger;
use serde_json::{Value, json};

use crate::engine::host::{Ask, Host};
use crate::engine::parked::unreachable;
use crate::engine::record::{Again, Finding, Reset, ResetStatus, entry, kind, put};
use crate::engine::run::Run;
use crate::engine::step::{Tried, left_by};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Fence, Key, Put, Rule};

impl Engine {
    /// After a run: strangers at the issuers, the reset's status, and the due re-proofs.
    pub(crate) async fn sum_up(&self, run: &Run, rotations: &[Rotation]) -> Result<Reset, EngineError> {
        let mut change = Change::default();
        let all = run.members.iter().zip(rotations).enumerate();
        let settled = all.into_iter().all(|(index, (member, rotation))| match rotation.state {
            // What another reset rotated since is that one's to deliver.
            State::Settled { .. } => {
                let mine = run.expected(index).is_some();
                !mine || member.places().all(|place| rotation.facts.delivered.contains(&place.at))
            }
            State::Superseded { .. } => true,
            _ => false,
        });
        if settled {
            self.strangers(run, &mut change).await?;
        }
        let fresh: usize = change.puts.len();
        let open = fresh + self.findings(Some(&run.id)).await?.iter().filter(|finding| undone(finding)).count();
        let tasks = self.tasks(Some(&run.id)).await?.iter().filter(|task| task.attested.is_none()).count();
        let key = Key { kind: kind::RESET, id: run.id.0.clone() };
        let record = self.store.get(&key).await?.ok_or_else(|| EngineError::NoReset(run.id.clone()))?;
        let revision = record.revision;
        let mut reset = self.with_plan(record).await?;
        let now = self.context.clock.now();
        let before = reset.status;
        if settled && open == 0 && tasks == 0 {
            if !matches!(reset.status, ResetStatus::Provisional) {
                reset.reproofs = self.settings.reproofs.iter().map(|after| now + *after).collect();
            }
            reset.status = ResetStatus::Provisional;
            (reset.standstill, reset.again) = (None, None);
        } else {
            let stands = matches!(reset.status, ResetStatus::Paused | ResetStatus::Aborted);
            if !stands {
                reset.status = ResetStatus::Resting;
            }
            reset.again = (!stands && rotations.iter().any(unreachable)).then(|| put_off(reset.again.as_ref(), now));
            if !stands && rotations.iter().any(|rotation| matches!(rotation.state, State::Planned)) {
                // Not after now: what came while the run ended would have to wait for the turn after it.
                let looked = run.looked_at_turns();
                let turn = reset.plan.occasion.as_ref().and_then(|occasion| occasion.next_after(looked));
                reset.again = sooner(reset.again.take(), turn);
            }
            if reset.status == ResetStatus::Aborted {
                change.deletes = Self::released(&reset, rotations);
            }
        }
        *run.reset.lock().unwrap_or_else(PoisonError::into_inner) = reset.clone();
        change.puts.push(put(kind::RESET, run.id.0.clone(), &run.id.0, &reset, Rule::Revision(revision))?);
        if before != reset.status {
            let body = json!({ "status": reset.status, "settled": count(rotations, "settled"), "parked": count(rotations, "parked"),
                "dark": count(rotations, "dark"), "findings": open, "tasks": tasks });
            change.entries.push(entry("reset.rested", now, Some(&run.id), None, &body));
        }
        run.commit(change).await?;
        Ok(reset)
    }

    /// Lists every issuer once; what belongs to no target of the estate is a finding too.
    async fn strangers(&self, run: &Run, change: &mut Change) -> Result<(), EngineError> {
        let systems: BTreeSet<Ref> = run
            .members
            .iter()
            .filter_map(|member| run.estate.credentials.get(&member.credential))
            .map(|credential| credential.issued_by.system.clone())
            .collect();
        let known: BTreeSet<String> =
            self.findings(Some(&run.id)).await?.into_iter().map(|finding| finding.id).collect();
        for system in systems {
            if !run.host.connector(&system)?.describe().verbs.contains(&Verb::Enumerate) {
                continue;
            }
            let live = match run.enumerate(&system, None).await {
                Ok(live) => live,
                Err(error) => {
                    let why = error.to_string();
                    let now = self.context.clock.now();
                    let body = json!({ "why": why });
                    change.entries.push(entry("sweep.failed", now, Some(&run.id), Some(&system), &body));
                    continue;
                }
            };
            for live in live.strangers() {
                let id = crate::engine::step::finding_id(&run.id.0, &system.to_string(), &live.version);
                if known.contains(&id) {
                    continue;
                }
                let now = self.context.clock.now();
                let finding = Finding {
                    id: id.clone(),
                    reset: run.id.clone(),
                    system: system.clone(),
                    credential: None,
                    version: live.version.clone(),
                    label: live.label.clone(),
                    found_at: now,
                    decision: None,
                };
                let why = format!("alive at {system}, and belongs to nothing in the estate");
                let body = json!({ "why": why, "finding": id, "label": live.label });
                change.entries.push(entry("foreign.found", now, Some(&run.id), Some(&finding.subject()), &body));
                change.puts.push(put(kind::FINDING, id, &run.id.0, &finding, Rule::Upsert)?);
            }
        }
        Ok(())
    }

    /// Revokes what people decided to revoke and what belongs to no member's sweep.
    ///
    /// # Errors
    /// The store failed. An issuer that cannot be asked now leaves the decision open.
    pub async fn carry_out(&self, id: &ResetId) -> Result<(), EngineError> {
        self.carry_out_under(id, None).await
    }

    pub(crate) async fn carry_out_under(&self, id: &ResetId, fence: Option<&Fence>) -> Result<(), EngineError> {
        let reset = self.reset(id).await?;
        let estate = self.estate(&reset.plan.estate.to_string()).await?;
        let host = self.host(Arc::clone(&estate));
        for mut finding in self.findings(Some(id)).await? {
            if finding.decision.as_ref().is_none_or(|decision| decision.done) {
                continue;
            }
            // A sweep revoked it already, unless it belongs to no target, or did not die of it then.
            let swept = finding.credential.is_some() && self.gone(&host, &estate, &finding).await.unwrap_or(false);
            // Found before it came into use, perhaps: what consumers have is not killed on a word about a stranger.
            let in_use = if swept { None } else { self.used_by(&finding).await? };
            let mut puts = Vec::new();
            if !swept && in_use.is_none() {
                // What cannot be carried out now stays undone, and the next run tries again.
                let killed = self.kill(&host, &estate, &finding).await.is_ok();
                // An encryption key is stopped and stays listed.
                let stopped = encrypts(&estate, &finding.system);
                if !killed || !stopped && !self.gone(&host, &estate, &finding).await.unwrap_or(false) {
                    continue;
                }
                puts = self.left(&host, &estate, &finding).await.unwrap_or_default();
            }
            if let Some(decision) = &mut finding.decision {
                decision.done = true;
            }
            let now = self.context.clock.now();
            let mut change = Change { puts, fence: fence.cloned(), ..Change::default() };
            let mut body = json!({ "finding": finding.id, "version": finding.version.0 });
            let word = if let Some(by) = in_use {
                body["why"] = json!(format!("it is the version in use since reset {by}"));
                "foreign.kept"
            } else {
                "foreign.revoked"
            };
            change.entries.push(entry(word, now, Some(id), Some(&finding.subject()), &body));
            change.puts.push(put(kind::FINDING, finding.id.clone(), &id.0, &finding, Rule::Upsert)?);
            self.store.commit(change).await?;
        }
        Ok(())
    }

    /// The reset whose new version this is by now.
    async fn used_by(&self, finding: &Finding) -> Result<Option<ResetId>, EngineError> {
        let Some(credential) = &finding.credential else { return Ok(None) };
        for reset in self.resets().await? {
            let in_use = self.rotations(&reset.id).await?.into_iter().any(|record| {
                let new = record.rotation.facts.new.as_ref().and_then(|new| new.id.as_ref());
                record.credential == *credential
                    && new == Some(&finding.version)
                    && !matches!(record.rotation.state, State::Superseded { .. } | State::RolledBack)
            });
            if in_use {
                return Ok(Some(reset.id));
            }
        }
        Ok(None)
    }

    /// Revokes a foreign version, and ends what came from it: whoever is logged in with it would stay otherwise.
    async fn kill(&self, host: &Host, estate: &Estate, finding: &Finding) -> Result<(), EngineError> {
        let document = finding.credential.as_ref().and_then(|credential| estate.credentials.get(credential));
        let nobody = || Target { name: String::new(), settings: Value::Null };
        let target = document.map_or_else(nobody, |document| document.issued_by.target.clone());
        let actor = manager(host, estate, finding).await;
        let operation = self.context.operation()?;
        let ask = |verb| Ask { system: &finding.system, verb, operation: &operation, actor: actor.clone() };
        // Somebody's data may lie under a key that nobody here knows: it is stopped, and never destroyed.
        if encrypts(estate, &finding.system) {
            host.call(ask(Verb::Disable), |connector, call| {
                let (target, version) = (target.clone(), finding.version.clone());
                async move { connector.disable(&call, &target, &version).await }
            })
            .await?;
            return Ok(());
        }
        host.call(ask(Verb::Revoke), |connector, call| {
            let (target, version) = (target.clone(), finding.version.clone());
            async move { connector.revoke(&call, &target, &version).await }
        })
        .await?;
        if host.connector(&finding.system)?.describe().verbs.contains(&Verb::EndDerived) {
            host.call(ask(Verb::EndDerived), |connector, call| {
                let (target, version) = (target.clone(), finding.version.clone());
                async move { connector.end_derived(&call, &target, &version).await }
            })
            .await?;
        }
        Ok(())
    }

    /// True when the issuer does not list the version any more.
    async fn gone(&self, host: &Host, estate: &Estate, finding: &Finding) -> Result<bool, EngineError> {
        Ok(self.listed(host, estate, finding).await?.iter().all(|live| live.version != finding.version))
    }

    /// What the revocation of a stranger left in its place, where its issuer can only replace versions: decided and done.
    async fn left(&self, host: &Host, estate: &Estate, finding: &Finding) -> Result<Vec<Put>, EngineError> {
        let target = finding.credential.as_ref().and_then(|name| estate.credentials.get(name));
        let (Some(document), true) = (target, host.connector(&finding.system)?.replaces()) else {
            return Ok(Vec::new());
        };
        let (mut puts, now) = (Vec::new(), self.context.clock.now());
        for live in self.listed(host, estate, finding).await? {
            let id = crate::engine::step::finding_id(&finding.reset.0, &finding.system.to_string(), &live.version);
            let (version, label) = (live.version, live.label);
            let found = Finding { id, version, label, found_at: now, decision: None, ..finding.clone() };
            let ours = live.target.as_ref() == Some(&document.issued_by.target.name);
            if ours && self.used_by(&found).await?.is_none() {
                let found = left_by(found, &finding.version, now);
                puts.push(put(kind::FINDING, found.id.clone(), &found.reset.0, &found, Rule::Upsert)?);
            }
        }
        Ok(puts)
    }

    async fn listed(&self, host: &Host, estate: &Estate, finding: &Finding) -> Result<Vec<Live>, EngineError> {
        let targets: Vec<_> = estate
            .credentials
            .values()
            .filter(|credential| credential.issued_by.system == finding.system)
            .map(|credential| credential.issued_by.target.clone())
            .collect();
        let operation = OperationId("sweep".into());
        let actor = manager(host, estate, finding).await;
        let ask = Ask { system: &finding.system, verb: Verb::Enumerate, operation: &operation, actor };
        let live = host
            .call(ask, |connector, call| {
                let targets = targets.clone();
                async move { connector.enumerate(&call, &targets).await }
            })
            .await?;
        Ok(live)
    }

    /// The last entry of a reset: how many entries there are, the head of their chain, and the root of what was reached,
    /// so that an omission shows.
    pub(crate) async fn closing(&self, reset: &Reset) -> Result<(), EngineError> {
        let entries = self.store.entries_of(&reset.id).await?;
        let ledger = Ledger::of(&reset.id.0, entries.iter().map(|entry| entry.bytes.as_slice()))?;
        if ledger.is_closed() {
            return Ok(());
        }
        let now = self.context.clock.now();
        let body = Value::Object(ledger.closing());
        let entries = vec![entry("reset.closed", now, Some(&reset.id), None, &body)];
        self.store.commit(Change { entries, ..Change::default() }).await?;
        Ok(())
    }
}

/// What a finding's system is asked with where it has no `auth` of its own: what mints the credential.
async fn manager(host: &Host, estate: &Estate, finding: &Finding) -> Option<Arc<Material>> {
    if estate.systems.get(&finding.system)?.auth.is_some() {
        return None;
    }
    let by = estate.credentials.get(finding.credential.as_ref()?)?.issued_by.by.as_ref()?;
    host.material(by).await.ok()
}

/// The next automatic try of what could not be reached: ever later.
fn put_off(before: Option<&Again>, now: Timestamp) -> Again {
    let times = before.map_or(0, |again| again.times + 1);
    Again { at: now + FIRST.saturating_mul(1 << times.min(16)).min(LONGEST), times }
}

/// In a window, the next turn is a time to go on, too.
fn sooner(again: Option<Again>, turn: Option<Timestamp>) -> Option<Again> {
    match (again, turn) {
        (Some(again), Some(turn)) => Some(Again { at: again.at.min(turn), ..again }),
        (None, Some(at)) => Some(Again { at, times: 0 }),
        (again, None) => again,
    }
}

/// The first wait before what could not be reached is tried again; doubled each time.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_hours(1);

/// A finding that still keeps a reset from being complete.
fn undone(finding: &Finding) -> bool {
    finding.decision.as_ref().is_none_or(|decision| !decision.done)
}

fn count(rotations: &[Rotation], state: &str) -> usize {
    rotations.iter().filter(|rotation| rotation.state.name() == state).count()
}

/// What one re-proof of a reset gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reproved {
    pub refused: Vec<Ref>,
    pub alive: Vec<Ref>,
    /// Could not be tried, with the reason.
    pub unclear: Vec<(Ref, String)>,
    /// Something is alive at their issuers that was not when they were swept: each has a finding.
    pub joined: Vec<Ref>,
}

impl Reproved {
    /// Files one member's tries.
    pub(crate) fn file(&mut self, credential: Ref, tried: &Tried) {
        match tried {
            Tried::Refused => self.refused.push(credential),
            Tried::Accepted(_) => self.alive.push(credential),
            Tried::Unclear(why) => self.unclear.push((credential, why.clone())),
        }
    }
}

/// True when keys that data are encrypted under are issued there.
fn encrypts(estate: &Estate, system: &Ref) -> bool {
    let mut there = estate.credentials.values().filter(|credential| credential.issued_by.system == *system);
    there.any(|credential| credential.class == CredentialClass::Encryption)
}

//! What must be so after a run, whatever happened on the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use remint::engine::Engine;
use remint::engine::record::{Finding, IntentRecord, Reset, ResetStatus, RotationRecord, kind, read};
use remint::evidence::{Sequencer, export};
use remint::store::Store as _;
use remint_contract::Ref;
use remint_core::machine::{Reason, State, Version};
use remint_core::plan::Member;
use remint_evidence_format::bundle;
use remint_evidence_format::ledger::Ledger;
use remint_evidence_format::note::SigningKey;
use zeroize::Zeroizing;

use super::connector::Issues;
use super::stage::{STRANGER, Stage};
use super::world::{Issuer, Life, State as World};

/// Every way in which the run is not as it must be.
pub(crate) async fn check(stage: &Stage) -> Vec<String> {
    let engine = stage.person();
    let mut wrong: Vec<String> = stage.world.see(|state| state.broken.iter().cloned().collect());
    let mut all = Vec::new();
    let mut known = Known::default();
    for record in engine.store.list(kind::INTENT, None).await.unwrap() {
        known.open.push(read(record).unwrap());
    }
    let resets = engine.resets().await.unwrap();
    for reset in &resets {
        known.findings.extend(engine.findings(Some(&reset.id)).await.unwrap());
        if reset.status != ResetStatus::Rejected {
            all.extend(engine.rotations(&reset.id).await.unwrap().into_iter().map(|record| (reset, record)));
        }
    }
    known.rotations = all.iter().map(|(_, record)| record.clone()).collect();
    for (reset, record) in &all {
        let member = &reset.plan.members[record.index];
        let state = &record.rotation.state;
        let mut say = |what: String| wrong.push(format!("{} {} ({state}): {what}", reset.id, record.credential));
        match state {
            State::Settled { .. } if known.is_last(record) => settled(stage, member, record, &mut say),
            State::Settled { .. } | State::Dark { .. } | State::Parked { .. } | State::RolledBack => {}
            State::Waiting { .. } | State::Superseded { .. } | State::Queued { .. } | State::Joined { .. } => {}
            State::Planned if reset.status == ResetStatus::Aborted => {}
            other => say(format!("it rests nowhere: {other}")),
        }
        orphans(stage, record, &known, &mut say);
        sealed(stage, &engine, reset.status, record, &mut say).await;
    }
    for record in known.open.iter().filter(|intent| known.all_settled(&intent.credential)) {
        wrong.push(format!("{} settled with an open intent: {} {}", record.credential, record.verb, record.about));
    }
    consumers(stage, &known, &mut wrong);
    for unopened in stage.store.all_sealed() {
        if let Err(error) = engine.escrow.open(&unopened) {
            wrong.push(format!("a sealed value cannot be opened: {error}"));
        }
    }
    for reset in &resets {
        evidence(&engine, reset, &mut wrong).await;
    }
    let over = |reset: &Reset| matches!(reset.status, ResetStatus::Complete | ResetStatus::Rejected);
    if resets.iter().all(over) && !engine.store.list("owner", None).await.unwrap().is_empty() {
        wrong.push("a credential of a complete reset is owned".to_owned());
    }
    wrong
}

/// What the store knows, of all resets.
#[derive(Default)]
struct Known {
    rotations: Vec<RotationRecord>,
    open: Vec<IntentRecord>,
    findings: Vec<Finding>,
}

impl Known {
    fn of<'k>(&'k self, credential: &'k Ref) -> impl Iterator<Item = &'k RotationRecord> {
        self.rotations.iter().filter(move |record| record.credential == *credential)
    }

    /// True for the rotation of a credential that settled last, when no other one went on after it.
    fn is_last(&self, record: &RotationRecord) -> bool {
        self.of(&record.credential).all(|other| {
            let idle = matches!(
                other.rotation.state,
                State::Superseded { .. } | State::Queued { .. } | State::Joined { .. } | State::Planned
            );
            idle || other.reset == record.reset || other.minted_before(record)
        })
    }

    /// Settled wherever it was rotated.
    fn all_settled(&self, credential: &Ref) -> bool {
        self.of(credential)
            .all(|record| matches!(record.rotation.state, State::Settled { .. } | State::Superseded { .. }))
    }
}

/// Which of two rotations of a credential came first.
trait Order {
    fn minted_before(&self, other: &Self) -> bool;
}

impl Order for RotationRecord {
    /// Versions are numbered in the order in which they are made; a rotation that joined has the other one's.
    fn minted_before(&self, other: &Self) -> bool {
        let number = |record: &Self| {
            let id = record.rotation.facts.new.as_ref()?.id.as_ref()?.0.clone();
            id.rsplit('@').next()?.parse::<u64>().ok()
        };
        matches!(self.rotation.state, State::Settled { .. }) && number(self) <= number(other)
    }
}

/// Settled: the old one is dead, the new one lives alone, and lies everywhere it was promised to.
fn settled(stage: &Stage, member: &Member, record: &RotationRecord, say: &mut dyn FnMut(String)) {
    let document = &stage.estate.credentials[&record.credential];
    let target = &document.issued_by.target.name;
    let Some(new) = record.rotation.facts.new.as_ref().and_then(|new| new.id.as_ref()) else {
        return say("it settled without a new version".to_owned());
    };
    stage.world.see(|state| {
        let issuer = &state.issuers[document.issued_by.system.name.as_str()];
        if !issuer.lives(&new.0) {
            say(format!("the new version {new} is dead"));
        }
        let old = record.rotation.facts.old.as_ref().and_then(|old| old.id.as_ref());
        // What came back after the last try of it is for whoever tries next.
        let untried = |id: &str| issuer.versions[id].untried;
        if old.is_some_and(|old| issuer.lives(&old.0) && !untried(&old.0)) {
            say(format!("the old version {} lives", old.map_or("?", |old| old.0.as_str())));
        }
        // An encryption key that is stopped is kept.
        let kept = |id: &str| issuer.issues == Issues::Encryption && !issuer.lives(id);
        let living = issuer.living(target).into_iter();
        let others: Vec<&str> = living.filter(|id| *id != new.0 && !untried(id) && !kept(id)).collect();
        if !others.is_empty() {
            say(format!("{} live beside {new}", others.join(", ")));
        }
        for place in member.places() {
            let found = state.lies(place.at.system.name.as_str(), &place.at.path);
            let found = found.as_ref().and_then(|found| state.accepts(document.issued_by.system.name.as_str(), found));
            if found.as_ref() != Some(&new.0) && record.rotation.facts.delivered.contains(&place.at) {
                say(format!("{} holds {found:?} and not {new}", place.at));
            }
        }
        if let Some(old) = old {
            course(issuer, &old.0, &new.0, &untried, say);
        }
        for place in &document.trusted_by {
            let text = state.text(place.system.name.as_str(), &place.path, "keys").unwrap_or_default();
            bundle(state, issuer, text, &new.0, &mut |what| say(format!("{place} {what}")));
        }
    });
}

/// What came from the old version is over, and the new one is used, in the way of what it is.
fn course(issuer: &Issuer, old: &str, new: &str, untried: &dyn Fn(&str) -> bool, say: &mut dyn FnMut(String)) {
    let target = &issuer.versions[new].target;
    if issuer.issues.activates() && issuer.in_use(target) != Some(new) {
        say(format!("{:?} is in use and not {new}", issuer.in_use(target)));
    }
    match issuer.issues {
        Issues::Encryption => {
            let left = issuer.encrypted_under(old);
            if left > 0 {
                say(format!("{left} things are encrypted under {old} still"));
            }
            // Destroying it is another decision.
            if issuer.versions[old].life == Life::Revoked {
                say(format!("{old} was destroyed"));
            }
        }
        Issues::Leases if !untried(old) && issuer.running(old) > 0 => {
            say(format!("{} leases of {old} run on", issuer.running(old)));
        }
        Issues::Logins | Issues::Signing | Issues::Bundled | Issues::Leases => {}
    }
}

/// Verifiers trust what signs, and nothing else that was ever ours; what others put there stays.
fn bundle(state: &World, issuer: &Issuer, text: &str, new: &str, say: &mut dyn FnMut(String)) {
    let lines: BTreeSet<&str> = text.lines().collect();
    if !lines.contains(STRANGER) {
        say("lost what is not ours".to_owned());
    }
    for (id, version) in issuer.versions.iter().filter(|(_, version)| version.target == issuer.versions[new].target) {
        let public = version.material.username.as_deref().unwrap_or_default();
        if lines.contains(public) != (id == new) {
            say(if id == new { format!("does not tell of {id}") } else { format!("tells of {id} still") });
        }
        let verifiers = state.verifiers.get(&version.target).into_iter().flatten();
        let knows = |workload: &&String| {
            state.workloads[*workload].bundles.iter().any(|bundle| bundle.text.lines().any(|line| line == public))
        };
        if let Some(workload) = verifiers.clone().find(knows).filter(|_| id != new) {
            say(format!("told {workload} of {id}, which trusts it still"));
        }
    }
}

/// No object of ours is an orphan: what lives is what a rotation says, or an open intent or a finding names it.
fn orphans(stage: &Stage, record: &RotationRecord, known: &Known, say: &mut dyn FnMut(String)) {
    let document = &stage.estate.credentials[&record.credential];
    let target = &document.issued_by.target.name;
    let named = |version: &Version, id: &str| version.id.as_ref().is_some_and(|known| known.0 == id);
    stage.world.see(|state| {
        let issuer = &state.issuers[document.issued_by.system.name.as_str()];
        for id in issuer.living(target) {
            let version = &issuer.versions[id];
            let of_ours = known.of(&record.credential).any(|record| {
                let facts = &record.rotation.facts;
                facts.old.iter().chain(&facts.new).chain(&facts.also).any(|version| named(version, id))
            });
            let intended = known.open.iter().any(|intent| {
                Some(intent.operation.0.as_str()) == version.operation.as_deref()
                    || intent.version.as_ref().is_some_and(|named| named.0 == id)
            });
            let found = known.findings.iter().any(|finding| finding.version.0 == id);
            let untouched = version.operation.is_none();
            if !(of_ours || intended || found || version.foreign || untouched) {
                say(format!("{id} of {:?} is an orphan", version.operation));
            }
        }
    });
}

/// What is referred to can be opened for as long as it may be needed.
async fn sealed(
    stage: &Stage,
    engine: &Engine,
    status: ResetStatus,
    record: &RotationRecord,
    say: &mut dyn FnMut(String),
) {
    // What is tried no more needs no value.
    let last = matches!(record.rotation.state, State::Settled { last: true } | State::Superseded { .. });
    if status == ResetStatus::Complete || last {
        return;
    }
    for version in [&record.rotation.facts.old, &record.rotation.facts.new].into_iter().flatten() {
        let Some(id) = &version.sealed else { continue };
        match stage.store.sealed(id).await.unwrap() {
            None => say(format!("the sealed value {id} is gone")),
            Some(found) => {
                if let Err(error) = engine.escrow.open(&found) {
                    say(format!("the sealed value {id} is lost: {error}"));
                }
            }
        }
    }
}

/// No secret is lost: every consumer of what is not dark or given up on has a value that works.
fn consumers(stage: &Stage, known: &Known, wrong: &mut Vec<String>) {
    let open = known.rotations.iter().filter(|record| !known.all_settled(&record.credential));
    let visible: BTreeSet<&str> = open.map(|record| record.credential.name.as_str()).collect();
    stage.world.see(|state| {
        for (name, running) in &state.workloads {
            for holding in &running.holdings {
                let works = holding.held.as_ref().is_some_and(|held| state.accepts(&holding.issuer, held).is_some());
                if !works && !visible.contains(holding.target.as_str()) && !running.deaf {
                    wrong.push(format!("{name} holds no working value of {}", holding.target));
                }
            }
        }
        for issuer in state.issuers.values().filter(|issuer| issuer.issues != Issues::Encryption) {
            for version in issuer.versions.values().filter(|version| version.life == Life::Disabled) {
                if !visible.contains(version.target.as_str()) {
                    wrong.push(format!("a version of {} is only disabled", version.target));
                }
            }
        }
    });
}

/// The entries add up; those of a complete reset make a bundle that verifies anywhere.
async fn evidence(engine: &Engine, reset: &Reset, wrong: &mut Vec<String>) {
    let (id, status) = (&reset.id, reset.status);
    let entries = engine.store.entries_of(id).await.unwrap();
    // The death of what another reset took over is in that one's entries, and these say so.
    let rotations = engine.rotations(id).await.unwrap();
    let taken = rotations.iter().any(|record| matches!(record.rotation.state, State::Superseded { .. }));
    match Ledger::of(&id.0, entries.iter().map(|entry| entry.bytes.as_slice())) {
        Ok(ledger) if status == ResetStatus::Complete && !ledger.is_complete() && !taken => {
            wrong.push("the entries of a complete reset are not complete".to_owned());
        }
        Ok(_) => {}
        Err(error) => wrong.push(format!("the entries do not add up: {error}")),
    }
    if status != ResetStatus::Complete {
        return;
    }
    let key = Arc::new(SigningKey::from_seed("sim.example", Zeroizing::new([7; 32])).unwrap());
    let clock = Arc::clone(&engine.context.clock);
    Sequencer::new(Arc::clone(&engine.store), Arc::clone(&key), clock, "sim").flush().await.unwrap();
    let plan = remint::engine::reset::plan_bytes(&reset.plan);
    match export(&*engine.store, id, &plan, &key).await {
        Ok(archive) => {
            let report = bundle::verify(&archive, Some(key.verifier()));
            let over = |what: &str| what.contains("superseded by reset");
            let open = report.findings.iter().filter(|finding| !over(&finding.what)).count();
            if if taken { open > 0 } else { !report.ok || !report.complete } {
                wrong.push(format!("the bundle does not verify: {:?}", report.findings));
            }
        }
        Err(error) => wrong.push(format!("there is no bundle: {error}")),
    }
}

/// Is it a state that a person sees and that nothing but a person can end, for a reason that the faults explain?
pub(crate) fn may_stay(state: &State, all: &[RotationRecord]) -> bool {
    let weak = |state: &State| matches!(state, State::Parked { reason: Reason::WeakProof { .. }, .. });
    match state {
        // It comes after what cannot be proven.
        State::Waiting { .. } | State::Queued { .. } | State::Joined { .. } => {
            all.iter().any(|record| weak(&record.rotation.state))
        }
        State::Settled { .. } | State::Superseded { .. } => true,
        State::Parked { reason, .. } => matches!(reason, Reason::WeakProof { .. }),
        _ => false,
    }
}

//! What a revocation leaves where a version cannot be taken away, only replaced (the password of a static role in a vault):
//! another version, whose value nobody was given. It is no stranger, and nothing that a person has to decide.
//!
//! Flow: the issuer is listed before and after the revocation. Only where the version was there before, what is there after
//! is what was left; else somebody else may have put it there, and it is a stranger as any other. What was left is written
//! down as a finding that is decided and done. The next version takes its place.

use std::sync::Arc;

use jiff::Timestamp;
use remint_contract::{Live, Verb, VersionId};
use remint_core::machine::Reason;

use crate::engine::EngineError;
use crate::engine::effect::{Stop, Task};
use crate::engine::record::{Decision, DecisionWord, Finding, kind, put};
use crate::engine::run::Run;
use crate::engine::step::sweep::finding_id;
use crate::store::Rule;

/// Who says it of such a version.
const BY: &str = "remint";

/// True where the issuer can only replace versions, and has this one now.
pub(super) async fn lives(task: &Task, version: &VersionId) -> Result<bool, Stop> {
    Ok(listed(task).await?.is_some_and(|live| live.iter().any(|live| live.version == *version)))
}

/// Writes down what the revocation of a version left.
pub(super) async fn note(task: &mut Task, revoked: &VersionId) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let system = run.document(&task.credential())?.issued_by.system.clone();
    let now = run.context.clock.now();
    for live in listed(task).await?.unwrap_or_default() {
        let new = task.facts.new.as_ref().and_then(|new| new.id.as_ref());
        if live.version != *revoked && new != Some(&live.version) {
            let finding = Finding {
                id: finding_id(&run.id.0, &system.to_string(), &live.version),
                reset: run.id.clone(),
                system: system.clone(),
                credential: Some(task.credential()),
                version: live.version.clone(),
                label: live.label.clone(),
                found_at: now,
                decision: None,
            };
            let finding = left(finding, revoked, now);
            let record = put(kind::FINDING, finding.id.clone(), &run.id.0, &finding, Rule::Upsert);
            task.pending.puts.push(record.map_err(EngineError::from)?);
        }
    }
    task.flush().await
}

/// A finding of what the revocation of a version left.
pub(crate) fn left(finding: Finding, revoked: &VersionId, at: Timestamp) -> Finding {
    let label = format!("{} (left by the revocation of {revoked}; nobody was given its value)", finding.label);
    let decision = Decision {
        word: DecisionWord::Revoke,
        by: BY.to_owned(),
        at,
        reason: format!("it took the place of {revoked}, which was revoked"),
        done: true,
    };
    Finding { label, decision: Some(decision), ..finding }
}

/// Was it left by a revocation?
pub(super) fn is_left(decision: &Decision) -> bool {
    decision.done && decision.by == BY && decision.word == DecisionWord::Revoke
}

/// Before there is a new version what was left is all there is. After, it stands where the new one should.
pub(super) fn in_place_of_new(task: &Task) -> Result<(), Stop> {
    if task.facts.new.is_none() {
        return Ok(());
    }
    let what = format!(
        "the new version was replaced at its issuer, and what replaced it was revoked: nobody has a value that works; \
         begin another reset, --from {} --contain '*'",
        task.credential()
    );
    Err(Stop::Park(Reason::Failed { what }))
}

/// What the issuer has of this target, where it can only replace.
async fn listed(task: &Task) -> Result<Option<Vec<Live>>, Stop> {
    let run: &Run = &task.run;
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    let connector = run.host.connector(system)?;
    if !connector.replaces() || !connector.describe().verbs.contains(&Verb::Enumerate) {
        return Ok(None);
    }
    let live = run.enumerate(system, run.manager(document).await?).await?;
    Ok(Some(live.of(&document.issued_by.target.name).to_vec()))
}

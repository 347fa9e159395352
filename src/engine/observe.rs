//! Having somebody else look: what a prober saw of an old value goes into the evidence as that prober signed it.
//!
//! Three times: when the value was captured and is alive (so that it is known to have been the live one), when it is said
//! to be dead, and at every re-proof. A prober that is not demanded and does not answer costs nothing but a line; one that
//! is demanded and does not see a refusal keeps the proof from standing.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{Material, Target, VersionId};
use remint_core::machine::Reason;
use remint_core::plan::Member;
use remint_evidence_format::Draft;
use remint_evidence_format::observation::{CONTROLLED, OBSERVED, Verdict};
use serde_json::json;

use crate::engine::EngineError;
use crate::engine::effect::{Stop, Task};
use crate::engine::record::entry;
use crate::engine::run::Run;

/// What somebody is asked to look at.
#[derive(Debug, Clone)]
pub struct Sight {
    pub reset: String,
    pub credential: String,
    pub system: String,
    pub connector: String,
    pub settings: serde_json::Value,
    pub target: Target,
    pub endpoint: usize,
    pub endpoint_name: String,
    pub version: String,
    pub at: Timestamp,
    pub nonce: String,
}

/// What somebody saw, and signed.
#[derive(Debug, Clone)]
pub struct Seen {
    pub verdict: Verdict,
    pub note: String,
}

/// Somebody who looks.
#[async_trait]
pub trait Observer: Send + Sync + Debug {
    fn name(&self) -> &str;

    /// Does nothing count as proven that it did not see?
    fn demanded(&self) -> bool;

    /// Is it shown new values, too, so that a refusal is known to be the system's own?
    fn controls(&self) -> bool {
        false
    }

    /// # Errors
    /// It did not look, in words.
    async fn observe(&self, sight: &Sight, value: &Material) -> Result<Seen, String>;
}

/// Everybody who looks; mostly nobody.
#[derive(Debug, Clone, Default)]
pub struct Observers(pub Arc<[Arc<dyn Observer>]>);

/// Shows the live value, once: what is refused later is known to have been this one.
pub(super) async fn alive(task: &mut Task, version: Option<&VersionId>, value: &Material) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    for observer in run.settings.observers.0.iter() {
        for endpoint in 0..member.endpoints.len().max(1) {
            // Nothing waits for it: whoever does not answer is heard at the proof.
            let sight = sight(&run, &member, endpoint, version)?;
            let seen = tokio::select! {
                seen = observer.observe(&sight, value) => seen.ok(),
                () = run.context.clock.sleep(BRIEFLY) => None,
            };
            task.pending.entries.extend(seen.map(|seen| told(&run, &member, &seen)));
        }
    }
    Ok(())
}

/// Has the refused value tried by everybody else, until each of them sees it refused or the deadline comes.
pub(super) async fn refused(
    task: &mut Task,
    version: Option<&VersionId>,
    value: &Material,
    deadline: Timestamp,
) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    for observer in run.settings.observers.0.iter() {
        for endpoint in 0..member.endpoints.len().max(1) {
            // Of many looks while it dies, the last one is told.
            let mut last = None;
            let ended = loop {
                let sight = sight(&run, &member, endpoint, version)?;
                let place = format!("{} (seen by {})", sight.endpoint_name, observer.name());
                let (saw, why) = match observer.observe(&sight, value).await {
                    Ok(seen) => {
                        last = Some(told(&run, &member, &seen));
                        (seen.verdict, "it could not tell".to_owned())
                    }
                    Err(why) => (Verdict::Unclear, why),
                };
                let over = run.context.clock.now() >= deadline;
                match saw {
                    Verdict::Denied => break Ok(()),
                    Verdict::Accepted if over => break Err(Reason::Alive { endpoints: vec![place] }),
                    Verdict::Unclear if !observer.demanded() => break Ok(()),
                    Verdict::Unclear if over => {
                        let what = format!("the prober {} did not see the old value refused: {why}", observer.name());
                        break Err(Reason::Unclear { what });
                    }
                    Verdict::Accepted | Verdict::Unclear => run.context.clock.sleep(run.settings.poll).await,
                }
            };
            task.pending.entries.extend(last);
            ended.map_err(Stop::Park)?;
        }
    }
    Ok(())
}

/// Shows the new value to those who may see it, from where they saw the old one refused. Nothing waits for it, and what
/// comes of it changes no grade: it is the prober's own word for whoever trusts him.
pub(super) async fn accepted(task: &mut Task, version: Option<&VersionId>, value: &Material) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    for observer in run.settings.observers.0.iter().filter(|observer| observer.controls()) {
        for endpoint in 0..member.endpoints.len().max(1) {
            let sight = sight(&run, &member, endpoint, version)?;
            let seen = tokio::select! {
                seen = observer.observe(&sight, value) => seen.ok(),
                () = run.context.clock.sleep(BRIEFLY) => None,
            };
            task.pending.entries.extend(seen.map(|seen| of_kind(CONTROLLED, &run, &member, &seen)));
        }
    }
    Ok(())
}

/// One look at a re-proof: entries of what was seen, and where somebody saw the value accepted; else why a demanded one saw
/// no refusal.
pub(super) async fn again(
    run: &Run,
    member: &Member,
    version: Option<&VersionId>,
    value: &Material,
) -> Result<(Vec<Draft>, Vec<String>, Option<String>), EngineError> {
    let (mut entries, mut accepted, mut unclear) = (Vec::new(), Vec::new(), None);
    for observer in run.settings.observers.0.iter() {
        for endpoint in 0..member.endpoints.len().max(1) {
            let sight = sight(run, member, endpoint, version)?;
            match observer.observe(&sight, value).await {
                Ok(seen) => {
                    entries.push(told(run, member, &seen));
                    match seen.verdict {
                        Verdict::Accepted => {
                            accepted.push(format!("{} (seen by {})", sight.endpoint_name, observer.name()));
                        }
                        Verdict::Unclear if observer.demanded() => {
                            unclear = Some(format!("the prober {} could not tell", observer.name()));
                        }
                        Verdict::Denied | Verdict::Unclear => {}
                    }
                }
                Err(why) if observer.demanded() => {
                    unclear = Some(format!("the prober {} did not answer: {why}", observer.name()));
                }
                Err(_) => {}
            }
        }
    }
    Ok((entries, accepted, unclear))
}

/// Containment does not wait for who is slow: a value that nobody saw alive is graded so.
const BRIEFLY: Duration = Duration::from_secs(3);

fn sight(run: &Run, member: &Member, endpoint: usize, version: Option<&VersionId>) -> Result<Sight, EngineError> {
    let document = run.document(&member.credential)?;
    let system = &document.issued_by.system;
    let missing = || EngineError::Refused(format!("the estate of this reset has no {system}"));
    let settings = run.estate.systems.get(system).ok_or_else(missing)?;
    Ok(Sight {
        reset: run.id.to_string(),
        credential: member.credential.to_string(),
        system: system.to_string(),
        connector: settings.connector.clone(),
        settings: settings.settings.clone(),
        target: document.issued_by.target.clone(),
        endpoint,
        endpoint_name: member.endpoints.get(endpoint).cloned().unwrap_or_else(|| "the issuer".to_owned()),
        version: version.map_or_else(|| "unknown".to_owned(), |version| version.0.clone()),
        at: run.context.clock.now(),
        nonce: run.context.hex(16)?,
    })
}

fn told(run: &Run, member: &Member, seen: &Seen) -> Draft {
    of_kind(OBSERVED, run, member, seen)
}

fn of_kind(kind: &str, run: &Run, member: &Member, seen: &Seen) -> Draft {
    let body = json!({ "note": seen.note, "verdict": seen.verdict.word() });
    entry(kind, run.context.clock.now(), Some(&run.id), Some(&member.credential), &body)
}

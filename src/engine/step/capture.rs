//! Capture: the old value goes from its source of truth into escrow, for the proof only.

use std::collections::BTreeSet;
use std::sync::Arc;

use remint_contract::{Error, ErrorKind, Material, OperationId, Retry, Verb, Verdict, Verified, VersionId};
use remint_core::estate::Credential;
use remint_core::machine::{Done, Version};
use remint_core::step::Course;

use crate::engine::EngineError;
use crate::engine::effect::{Stop, Task};
use crate::engine::host::Ask;
use crate::engine::observe;
use crate::engine::run::Run;
use crate::engine::step::lease;

/// How often an endpoint that does not say yes or no is asked again: this is the only time when the control of the proof
/// can be had, and containment does not wait for it.
const TRIES: usize = 5;

/// Reads the old value, learns which version it is, and tries it where it must be refused later: the control of the
/// proof.
///
/// A value that is not accepted is no control: the other places are read then, because one that was held back may still
/// have the value before the one in use. Without a readable value the rotation goes on with a lower grade of proof: the
/// one version that the issuer lists for the target, if there is exactly one, is the old version.
pub(super) async fn capture(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    if task.member().course() == Course::Lease {
        let material = lease::value(task).await?;
        let known = known(task, &material).await?;
        return Ok(Done::Captured { old: Some(seal(task, known, material)?) });
    }
    let source = document.source();
    let others = document.delivered_to.iter().filter(|place| source.is_none_or(|source| source.at != place.at));
    let mut refused: Option<(Known, Material)> = None;
    for (number, place) in source.into_iter().chain(others).enumerate() {
        match run.host.read(place).await {
            // Tried already.
            Ok(material) if refused.as_ref().is_some_and(|(_, other)| other.secret == material.secret) => {}
            Ok(material) => {
                let known = known(task, &material).await?;
                if known.accepted {
                    observe::alive(task, known.id.as_ref(), &material).await?;
                    return Ok(Done::Captured { old: Some(seal(task, known, material)?) });
                }
                refused.get_or_insert((known, material));
            }
            Err(error) if says_no(&error) => {}
            // Only what is asked first is worth waiting for.
            Err(error) if number == 0 => return Err(error.into()),
            Err(_) => {}
        }
    }
    let old = match refused {
        // What lies there is not accepted: the version that lives is another one.
        Some((known, material)) => {
            let id = listed(task).await?.and_then(|version| version.id);
            Some(seal(task, Known { id, ..known }, material)?)
        }
        None => listed(task).await?,
    };
    Ok(Done::Captured { old })
}

/// Asking again gives the same answer.
const fn says_no(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Missing | ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::Unsupported)
}

/// What the issuer says of a value.
struct Known {
    id: Option<VersionId>,
    principal: Option<String>,
    accepted_at: BTreeSet<usize>,
    /// False: it says that this is not accepted, as far as it can be asked.
    accepted: bool,
}

fn seal(task: &mut Task, known: Known, material: Material) -> Result<Version, Stop> {
    let sealing = task.run.context.operation().map_err(EngineError::from)?;
    let sealed = Some(task.seal(&sealing, &material.secret)?);
    let Known { id, principal, accepted_at, .. } = known;
    Ok(Version { id, username: material.username, sealed, principal, accepted_at })
}

/// The version that this value is.
///
/// `verify` comes first: where the connector says that it is the very login that `probe` makes at one endpoint, its answer
/// holds there too, and the value is not tried a second time.
async fn known(task: &Task, material: &Material) -> Result<Known, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let issuer = run.host.connector(&document.issued_by.system)?.describe().issuer;
    let same = issuer.and_then(|issuer| issuer.verifies_at);
    let mut accepted_at = BTreeSet::new();
    let verified = unless_not_accepted(verify(&run, document, material).await)?;
    let told = same.filter(|_| !matches!(verified, Err(ErrorKind::Missing | ErrorKind::Unsupported)));
    accepted_at.extend(told.filter(|_| verified.is_ok()));
    let endpoints = task.member().endpoints.len().max(1);
    for endpoint in (0..endpoints).filter(|endpoint| told != Some(*endpoint)) {
        if accepts(&run, document, material, endpoint).await? {
            accepted_at.insert(endpoint);
        }
    }
    let verified = match verified {
        // Accepted after all: without its version nothing could be revoked, so it is asked once more.
        Err(ErrorKind::Denied | ErrorKind::Missing) if !accepted_at.is_empty() => {
            unless_not_accepted(verify(&run, document, material).await)?
        }
        known => known,
    };
    Ok(match verified {
        Ok(verified) => {
            Known { id: Some(verified.version), principal: Some(verified.principal), accepted_at, accepted: true }
        }
        Err(kind) => {
            let accepted = kind == ErrorKind::Unsupported || !accepted_at.is_empty();
            let id = if accepted { listed(task).await?.and_then(|version| version.id) } else { None };
            Known { id, principal: None, accepted_at, accepted }
        }
    })
}

/// An answer that says that the value is not accepted, or that this cannot be told, is no failure of the step.
fn unless_not_accepted(answer: Result<Verified, Error>) -> Result<Result<Verified, ErrorKind>, Error> {
    match answer {
        Ok(verified) => Ok(Ok(verified)),
        Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::Unsupported | ErrorKind::Missing) => {
            Ok(Err(error.kind))
        }
        Err(error) => Err(error),
    }
}

async fn verify(run: &Run, document: &Credential, material: &Material) -> Result<Verified, Error> {
    let operation = OperationId("capture".into());
    let ask = Ask { system: &document.issued_by.system, verb: Verb::Verify, operation: &operation, actor: None };
    run.host
        .call(ask, |connector, call| {
            let (target, material) = (document.issued_by.target.clone(), material.clone());
            async move { connector.verify(&call, &target, &material).await }
        })
        .await
}

/// Does the probe accept the value at this endpoint? What stays unclear is no control.
async fn accepts(run: &Run, document: &Credential, material: &Material, endpoint: usize) -> Result<bool, Stop> {
    let system = &document.issued_by.system;
    if !run.host.connector(system)?.describe().verbs.contains(&Verb::Probe) {
        return Ok(false);
    }
    let operation = OperationId("capture".into());
    for _ in 0..TRIES {
        let ask = Ask { system, verb: Verb::Probe, operation: &operation, actor: None };
        let answer = run
            .host
            .call(ask, |connector, call| {
                let (target, material) = (document.issued_by.target.clone(), material.clone());
                async move { connector.probe(&call, &target, &material, endpoint).await }
            })
            .await;
        match answer {
            Ok(Verdict::Accepted) => return Ok(true),
            Ok(Verdict::Denied) => return Ok(false),
            Ok(Verdict::Unclear(_)) => run.context.clock.sleep(run.settings.poll).await,
            // The host has waited and asked as often as it does.
            Err(error) if error.retry() != Retry::Never => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// The only version that the issuer lists for the target.
async fn listed(task: &Task) -> Result<Option<Version>, Stop> {
    let document = task.run.document(&task.credential())?;
    let system = &document.issued_by.system;
    if !task.run.host.connector(system)?.describe().verbs.contains(&Verb::Enumerate) {
        return Ok(None);
    }
    let live = task.run.enumerate(system, None).await?;
    Ok(match live.of(&document.issued_by.target.name) {
        [only] => Some(Version {
            id: Some(only.version.clone()),
            username: None,
            sealed: None,
            principal: None,
            accepted_at: BTreeSet::new(),
        }),
        _ => None,
    })
}

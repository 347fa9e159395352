//! Capture: the old value goes from its source of truth into escrow, for the proof only.

use std::collections::BTreeSet;

use remint_contract::{Error, ErrorKind, Material, OperationId, Verb, Verdict};
use remint_core::machine::{Done, Version};
use remint_core::step::Course;

use crate::engine::EngineError;
use crate::engine::effect::{Stop, Task};
use crate::engine::host::Ask;
use crate::engine::step::lease;

/// How often an endpoint that does not say yes or no is asked again: this is the only time when the control of the proof
/// can be had, and containment does not wait for it.
const TRIES: usize = 5;

/// Reads the old value, learns which version it is, and tries it where it must be refused later: the control of the
/// proof.
///
/// Without a readable value the rotation goes on with a lower grade of proof: the one version that the issuer lists for
/// the target, if there is exactly one, is the old version.
pub(super) async fn capture(task: &mut Task) -> Result<Done, Stop> {
    let run = std::sync::Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let value = match document.source() {
        _ if task.member().course() == Course::Lease => Ok(lease::value(task).await?),
        Some(source) => run.host.read(source).await,
        None => Err(Error::new(ErrorKind::Missing, Verb::Read, "it lies nowhere")),
    };
    let old = match value {
        Ok(material) => Some(known(task, material).await?),
        Err(error)
            if matches!(
                error.kind,
                ErrorKind::Missing | ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::Unsupported
            ) =>
        {
            listed(task).await?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Done::Captured { old })
}

/// The version that this value is.
async fn known(task: &mut Task, material: Material) -> Result<Version, Stop> {
    let run = std::sync::Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    let verbs = run.host.connector(system)?.describe().verbs;
    let operation = OperationId("capture".into());
    let target = &document.issued_by.target;

    let mut accepted_at = BTreeSet::new();
    if verbs.contains(&Verb::Probe) {
        for endpoint in 0..task.member().endpoints.len().max(1) {
            for _ in 0..TRIES {
                let ask = Ask { system, verb: Verb::Probe, operation: &operation, actor: None };
                let verdict = run
                    .host
                    .call(ask, |connector, call| {
                        let (target, material) = (target.clone(), material.clone());
                        async move { connector.probe(&call, &target, &material, endpoint).await }
                    })
                    .await?;
                if verdict == Verdict::Accepted {
                    accepted_at.insert(endpoint);
                }
                if !matches!(verdict, Verdict::Unclear(_)) {
                    break;
                }
                run.context.clock.sleep(run.settings.poll).await;
            }
        }
    }
    let ask = Ask { system, verb: Verb::Verify, operation: &operation, actor: None };
    let verified = run
        .host
        .call(ask, |connector, call| {
            let (target, material) = (target.clone(), material.clone());
            async move { connector.verify(&call, &target, &material).await }
        })
        .await;
    let (id, principal) = match verified {
        Ok(verified) => (Some(verified.version), Some(verified.principal)),
        // What lies there is not accepted: the version that lives is another one.
        Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::Unsupported | ErrorKind::Missing) => {
            (listed(task).await?.and_then(|version| version.id), None)
        }
        Err(error) => return Err(error.into()),
    };
    let sealing = run.context.operation().map_err(EngineError::from)?;
    let sealed = task.seal(&sealing, &material.secret)?;
    Ok(Version { id, username: material.username, sealed: Some(sealed), principal, accepted_at })
}

/// The only version that the issuer lists for the target.
async fn listed(task: &Task) -> Result<Option<Version>, Stop> {
    let document = task.run.document(&task.credential())?;
    let system = &document.issued_by.system;
    if !task.run.host.connector(system)?.describe().verbs.contains(&Verb::Enumerate) {
        return Ok(None);
    }
    let live = task.run.enumerate(system, None).await?;
    let mut mine = live.iter().filter(|live| live.target.as_deref() == Some(document.issued_by.target.name.as_str()));
    Ok(match (mine.next(), mine.next()) {
        (Some(only), None) => Some(Version {
            id: Some(only.version.clone()),
            username: None,
            sealed: None,
            principal: None,
            accepted_at: BTreeSet::new(),
        }),
        _ => None,
    })
}

//! Disable, revoke, and end what was derived: how the old version stops.

use std::sync::Arc;

use remint_contract::{DerivedOutcome, OperationId, Slots, Verb};
use remint_core::machine::Done;
use remint_core::step::{Course, Step};

use crate::engine::effect::{Effect, Stop, Task};
use crate::engine::host::Ask;
use crate::engine::step::confirm::own;
use crate::engine::step::mint::{own_switch, park};
use crate::engine::step::{manual, replaced, rewrap, trust};

/// How often what is derived is ended and listed again.
const ROUNDS: usize = 5;

/// Stops the old version, reversibly where the issuer can.
///
/// It is killed for good where stopping it would not do: the one slot has to be free for the new one, or nothing but the
/// issuer's list could show that it stopped, and a list shows what is disabled too.
///
/// An encryption key is only ever stopped, and only when nothing is left under it at this moment.
pub(super) async fn disable(task: &mut Task) -> Result<Done, Stop> {
    match task.member().course() {
        Course::Manual => {
            manual::killed(task, Step::Disable).await?;
            return Ok(Done::Plain { step: Step::Disable });
        }
        Course::Rewrap => {
            rewrap::nothing_left(task, &rewrap::old(task)?).await?;
            kill(task, Verb::Disable).await?;
            return Ok(Done::Plain { step: Step::Disable });
        }
        Course::Trust => trust::withdraw(task).await?,
        Course::Replace | Course::Lease => {}
    }
    let system = task.run.document(&task.credential())?.issued_by.system.clone();
    let capabilities = task.run.host.connector(&system)?.describe();
    let issuer = capabilities.issuer.as_ref();
    let reversible = capabilities.verbs.contains(&Verb::Disable)
        && issuer.is_some_and(|issuer| issuer.reversible_disable && issuer.slots != Slots::One)
        && capabilities.verbs.contains(&Verb::Probe)
        && task.facts.old.as_ref().is_some_and(|old| old.sealed.is_some());
    kill(task, if reversible { Verb::Disable } else { Verb::Revoke }).await?;
    Ok(Done::Plain { step: Step::Disable })
}

/// Kills the old version for good.
pub(super) async fn revoke(task: &mut Task) -> Result<Done, Stop> {
    match task.member().course() {
        Course::Manual if task.facts.ended.contains(&Step::Disable) => {}
        Course::Manual => manual::killed(task, Step::Revoke).await?,
        Course::Rewrap => {
            return Err(park("an encryption key is not destroyed by a reset; `remint destroy` asks for it"));
        }
        Course::Trust => {
            trust::withdraw(task).await?;
            kill(task, Verb::Revoke).await?;
        }
        Course::Replace | Course::Lease => kill(task, Verb::Revoke).await?,
    }
    Ok(Done::Plain { step: Step::Revoke })
}

/// Names exactly one version: a later one of the same login is left alone, however late this lands.
async fn kill(task: &mut Task, verb: Verb) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let Some(id) = task.facts.old.as_ref().and_then(|old| old.id.clone()) else { return Ok(()) };
    if task.facts.new.as_ref().and_then(|new| new.id.as_ref()) == Some(&id) {
        return Err(park("the issuer says that the old and the new value are one version; nothing was revoked"));
    }
    own_first(task).await?;
    let effect = Effect {
        system: &document.issued_by.system,
        verb,
        about: id.0.clone(),
        version: Some(&id),
        actor: run.manager(document).await?,
        seal: None,
    };
    let target = &document.issued_by.target;
    let alive = verb == Verb::Revoke && replaced::lives(task, &id).await?;
    task.effect(effect, |connector, call| {
        let (target, id) = (target.clone(), id.clone());
        async move {
            if verb == Verb::Disable {
                connector.disable(&call, &target, &id).await
            } else {
                connector.revoke(&call, &target, &id).await
            }
        }
    })
    .await?;
    if alive { replaced::note(task, &id).await } else { Ok(()) }
}

/// What Remint acts through is killed with the new value: on a cut path it is not delivered by then.
pub(super) async fn own_first(task: &mut Task) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    if task.member().remint_acts && task.facts.new.is_some() {
        own_switch(&run, task.member(), task.facts.new.as_ref()).await?;
        if own(task).await?.is_none() {
            return Err(park("Remint's own new value is not accepted everywhere it acts; the old one was left alive"));
        }
    }
    Ok(())
}

/// Ends sessions, tokens and leases of the old version, and lists them again.
pub(super) async fn end_derived(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    let verbs = run.host.connector(system)?.describe().verbs;
    let (true, Some(id)) = (verbs.contains(&Verb::EndDerived), task.facts.old.as_ref().and_then(|old| old.id.clone()))
    else {
        return Ok(Done::Plain { step: Step::EndDerived });
    };
    let target = &document.issued_by.target;
    for _ in 0..ROUNDS {
        let effect = Effect {
            system,
            verb: Verb::EndDerived,
            about: id.0.clone(),
            version: Some(&id),
            actor: run.manager(document).await?,
            seal: None,
        };
        let ended = task
            .effect(effect, |connector, call| {
                let (target, id) = (target.clone(), id.clone());
                async move { connector.end_derived(&call, &target, &id).await }
            })
            .await?;
        if !verbs.contains(&Verb::ListDerived) {
            return if ended.iter().any(|ended| ended.outcome == DerivedOutcome::Unknown) {
                Err(park("what became of its sessions is unknown"))
            } else {
                Ok(Done::Plain { step: Step::EndDerived })
            };
        }
        let operation = OperationId("list-derived".into());
        let ask = Ask { system, verb: Verb::ListDerived, operation: &operation, actor: run.manager(document).await? };
        let left = run
            .host
            .call(ask, |connector, call| {
                let (target, id) = (target.clone(), id.clone());
                async move { connector.list_derived(&call, &target, &id).await }
            })
            .await?;
        // What is denied by policy or ends by itself at a known time may still be listed.
        let accounted = |id: &str| {
            ended.iter().any(|ended| {
                ended.derived.id == id
                    && matches!(ended.outcome, DerivedOutcome::DeniedByPolicy | DerivedOutcome::ExpiresAt(_))
            })
        };
        if left.iter().all(|derived| accounted(&derived.id)) {
            return Ok(Done::Plain { step: Step::EndDerived });
        }
        run.context.clock.sleep(run.settings.poll).await;
    }
    Err(park(
        "sessions of the old version are still alive after they were ended; look at the system, then `remint retry`",
    ))
}

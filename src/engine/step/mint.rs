//! Mint and verify: a new version is made in a way the target permits, and used as a consumer would before anything is
//! delivered.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use remint_contract::{ErrorKind, MadeBy, MintRequest, Minted, OperationId, RightsChange, Strategy, Verb};
use remint_core::estate::{Credential, CredentialClass};
use remint_core::machine::{Done, Reason, Version};
use remint_core::plan::Member;
use remint_core::step::{Course, Path, Step};
use serde_json::json;

use crate::engine::EngineError;
use crate::engine::effect::{Effect, Stop, Task, chain};
use crate::engine::host::Ask;
use crate::engine::record::{IntentOutcome, IntentRecord, entry};
use crate::engine::run::Run;
use crate::engine::step::back::back;
use crate::engine::step::render::rendered;
use crate::engine::step::{manual, quota, trust};

/// What the intent of the new version is about.
const NEW: &str = "new";
/// How many values are proposed before the target's rules are a matter for a person.
const VALUES: usize = 3;

/// Resolves what an earlier try left open.
pub(crate) async fn resolve(task: &mut Task) -> Result<(), Stop> {
    let Ok(document) = task.run.document(&task.credential()).cloned() else { return Ok(()) };
    let (strategy, old) = (task.member().strategy, task.facts.old.clone());
    task.resolve(move |_, proposed| {
        Some(MintRequest {
            target: document.issued_by.target.clone(),
            strategy,
            old: old.as_ref().and_then(|old| old.id.clone()),
            old_username: old.as_ref().and_then(|old| old.username.clone()),
            proposed,
        })
    })
    .await
}

/// Makes the new version. Before this one-way step every destination is probed for writing; with nowhere to deliver,
/// nothing is minted.
pub(super) async fn mint(task: &mut Task) -> Result<Done, Stop> {
    if task.member().course() == Course::Manual {
        let version = manual::made(task).await?;
        return minted(task, version).await;
    }
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    if !has_made(task, NEW) {
        let document = run.document(&member.credential)?;
        if member.strategy == Strategy::Alternate
            && !task.facts.old.as_ref().is_some_and(|old| old.id.is_some() || old.username.is_some())
        {
            // The one that is in use would be overwritten as likely as the other.
            return Err(park(
                "which of the two is in use is not known, so nothing was minted; see that its value can be read",
            ));
        }
        let places = run.eventual(&member);
        if places.is_empty() && member.course() != Course::Lease && !held(document) {
            return Err(park(
                "nowhere to deliver a new value, so nothing was minted; give it a destination, or `remint clean` what reads it",
            ));
        }
        let system = &document.issued_by.system;
        run.rights(system, run.manager(document).await?).await.map_err(|error| {
            park(&format!("{system} would not let Remint finish, so nothing was minted: {}", chain(&error)))
        })?;
        let operation = OperationId("check".into());
        for place in places.iter().map(|place| &place.at).chain(trust::bundles(&run, document)) {
            let ask = Ask { system: &place.system, verb: Verb::Check, operation: &operation, actor: None };
            run.host
                .call(ask, |connector, call| {
                    let path = place.path.clone();
                    async move { connector.check(&call, Some(&path)).await }
                })
                .await
                .map_err(|error| {
                    park(&format!("{place} cannot be written, so nothing was minted: {}", chain(&error)))
                })?;
        }
        quota::clear(task).await?;
    }
    let old = task.facts.old.clone();
    let version = make(task, NEW, old.as_ref()).await?;
    minted(task, version).await
}

/// True when an earlier try made it.
fn has_made(task: &Task, about: &str) -> bool {
    matches!(task.intent(Verb::Mint, about), Some(IntentRecord { outcome: IntentOutcome::Minted(_), .. }))
}

/// True when the value never leaves its issuer: nothing of it is delivered or tried.
pub(super) fn held(document: &Credential) -> bool {
    document.class != CredentialClass::Authenticator && document.delivered_to.is_empty()
}

/// One version, in a way that the target permits; what an earlier try made is used.
pub(super) async fn make(task: &mut Task, about: &str, old: Option<&Version>) -> Result<Version, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let document = run.document(&member.credential)?;
    let system = &document.issued_by.system;
    let earlier = task.intent(Verb::Mint, about);
    if let Some(intent @ IntentRecord { outcome: IntentOutcome::Minted(version), .. }) = &earlier {
        task.close(intent, "effect.done", None);
        return Ok(version.clone());
    }
    let capabilities = run.host.connector(system)?.describe();
    let made_by = capabilities.issuer.as_ref().map_or(MadeBy::Remint, |issuer| issuer.made_by);
    let actor = run.minter(document).await?;
    let (mut refused, mut made_room) = (String::new(), false);
    for _ in 0..VALUES {
        let proposed = match (&earlier, made_by) {
            (_, MadeBy::Issuer | MadeBy::IssuerOnce) => None,
            (Some(IntentRecord { sealed: Some(sealed), .. }), MadeBy::Remint) if refused.is_empty() => {
                Some(run.open(sealed).await?)
            }
            (_, MadeBy::Remint) => {
                let rules = &document.generate;
                Some(run.context.secret(rules.length.into(), &rules.alphabet).map_err(EngineError::from)?)
            }
        };
        let request = MintRequest {
            target: document.issued_by.target.clone(),
            strategy: member.strategy,
            old: old.and_then(|old| old.id.clone()),
            old_username: old.and_then(|old| old.username.clone()),
            proposed: proposed.clone(),
        };
        let effect = Effect {
            system,
            verb: Verb::Mint,
            about: about.into(),
            version: None,
            actor: actor.clone(),
            seal: proposed,
        };
        let answer = task
            .effect(effect, |connector, call| {
                let request = request.clone();
                async move { connector.mint(&call, &request).await }
            })
            .await;
        match answer {
            Ok(made) => return keep(task, made),
            // A refused value is an answer: another one may do.
            Err(Stop::Failed { kind: ErrorKind::RefusedValue, what }) => refused = what,
            // What was given up at a rollback makes room first.
            Err(Stop::Failed { kind: ErrorKind::Full, what }) => {
                if made_room || task.facts.also.is_empty() {
                    return Err(quota::full(task, &what).await?);
                }
                made_room = true;
                make_room(task).await?;
            }
            Err(stop) => return Err(stop),
        }
    }
    Err(park(&format!("the target refused {VALUES} values: {refused}; look at `generate` and the target's rules")))
}

/// What was made is sealed before anything else starts, unless its value was sealed before it was sent.
fn keep(task: &mut Task, made: Minted) -> Result<Version, Stop> {
    let run = Arc::clone(&task.run);
    let operation = run.context.operation().map_err(EngineError::from)?;
    let sealed = task.seal(&operation, &made.material.secret)?;
    Ok(Version {
        id: Some(made.version),
        username: made.material.username,
        sealed: Some(sealed),
        principal: None,
        accepted_at: BTreeSet::new(),
    })
}

async fn minted(task: &Task, version: Version) -> Result<Done, Stop> {
    task.run.news.lock().unwrap_or_else(PoisonError::into_inner).insert(task.credential(), version.clone());
    if task.member().strategy == Strategy::InPlace {
        // The old value died of it.
        own_switch(&task.run, task.member(), Some(&version)).await?;
    }
    Ok(Done::Minted { new: version })
}

/// From here on Remint acts with the new value, where this is what it acts through.
pub async fn own_switch(run: &Run, member: &Member, new: Option<&Version>) -> Result<(), EngineError> {
    if let (true, Some(new)) = (member.remint_acts, new)
        && let Some(material) = run.material(new).await?
    {
        run.host.switch(&member.credential, Arc::new(material));
    }
    Ok(())
}

/// Uses the new value as a consumer would: the same identity, the same rights.
pub(super) async fn verify(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let document = run.document(&member.credential)?;
    let system = &document.issued_by.system;
    let target = &document.issued_by.target;
    let connector = run.host.connector(system)?;
    let capabilities = connector.describe();
    let new = task.facts.new.clone().ok_or_else(|| park("there is no new version to verify"))?;
    if new.id.as_ref().is_some_and(|id| task.intent(Verb::Revoke, &id.0).is_some()) {
        return destroy(task, &new, "its rights were not the old one's".to_owned()).await;
    }
    let material = match run.material(&new).await? {
        Some(material) => material,
        // A person keeps what he made, where there is no place to read it from.
        None if member.course() == Course::Manual => return Ok(Done::Plain { step: Step::Verify }),
        None => return Err(park("the new value is not in escrow any more; retry mints another")),
    };
    let fields = rendered(&run.eventual(&member), &material)?;
    for (place, fields) in &fields {
        run.host.connector(&place.system)?.fits(&place.path, fields)?;
    }
    if !capabilities.verbs.contains(&Verb::Verify) || held(document) {
        return Ok(Done::Plain { step: Step::Verify });
    }
    let propagation = run.propagation(system)?;
    let deadline = run.context.clock.now() + run.settings.settle(propagation);
    let operation = OperationId("verify".into());
    let verified = loop {
        let ask = Ask { system, verb: Verb::Verify, operation: &operation, actor: None };
        let answer = run
            .host
            .call(ask, |connector, call| {
                let (target, material) = (target.clone(), material.clone());
                async move { connector.verify(&call, &target, &material).await }
            })
            .await;
        match answer {
            Ok(verified) => break verified,
            Err(error) if error.kind == ErrorKind::Denied && run.context.clock.now() < deadline => {
                run.context.clock.sleep(run.settings.poll).await;
            }
            Err(error) if error.kind == ErrorKind::Denied => {
                if is_gone(&run, document, &new).await? {
                    // Killed by an earlier try whose answer was lost, or by somebody else: nobody ever had it.
                    run.news.lock().unwrap_or_else(PoisonError::into_inner).remove(&task.credential());
                    return Err(Stop::Destroyed { change: "it is dead before anybody had it".to_owned() });
                }
                return Err(park(&format!("the issuer does not accept the new value: {}", chain(&error))));
            }
            // Nothing was said about the value.
            Err(error) => return Err(error.into()),
        }
    };
    let was = task.facts.old.as_ref().and_then(|old| old.principal.clone());
    let mut change = match was {
        Some(was) if was != verified.principal => RightsChange::OtherIdentity(verified.principal),
        _ => RightsChange::Equal,
    };
    if let (RightsChange::Equal, true, Some(old), Some(id)) = (
        &change,
        capabilities.verbs.contains(&Verb::CompareRights),
        task.facts.old.as_ref().and_then(|old| old.id.clone()),
        new.id.clone(),
    ) && old != id
    {
        let actor = run.manager(document).await?;
        let ask = Ask { system, verb: Verb::CompareRights, operation: &operation, actor };
        let compared = run
            .host
            .call(ask, |connector, call| {
                let (target, old, id) = (target.clone(), old.clone(), id.clone());
                async move { connector.compare_rights(&call, &target, &old, &id).await }
            })
            .await;
        change = match compared {
            // The old one was killed before this one was made, and its issuer forgets what it killed.
            Err(error) if error.kind == ErrorKind::Missing && member.path != Path::Rolling => {
                let (now, body) = (run.context.clock.now(), json!({ "why": chain(&error) }));
                let credential = task.credential();
                task.pending.entries.push(entry("rights.not-compared", now, Some(&run.id), Some(&credential), &body));
                RightsChange::Equal
            }
            compared => compared?,
        };
    }
    match change {
        RightsChange::Equal => Ok(Done::Plain { step: Step::Verify }),
        RightsChange::Narrower(missing) => {
            Err(Stop::Park(Reason::Rights { change: format!("it lacks {}", missing.join(", ")) }))
        }
        RightsChange::Broader(added) => destroy(task, &new, format!("it has {} too", added.join(", "))).await,
        RightsChange::OtherIdentity(who) => destroy(task, &new, format!("it speaks for {who}")).await,
    }
}

/// Does the issuer list what lives, and this version no more?
async fn is_gone(run: &Run, document: &Credential, new: &Version) -> Result<bool, Stop> {
    let system = &document.issued_by.system;
    let (Some(id), true) = (&new.id, run.host.connector(system)?.describe().verbs.contains(&Verb::Enumerate)) else {
        return Ok(false);
    };
    let live = run.enumerate(system, run.manager(document).await?).await;
    Ok(live.is_ok_and(|live| !live.lists(id)))
}

/// Is the new value accepted still? One that is not is killed, and another is minted.
pub(super) async fn still_good(task: &mut Task) -> Result<(), Stop> {
    match verify(task).await {
        Ok(_) => Ok(()),
        Err(Stop::Park(Reason::Failed { .. } | Reason::Rights { .. })) => {
            let new = task.facts.new.clone();
            if let Some(new) = &new {
                kill_new(task, new).await?;
            }
            task.run.news.lock().unwrap_or_else(PoisonError::into_inner).remove(&task.credential());
            Err(Stop::Spoiled)
        }
        Err(Stop::Destroyed { .. }) => Err(Stop::Spoiled),
        Err(stop) => Err(stop),
    }
}

/// A version with more than the old one had, or of somebody else, is killed before anybody sees it.
async fn destroy(task: &mut Task, new: &Version, why: String) -> Result<Done, Stop> {
    kill_new(task, new).await?;
    task.run.news.lock().unwrap_or_else(PoisonError::into_inner).remove(&task.credential());
    Err(Stop::Destroyed { change: format!("{why}; it was destroyed") })
}

/// Kills what was given up. A write of it may have landed since: then the old value is put back first, and seen.
async fn make_room(task: &mut Task) -> Result<(), Stop> {
    let given_up = task.facts.also.clone();
    let killed = [Step::Disable, Step::Revoke].iter().any(|step| task.facts.ended.contains(step));
    match task.facts.old.clone().filter(|_| !killed) {
        Some(old) => {
            let facts = (task.facts.old.clone(), task.facts.new.clone());
            let done = back(task, &old, &given_up, false).await;
            (task.facts.old, task.facts.new) = facts;
            done
        }
        None => {
            for version in &given_up {
                kill_new(task, version).await?;
            }
            Ok(())
        }
    }
}

pub(super) async fn kill_new(task: &mut Task, new: &Version) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let Some(id) = &new.id else { return Ok(()) };
    trust::give_up(task, new).await?;
    let effect = Effect {
        system: &document.issued_by.system,
        verb: Verb::Revoke,
        about: id.0.clone(),
        version: Some(id),
        actor: run.manager(document).await?,
        seal: None,
    };
    let target = &document.issued_by.target;
    task.effect(effect, |connector, call| {
        let (target, id) = (target.clone(), id.clone());
        async move { connector.revoke(&call, &target, &id).await }
    })
    .await
}

pub(super) fn park(what: &str) -> Stop {
    Stop::Park(Reason::Failed { what: what.to_owned() })
}

impl crate::engine::run::Run {
    /// How long a change at a system takes to be seen everywhere.
    pub fn propagation(&self, system: &remint_contract::Ref) -> Result<Duration, EngineError> {
        if let Some(told) = self.system(system)?.propagation {
            return Ok(told);
        }
        let capabilities = self.host.connector(system)?.describe();
        Ok(capabilities.issuer.map_or(Duration::ZERO, |issuer| issuer.propagation))
    }
}

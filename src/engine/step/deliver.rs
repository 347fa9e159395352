//! Deliver and promote: the new value is written, then seen, in every clean destination.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use remint_contract::{ErrorKind, Location, OperationId, SecretValue, Verb, WriteRequest};
use remint_core::machine::Done;
use remint_core::step::{Course, Path, Step};

use crate::engine::effect::{Effect, Stop, Task};
use crate::engine::host::Ask;
use crate::engine::step::mint::{park, still_good};
use crate::engine::step::render::rendered;

/// How often a document that somebody else changed meanwhile is read again.
pub(super) const REREADS: usize = 8;

/// Stages the value where the store can stage; elsewhere `promote` writes it.
pub(super) async fn deliver(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    if task.member().path == Path::Cut && task.member().course() != Course::Rewrap {
        // While it lay in escrow the old values of its unit lived on, and one of them may have overwritten it.
        still_good(task).await?;
    }
    for (place, fields) in values(task).await? {
        let store = run.host.connector(&place.system)?.describe().store;
        // A document that several credentials share is staged and promoted in one go, one writer at a time.
        if store.is_some_and(|store| store.staged) && !run.shared(&place) {
            let version = write(task, &place, &fields, None).await?;
            run.staged.lock().unwrap_or_else(PoisonError::into_inner).insert((task.index, place), version);
        }
    }
    Ok(Done::Plain { step: Step::Deliver })
}

/// Makes readers see the value.
pub(super) async fn promote(task: &mut Task) -> Result<Done, Stop> {
    let values = values(task).await?;
    let places = values.iter().map(|(place, _)| place.clone()).collect();
    show_all(task, values).await?;
    Ok(Done::Promoted { places })
}

/// Writes what was held back when the member was promoted, and may be written now.
pub async fn held_back(task: &mut Task) -> Result<BTreeSet<Location>, Stop> {
    let mut values = values(task).await?;
    values.retain(|(place, _)| !task.facts.delivered.contains(place));
    let places = values.iter().map(|(place, _)| place.clone()).collect();
    show_all(task, values).await?;
    Ok(places)
}

pub(super) async fn show_all(
    task: &mut Task,
    values: Vec<(Location, BTreeMap<String, SecretValue>)>,
) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    for (place, fields) in values {
        let staged = run.host.connector(&place.system)?.describe().store.is_some_and(|store| store.staged);
        let lock = run.place(&place);
        let _writer = lock.lock().await;
        let earlier = run.staged.lock().unwrap_or_else(PoisonError::into_inner).remove(&(task.index, place.clone()));
        let mut last = None;
        for attempt in 0..REREADS {
            let result = match (&earlier, staged) {
                (Some(version), true) if attempt == 0 => show(task, &place, version).await,
                (_, true) => match write(task, &place, &fields, None).await {
                    Ok(version) => show(task, &place, &version).await,
                    Err(stop) => Err(stop),
                },
                (_, false) => {
                    let expect = current(task, &place).await?;
                    write(task, &place, &fields, expect).await.map(drop)
                }
            };
            match result {
                Ok(()) => {
                    last = None;
                    break;
                }
                // Somebody else changed the document between the look and the write.
                Err(stop @ Stop::Failed { kind: ErrorKind::Conflict | ErrorKind::Missing, .. }) => last = Some(stop),
                Err(stop) => return Err(stop),
            }
        }
        if let Some(stop) = last {
            return Err(stop);
        }
    }
    Ok(())
}

/// What goes where.
async fn values(task: &Task) -> Result<Vec<(Location, BTreeMap<String, SecretValue>)>, Stop> {
    let run = Arc::clone(&task.run);
    let new = task.facts.new.clone().ok_or_else(|| park("there is no new version to deliver"))?;
    let Some(material) = run.material(&new).await? else {
        return Err(park("the new value is not in escrow any more; retry mints another"));
    };
    rendered(&run.places(task.member()), &material)
}

/// The version that readers see now, for stores with compare-and-set. What cannot be read because it is not there, or not
/// for Remint to read, is written whatever it is; what may be there and gives no answer now is not.
pub(super) async fn current(task: &Task, place: &Location) -> Result<Option<String>, Stop> {
    let capabilities = task.run.host.connector(&place.system)?.describe();
    if !capabilities.store.is_some_and(|store| store.compare_and_set) {
        return Ok(None);
    }
    let operation = OperationId("read".into());
    let ask = Ask { system: &place.system, verb: Verb::Read, operation: &operation, actor: None };
    let path = place.path.clone();
    let found = task
        .run
        .host
        .call(ask, |connector, call| {
            let path = path.clone();
            async move { connector.read(&call, &path).await }
        })
        .await;
    match found {
        Ok(found) => Ok(Some(found.version)),
        Err(error) if matches!(error.kind, ErrorKind::Missing | ErrorKind::Denied | ErrorKind::Unsupported) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn write(
    task: &mut Task,
    place: &Location,
    fields: &BTreeMap<String, SecretValue>,
    expect: Option<String>,
) -> Result<String, Stop> {
    let effect = Effect {
        system: &place.system,
        verb: Verb::Write,
        about: place.to_string(),
        version: None,
        actor: None,
        seal: None,
    };
    let request = WriteRequest { path: place.path.clone(), fields: fields.clone(), expect };
    let written = task
        .effect(effect, |connector, call| {
            let request = request.clone();
            async move { connector.write(&call, &request).await }
        })
        .await?;
    Ok(written.version)
}

pub(super) async fn show(task: &mut Task, place: &Location, version: &str) -> Result<(), Stop> {
    let effect = Effect {
        system: &place.system,
        verb: Verb::Promote,
        about: place.to_string(),
        version: None,
        actor: None,
        seal: None,
    };
    let (path, version) = (place.path.clone(), version.to_owned());
    task.effect(effect, |connector, call| {
        let (path, version) = (path.clone(), version.clone());
        async move { connector.promote(&call, &path, &version).await }
    })
    .await
}

/// Destroys what can still be read of older values in a store; what cannot be destroyed is named.
pub(super) async fn residue(task: &mut Task) -> Result<Vec<String>, Stop> {
    let run = Arc::clone(&task.run);
    let mut left = Vec::new();
    for place in run.places(task.member()) {
        let capabilities = run.host.connector(&place.at.system)?.describe();
        if !capabilities.store.is_some_and(|store| store.versioned) {
            continue;
        }
        let operation = OperationId("versions".into());
        let ask = Ask { system: &place.at.system, verb: Verb::Versions, operation: &operation, actor: None };
        let path = place.at.path.clone();
        let versions = run
            .host
            .call(ask, |connector, call| {
                let path = path.clone();
                async move { connector.versions(&call, &path).await }
            })
            .await?;
        for version in versions.into_iter().skip(1) {
            let effect = Effect {
                system: &place.at.system,
                verb: Verb::DestroyVersion,
                about: format!("{}@{version}", place.at),
                version: None,
                actor: None,
                seal: None,
            };
            let done = task
                .effect(effect, |connector, call| {
                    let (path, version) = (path.clone(), version.clone());
                    async move { connector.destroy_version(&call, &path, &version).await }
                })
                .await;
            match done {
                Ok(()) => {}
                Err(Stop::Failed { what, .. }) => left.push(format!("{}@{version}: {what}", place.at)),
                Err(stop) => return Err(stop),
            }
        }
    }
    Ok(left)
}

//! The things of a state as policies see them.

use remint_contract::ResetId;
use remint_core::gate::{Resource, Scope};

use crate::engine::{Engine, EngineError};

/// A reset: what waits for approval of it where something does, else its plan.
///
/// # Errors
/// It is not there, or its plan or estate is not.
pub async fn reset(engine: &Engine, id: &ResetId) -> Result<Resource, EngineError> {
    let known = engine.reset(id).await?;
    let estate = engine.estate(&known.plan.estate.to_string()).await?;
    let requester = known.case.as_ref().and_then(|case| case.requester.person().cloned());
    let plan = known.revision.as_ref().map_or(&*known.plan, |revision| &revision.plan);
    Ok(Resource::Reset(Scope::of_plan(&id.0, plan, &estate, requester)))
}

/// A thing by its word: `estate`, `store`, `policy`, `keys`, `log`, `Credential/NAME`, or the id of a reset.
///
/// # Errors
/// There is no such reset, or the store failed.
pub async fn named(engine: &Engine, word: &str) -> Result<Resource, EngineError> {
    if let Some(thing) = thing(word) {
        return Ok(thing);
    }
    if word.contains('/') {
        return credential(engine, word).await;
    }
    reset(engine, &ResetId(word.to_owned())).await
}

/// The things that there is one of.
#[must_use]
pub fn thing(word: &str) -> Option<Resource> {
    Some(match word {
        "estate" => Resource::Estate,
        "store" => Resource::Store,
        "policy" => Resource::Policy,
        "keys" => Resource::Keys,
        "log" => Resource::Log,
        _ => return None,
    })
}

/// A credential, as the active estate has it.
///
/// # Errors
/// The name is none, or the store failed.
pub async fn credential(engine: &Engine, name: &str) -> Result<Resource, EngineError> {
    let reference = name.parse().map_err(|error| EngineError::Refused(format!("{error}")))?;
    let estate = engine.active_estate().await?.unwrap_or_default();
    Ok(Resource::Credential(Scope::of_credential(&reference, &estate)))
}

/// An exception: as a reset of the credential that it leaves as it is, with who asked.
///
/// # Errors
/// It is not there, or the store failed.
pub async fn exception(engine: &Engine, id: &str) -> Result<Resource, EngineError> {
    let (known, _) = engine.exception(id).await?;
    let estate = engine.active_estate().await?.unwrap_or_default();
    let requester = known.case.as_ref().and_then(|case| case.requester.person().cloned());
    let credential = std::iter::once(&known.asked.credential);
    Ok(Resource::Reset(Scope::of_credentials(id, credential, &estate, requester)))
}

/// A window: as a reset of all that it selects.
///
/// # Errors
/// The name is none, or the store failed.
pub async fn window(engine: &Engine, name: &str) -> Result<Resource, EngineError> {
    let reference = name.parse().map_err(|error| EngineError::Refused(format!("{error}")))?;
    let estate = engine.active_estate().await?.unwrap_or_default();
    let selected = estate.credentials.iter().filter(|(_, credential)| {
        estate.windows.get(&reference).is_some_and(|window| window.selects(&estate, credential))
    });
    let selected: Vec<_> = selected.map(|(name, _)| name).collect();
    Ok(Resource::Reset(Scope::of_credentials(name, selected.into_iter(), &estate, None)))
}

/// What is approved in advance: as a reset of all that it covers, with who asked.
///
/// # Errors
/// It is not there, or the store failed.
pub async fn standing(engine: &Engine, id: &str) -> Result<Resource, EngineError> {
    let (known, _) = engine.standing(id).await?;
    let estate = engine.active_estate().await?.unwrap_or_default();
    let requester = known.case.requester.person().cloned();
    let credentials = known.asked.covers.keys();
    Ok(Resource::Reset(Scope::of_credentials(id, credentials, &estate, requester)))
}

//! `suspend` of a reset that runs: it begins no further step while somebody who may says so, and goes on when somebody who
//! may takes it back.
//!
//! Guarantees: the word is that of the user whom the API server knew when it was written, at the same gate as `remint
//! pause`; what somebody paused by another entrance is not let go here.

use remint_cluster::admission;
use remint_core::gate::Action;
use serde_json::Value;

use crate::causes::causes;
use crate::engine::EngineError;
use crate::engine::record::{Reset, ResetStatus};
use crate::govern::GateError;
use crate::serve::cluster::Cluster;
use crate::serve::cluster::acts::pass;
use crate::serve::supervisor::Desk;

/// Why it stands still.
const WHY: &str = "`suspend` is set on the Reset";

/// True for a reset that stands still because its object says so.
pub(super) fn stands(reset: &Reset) -> bool {
    reset.standstill.as_ref().is_some_and(|standstill| standstill.reason == WHY)
}

/// The reset as it is after that, and why what its object says is not done.
pub(super) async fn look(
    cluster: &Cluster,
    desk: &Desk,
    by: &str,
    object: &Value,
    reset: Reset,
) -> Result<(Reset, Option<String>), EngineError> {
    let suspended = object["spec"]["suspend"] == true;
    match (suspended, reset.status) {
        (true, ResetStatus::Running | ResetStatus::Resting) => {}
        (false, ResetStatus::Paused) if stands(&reset) => {}
        _ => return Ok((reset, None)),
    }
    let (engine, id) = (&cluster.app.engine, reset.id.clone());
    let Ok(who) = admission::suspender(object, &cluster.key) else {
        let why = "`suspend` is nobody's word: set it again while Remint's webhooks are asked";
        return Ok((reset, Some(why.to_owned())));
    };
    let resource = crate::govern::reset(engine, &id).await?;
    let passed = match pass(cluster, by, &who.user, &id, Action::Execute, resource).await {
        Ok(passed) => passed,
        Err(GateError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok((reset, Some(format!("`suspend` of {} is not heeded: {}", who.user, causes(&error))))),
    };
    let done = if suspended {
        desk.act(&id, || engine.pause(&id, false, &passed.by, WHY)).await
    } else {
        desk.act(&id, || engine.resume(&id, &passed.by, "`suspend` was taken out of the Reset")).await
    };
    match done {
        Ok(reset) => {
            tracing::info!(reset = %id, user = who.user, suspended, "`suspend` of a custom resource was heeded");
            Ok((reset, None))
        }
        Err(error @ EngineError::Store(_)) => Err(error),
        // It came to another status meanwhile; the next look sees which.
        Err(error) => Ok((reset, Some(causes(&error)))),
    }
}

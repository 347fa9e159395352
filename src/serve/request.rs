//! Asking for a reset: the one way in, whoever came through whichever entrance.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use remint_contract::ResetId;
use remint_core::gate::{Action, Resource, Scope as Subject};

use crate::app::App;
use crate::engine::record::{Reset, Urgency};
use crate::engine::reset::Request;
use crate::engine::{EngineError, names};
use crate::evidence::acts::{self, Act};
use crate::govern::{GateError, Passed};
use crate::serve::plan::{NoPlan, Scope, privileged};

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) id: ResetId,
    pub(super) scope: Scope,
    pub(super) reason: String,
    /// Nothing is stolen: it queues behind every incident.
    pub(super) drill: bool,
    pub(super) exposed_at: Option<Timestamp>,
    /// Privileged credentials are replaced too, on nobody's word but this, where nobody governs.
    pub(super) privileged: bool,
    pub(super) at: Timestamp,
    pub(super) way: Way,
}

/// In which way it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It waits for approval.
    Asked,
    /// The same, and whoever asks only carries what others wrote.
    Carried,
    /// It begins at once, on the word of who asks alone.
    BreakGlass,
}

/// Why nothing was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAsked {
    #[error("no estate is active; GET /v1/estate says why")]
    NoEstate,
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    #[error("the plan replaces privileged credentials ({}) and no governance watches over this state; say \"privileged\": true to mean it", names(.0))]
    Privileged(BTreeSet<remint_contract::Ref>),
    #[error("breakGlass: this state has one operator: there is no glass to break")]
    NoGlass,
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Plans from the active estate, passes the gate, and records the request, which then waits for approval.
///
/// # Errors
/// It was asked for before, there is no plan, or the caller may not.
pub(super) async fn request(app: &App, operator: &str, passed: &Passed, asking: Asking) -> Result<Reset, NotAsked> {
    let engine = &app.engine;
    // Said before anything is planned: an id that was used has its own plan.
    if engine.reset(&asking.id).await.is_ok() {
        return Err(EngineError::Twice(asking.id).into());
    }
    let estate = engine.active_estate().await?.ok_or(NotAsked::NoEstate)?;
    let plan = match asking.scope.plan(engine, &estate).await {
        Ok(plan) => plan,
        Err(error) => {
            refused(app, &passed.by, &error.to_string()).await?;
            return Err(error.into());
        }
    };
    let (governed, high) = (app.gate.governed(), privileged(&plan, &estate));
    if governed {
        let resource = Resource::Reset(Subject::of_plan(&asking.id.0, &plan, &estate, None));
        if !plan.exceptions.is_empty() {
            app.gate.pass(passed.caller(), operator, Action::Skip, &resource).await?;
        }
        let action = if asking.way == Way::BreakGlass { Action::BreakGlass } else { Action::Request };
        app.gate.pass(passed.caller(), operator, action, &resource).await?;
    }
    if !governed && !high.is_empty() && !asking.privileged {
        let error = NotAsked::Privileged(high);
        refused(app, &passed.by, &error.to_string()).await?;
        return Err(error);
    }
    let (by, estate) = (passed.by.clone(), Arc::unwrap_or_clone(estate));
    let request = Request { id: asking.id, plan, estate, reason: asking.reason, by, at: asking.at };
    let urgency = if asking.drill { Urgency::Scheduled } else { Urgency::of(&request.plan) };
    let (exposed, party) = (asking.exposed_at, passed.party().cloned());
    Ok(match asking.way {
        Way::Asked => engine.request_of(request, urgency, exposed, party).await?,
        Way::Carried => engine.request_carried(request, urgency, exposed, party).await?,
        Way::BreakGlass => engine.break_glass(request, exposed, party.ok_or(NotAsked::NoGlass)?).await?,
    })
}

/// Records that a reset was asked for and not begun.
async fn refused(app: &App, by: &str, why: &str) -> Result<(), EngineError> {
    let (engine, act) = (&app.engine, Act::Refused { what: "reset", by, why });
    Ok(acts::record(&*engine.store, &engine.context, act).await?)
}

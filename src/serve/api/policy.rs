//! Who may do what: what would be decided, and another charter by the consent of two persons.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};
use remint_core::gate::{Action, Caller, Entrance};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::AppError;
use crate::govern::{Charter, Passed, named};
use crate::serve::api::Api;
use crate::serve::api::body::Body;
use crate::serve::api::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    /// The text of each `*.cedar`, by its name.
    policies: BTreeMap<String, String>,
    /// The text of `persons.yaml`.
    persons: String,
}

/// Proposes a charter, or consents to it as the second person.
pub(super) async fn stage(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    Body(sent): Body<Sent>,
) -> Result<Json<Value>, Problem> {
    let charter = Charter { policies: sent.policies, persons: sent.persons };
    charter.table().map_err(|error| Problem::invalid(format!("persons: {error}")))?;
    let active = api.app.gate.change_charter(&passed, &charter).await?;
    api.app.sequencer.flush().await.map_err(AppError::from)?;
    Ok(Json(json!({ "charter": charter.digest(), "active": active, "by": passed.by })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    principal: Option<String>,
    action: Action,
    #[serde(default = "estate")]
    on: String,
    #[serde(default = "api")]
    entrance: Entrance,
}

fn estate() -> String {
    "estate".to_owned()
}

const fn api() -> Entrance {
    Entrance::Api
}

/// What would be decided for a principal, and by which policies; nothing is recorded.
pub(super) async fn explain(
    State(api): State<Arc<Api>>,
    Extension(passed): Extension<Passed>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let asked = axum::extract::Query::<Question>::try_from_uri(&uri)
        .map_err(|error| Problem::invalid(format!("principal, action, on, entrance: {}", error.body_text())))?
        .0;
    if !api.app.gate.governed() {
        let detail = "this state has one operator: whoever holds it may do everything";
        return Err(Problem::new(StatusCode::CONFLICT, "refused", detail));
    }
    let principal = asked.principal.unwrap_or_else(|| passed.caller().principal.clone());
    let resource = named(&api.app.engine, &asked.on).await?;
    let caller = Caller::plain(principal, asked.entrance);
    let (party, groups, decision) = api.app.gate.explain(&caller, asked.action, &resource).await?;
    Ok(Json(json!({ "party": party, "groups": groups, "resource": resource.to_string(), "decision": decision })))
}

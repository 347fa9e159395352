//! From what a request asks to a plan, over the active estate and what this state knows of earlier rotations.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use remint_contract::{Location, NameError, Ref};
use remint_core::estate::{Estate, Tier};
use remint_core::plan::{Node, Plan, Refusal, Request, SelectorError, plan};
use serde::Deserialize;

use crate::engine::{Engine, EngineError};
use crate::serve::aside;

/// What a plan is asked about, as text.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Scope {
    pub(super) from: Vec<String>,
    #[serde(default)]
    pub(super) contain: Option<String>,
    #[serde(default)]
    pub(super) except: Vec<String>,
    #[serde(default)]
    pub(super) clean: Vec<String>,
    #[serde(default)]
    pub(super) deadline: Option<Timestamp>,
    #[serde(default)]
    pub(super) failure_budget: usize,
    /// Nothing is stolen: an old value lives on for its overlap. Nobody asks for that over the API.
    #[serde(skip)]
    pub(super) overlaps: bool,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPlan {
    #[error("say where the attacker is: `from` names at least one node")]
    Nowhere,
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Selector(#[from] SelectorError),
    #[error("{}", sentences(.0))]
    Refused(Vec<Refusal>),
    #[error("nothing reached holds a credential: there is nothing to replace")]
    Nothing,
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Scope {
    /// Plans from an estate.
    pub(super) async fn plan(self, engine: &Engine, estate: &Estate) -> Result<Plan, NoPlan> {
        if self.from.is_empty() {
            return Err(NoPlan::Nowhere);
        }
        let mut request = Request::new(nodes(&self.from)?);
        request.contain = self.contain.as_deref().map(str::parse).transpose()?;
        request.clean = nodes(&self.clean)?.into_iter().collect();
        request.exceptions = self.except.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
        request.exceptions.extend(engine.excepted().await?.into_keys());
        request.deadline = self.deadline;
        request.failure_budget = self.failure_budget;
        request.incident = !self.overlaps;
        request.known_destinations = engine.known_destinations().await?;
        let (estate, kinds, now) = (estate.clone(), Arc::clone(&engine.kinds), engine.context.clock.now());
        let plan = aside(move || plan(&estate, &request, &*kinds, now)).await.map_err(NoPlan::Refused)?;
        if plan.members.is_empty() && plan.tasks.is_empty() {
            return Err(NoPlan::Nothing);
        }
        Ok(plan)
    }
}

/// Privileged credentials of a plan: replaced only when that is said by the full word.
pub(super) fn privileged(plan: &Plan, estate: &Estate) -> BTreeSet<Ref> {
    let tier = |credential: &Ref| {
        let identity = &estate.credentials.get(credential)?.identity;
        Some(estate.identities.get(identity)?.tier)
    };
    let credentials = plan.members.iter().map(|member| &member.credential);
    credentials.filter(|credential| tier(credential) == Some(Tier::Privileged)).cloned().collect()
}

/// `Kind/name`, or a place as `system:path`.
fn nodes(names: &[String]) -> Result<Vec<Node>, NameError> {
    let node = |name: &String| {
        if name.contains(':') {
            name.parse::<Location>().map(|place| Node::Place(place.whole()))
        } else {
            name.parse::<Ref>().map(Node::Doc)
        }
    };
    names.iter().map(node).collect()
}

fn sentences(refusals: &[Refusal]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

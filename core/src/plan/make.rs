//! Making a plan: reach, members, order, cuts, deadline, waves, digest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use remint_contract::{Kinds, Location, Ref};

use crate::digest::Digest;
use crate::estate::Estate;
use crate::graph::{Graph, NodeId, Reach, reach};

use super::cut::Order;
use super::members::{Chosen, choose};
use super::{Limits, Plan, Refusal, Request, Rows, cut, deadline, leaf, waves};

/// The plan of a reset. Pure: the same arguments give the same plan.
///
/// # Errors
/// Every reason why there can be none.
pub fn plan(estate: &Estate, request: &Request, kinds: &dyn Kinds, now: Timestamp) -> Result<Plan, Vec<Refusal>> {
    plan_with(estate, request, kinds, now, Rows::ALL)
}

/// As [`plan`], with some rows of the order table switched off: for tests that show what a row is for.
///
/// # Errors
/// As [`plan`].
pub fn plan_with(
    estate: &Estate,
    request: &Request,
    kinds: &dyn Kinds,
    now: Timestamp,
    rows: Rows,
) -> Result<Plan, Vec<Refusal>> {
    // The digest of the estate is as much work as a third of the plan and needs none of it.
    std::thread::scope(|scope| {
        let digest = std::thread::Builder::new().spawn_scoped(scope, || estate.digest());
        let (mut plan, begun) = make(estate, request, kinds, now, rows)?;
        plan.estate = digest.ok().and_then(|digest| digest.join().ok()).unwrap_or_else(|| estate.digest());
        plan.digest = leaf::root(&plan, &begun);
        Ok(plan)
    })
}

/// A plan that is not pinned yet, and what of its digest was begun.
fn make(
    estate: &Estate,
    request: &Request,
    kinds: &dyn Kinds,
    now: Timestamp,
    rows: Rows,
) -> Result<(Plan, Vec<Digest>), Vec<Refusal>> {
    let bounded = bounded(estate, request);
    let request = bounded.as_ref().unwrap_or(request);
    let graph = Graph::build(estate);
    let starts = starts(&graph, request)?;
    let reached = if request.occasion.is_some() { Reach::named(&graph, &starts) } else { reach(&graph, &starts) };
    let Chosen { mut draft, tasks, exceptions, dirty, refusals, capabilities } =
        choose(estate, &graph, &reached, request, kinds);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    // Until the first cycle is cut the members stay as they are, and one thread is free.
    let enough = AtomicBool::new(false);
    let new_destinations = || new_destinations(&graph, &draft.members, &request.known_destinations);
    let (readers, order, mut begun, new_destinations) = std::thread::scope(|scope| {
        let beside = scope.spawn(|| (new_destinations(), leaf::begin(&draft.members, &enough)));
        let readers = cut::readers(&graph, &draft);
        let order = Order::of(&draft, rows, &readers);
        enough.store(true, Ordering::Relaxed);
        let (new, begun) = beside.join().unwrap_or_else(|_| (new_destinations(), Vec::new()));
        (readers, order, begun, new)
    });
    let (resolved, found) = std::thread::scope(|scope| {
        let found = scope.spawn(|| reached.found(&graph));
        let resolved = cut::resolve(estate, &mut draft, rows, &readers, order);
        (resolved, found.join().unwrap_or_else(|_| reached.found(&graph)))
    });
    let Order { precedences, steps, .. } = resolved.map_err(|refusal| vec![refusal])?;
    let (precedences, met) = std::thread::scope(|scope| {
        let sorted = scope.spawn(move || cut::sorted(precedences));
        let met = deadline::meet(estate, request, now, &mut draft, rows, &readers, steps, &capabilities);
        (sorted.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), met)
    });
    let (eta, others) = met.map_err(|refusal| vec![refusal])?;
    if others.is_some() {
        begun.clear();
    }
    let precedences = others.unwrap_or(precedences);
    cut::hold_back(&mut draft, &readers);
    let limits = Limits {
        deadline: request.deadline,
        canary: request.canary,
        growth: request.growth,
        failure_budget: request.failure_budget,
        budgets: estate.systems.iter().map(|(name, system)| (name.clone(), system.budget.concurrency)).collect(),
    };
    let waves = waves::waves(estate, &draft, &precedences, request);
    let plan = Plan {
        digest: Digest([0; 32]),
        parent: None,
        estate: Digest([0; 32]),
        from: request.from.iter().map(reference).collect(),
        reached: found,
        dirty,
        waves,
        members: draft.members,
        precedences,
        cuts: draft.cuts,
        tasks,
        exceptions,
        new_destinations,
        limits,
        eta,
        occasion: request.occasion.clone(),
    };
    Ok((plan, begun))
}

fn starts(graph: &Graph, request: &Request) -> Result<Vec<NodeId>, Vec<Refusal>> {
    let mut unknown = Vec::new();
    let mut starts = Vec::new();
    for node in &request.from {
        let found = match node {
            super::Node::Doc(_) => graph.number(node),
            super::Node::Place(location) => graph.place(location),
        };
        match found {
            Some(id) => starts.push(id),
            None => unknown.push(Refusal::UnknownStart(node.clone())),
        }
    }
    if unknown.is_empty() { Ok(starts) } else { Err(unknown) }
}

fn reference(node: &super::Node) -> Ref {
    match node {
        super::Node::Doc(reference) => reference.clone(),
        super::Node::Place(location) => location.system.clone(),
    }
}

fn new_destinations(
    graph: &Graph,
    members: &[super::Member],
    known: &BTreeMap<Ref, std::collections::BTreeSet<Location>>,
) -> Vec<Location> {
    let mut found: Vec<(Option<u32>, &Location)> = members
        .iter()
        .flat_map(|member| {
            let known = known.get(&member.credential);
            let places = member.places().map(|destination| &destination.at);
            places.filter(move |at| known.is_none_or(|known| !known.contains(*at)))
        })
        .map(|at| (graph.rank(at), at))
        .collect();
    // Of one rank are the fields of one place.
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, at)| at.clone()).collect()
}

/// The request with no larger a first wave than any policy of the estate allows.
fn bounded(estate: &Estate, request: &Request) -> Option<Request> {
    let most = estate.approvals.values().filter_map(|policy| policy.require.canary).min()?;
    (most < request.canary).then(|| Request { canary: most, ..request.clone() })
}

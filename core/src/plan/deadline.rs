//! How long it takes, and what is given up when that is too long.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{Capabilities, Location, Ref, Strategy};

use crate::estate::Estate;
use crate::graph::Map;
use crate::step::{Path, Step};

use super::cut::{Order, StepGraph, resolve, sorted, undo};
use super::draft::Draft;
use super::rows::Readers;
use super::{Precedence, Refusal, Request, Rows};

/// How long it takes, and other precedences when that is longer than the deadline allows. Only here, and only with a
/// deadline, is a member exposed.
#[expect(clippy::too_many_arguments, reason = "it plans again, so it needs all that planning needs")]
pub(super) fn meet(
    estate: &Estate,
    request: &Request,
    now: Timestamp,
    draft: &mut Draft,
    rows: Rows,
    readers: &Readers,
    steps: StepGraph,
    capabilities: &BTreeMap<Ref, Capabilities>,
) -> Result<(Duration, Option<Vec<Precedence>>), Refusal> {
    let forecast = Forecast::of(estate, draft, capabilities);
    let ends = forecast.ends(draft, steps);
    let eta = forecast.total(draft, &ends);
    let allowed = request.deadline.map(|deadline| Duration::try_from(deadline.duration_since(now)).unwrap_or_default());
    let Some(allowed) = allowed.filter(|allowed| eta > *allowed) else { return Ok((eta, None)) };
    expose(draft, readers, &ends, allowed);
    expose_below(draft, readers);
    undo(draft);
    let order = Order::of(draft, rows, readers);
    let order = resolve(estate, draft, rows, readers, order)?;
    let eta = forecast.total(draft, &forecast.ends(draft, order.steps));
    Ok((eta, Some(sorted(order.precedences))))
}

/// Marks what ends too late and has a place that another member still reads: it is not waited for, in a cut or outside.
fn expose(draft: &mut Draft, readers: &Readers, ends: &Ends, allowed: Duration) {
    for (member, its_readers) in readers.iter().enumerate() {
        let this = &draft.members[member];
        let last = this.steps().last().and_then(|step| ends.of(member, *step));
        if this.dark || this.path == Path::Contain || last.is_none_or(|last| last <= allowed) {
            continue;
        }
        let on_time = |place: &Location| this.destinations.iter().any(|destination| destination.at.whole() == *place);
        let reader = its_readers.iter().find(|(reader, place)| *reader != member && on_time(place));
        let reader = reader.map(|(reader, _)| draft.members[*reader].credential.clone());
        draft.members[member].exposed_by = reader;
    }
}

/// Whoever has an exposed value has what it reads and mints.
fn expose_below(draft: &mut Draft, readers: &Readers) {
    let mut read_by: Vec<Vec<usize>> = vec![Vec::new(); draft.members.len()];
    for (member, its_readers) in readers.iter().enumerate() {
        for (reader, _) in its_readers {
            read_by[*reader].push(member);
        }
    }
    let mut work: Vec<usize> =
        (0..draft.members.len()).filter(|&member| draft.members[member].exposed_by.is_some()).collect();
    while let Some(member) = work.pop() {
        let name = draft.members[member].credential.clone();
        let minted = draft.access[member].mints.iter().filter_map(|id| draft.index.get(id).copied());
        for below in read_by[member].iter().copied().chain(minted).collect::<Vec<_>>() {
            if below != member && draft.members[below].exposed_by.is_none() {
                draft.members[below].exposed_by = Some(name.clone());
                work.push(below);
            }
        }
    }
}

/// When each step ends that is a node.
struct Ends {
    graph: StepGraph,
    at: Vec<Duration>,
}

impl Ends {
    fn of(&self, member: usize, step: Step) -> Option<Duration> {
        Some(self.at[self.graph.node(member, step)?])
    }
}

/// Seconds per step of each member, and the load of each system.
struct Forecast {
    call: Vec<Duration>,
    propagation: Vec<Duration>,
    load: Duration,
}

/// One issuer: what a call costs of its budget, and what was asked of it so far.
struct Issuer<'a> {
    calls: &'a [(Strategy, u32)],
    each: Duration,
    propagation: Duration,
    work: Duration,
}

impl<'a> Issuer<'a> {
    fn of(estate: &Estate, capabilities: &'a BTreeMap<Ref, Capabilities>, name: &Ref) -> Self {
        let issuer = capabilities.get(name).and_then(|found| found.issuer.as_ref());
        let system = estate.systems.get(name);
        let budget = system.map(|system| system.budget).unwrap_or_default();
        let side_by_side = CALL / budget.concurrency.max(1);
        let own = system.and_then(|system| system.propagation);
        Self {
            calls: issuer.map_or(&[], |issuer| &issuer.calls),
            each: budget.per_second.map_or(side_by_side, |rate| side_by_side.max(SECOND / rate.max(1))),
            propagation: own.or_else(|| issuer.map(|issuer| issuer.propagation)).unwrap_or_default(),
            work: Duration::ZERO,
        }
    }
}

impl Forecast {
    fn of(estate: &Estate, draft: &Draft, capabilities: &BTreeMap<Ref, Capabilities>) -> Self {
        let mut systems: Map<&Ref, Issuer<'_>> = Map::default();
        let (mut call, mut propagation) = (Vec::new(), Vec::new());
        for (member, system) in draft.members.iter().zip(&draft.issuer) {
            let issuer = systems.entry(system).or_insert_with(|| Issuer::of(estate, capabilities, system));
            let calls = issuer.calls.iter().find(|(strategy, _)| *strategy == member.strategy);
            issuer.work += issuer.each * calls.map_or(DEFAULT_CALLS, |(_, calls)| *calls);
            call.push(CALL);
            propagation.push(issuer.propagation);
        }
        Self { call, propagation, load: systems.values().map(|issuer| issuer.work).max().unwrap_or_default() }
    }

    fn step(&self, draft: &Draft, member: usize, step: Step) -> Duration {
        match step {
            Step::Hold => draft.members[member].hold,
            Step::Reload | Step::Confirm if draft.members[member].consumers.is_empty() => Duration::ZERO,
            Step::Confirm => CONFIRM,
            Step::Propagate => self.propagation[member],
            Step::Prove | Step::FinalProve => self.propagation[member] + 2 * self.call[member],
            _ => self.call[member],
        }
    }

    /// When each step that is a node ends, with nobody waiting for a budget: the critical path.
    fn ends(&self, draft: &Draft, steps: StepGraph) -> Ends {
        let (own, gap) = self.spans(draft, &steps);
        let (graph, member) = (&steps.edges, &steps.member);
        let count = graph.len() as usize;
        let mut open = vec![0_u32; count];
        (0..graph.len()).flat_map(|node| graph.targets(node)).for_each(|&target| open[target as usize] += 1);
        let mut ends = vec![Duration::ZERO; count];
        let mut ready: Vec<u32> = (0..graph.len()).filter(|&node| open[node as usize] == 0).collect();
        while let Some(node) = ready.pop() {
            let end = ends[node as usize] + own[node as usize];
            ends[node as usize] = end;
            for &target in graph.targets(node) {
                let same_member = member[target as usize] == member[node as usize];
                let begin = if same_member { end + gap[node as usize] } else { end };
                ends[target as usize] = ends[target as usize].max(begin);
                open[target as usize] -= 1;
                if open[target as usize] == 0 {
                    ready.push(target);
                }
            }
        }
        Ends { graph: steps, at: ends }
    }

    /// How long each node lasts, and how long the steps between it and the next node of its member.
    fn spans(&self, draft: &Draft, graph: &StepGraph) -> (Vec<Duration>, Vec<Duration>) {
        let count = graph.edges.len() as usize;
        let (mut own, mut gap) = (vec![Duration::ZERO; count], vec![Duration::ZERO; count]);
        for (index, member) in draft.members.iter().enumerate() {
            let mut node = 0;
            for &step in member.steps() {
                let takes = self.step(draft, index, step);
                match graph.node(index, step) {
                    Some(at) => {
                        node = at;
                        own[node] = takes;
                    }
                    None => gap[node] += takes,
                }
            }
        }
        (own, gap)
    }

    fn total(&self, draft: &Draft, ends: &Ends) -> Duration {
        let path = (0..draft.members.len())
            .filter_map(|member| ends.of(member, *draft.members[member].steps().last()?))
            .max()
            .unwrap_or_default();
        path.max(self.load)
    }
}

const SECOND: Duration = Duration::from_secs(1);
const CALL: Duration = Duration::from_millis(100);
const CONFIRM: Duration = Duration::from_secs(2);
const DEFAULT_CALLS: u32 = 10;

//! Cycles among steps, and how they are ended: by a destination that nobody in the cycle reads, which costs nothing, or
//! by a cut with an announced outage. Cutting can make new cycles, so it is repeated until none is left.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use remint_contract::Location;

use crate::estate::{Estate, UnlockVerb};
use crate::graph::{self, Csr, Graph, Map, NodeId};
use crate::step::{Course, Path, Step};

use super::draft::Draft;
use super::rows::{Readers, derive};
use super::{Cut, Late, Precedence, Refusal, Row, Rows};

/// Per member, which members read which of its places.
pub(super) fn readers(graph: &Graph, draft: &Draft) -> Readers {
    let mut by_place: Map<NodeId, Vec<usize>> = Map::default();
    let mut by_credential: Map<NodeId, Vec<usize>> = Map::default();
    let ours: HashSet<NodeId, foldhash::fast::RandomState> = draft
        .members
        .iter()
        .flat_map(|member| member.destinations.iter().chain(&member.withheld))
        .filter_map(|destination| graph.place(&destination.at))
        .collect();
    for (reader, access) in draft.access.iter().enumerate() {
        for place in access.places.iter().filter(|place| ours.contains(place)) {
            by_place.entry(*place).or_default().push(reader);
        }
        for credential in &access.reads {
            by_credential.entry(*credential).or_default().push(reader);
        }
    }
    draft
        .members
        .iter()
        .zip(&draft.number)
        .map(|(member, id)| {
            let mut found: Vec<(usize, Arc<Location>)> = Vec::new();
            for destination in member.destinations.iter().chain(&member.withheld) {
                let place = graph.place(&destination.at).and_then(|place| by_place.get(&place));
                let mut readers = place.into_iter().chain(by_credential.get(id)).flatten().peekable();
                if readers.peek().is_some() {
                    let at = Arc::new(destination.at.whole());
                    found.extend(readers.map(|&reader| (reader, Arc::clone(&at))));
                }
            }
            found.sort_unstable();
            found.dedup();
            found
        })
        .collect()
}

/// Derives the precedences, and cuts until no cycle is left.
pub(super) fn resolve(
    estate: &Estate,
    draft: &mut Draft,
    rows: Rows,
    readers: &Readers,
) -> Result<Vec<Precedence>, Refusal> {
    loop {
        let precedences = derive(draft, rows, readers);
        let cycles = cycles(draft, &precedences);
        if cycles.is_empty() {
            announce(draft);
            return Ok(precedences);
        }
        let was: Vec<Option<usize>> = draft.members.iter().map(|member| member.cut).collect();
        for cycle in cycles {
            // A cycle that lay whole inside one unit before this round would come back for ever.
            if was[cycle[0]].is_some() && cycle.iter().all(|&member| was[member] == was[cycle[0]]) {
                return Err(Refusal::Uncuttable(names(draft, &cycle)));
            }
            if !hold_late(estate, draft, &cycle, readers) {
                cut(draft, cycle, &precedences);
            }
        }
    }
}

/// Takes all cuts and all late places back, so that another set of precedences can be resolved from the start.
pub(super) fn undo(draft: &mut Draft) {
    draft.cuts.clear();
    for member in &mut draft.members {
        member.cut = None;
        if member.path == Path::Cut {
            member.path = Path::Rolling;
        }
        let late = std::mem::take(&mut member.late);
        member.destinations.extend(late.into_iter().map(|late| late.destination));
    }
}

/// Each member's withheld places wait for the members that read them, too.
///
/// Every wait for the sweep of a cut's member becomes one for the whole unit.
pub(super) fn hold_back(draft: &mut Draft, readers: &Readers) {
    let dead: Vec<usize> = (0..draft.members.len()).map(|member| draft.dead(member).0).collect();
    for late in draft.members.iter_mut().flat_map(|member| &mut member.late) {
        let after: BTreeSet<usize> = late.after.iter().map(|&reader| dead[reader]).collect();
        late.after = after.into_iter().collect();
    }
    for (member, its_readers) in draft.members.iter_mut().zip(readers) {
        if member.dark || member.withheld.is_empty() {
            continue;
        }
        let withheld: BTreeSet<_> = member.withheld.iter().map(|destination| destination.at.whole()).collect();
        member.withheld_after = its_readers
            .iter()
            .filter(|(_, place)| withheld.contains(&**place))
            .map(|(reader, _)| dead[*reader])
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
    }
}

/// The steps as a graph: the precedences, and each member's own path through its first step, its last one and those that
/// a precedence begins or ends at. The others, which are most, lie between two of these and can neither close a cycle nor
/// wait for anybody.
pub(super) struct StepGraph {
    pub(super) edges: Csr,
    /// A bit per step of each member that is a node.
    kept: Vec<u32>,
}

impl StepGraph {
    pub(super) fn of(draft: &Draft, precedences: &[Precedence]) -> Self {
        let mut kept = vec![0_u32; draft.members.len()];
        for (member, step) in precedences.iter().flat_map(|edge| [edge.before, edge.after]) {
            kept[member] |= bit(step);
        }
        let mut edges = Vec::with_capacity(2 * draft.members.len() + 2 * precedences.len());
        for (index, (member, kept)) in draft.members.iter().zip(&mut kept).enumerate() {
            let steps = member.steps();
            *kept |= steps.first().copied().map_or(0, bit) | steps.last().copied().map_or(0, bit);
            let mut last = None;
            for &step in steps.iter().filter(|&&step| *kept & bit(step) != 0) {
                let number = step_number((index, step));
                edges.extend(last.replace(number).map(|last| (last, number, UnlockVerb::Use)));
            }
        }
        edges.extend(
            precedences.iter().map(|edge| (step_number(edge.before), step_number(edge.after), UnlockVerb::Use)),
        );
        let nodes = u32::try_from(draft.members.len()).unwrap_or(u32::MAX / WIDTH) * WIDTH;
        Self { edges: Csr::new(nodes, edges), kept }
    }

    pub(super) fn has(&self, member: usize, step: Step) -> bool {
        self.kept[member] & bit(step) != 0
    }
}

const fn bit(step: Step) -> u32 {
    1 << step as u16
}

pub(super) fn step_number((member, step): (usize, Step)) -> u32 {
    u32::try_from(member).unwrap_or(u32::MAX / WIDTH) * WIDTH + step as u32
}

/// The members of each cycle, ascending.
fn cycles(draft: &Draft, precedences: &[Precedence]) -> Vec<Vec<usize>> {
    if precedences.is_empty() {
        return Vec::new();
    }
    graph::cycles(&StepGraph::of(draft, precedences).edges)
        .into_iter()
        .map(|component| {
            let members: BTreeSet<usize> = component.iter().map(|step| (step / WIDTH) as usize).collect();
            members.into_iter().collect()
        })
        .collect()
}

/// Tries to end the cycle for nothing: places that its members read are written after those members are dead, where
/// another place is left and serves every clean consumer. True when a place was moved.
fn hold_late(estate: &Estate, draft: &mut Draft, cycle: &[usize], readers: &Readers) -> bool {
    let inside: BTreeSet<usize> = cycle.iter().copied().collect();
    let mut moved = false;
    for &member in cycle {
        let this = &draft.members[member];
        if this.path != Path::Rolling || this.dark {
            continue;
        }
        let read: BTreeSet<&Location> =
            readers[member].iter().filter(|(reader, _)| inside.contains(reader)).map(|(_, place)| &**place).collect();
        let is_read = |at: &Location| read.contains(&at.whole());
        let some = this.destinations.iter().any(|destination| is_read(&destination.at));
        let rest = this.destinations.iter().any(|destination| !is_read(&destination.at));
        let served = this.consumers.iter().all(|consumer| {
            let workload = estate.workloads.get(consumer);
            let host = workload.and_then(|workload| workload.runs_on.as_ref()).map(|host| &host.system);
            let own: Vec<_> =
                this.destinations.iter().filter(|destination| Some(&destination.at.system) == host).collect();
            !own.is_empty() && own.iter().all(|destination| !is_read(&destination.at))
        });
        if !(some && rest && served) {
            continue;
        }
        let (late, on_time): (Vec<_>, Vec<_>) =
            this.destinations.iter().cloned().partition(|destination| is_read(&destination.at));
        let late = late.into_iter().map(|destination| {
            let at = destination.at.whole();
            let after = readers[member].iter().filter(|(_, place)| **place == at).map(|(reader, _)| *reader).collect();
            Late { destination, after }
        });
        let late: Vec<_> = late.collect();
        let this = &mut draft.members[member];
        this.destinations = on_time;
        this.late.extend(late);
        moved = true;
    }
    moved
}

/// Makes one unit of the cycle and of every unit that it touches.
fn cut(draft: &mut Draft, mut members: Vec<usize>, precedences: &[Precedence]) {
    let touched: BTreeSet<usize> = members.iter().filter_map(|&member| draft.members[member].cut).collect();
    let mut because = BTreeSet::new();
    for &unit in &touched {
        members.extend(std::mem::take(&mut draft.cuts[unit].members));
        because.extend(draft.cuts[unit].because.iter().copied());
    }
    members.sort_unstable();
    members.dedup();
    let inside: BTreeSet<usize> = members.iter().copied().collect();
    because.extend(
        members
            .iter()
            .flat_map(|&member| begin_at(precedences, member))
            .filter(|edge| edge.row != Row::Cut && inside.contains(&edge.after.0))
            .map(|edge| edge.row),
    );
    let unit = touched.first().copied().unwrap_or(draft.cuts.len());
    let cut =
        Cut { members, because: because.into_iter().collect(), outage: Duration::ZERO, consumers: BTreeSet::new() };
    for &member in &cut.members {
        let this = &mut draft.members[member];
        this.cut = Some(unit);
        if this.path == Path::Rolling {
            // What a person makes cannot lie in escrow until the unit is dead: he makes it after.
            this.path = if this.course() == Course::Manual { Path::Contain } else { Path::Cut };
        }
        // Nothing is written late in a cut: all of it is written after the whole unit is dead.
        let late = std::mem::take(&mut this.late);
        this.destinations.extend(late.into_iter().map(|late| late.destination));
    }
    if unit == draft.cuts.len() {
        draft.cuts.push(cut);
    } else {
        draft.cuts[unit] = cut;
    }
}

/// The precedences whose first step is this member's: a run, because they are sorted.
fn begin_at(precedences: &[Precedence], member: usize) -> &[Precedence] {
    let start = precedences.partition_point(|edge| edge.before.0 < member);
    let length = precedences[start..].partition_point(|edge| edge.before.0 == member);
    &precedences[start..start + length]
}

/// Drops units that were merged into others, and says who is without a working value for how long.
fn announce(draft: &mut Draft) {
    let mut new_number = vec![None; draft.cuts.len()];
    let mut kept = Vec::new();
    for (old, mut cut) in std::mem::take(&mut draft.cuts).into_iter().enumerate() {
        if cut.members.is_empty() {
            continue;
        }
        new_number[old] = Some(kept.len());
        let consumers = cut.members.iter().flat_map(|&member| draft.members[member].consumers.iter().cloned());
        cut.consumers = consumers.collect();
        let members = u32::try_from(cut.members.len()).unwrap_or(u32::MAX);
        cut.outage = OUTAGE_BASE + OUTAGE_PER_MEMBER.saturating_mul(members);
        kept.push(cut);
    }
    draft.cuts = kept;
    for member in &mut draft.members {
        member.cut = member.cut.and_then(|old| new_number[old]);
    }
}

fn names(draft: &Draft, members: &[usize]) -> Vec<remint_contract::Ref> {
    members.iter().map(|&member| draft.members[member].credential.clone()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "there are some twenty steps")]
pub(super) const WIDTH: u32 = Step::COUNT as u32;
/// Until the proofs are in, and for each member its disable, sweep and delivery.
const OUTAGE_BASE: Duration = Duration::from_secs(30);
const OUTAGE_PER_MEMBER: Duration = Duration::from_millis(500);

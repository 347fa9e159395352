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
use super::rows::{Readers, derive, derive_again};
use super::{Cut, Late, Precedence, Refusal, Row, Rows};

/// Per member, which members read which of its places.
pub(super) fn readers(graph: &Graph, draft: &Draft) -> Readers {
    let mut by_place: Map<NodeId, Vec<usize>> = Map::default();
    let mut by_credential: Map<NodeId, Vec<usize>> = Map::default();
    // In the order of the members, and of their places: looked up once.
    let places: Vec<Option<NodeId>> = draft
        .members
        .iter()
        .flat_map(|member| member.destinations.iter().chain(&member.withheld))
        .map(|destination| graph.place(&destination.at))
        .collect();
    let ours: HashSet<NodeId, foldhash::fast::RandomState> = places.iter().flatten().copied().collect();
    for (reader, access) in draft.access.iter().enumerate() {
        for place in access.places.iter().filter(|place| ours.contains(place)) {
            by_place.entry(*place).or_default().push(reader);
        }
        for credential in &access.reads {
            by_credential.entry(*credential).or_default().push(reader);
        }
    }
    let mut places = places.into_iter();
    draft
        .members
        .iter()
        .zip(&draft.number)
        .map(|(member, id)| {
            let mut found: Vec<(usize, Arc<Location>)> = Vec::new();
            for destination in member.destinations.iter().chain(&member.withheld) {
                let place = places.next().flatten().and_then(|place| by_place.get(&place));
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

/// The precedences as they are before anything is cut, the steps as a graph, and its cycles.
pub(super) struct Order {
    /// In no order, some of them twice.
    pub(super) precedences: Vec<Precedence>,
    pub(super) steps: StepGraph,
    cycles: Vec<Vec<usize>>,
}

impl Order {
    pub(super) fn of(draft: &Draft, rows: Rows, readers: &Readers) -> Self {
        Self::with(draft, derive(draft, rows, readers))
    }

    fn with(draft: &Draft, precedences: Vec<Precedence>) -> Self {
        let steps = StepGraph::of(draft, &precedences);
        let cycles = steps.cycles();
        Self { precedences, steps, cycles }
    }
}

/// Cuts until no cycle is left.
pub(super) fn resolve(
    estate: &Estate,
    draft: &mut Draft,
    rows: Rows,
    readers: &Readers,
    mut order: Order,
) -> Result<Order, Refusal> {
    while !order.cycles.is_empty() {
        let mut changed = vec![false; draft.members.len()];
        let mut cuts = BTreeSet::new();
        let was: Vec<Option<usize>> = draft.members.iter().map(|member| member.cut).collect();
        for cycle in std::mem::take(&mut order.cycles) {
            // A cycle that lay whole inside one unit before this round would come back for ever.
            if was[cycle[0]].is_some() && cycle.iter().all(|&member| was[member] == was[cycle[0]]) {
                return Err(Refusal::Uncuttable(names(draft, &cycle)));
            }
            cycle.iter().for_each(|&member| changed[member] = true);
            if !hold_late(estate, draft, &cycle, readers) {
                cuts.insert(cut(draft, cycle));
            }
        }
        // Why: every row but its own that binds two of a unit.
        for edge in order.precedences.iter().filter(|edge| edge.row != Row::Cut) {
            let unit = |(member, _): (usize, Step)| draft.members[member].cut;
            let both = unit(edge.before).filter(|own| unit(edge.after) == Some(*own) && cuts.contains(own));
            if let Some(both) = both {
                draft.cuts[both].because.push(edge.row);
            }
        }
        for unit in cuts {
            let because = &mut draft.cuts[unit].because;
            because.sort_unstable();
            because.dedup();
            // With those of the units that became part of it.
            draft.cuts[unit].members.iter().for_each(|&member| changed[member] = true);
        }
        let precedences = derive_again(draft, rows, readers, &changed, order.precedences);
        debug_assert!(sorted(precedences.clone()) == sorted(derive(draft, rows, readers)), "a change was not seen");
        order = Order::with(draft, precedences);
    }
    announce(draft);
    Ok(order)
}

/// Ascending, and each once.
pub(super) fn sorted(mut precedences: Vec<Precedence>) -> Vec<Precedence> {
    precedences.sort_unstable_by_key(Precedence::place);
    precedences.dedup();
    precedences
}

/// Takes all cuts and all late places back, so that another set of precedences can be resolved from the start.
pub(super) fn undo(draft: &mut Draft) {
    draft.cuts.clear();
    for (member, turned) in draft.members.iter_mut().zip(&mut draft.turned) {
        member.cut = None;
        if member.path == Path::Cut || std::mem::take(turned) {
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
    /// Whose step each node is.
    pub(super) member: Vec<u32>,
    /// A bit per step of each member that is a node.
    kept: Vec<u32>,
    /// Each member's first node.
    first: Vec<u32>,
}

impl StepGraph {
    pub(super) fn of(draft: &Draft, precedences: &[Precedence]) -> Self {
        let mut kept = vec![0_u32; draft.members.len()];
        for (member, step) in precedences.iter().flat_map(|edge| [edge.before, edge.after]) {
            kept[member] |= bit(step);
        }
        let mut edges = Vec::with_capacity(2 * draft.members.len() + 2 * precedences.len());
        let (mut first, mut whose) = (Vec::with_capacity(kept.len()), Vec::with_capacity(4 * kept.len()));
        for (index, (member, kept)) in (0_u32..).zip(draft.members.iter().zip(&mut kept)) {
            let steps = member.steps();
            *kept |= steps.first().copied().map_or(0, bit) | steps.last().copied().map_or(0, bit);
            let start = u32::try_from(whose.len()).unwrap_or(u32::MAX);
            first.push(start);
            whose.extend(std::iter::repeat_n(index, kept.count_ones() as usize));
            let mut last = None;
            for &step in steps.iter().filter(|&&step| *kept & bit(step) != 0) {
                let number = start + rank(*kept, step);
                edges.extend(last.replace(number).map(|last| (last, number, UnlockVerb::Use)));
            }
        }
        let node = |(member, step): (usize, Step)| first[member] + rank(kept[member], step);
        edges.extend(precedences.iter().map(|edge| (node(edge.before), node(edge.after), UnlockVerb::Use)));
        let nodes = u32::try_from(whose.len()).unwrap_or(u32::MAX);
        Self { edges: Csr::new(nodes, edges), member: whose, kept, first }
    }

    /// The node of a member's step, where it is one.
    pub(super) fn node(&self, member: usize, step: Step) -> Option<usize> {
        let kept = self.kept[member];
        (kept & bit(step) != 0).then(|| (self.first[member] + rank(kept, step)) as usize)
    }

    /// The members of each cycle, ascending.
    fn cycles(&self) -> Vec<Vec<usize>> {
        let members = |nodes: Vec<u32>| {
            let members: BTreeSet<usize> = nodes.iter().map(|&node| self.member[node as usize] as usize).collect();
            members.into_iter().collect()
        };
        graph::cycles(&self.edges).into_iter().map(members).collect()
    }
}

const fn bit(step: Step) -> u32 {
    1 << step as u16
}

/// How many kept steps come before this one.
const fn rank(kept: u32, step: Step) -> u32 {
    (kept & (bit(step) - 1)).count_ones()
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

/// Makes one unit of the cycle and of every unit that it touches; its number.
fn cut(draft: &mut Draft, mut members: Vec<usize>) -> usize {
    let touched: BTreeSet<usize> = members.iter().filter_map(|&member| draft.members[member].cut).collect();
    let mut because = BTreeSet::new();
    for &unit in &touched {
        members.extend(std::mem::take(&mut draft.cuts[unit].members));
        because.extend(draft.cuts[unit].because.iter().copied());
    }
    members.sort_unstable();
    members.dedup();
    let unit = touched.first().copied().unwrap_or(draft.cuts.len());
    let cut =
        Cut { members, because: because.into_iter().collect(), outage: Duration::ZERO, consumers: BTreeSet::new() };
    for &member in &cut.members {
        let after = draft.made_by_old(member, &cut.members) && !draft.is_kept(member);
        let this = &mut draft.members[member];
        this.cut = Some(unit);
        if this.path != Path::Contain {
            // What a person makes cannot lie in escrow until the unit is dead: he makes it after. So is what an authority
            // of the unit signs, which signs with its old generation until then.
            let turned = this.course() == Course::Manual || after;
            this.path = if turned { Path::Contain } else { Path::Cut };
            draft.turned[member] |= turned;
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
    unit
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

/// Until the proofs are in, and for each member its disable, sweep and delivery.
const OUTAGE_BASE: Duration = Duration::from_secs(30);
const OUTAGE_PER_MEMBER: Duration = Duration::from_millis(500);

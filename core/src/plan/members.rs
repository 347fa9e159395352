//! From what is reached to members, tasks, exceptions and dirty nodes. Every reached credential ends in exactly one of
//! the first three.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use remint_contract::{Capabilities, ConfirmGrade, Kind, Kinds, MadeBy, ProofGrade, Ref, Slots, Strategy, Verb};

use crate::approval::Obligations;
use crate::estate::{Credential, CredentialClass, Estate, Tier};
use crate::graph::{Graph, Map, NodeId, Reach};
use crate::halves::in_halves;
use crate::step::{Course, Path};

use super::access::{Access, Walker};
use super::draft::Draft;
use super::{AtDeadline, Member, Node, PlannedTask, Quiet, Refusal, Request};

/// What [`choose`] found.
pub(super) struct Chosen<'e> {
    pub(super) draft: Draft<'e>,
    pub(super) tasks: Vec<PlannedTask>,
    pub(super) exceptions: Vec<Ref>,
    pub(super) dirty: BTreeSet<Ref>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) capabilities: BTreeMap<Ref, Capabilities>,
}

/// Sorts what is reached.
pub(super) fn choose<'e>(
    estate: &'e Estate,
    graph: &Graph,
    reach: &Reach,
    request: &Request,
    kinds: &dyn Kinds,
) -> Chosen<'e> {
    let capabilities = describe(estate, kinds);
    let mut walker = Walker::new(graph);
    let mut reached: Vec<NodeId> = reach.order.iter().copied().filter(|&id| graph.credential(id).is_some()).collect();
    reached.sort_unstable();

    let (mut tasks, mut exceptions, mut undying) = (Vec::new(), Vec::new(), Vec::new());
    let (mut numbers, mut documents) = (Vec::with_capacity(reached.len()), Vec::with_capacity(reached.len()));
    // Credentials are numbered in their order, so that one walk finds each.
    let mut all = estate.credentials.iter();
    for &id in &reached {
        let Some(name) = graph.credential(id) else { continue };
        let found = all.find(|(reference, _)| *reference == name).or_else(|| estate.credentials.get_key_value(name));
        let Some((reference, credential)) = found else { continue };
        if request.exceptions.contains(reference) {
            exceptions.push(reference.clone());
            undying.push(id);
        } else if let Some(why) = unhandled(estate, credential, &capabilities) {
            tasks.push(PlannedTask { node: reference.clone(), why });
            undying.push(id);
        } else {
            numbers.push(id);
            documents.push((reference, credential));
        }
    }

    let dirty = match request.occasion {
        None => dirty_nodes(graph, reach, request, &undying),
        Some(_) => BTreeSet::new(),
    };
    let foul = Foul::of(graph, &mut walker, &dirty);
    let mut draft = empty_draft(&numbers, &mut walker);
    let mut refusals = Vec::new();
    draft.members = in_halves(numbers.len(), |index| {
        let (reference, document) = documents[index];
        member(estate, graph, request, &capabilities, &dirty, &foul, numbers[index], reference, document)
    });
    let actors: Map<&Ref, Option<usize>> =
        estate.systems.keys().map(|system| (system, actor(estate, graph, &draft.index, system))).collect();
    let actor = |system: &Ref| actors.get(system).copied().flatten();
    for (index, (_, document)) in documents.into_iter().enumerate() {
        draft.documents.push(document);
        draft.parent.push(parent(estate, graph, &draft.index, document, index));
        draft.issuer.push(document.issued_by.system.clone());
        draft.acts_at_issuer.push(actor(&document.issued_by.system));
        let stores: BTreeSet<_> = document.delivered_to.iter().map(|destination| &destination.at.system).collect();
        draft.acts_at_stores.push(stores.into_iter().filter_map(actor).collect());
    }
    mark_actors(estate, graph, &mut draft, &capabilities, &mut refusals);
    if let Some(refusal) = own_ancestors(&draft) {
        refusals.push(refusal);
    } else {
        contain(estate, &mut draft, request, &foul, &capabilities);
        // Only now it is known who rolls: what is contained needs no promise of two values side by side.
        let members = draft.members.iter().zip(&draft.documents);
        refusals.extend(members.filter_map(|(member, document)| refuse(document, member, &capabilities)));
    }
    find_trust(graph, &mut draft);
    let dirty = dirty.iter().filter_map(|&id| document(graph, id)).collect();
    Chosen { draft, tasks, exceptions, dirty, refusals, capabilities }
}

/// What dirty nodes read and mint, each with who does.
struct Foul {
    places: Map<NodeId, Vec<NodeId>>,
    credentials: Map<NodeId, Vec<NodeId>>,
    mints: Map<NodeId, Vec<NodeId>>,
}

impl Foul {
    fn of(graph: &Graph, walker: &mut Walker<'_>, dirty: &BTreeSet<NodeId>) -> Self {
        let mut foul = Self { places: Map::default(), credentials: Map::default(), mints: Map::default() };
        for &node in dirty {
            // Only a document or place that exists in this graph can be dirty.
            debug_assert!(graph.label(node).is_some());
            let access = walker.access(node);
            let lists = [
                (access.places, &mut foul.places),
                (access.reads, &mut foul.credentials),
                (access.mints, &mut foul.mints),
            ];
            for (list, map) in lists {
                for target in list {
                    map.entry(target).or_default().push(node);
                }
            }
        }
        foul
    }
}

fn describe(estate: &Estate, kinds: &dyn Kinds) -> BTreeMap<Ref, Capabilities> {
    estate
        .systems
        .iter()
        .filter_map(|(reference, system)| {
            Some((reference.clone(), kinds.kind(&system.connector)?.describe(&system.settings).ok()?))
        })
        .collect()
}

fn unhandled(estate: &Estate, credential: &Credential, capabilities: &BTreeMap<Ref, Capabilities>) -> Option<String> {
    let issued = &credential.issued_by;
    let system = &issued.system;
    let found = capabilities.get(system);
    if credential.rotation.strategy == Strategy::Manual {
        // What can be looked at is a member: its death is proven, whoever kills it.
        let looks = found.is_some_and(|found| {
            found.issuer.is_some() && (found.verbs.contains(&Verb::Probe) || found.verbs.contains(&Verb::Enumerate))
        });
        return (!looks).then(|| format!("its strategy is manual: replace it at {system} and attest it"));
    }
    if !estate.systems.contains_key(system) {
        return Some(format!("{system} is no longer in the estate: revoke it there by hand and attest it"));
    }
    let Some(issuer) = found.and_then(|found| found.issuer.as_ref()) else {
        return Some(format!("no connector of this build issues at {system}: replace it by hand and attest it"));
    };
    if credential.class == CredentialClass::Encryption && !found.is_some_and(Capabilities::can_rewrap) {
        return Some(format!(
            "the connector of {system} cannot move what is encrypted to another version: do it by hand and attest it"
        ));
    }
    (!issuer.strategies.contains(&credential.rotation.strategy))
        .then(|| format!("the connector of {system} cannot do its strategy: replace it by hand and attest it"))
}

/// Starting nodes and reached workloads that are not clean, and reached credentials that nobody kills.
///
/// A leaked value (a start that is a credential, or an identity with all of its own) is no foothold: it is dead once it
/// is killed, so its clean consumers stay clean and nothing waits. Dirty is where the attacker can *stay*: a place, a
/// system or a workload that he starts from, every workload that he reaches, and a value that nobody kills.
fn dirty_nodes(graph: &Graph, reach: &Reach, request: &Request, undying: &[NodeId]) -> BTreeSet<NodeId> {
    let footholds = reach.order.iter().copied().filter(|&id| {
        let start = reach.is_start(id);
        match graph.label(id) {
            Some(Node::Doc(reference)) => reference.kind == Kind::Workload || start && reference.kind == Kind::System,
            Some(Node::Place(_)) => start,
            None => false,
        }
    });
    footholds
        .chain(undying.iter().copied())
        .filter(|&id| graph.label(id).is_some_and(|node| !request.clean.contains(node)))
        .collect()
}

fn empty_draft<'e>(numbers: &[NodeId], walker: &mut Walker<'_>) -> Draft<'e> {
    let index: Map<NodeId, usize> = numbers.iter().enumerate().map(|(index, &id)| (id, index)).collect();
    let access: Vec<Access> = numbers.iter().map(|&id| walker.access(id)).collect();
    let minted = |(minter, access): (usize, &Access)| {
        let members = access.mints.iter().filter_map(|id| index.get(id).copied());
        members.filter(|&minted| minted != minter).map(|minted| (minter, minted)).collect::<Vec<_>>()
    };
    Draft {
        members: Vec::with_capacity(numbers.len()),
        documents: Vec::with_capacity(numbers.len()),
        number: numbers.to_vec(),
        mints: access.iter().enumerate().flat_map(minted).collect(),
        index,
        access,
        parent: Vec::new(),
        acts_at_issuer: Vec::new(),
        acts_at_stores: Vec::new(),
        trusted_by: Vec::new(),
        issuer: Vec::new(),
        cuts: Vec::new(),
        turned: vec![false; numbers.len()],
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one member is made from everything that is known; a struct would only rename it"
)]
fn member(
    estate: &Estate,
    graph: &Graph,
    request: &Request,
    capabilities: &BTreeMap<Ref, Capabilities>,
    dirty: &BTreeSet<NodeId>,
    foul: &Foul,
    id: NodeId,
    reference: &Ref,
    credential: &Credential,
) -> Member {
    let is_dirty = |workload: &&Ref| graph.document(workload).is_some_and(|id| dirty.contains(&id));
    let (dirty_consumers, consumers): (Vec<_>, Vec<_>) = credential.consumed_by.iter().partition(is_dirty);
    let place = |at: &remint_contract::Location| graph.place(at);
    let everywhere = foul.credentials.contains_key(&id);
    let (withheld, destinations): (Vec<_>, Vec<_>) = credential.delivered_to.iter().cloned().partition(|destination| {
        everywhere || place(&destination.at).is_some_and(|place| foul.places.contains_key(&place))
    });
    let mut awaits: BTreeSet<Node> = BTreeSet::new();
    let mut wait = |nodes: Option<&Vec<NodeId>>| {
        awaits.extend(nodes.into_iter().flatten().filter_map(|&node| graph.label(node).cloned()));
    };
    let minted = foul.mints.contains_key(&id);
    wait(foul.mints.get(&id));
    // Clean consumers must each find the new value where they read it; else the old one has to stay until then.
    let starved = consumers.iter().any(|consumer| {
        let reads = crate::graph::read_by(estate.workloads.get(consumer), credential);
        !reads.is_empty() && reads.iter().all(|at| withheld.iter().any(|destination| destination.at == **at))
    });
    // Whoever waits at all waits for every dirty reader, because then the withheld places are written with the others.
    if minted || starved || destinations.is_empty() && !withheld.is_empty() {
        wait(foul.credentials.get(&id));
        for destination in &withheld {
            wait(place(&destination.at).and_then(|place| foul.places.get(&place)));
        }
    }
    let tier = estate.identities.get(&credential.identity).map_or(Tier::Standard, |identity| identity.tier);
    let privileged = tier == Tier::Privileged;
    let issuer = capabilities.get(&credential.issued_by.system).and_then(|found| found.issuer.as_ref());
    let asks = capabilities.get(&credential.issued_by.system).is_none_or(|found| found.verbs.contains(&Verb::Probe));
    let (dirty_verifiers, verifiers): (Vec<_>, Vec<_>) = credential.verified_by.iter().partition(is_dirty);
    let identity = estate.identities.get(&credential.identity).filter(|_| !estate.approvals.is_empty());
    let policy = identity.and_then(|identity| Obligations::matching(estate, &reference.namespace, identity));
    // Privileged: one of the first three grades, and a proof with its control. Else what a roll-out can give.
    let least_confirm = if privileged { ConfirmGrade::Served } else { ConfirmGrade::RolledOut };
    let least_proof = least_proof(credential, privileged, asks);
    let asked = policy.as_ref();
    Member {
        credential: reference.clone(),
        strategy: credential.rotation.strategy,
        path: Path::Rolling,
        destinations,
        withheld,
        late: Vec::new(),
        withheld_after: Vec::new(),
        dark: !awaits.is_empty(),
        awaits,
        confirm_within: consumers
            .iter()
            .filter_map(|consumer| estate.workloads.get(*consumer))
            .map(|workload| workload.confirm.within)
            .max()
            .unwrap_or(Duration::ZERO),
        consumers: consumers.into_iter().cloned().collect(),
        dirty_consumers: dirty_consumers.into_iter().cloned().collect(),
        endpoints: issuer.map(|issuer| issuer.endpoints.clone()).unwrap_or_default(),
        exposed_by: None,
        group: credential.rotation.group.clone(),
        remint_acts: false,
        cut: None,
        least_confirm: asked
            .and_then(|asked| asked.least_confirm)
            .map_or(least_confirm, |least| least.min(least_confirm)),
        least_proof: asked.and_then(|asked| asked.least_proof).map_or(least_proof, |least| least.min(least_proof)),
        outage: credential.rotation.outage,
        hold: if request.incident { Duration::ZERO } else { credential.rotation.hold.unwrap_or_default() },
        quiet: credential.rotation.quiet.map(|lasts| Quiet {
            lasts,
            at_deadline: if request.incident { AtDeadline::Revoke } else { AtDeadline::Park },
        }),
        class: credential.class,
        verifiers: verifiers.into_iter().cloned().collect(),
        dirty_verifiers: dirty_verifiers.into_iter().cloned().collect(),
    }
}

/// Privileged: with its control. But no more is asked for than the strategy can give: a certificate's revocation is
/// published, of a key that never leaves its issuer no value can be tried, and some issuers can be asked for nothing but
/// their own word.
fn least_proof(credential: &Credential, privileged: bool, asks: bool) -> ProofGrade {
    let held = credential.class != CredentialClass::Authenticator && credential.delivered_to.is_empty();
    if held || !asks {
        ProofGrade::Absent
    } else if credential.rotation.strategy == Strategy::Reissue {
        ProofGrade::Published
    } else if privileged {
        ProofGrade::Refused
    } else {
        ProofGrade::RefusedUncontrolled
    }
}

/// What cannot promise that its consumers always have a value, and was not allowed to break that.
fn refuse(document: &Credential, member: &Member, capabilities: &BTreeMap<Ref, Capabilities>) -> Option<Refusal> {
    if member.path == Path::Contain {
        return None;
    }
    let name = || member.credential.clone();
    let system = &document.issued_by.system;
    let issuer = capabilities.get(system)?.issuer.as_ref()?;
    if member.strategy == Strategy::InPlace {
        return member.outage.is_none().then(|| Refusal::InPlaceWithoutOutage { credential: name() });
    }
    let once = issuer.slots == Slots::One && issuer.made_by == MadeBy::IssuerOnce;
    once.then(|| Refusal::OneSlotShownOnce { credential: name() })
}

fn parent(
    estate: &Estate,
    graph: &Graph,
    index: &Map<NodeId, usize>,
    credential: &Credential,
    own: usize,
) -> Option<usize> {
    let issued = &credential.issued_by;
    if !issued.dies_with_issuer {
        return None;
    }
    let auth = || estate.systems.get(&issued.system).and_then(|system| system.auth.as_ref());
    let minter = issued.by.as_ref().or_else(auth)?;
    index.get(&graph.document(minter)?).copied().filter(|&parent| parent != own)
}

fn actor(estate: &Estate, graph: &Graph, index: &Map<NodeId, usize>, system: &Ref) -> Option<usize> {
    index.get(&graph.document(estate.systems.get(system)?.auth.as_ref()?)?).copied()
}

/// Marks what Remint acts through. Without any place for its new value the last access would be lost: refused. With only
/// places that dirty nodes read it is dark and rolls: its old value stays until they are clean, and so does the access.
fn mark_actors(
    estate: &Estate,
    graph: &Graph,
    draft: &mut Draft,
    capabilities: &BTreeMap<Ref, Capabilities>,
    refusals: &mut Vec<Refusal>,
) {
    for (reference, system) in &estate.systems {
        let Some(actor) = system.auth.as_ref().and_then(|_| actor(estate, graph, &draft.index, reference)) else {
            continue;
        };
        let member = &mut draft.members[actor];
        member.remint_acts = true;
        if only_way(estate, &member.credential, capabilities) {
            let (credential, system) = (member.credential.clone(), reference.clone());
            refusals.push(Refusal::OnlyWay { credential, system });
        }
        if member.destinations.is_empty() && member.withheld.is_empty() {
            refusals.push(Refusal::LastAccess { credential: member.credential.clone(), system: reference.clone() });
        }
    }
}

/// Is it minted with nothing but itself, where one version lives at a time?
fn only_way(estate: &Estate, own: &Ref, capabilities: &BTreeMap<Ref, Capabilities>) -> bool {
    let Some(issued) = estate.credentials.get(own).map(|document| &document.issued_by) else { return false };
    let auth = || estate.systems.get(&issued.system).and_then(|system| system.auth.as_ref());
    let issuer = capabilities.get(&issued.system).and_then(|found| found.issuer.as_ref());
    let one = issuer.is_some_and(|issuer| issuer.slots == Slots::One);
    one && issued.by.as_ref().or_else(auth) == Some(own)
}

fn own_ancestors(draft: &Draft) -> Option<Refusal> {
    // 0 unseen, 1 on the way, 2 known to end.
    let mut state = vec![0_u8; draft.members.len()];
    for start in 0..draft.members.len() {
        let (mut at, mut way) = (Some(start), Vec::new());
        while let Some(member) = at.filter(|&member| state[member] != 2) {
            if state[member] == 1 {
                return Some(Refusal::DiesWithItself { credential: draft.members[member].credential.clone() });
            }
            state[member] = 1;
            way.push(member);
            at = draft.parent[member];
        }
        for member in way {
            state[member] = 2;
        }
    }
    None
}

/// Who is killed first: what was asked for, all that dies with it, and what only dirty nodes read.
fn contain(
    estate: &Estate,
    draft: &mut Draft,
    request: &Request,
    foul: &Foul,
    capabilities: &BTreeMap<Ref, Capabilities>,
) {
    let count = draft.members.len();
    let asked = |(document, member): (&&Credential, &Member)| {
        let stop = request.stop.contains(&member.credential)
            || request.contain.as_ref().is_some_and(|asked| asked.matches(estate, document));
        stop && !request.roll.contains(&member.credential)
    };
    let asked: Vec<bool> = draft.documents.iter().zip(&draft.members).map(asked).collect();
    // A parent with a child that somebody clean needs cannot be killed for the dirty alone.
    let mut needed: Vec<bool> = draft.members.iter().map(|member| !member.consumers.is_empty()).collect();
    // What Remint acts through is replaced and confirmed first, in every mode, and so is what an issuer works with. What a dirty node can mint anew is not dead
    // after its sweep, so it waits whole. Neither dies with a contained parent, so their parents cannot be contained.
    let minted_by_dirty = draft.number.iter().map(|id| foul.mints.contains_key(id));
    let mut rolls: Vec<bool> = draft
        .members
        .iter()
        .zip(minted_by_dirty)
        .map(|(member, minted)| {
            // Stopping an encryption key first would take its data from their owner, and from nobody else.
            member.remint_acts || minted || own_login(member, capabilities) || member.course() == Course::Rewrap
        })
        .collect();
    let order = deepest_first(draft);
    for &member in &order {
        if let Some(parent) = draft.parent[member] {
            needed[parent] |= needed[member];
            rolls[parent] |= rolls[member];
        }
    }
    let mut contained = vec![false; count];
    for &member in order.iter().rev() {
        let this = &draft.members[member];
        let only_dirty = this.dark && !needed[member];
        let with_parent = draft.parent[member].is_some_and(|parent| contained[parent]);
        contained[member] = !rolls[member] && (with_parent || asked[member] || only_dirty);
    }
    for (member, contained) in draft.members.iter_mut().zip(contained) {
        if contained {
            member.path = Path::Contain;
        }
    }
}

/// Is it delivered to an issuer that works with it?
fn own_login(member: &Member, capabilities: &BTreeMap<Ref, Capabilities>) -> bool {
    let there = |system: &Ref| capabilities.get(system).and_then(|found| found.store.as_ref());
    let mut places = member.destinations.iter().chain(&member.withheld);
    places.any(|place| there(&place.at.system).is_some_and(|store| store.own_login))
}

fn deepest_first(draft: &Draft) -> Vec<usize> {
    let count = draft.members.len();
    let mut children = vec![0_usize; count];
    draft.parent.iter().flatten().for_each(|&parent| children[parent] += 1);
    let mut order: Vec<usize> = (0..count).filter(|&member| children[member] == 0).collect();
    let mut at = 0;
    while let Some(&member) = order.get(at) {
        at += 1;
        if let Some(parent) = draft.parent[member] {
            children[parent] -= 1;
            if children[parent] == 0 {
                order.push(parent);
            }
        }
    }
    order
}

fn find_trust(graph: &Graph, draft: &mut Draft) {
    let trusted = |document: &&Credential| {
        document
            .trusted_by
            .iter()
            .filter_map(|location| graph.place(location))
            .flat_map(|place| graph.edges.targets(place).iter())
            .filter_map(|id| draft.index.get(id).copied())
            .collect::<Vec<_>>()
    };
    draft.trusted_by = draft.documents.iter().map(trusted).collect();
}

fn document(graph: &Graph, id: NodeId) -> Option<Ref> {
    match graph.label(id)? {
        Node::Doc(reference) => Some(reference.clone()),
        Node::Place(place) => Some(place.system.clone()),
    }
}

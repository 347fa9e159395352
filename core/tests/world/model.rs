//! The state of the modelled world, what the attacker does in it between two steps, and what each step does.
//!
//! The executor is the rule book of the engine: what `sweep` and `deliver` do here for a cut is what they must do there.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Kind, Location, Ref};
use remint_core::estate::Estate;
use remint_core::plan::{Node, Plan, Request};
use remint_core::step::{Path, Step};

use super::hands::{Hands, reads};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    Old,
    New,
}

/// One credential as its issuer and the attacker see it.
#[derive(Default, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all of them combine")]
pub struct State {
    old_alive: bool,
    /// Minted and alive.
    new_alive: bool,
    new_by_old_parent: bool,
    /// The attacker changed it: consumers fail, he gets in, and it carries our own version id.
    tampered: bool,
    foreign: bool,
    has_old: bool,
    has_new: bool,
}

impl State {
    pub fn in_his_hands(&self) -> bool {
        self.foreign || self.has_old && self.old_alive || self.new_alive && (self.has_new || self.tampered)
    }

    pub fn works(&self, value: Value) -> bool {
        match value {
            Value::Old => self.old_alive,
            Value::New => self.new_alive && !self.tampered,
        }
    }
}

pub struct World<'a> {
    estate: &'a Estate,
    plan: &'a Plan,
    pub hands: &'a Hands,
    /// By credential.
    pub state: Vec<State>,
    /// By place.
    pub holds: Vec<Value>,
    loaded: BTreeMap<(usize, Ref), Value>,
    done: BTreeSet<(usize, Step)>,
    befores: BTreeMap<(usize, Step), Vec<(usize, Step)>>,
    pub footholds: BTreeSet<Node>,
    /// How many steps each member has done.
    pub at: Vec<usize>,
    /// The credential of each member.
    pub credential: Vec<usize>,
}

impl<'a> World<'a> {
    pub fn new(estate: &'a Estate, hands: &'a Hands, plan: &'a Plan, request: &Request) -> Self {
        let alive = State { old_alive: true, ..State::default() };
        let mut loaded = BTreeMap::new();
        for (index, name) in hands.credentials.iter().enumerate() {
            for workload in &estate.credentials[name].consumed_by {
                loaded.insert((index, workload.clone()), Value::Old);
            }
        }
        let mut befores: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for edge in &plan.precedences {
            befores.entry(edge.after).or_default().push(edge.before);
        }
        let mut world = Self {
            estate,
            plan,
            hands,
            state: vec![alive; hands.credentials.len()],
            holds: vec![Value::Old; hands.places.len()],
            loaded,
            done: BTreeSet::new(),
            befores,
            footholds: BTreeSet::new(),
            at: vec![0; plan.members.len()],
            credential: plan.members.iter().map(|member| hands.number[&member.credential]).collect(),
        };
        for node in &request.from {
            match node {
                Node::Doc(reference) if reference.kind == Kind::Credential => {
                    world.state[hands.number[reference]].has_old = true;
                }
                other => {
                    world.footholds.insert(other.clone());
                }
            }
        }
        world.attack();
        world.settle_in();
        world
    }

    /// He stays wherever he gets a process to run, until that place is cleaned.
    fn settle_in(&mut self) {
        loop {
            let mut fresh: BTreeSet<Node> = BTreeSet::new();
            for source in &self.footholds {
                fresh.extend(self.hands.node(source).workloads.iter().cloned().map(Node::Doc));
            }
            for (index, _) in self.state.iter().enumerate().filter(|(_, state)| state.in_his_hands()) {
                fresh.extend(self.hands.credential(index).workloads.iter().cloned().map(Node::Doc));
            }
            let before = self.footholds.len();
            self.footholds.extend(fresh);
            if self.footholds.len() == before {
                return;
            }
            self.attack();
        }
    }

    /// Everything he can do, until nothing is new.
    pub fn attack(&mut self) {
        let hands = self.hands;
        loop {
            let mut changed = false;
            for source in &self.footholds {
                let power = hands.node(source);
                changed |= read(&mut self.state, &self.holds, hands, &power.places);
                for &minted in &power.mints {
                    changed |= make(&mut self.state[minted], false);
                }
            }
            for source in 0..self.state.len() {
                if !self.state[source].in_his_hands() {
                    continue;
                }
                let power = hands.credential(source);
                changed |= read(&mut self.state, &self.holds, hands, &power.places);
                for &minted in &power.mints {
                    let own = hands.parent[minted] == Some(source) || minted == source;
                    changed |= make(&mut self.state[minted], own);
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn kill_old(&mut self, credential: usize) {
        let mut work = vec![credential];
        while let Some(dead) = work.pop() {
            self.state[dead].old_alive = false;
            for child in (0..self.state.len()).filter(|&child| self.hands.parent[child] == Some(dead)) {
                let state = &mut self.state[child];
                state.new_alive &= !state.new_by_old_parent;
                if state.old_alive {
                    work.push(child);
                }
            }
        }
    }

    pub fn next_step(&self, member: usize) -> Option<Step> {
        self.plan.members[member].steps().get(self.at[member]).copied()
    }

    pub fn is_legal(&self, member: usize) -> bool {
        let this = &self.plan.members[member];
        let Some(step) = self.next_step(member) else { return false };
        let waits = step == Step::Mint && this.awaits.iter().any(|node| self.footholds.contains(node));
        !waits && self.befores.get(&(member, step)).is_none_or(|list| list.iter().all(|one| self.done.contains(one)))
    }

    /// True when Remint itself can log in where the member is issued.
    pub fn can_act(&self, member: usize) -> bool {
        let own = self.credential[member];
        let Some(actor) = self.hands.acts[own] else { return true };
        self.state[actor].old_alive || self.state[actor].new_alive
    }

    fn mint(&mut self, credential: usize) {
        let parent_new = self.hands.parent[credential].map(|parent| self.state[parent].new_alive);
        let state = &mut self.state[credential];
        state.new_alive = true;
        state.has_new = false;
        state.tampered = false;
        state.new_by_old_parent = parent_new == Some(false);
    }

    pub fn act(&mut self, member: usize) {
        let this = &self.plan.members[member];
        let own = self.credential[member];
        let Some(step) = self.next_step(member) else { return };
        match step {
            Step::Mint => self.mint(own),
            Step::Verify if self.state[own].tampered => self.mint(own),
            Step::Deliver => {
                // In a cut the value is verified again before it leaves escrow.
                if this.path == Path::Cut && self.state[own].tampered {
                    self.mint(own);
                }
                let also = if this.dark { &this.withheld[..] } else { &[] };
                for destination in this.destinations.iter().chain(also) {
                    self.write(&destination.at);
                }
            }
            Step::Reload => self.reload(own),
            Step::Disable | Step::Revoke => self.kill_old(own),
            Step::Sweep | Step::FinalSweep => {
                let unit = this.cut.map_or_else(|| vec![member], |cut| self.plan.cuts[cut].members.clone());
                for swept in unit {
                    let swept = self.credential[swept];
                    self.state[swept].foreign = false;
                    // The sweep of a cut tries what lies in escrow, too: an overwritten value is killed and made anew.
                    if this.cut.is_some() && self.state[swept].tampered {
                        self.mint(swept);
                    }
                }
            }
            _ => {}
        }
        self.done.insert((member, step));
        self.at[member] += 1;
    }

    fn write(&mut self, at: &Location) {
        self.holds[self.hands.place_number[&at.whole()]] = Value::New;
    }

    fn reload(&mut self, own: usize) {
        let credential = &self.estate.credentials[&self.hands.credentials[own]];
        for workload in &credential.consumed_by {
            let places = reads(self.estate, workload, credential);
            let new = places.iter().any(|at| self.holds[self.hands.place_number[at]] == Value::New);
            self.loaded.insert((own, workload.clone()), if new { Value::New } else { Value::Old });
        }
    }

    /// Late and withheld places whose readers are gone.
    pub fn write_rest(&mut self) {
        for (index, member) in self.plan.members.iter().enumerate() {
            if !self.done.contains(&(index, Step::Deliver)) {
                continue;
            }
            let swept = |after: &[usize]| after.iter().all(|&other| self.done.contains(&(other, Step::Sweep)));
            let mut ready: Vec<&Location> =
                member.late.iter().filter(|late| swept(&late.after)).map(|late| &late.destination.at).collect();
            if swept(&member.withheld_after) {
                let clear = |at: &&Location| {
                    let place = self.hands.place_number[&at.whole()];
                    self.footholds.iter().all(|node| !self.hands.node(node).places.contains(&place))
                };
                ready.extend(member.withheld.iter().map(|destination| &destination.at).filter(clear));
            }
            for at in ready {
                self.write(at);
            }
        }
    }

    /// The first clean consumer without a working value that nobody was told about.
    pub fn outage(&self) -> Option<String> {
        self.plan.members.iter().zip(&self.credential).find_map(|(member, &own)| {
            let announced = member.cut.is_some_and(|cut| {
                let told = &self.plan.cuts[cut].consumers;
                member.path == Path::Cut && member.consumers.iter().all(|consumer| told.contains(consumer))
            });
            if announced || member.path == Path::Contain {
                return None;
            }
            member.consumers.iter().find_map(|consumer| {
                let value = self.loaded[&(own, consumer.clone())];
                let fails = !self.state[own].works(value);
                fails.then(|| format!("{consumer} has no working value of {}", member.credential))
            })
        })
    }
}

fn read(state: &mut [State], holds: &[Value], hands: &Hands, places: &[usize]) -> bool {
    let mut changed = false;
    for &place in places {
        let state = &mut state[hands.lies[place]];
        let has = if holds[place] == Value::Old { &mut state.has_old } else { &mut state.has_new };
        changed |= !std::mem::replace(has, true);
    }
    changed
}

/// A foreign version, and, where the minter is no parent that dies with its own, an overwritten new one.
fn make(state: &mut State, own: bool) -> bool {
    let mut changed = !std::mem::replace(&mut state.foreign, true);
    if !own && state.new_alive && !state.tampered {
        state.tampered = true;
        changed = true;
    }
    changed
}

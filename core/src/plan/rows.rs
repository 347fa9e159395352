//! The order table (architecture, section 5): each row one function from a draft to precedences.
//!
//! *activate* is the end of `activate`, or of `verify` where the table has no such step; *dead* the end of the first `sweep`. Where a row would need an edge between every
//! pair of thousands (groups, cuts) one of the members is the hub that the others wait for, so edges stay linear.

use std::sync::Arc;

use remint_contract::Location;

use crate::step::{Course, Path, Step};

use super::draft::Draft;
use super::{Precedence, Row};

/// The rows in force. All of them, except in a test that shows what a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows(u16);

impl Rows {
    pub const ALL: Self = Self(u16::MAX);

    #[must_use]
    pub const fn without(self, row: Row) -> Self {
        Self(self.0 & !(1 << row as u16))
    }

    const fn has(self, row: Row) -> bool {
        self.0 & (1 << row as u16) != 0
    }
}

/// Every precedence, in no order, some of them twice.
pub(super) fn derive(draft: &Draft, rows: Rows, readers: &Readers) -> Vec<Precedence> {
    let list = Vec::with_capacity(6 * draft.members.len());
    walk(draft, readers, Found { list, rows, changed: None })
}

/// As [`derive`], from what it gave before these members changed: a precedence depends on its two ends and on nothing
/// else, so that every other one stays.
pub(super) fn derive_again(
    draft: &Draft,
    rows: Rows,
    readers: &Readers,
    changed: &[bool],
    mut list: Vec<Precedence>,
) -> Vec<Precedence> {
    list.retain(|edge| !changed[edge.before.0] && !changed[edge.after.0]);
    walk(draft, readers, Found { list, rows, changed: Some(changed) })
}

fn walk(draft: &Draft, readers: &Readers, mut found: Found) -> Vec<Precedence> {
    let known = found.list.len();
    read(draft, readers, &mut found);
    minter(draft, &mut found);
    dies_with(draft, &mut found);
    every_below(draft, &mut found);
    outlives(draft, &mut found);
    remint_acts(draft, &mut found);
    trust(draft, &mut found);
    group(draft, &mut found);
    cut(draft, &mut found);
    // A table without the step has another that stands for it.
    let ways: Vec<(Course, Path)> = draft.members.iter().map(|member| (member.course(), member.path)).collect();
    for edge in &mut found.list[known..] {
        for (member, step) in [&mut edge.before, &mut edge.after] {
            let (course, path) = ways[*member];
            *step = course.stand_in(path, *step);
        }
    }
    found.list
}

/// Who reads what: per member, pairs of (reader, index of the destination among on-time ones, late ones and withheld ones).
pub(super) type Readers = Vec<Vec<(usize, Arc<Location>)>>;

struct Found<'c> {
    list: Vec<Precedence>,
    rows: Rows,
    /// Only precedences that begin or end at one of these are wanted.
    changed: Option<&'c [bool]>,
}

impl Found<'_> {
    fn add(&mut self, row: Row, before: (usize, Step), after: (usize, Step)) {
        if self.rows.has(row) && self.wants(before.0, after.0) {
            self.list.push(Precedence { before, after, row });
        }
    }

    fn wants(&self, one: usize, other: usize) -> bool {
        self.changed.is_none_or(|changed| changed[one] || changed[other])
    }

    /// All of `before` end before any of `after` begins.
    fn barrier(&mut self, row: Row, before: &[(usize, Step)], after: &[(usize, Step)]) {
        let add = |found: &mut Self, one: (usize, Step), other: (usize, Step)| {
            if one.0 != other.0 {
                found.add(row, one, other);
            }
        };
        if before.len() <= SMALL {
            for &one in before {
                for &other in after {
                    add(self, one, other);
                }
            }
        } else if let Some(&hub) = after.first() {
            for &one in before {
                add(self, one, hub);
            }
            for &other in after {
                add(self, hub, other);
            }
        }
    }
}

/// U can read a place where D lies: dead(U) before deliver(D.new) there.
fn read(draft: &Draft, readers: &Readers, found: &mut Found) {
    for (member, its_readers) in readers.iter().enumerate() {
        let this = &draft.members[member];
        for (reader, place) in its_readers {
            // A unit that the reader joined or left has changed whole.
            if !found.wants(*reader, member) {
                continue;
            }
            let on_time = this.destinations.iter().any(|destination| is_at(&destination.at, place))
                || this.dark && this.withheld.iter().any(|destination| is_at(&destination.at, place));
            let kept = *reader == member || this.exposed_by.is_none();
            if on_time && kept && !draft.same_cut(*reader, member) {
                found.add(Row::Read, draft.dead(*reader), (member, Step::Deliver));
            }
        }
    }
}

/// True when this is the place, whatever its field; the place has none.
fn is_at(location: &Location, place: &Location) -> bool {
    location.path == place.path && location.system == place.system
}

/// U can mint D, in any way: dead(U) before dead(D).
fn minter(draft: &Draft, found: &mut Found) {
    for &(minter, minted) in &draft.mints {
        if !draft.same_cut(minter, minted) {
            found.add(Row::Minter, draft.dead(minter), (minted, Step::Sweep));
        }
    }
}

/// D dies with U: activate(U.new) before mint(D.new).
fn dies_with(draft: &Draft, found: &mut Found) {
    for (member, parent) in draft.parent.iter().enumerate() {
        if let Some(parent) = *parent {
            // An authority that was only tried signs with its old generation still.
            found.add(Row::DiesWith, (parent, draft.activated(parent, member)), (member, Step::Mint));
        }
    }
}

/// ... and confirm(X.new) before the old U is stopped, for every X below U, however deep.
fn every_below(draft: &Draft, found: &mut Found) {
    for below in 0..draft.members.len() {
        // What is contained has no consumer to protect; what is cut is off together.
        if draft.members[below].path == Path::Contain {
            continue;
        }
        let mut above = draft.parent[below];
        while let Some(parent) = above {
            if !draft.same_cut(parent, below) && draft.members[parent].path != Path::Contain {
                found.add(Row::EveryBelow, (below, Step::Confirm), (parent, draft.kill(parent)));
            }
            above = draft.parent[parent];
        }
    }
}

/// D outlives U: dead(U) before mint(D.new), else the old U overwrites it.
fn outlives(draft: &Draft, found: &mut Found) {
    for &(minter, minted) in &draft.mints {
        if draft.parent[minted] != Some(minter) && !draft.same_cut(minter, minted) {
            found.add(Row::Outlives, draft.dead(minter), (minted, Step::Mint));
        }
    }
}

/// Remint acts through U: U.new is confirmed before any other step there. Inside a cut Remint acts with the verified
/// U.new out of escrow; what it acts through is never contained, nor is anything that it dies with.
fn remint_acts(draft: &Draft, found: &mut Found) {
    for member in 0..draft.members.len() {
        if let Some(actor) = draft.acts_at_issuer[member].filter(|&actor| actor != member) {
            if draft.same_cut(actor, member) {
                found.add(Row::RemintActs, (actor, Step::Verify), (member, Step::Disable));
            } else {
                found.add(Row::RemintActs, (actor, Step::Confirm), (member, draft.first_act(member)));
            }
        }
        for &actor in draft.acts_at_stores[member].iter().filter(|&&actor| actor != member) {
            if !draft.same_cut(actor, member) {
                found.add(Row::RemintActs, (actor, Step::Confirm), (member, Step::Deliver));
            }
        }
    }
}

/// Trusted everywhere before it is activated. Inside a cut nothing is delivered before all is dead, so there the new
/// value is only tried out of escrow, and nobody is made to read it before it is trusted.
fn trust(draft: &Draft, found: &mut Found) {
    for (member, bundles) in draft.trusted_by.iter().enumerate() {
        for &bundle in bundles.iter().filter(|&&bundle| bundle != member) {
            let first_use = if draft.same_cut(bundle, member) { Step::Reload } else { Step::Verify };
            found.add(Row::Trust, (bundle, Step::Promote), (member, first_use));
        }
    }
}

/// All of a group delivered before any of it is promoted. What waits for a clean node holds up nobody.
fn group(draft: &Draft, found: &mut Found) {
    let mut groups: std::collections::BTreeMap<&str, Vec<usize>> = std::collections::BTreeMap::new();
    for (index, member) in draft.members.iter().enumerate().filter(|(_, member)| !member.dark) {
        if let Some(name) = &member.group {
            groups.entry(name).or_default().push(index);
        }
    }
    for members in groups.values() {
        found.barrier(Row::Group, &at(members, Step::Deliver), &at(members, Step::Promote));
    }
}

/// All of a cut verified before any is disabled, all disabled before any is swept, all swept before any is delivered. The
/// first member sweeps last.
///
/// Inside a unit every other row runs from an earlier phase to a later one (mint and verify, disable, sweep, then mint of
/// the contained, deliver, promote, reload), or along the tree of what dies with what. So no cycle is left in it.
fn cut(draft: &Draft, found: &mut Found) {
    for unit in &draft.cuts {
        let Some(&first) = unit.members.first() else { continue };
        let (cut, contained): (Vec<usize>, Vec<usize>) =
            unit.members.iter().partition(|&&member| draft.members[member].path == Path::Cut);
        let disable = at(&unit.members, Step::Disable);
        let sweep = at(&unit.members[1..], Step::Sweep);
        let last = [(first, Step::Sweep)];
        found.barrier(Row::Cut, &at(&cut, Step::Verify), &at(&cut, Step::Disable));
        found.barrier(Row::Cut, &disable, &sweep);
        found.barrier(Row::Cut, &disable, &last);
        found.barrier(Row::Cut, &sweep, &last);
        found.barrier(Row::Cut, &last, &[at(&cut, Step::Deliver), at(&contained, Step::Mint)].concat());
    }
}

fn at(members: &[usize], step: Step) -> Vec<(usize, Step)> {
    members.iter().map(|&member| (member, step)).collect()
}

/// Up to this many members every pair has its own edge, which lets them run side by side.
const SMALL: usize = 8;

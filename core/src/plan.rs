//! The plan of a reset: immutable, pinned by a Merkle digest, and so specific that nothing is left to choose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{ConfirmGrade, Location, ProofGrade, Ref, Strategy};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, is_default};
use crate::estate::{CredentialClass, Destination, UnlockVerb};
use crate::step::{Course, Path, Step};

mod access;
mod cut;
mod deadline;
mod draft;
mod leaf;
mod make;
mod members;
mod occasion;
mod render;
mod request;
mod revise;
mod rows;
mod waves;

pub use make::{plan, plan_with};
pub use occasion::Occasion;
pub use render::{reach_to_json, render_plan, render_reach, to_json};
pub use request::{Refusal, Request, Selector, SelectorError};
pub use revise::{Turn, revise};
pub use rows::Rows;

/// The plan of a reset. [`Plan::digest`] pins the leaves and the limits; ETA, waves and observed ids are outside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Merkle root over one leaf per member, one of limits, and one of what is left out.
    pub digest: Digest,
    /// The plan that this one revises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Digest>,
    /// The active estate it was made from.
    pub estate: Digest,
    /// Where the attacker started.
    pub from: Vec<Ref>,
    pub reached: Vec<Found>,
    /// Nodes of the scope that stay dirty until cleaned.
    pub dirty: BTreeSet<Ref>,
    /// The credentials to replace; precedences and cuts point into this list.
    pub members: Vec<Member>,
    pub precedences: Vec<Precedence>,
    /// Members in the order of their earliest start: canary first. Indexes into `members`.
    pub waves: Vec<Vec<usize>>,
    pub cuts: Vec<Cut>,
    pub tasks: Vec<PlannedTask>,
    pub exceptions: Vec<Ref>,
    /// Destinations and endpoints that are new since the credential last settled; shown first.
    pub new_destinations: Vec<Location>,
    pub limits: Limits,
    /// A forecast, not a promise.
    pub eta: Duration,
    /// The opening of a window that it is made for; `None`: an incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occasion: Option<Occasion>,
}

/// Something reached, and what it was reached from. Paths share their beginnings, so a plan keeps each hop once: a chain
/// of a hundred thousand would else fill the disk with its paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub node: Node,
    pub from: FoundFrom,
    /// The verb of the last edge.
    pub verb: UnlockVerb,
}

/// Where a hop begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundFrom {
    /// A compromised node.
    Start(Node),
    /// An earlier index of [`Plan::reached`].
    Found(usize),
}

impl Plan {
    /// From a starting node to `reached[index]`, both included; empty when there is no such index.
    #[must_use]
    pub fn path(&self, index: usize) -> Vec<&Node> {
        let mut path = Vec::new();
        let mut at = self.reached.get(index);
        while let Some(hop) = at {
            path.push(&hop.node);
            at = match &hop.from {
                FoundFrom::Start(start) => {
                    path.push(start);
                    None
                }
                // Only ever an earlier one, also in a plan that was edited: else it would never end.
                FoundFrom::Found(before) => self.reached.get(*before).filter(|_| path.len() <= self.reached.len()),
            };
        }
        path.reverse();
        path
    }
}

/// Something reached, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    pub node: Node,
    /// From a starting node to this one, both included.
    pub path: Vec<Node>,
    /// The verb of the last edge.
    pub verb: UnlockVerb,
}

/// A node of the graph: a document or a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Node {
    Doc(Ref),
    Place(Location),
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Doc(reference) => reference.fmt(f),
            Self::Place(location) => location.fmt(f),
        }
    }
}

/// One credential of a plan: the leaf of the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub credential: Ref,
    pub strategy: Strategy,
    pub path: Path,
    /// Where the new value is written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destinations: Vec<Destination>,
    /// Destinations that a dirty node can read: nothing is written there until it is clean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub withheld: Vec<Destination>,
    /// Destinations that only the old values of other members can read and no clean consumer needs: each is written
    /// after the sweep of those members has ended. This is how a cycle is cut without an outage.
    #[serde(default, skip_serializing_if = "is_default")]
    pub late: Vec<Late>,
    /// Members that can read a withheld destination: it is written after its readers are clean *and* these are swept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub withheld_after: Vec<usize>,
    /// Dirty nodes that must be clean before anything is minted. Not empty exactly when `dark`. On the rolling path the
    /// old value stays until then, because a clean consumer needs it or a dirty node could mint it anew.
    #[serde(default, skip_serializing_if = "is_default")]
    pub awaits: BTreeSet<Node>,
    /// Consumers that must be seen on the new value.
    #[serde(default, skip_serializing_if = "is_default")]
    pub consumers: Vec<Ref>,
    /// Consumers that are dirty: they neither count nor block.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dirty_consumers: Vec<Ref>,
    /// Addresses where the old value must be refused.
    pub endpoints: Vec<String>,
    /// Who can still read the new value, because the deadline did not allow to wait: never settled before a second pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exposed_by: Option<Ref>,
    /// Only dirty nodes read it: it is killed, and nothing is minted before `remint clean`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dark: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: Option<String>,
    /// Remint itself acts through it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub remint_acts: bool,
    /// The cut that it belongs to; an index into `cuts`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cut: Option<usize>,
    pub least_confirm: ConfirmGrade,
    pub least_proof: ProofGrade,
    /// The announced bound of an outage, for `in-place`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outage: Option<Duration>,
    /// A wait after confirm; zero in an incident.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hold: Duration,
    /// How long nobody may use the old value after every consumer was seen on the new one, and what happens when somebody
    /// does: the source is named either way. `None`: nobody looks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quiet: Option<Quiet>,
    /// How long consumers may take.
    pub confirm_within: Duration,
    #[serde(default, skip_serializing_if = "is_default")]
    pub class: CredentialClass,
    /// Verifiers that must be seen to trust the new version before it is used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub verifiers: Vec<Ref>,
    /// Verifiers that are dirty: they neither count nor block.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dirty_verifiers: Vec<Ref>,
}

/// A time in which the old value must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    pub lasts: Duration,
    /// What a use of it comes to at the deadline.
    pub at_deadline: AtDeadline,
}

/// Who decides when a quiet time ends in noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtDeadline {
    /// The incident did: it is revoked.
    Revoke,
    /// The credential's owner does: it is parked.
    Park,
}

impl Member {
    /// Which table of steps it has.
    #[must_use]
    pub const fn course(&self) -> Course {
        match (self.strategy, self.class) {
            (Strategy::Manual, _) => Course::Manual,
            (_, CredentialClass::Encryption) => Course::Rewrap,
            (Strategy::DualTrust, _) | (_, CredentialClass::VerifierPair) => Course::Trust,
            (Strategy::Ephemeral, _) => Course::Lease,
            (Strategy::Overlap | Strategy::Alternate | Strategy::InPlace | Strategy::Reissue, _) => Course::Replace,
        }
    }

    /// Its steps in order.
    #[must_use]
    pub const fn steps(&self) -> &'static [Step] {
        self.course().steps(self.path)
    }

    /// The step after `step`.
    #[must_use]
    pub fn after(&self, step: Step) -> Option<Step> {
        self.course().after(self.path, step)
    }

    /// Everywhere the value is written, sooner or later.
    pub fn places(&self) -> impl Iterator<Item = &Destination> {
        let late = self.late.iter().map(|late| &late.destination);
        self.destinations.iter().chain(&self.withheld).chain(late)
    }
}

/// A destination that is written at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    pub destination: Destination,
    /// Indexes of members whose sweep must have ended.
    pub after: Vec<usize>,
}

/// `before` must have ended before `after` begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Precedence {
    pub before: (usize, Step),
    pub after: (usize, Step),
    /// Why, for people.
    pub row: Row,
}

impl Precedence {
    /// Where it stands among the others, as one number.
    fn place(&self) -> u128 {
        let end = |(member, step): (usize, crate::step::Step)| (member as u128) << 8 | step as u128;
        end(self.before) << 64 | end(self.after) << 8 | self.row as u128
    }
}

/// The rows of the order table (architecture, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// U can read a place where D lies: dead(U) before deliver(D.new) there.
    Read,
    /// U can mint D: dead(U) before dead(D).
    Minter,
    /// D dies with U: activate(U.new) before mint(D.new).
    DiesWith,
    /// … and confirm(X.new) before revoke(U.old) for every X below U.
    EveryBelow,
    /// D outlives U: dead(U) before mint(D.new).
    Outlives,
    /// Remint acts through U: U.new first.
    RemintActs,
    /// Trust before activation.
    Trust,
    /// All of a group delivered before any is promoted.
    Group,
    /// All of a cut proven dead before any of it is delivered.
    Cut,
}

/// A sweep of one member sweeps the whole unit, and verifies again what lies in escrow: a new value that an old minter
/// overwrote counts as foreign, is killed, and is minted anew. Without that the attacker keeps it under our own version id.
///
/// A cycle that was cut: the rolling rule is given up for these, with an announced outage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Indexes into `members`.
    pub members: Vec<usize>,
    /// The rows that closed the cycle, for people.
    pub because: Vec<Row>,
    /// How long consumers may be without a working value.
    pub outage: Duration,
    /// Who is announced to.
    pub consumers: BTreeSet<Ref>,
}

/// Something reached that no connector handles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTask {
    pub node: Ref,
    pub why: String,
}

/// What bounds the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    pub deadline: Option<Timestamp>,
    /// Members of the first wave.
    pub canary: usize,
    /// Each further wave is this many times larger, at most.
    pub growth: usize,
    /// How many members may park before no further wave starts.
    pub failure_budget: usize,
    pub budgets: BTreeMap<Ref, u32>,
}

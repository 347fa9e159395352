//! The parked list: everything that rests without being settled, and all that a person needs to move it on: why, who holds
//! which version, which value works as far as is known, what happens by itself and when, and the commands.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::{Ref, ResetId};
use remint_core::machine::{Reason, Rotation, State, Version};
use remint_core::plan::Member;
use remint_core::step::Step;
use remint_evidence_format::entry;
use serde::{Deserialize, Serialize};

use crate::engine::record::{Reset, ResetStatus, RotationRecord};
use crate::engine::withheld::{Waits, cleaned, named, waits};
use crate::engine::{Engine, EngineError, pause};

/// One credential that does not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    pub reset: ResetId,
    pub credential: Ref,
    pub state: String,
    pub since: Timestamp,
    pub reason: String,
    /// Where its values lie, and which.
    pub places: BTreeMap<String, Holds>,
    /// Who reads it, and which version they have.
    pub consumers: BTreeMap<String, Holds>,
    pub old: Works,
    pub new: Works,
    /// What happens without anybody, and when.
    pub automatic: Option<Automatic>,
    /// What moves it on: one of these.
    pub commands: Vec<String>,
}

/// Which version somebody holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    Old,
    New,
    /// The new one was written or reloaded, and nobody saw it.
    Unseen,
    /// Nothing is written there before its readers are clean.
    Withheld,
}

/// Whether a value works, as the last try of it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Works {
    pub version: Option<String>,
    pub works: Known,
    /// When that was found out.
    pub at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    Accepted,
    Refused,
    /// There is none.
    None,
    NotKnown,
}

/// The next thing that happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Automatic {
    pub what: String,
    pub at: Option<Timestamp>,
}

/// When a step of a credential ended, as the evidence says.
type Ends = BTreeMap<(String, String), Timestamp>;

impl Engine {
    /// Everything that rests without being settled, of one reset or of all that are not over.
    ///
    /// # Errors
    /// The store failed.
    pub async fn parked(&self, only: Option<&ResetId>) -> Result<Vec<Parked>, EngineError> {
        let mut parked = Vec::new();
        for reset in self.resets().await? {
            let over = matches!(reset.status, ResetStatus::Requested | ResetStatus::Rejected | ResetStatus::Complete);
            if over || only.is_some_and(|only| *only != reset.id) {
                continue;
            }
            let records = self.rotations(&reset.id).await?;
            let mut waits = waits(&reset, &records);
            if !waits.is_empty() {
                // What another reset rotated since is delivered by that one.
                let owners = self.owners().await?;
                let mine = |name| owners.get(name).is_none_or(|(owner, _)| owner.reset == reset.id);
                waits
                    .retain(|index, _| records.iter().any(|record| record.index == *index && mine(&record.credential)));
            }
            let rests = |record: &&RotationRecord| shown(&reset, record) || waits.contains_key(&record.index);
            if !records.iter().any(|record| rests(&record)) {
                continue;
            }
            let ends = self.ends(&reset.id).await?;
            let these = records.iter().filter(rests);
            parked.extend(these.map(|record| describe(&reset, record, waits.get(&record.index), &ends)));
        }
        Ok(parked)
    }

    async fn ends(&self, id: &ResetId) -> Result<Ends, EngineError> {
        let mut ends = Ends::new();
        for stored in self.store.entries_of(id).await? {
            let Ok(entry) = entry::parse(&stored.bytes) else { continue };
            let (Some(subject), Ok(body), Ok(at)) = (&entry.subject, entry.body(), entry.at.parse()) else { continue };
            let done = body.get("event").and_then(|event| event.as_str()) == Some("done");
            if let Some(step) = body.get("step").and_then(|step| step.as_str()).filter(|_| done) {
                ends.insert((subject.to_string(), step.to_owned()), at);
            }
        }
        Ok(ends)
    }
}

fn shown(reset: &Reset, record: &RotationRecord) -> bool {
    let stands = matches!(reset.status, ResetStatus::Paused | ResetStatus::Aborted);
    match &record.rotation.state {
        State::Settled { .. } | State::Superseded { .. } => false,
        State::Parked { .. } | State::Dark { .. } | State::RolledBack => true,
        _ => stands && !(reset.status == ResetStatus::Aborted && pause::untouched(&record.rotation)),
    }
}

/// What a person sees of one credential. Pure.
fn describe(reset: &Reset, record: &RotationRecord, waits: Option<&Waits>, ends: &Ends) -> Parked {
    let member = &reset.plan.members[record.index];
    let rotation = &record.rotation;
    let ended = |step: Step| ends.get(&(record.credential.to_string(), step.to_string())).copied();
    Parked {
        reset: record.reset.clone(),
        credential: record.credential.clone(),
        state: rotation.state.to_string(),
        since: record.since,
        reason: waits.map_or_else(|| reason(reset, rotation), Waits::reason),
        places: places(member, rotation),
        consumers: consumers(member, rotation),
        old: old_works(record, &ended),
        new: new_works(rotation, &ended),
        automatic: automatic(reset, member, rotation),
        commands: waits.map_or_else(|| commands(reset, record), |waits| waits.commands(reset)),
    }
}

fn reason(reset: &Reset, rotation: &Rotation) -> String {
    let stands = |word: &str| {
        let standstill = reset.standstill.as_ref();
        let by = standstill.map_or("somebody", |standstill| standstill.by.as_str());
        let why = standstill.map_or("", |standstill| standstill.reason.as_str());
        format!("the reset was {word} by {by}: {why}")
    };
    match &rotation.state {
        State::Parked { reason, .. } => reason.to_string(),
        State::Dark { .. } => "it is dead, and only dirty nodes would read a new value".to_owned(),
        State::RolledBack => "it was rolled back: the old version is in use, and the credential still open".to_owned(),
        _ if reset.status == ResetStatus::Aborted => stands("aborted"),
        _ => stands("paused"),
    }
}

fn places(member: &Member, rotation: &Rotation) -> BTreeMap<String, Holds> {
    let ended = &rotation.facts.ended;
    let delivered = |at| rotation.facts.delivered.contains(at);
    let mut places: BTreeMap<String, Holds> = BTreeMap::new();
    for place in member.places() {
        let holds = if delivered(&place.at) {
            Holds::New
        } else if ended.contains(&Step::Deliver) {
            Holds::Unseen
        } else {
            Holds::Old
        };
        places.insert(place.at.to_string(), holds);
    }
    for place in member.withheld.iter().filter(|place| !delivered(&place.at)) {
        places.insert(place.at.to_string(), Holds::Withheld);
    }
    places
}

fn consumers(member: &Member, rotation: &Rotation) -> BTreeMap<String, Holds> {
    let facts = &rotation.facts;
    let holds = |workload: &Ref| {
        if facts.confirmed.contains_key(workload) {
            Holds::New
        } else if facts.ended.contains(&Step::Reload) {
            Holds::Unseen
        } else {
            Holds::Old
        }
    };
    member.consumers.iter().chain(&member.dirty_consumers).map(|one| (one.to_string(), holds(one))).collect()
}

fn old_works(record: &RotationRecord, ended: &impl Fn(Step) -> Option<Timestamp>) -> Works {
    let facts = &record.rotation.facts;
    let (works, at) = match &record.rotation.state {
        State::Parked { reason: Reason::Alive { .. }, .. } => (Known::Accepted, Some(record.since)),
        _ if facts.old.is_none() => (Known::NotKnown, None),
        _ if facts.proof.is_some() => (Known::Refused, ended(Step::FinalProve).or_else(|| ended(Step::Prove))),
        // Tried when it was taken; something may have been done to it since.
        _ if killed(&record.rotation) => (Known::NotKnown, None),
        _ if facts.old.as_ref().is_some_and(|old| !old.accepted_at.is_empty()) => {
            (Known::Accepted, ended(Step::Capture))
        }
        _ => (Known::NotKnown, None),
    };
    Works { version: id(facts.old.as_ref()), works, at }
}

fn new_works(rotation: &Rotation, ended: &impl Fn(Step) -> Option<Timestamp>) -> Works {
    let facts = &rotation.facts;
    let (works, at) = match &facts.new {
        None => (Known::None, None),
        Some(_) if facts.ended.contains(&Step::Verify) => {
            let last = [Step::Verify, Step::Confirm].into_iter().filter(|step| facts.ended.contains(step));
            (Known::Accepted, last.filter_map(ended).max())
        }
        Some(_) => (Known::NotKnown, None),
    };
    Works { version: id(facts.new.as_ref()), works, at }
}

fn id(version: Option<&Version>) -> Option<String> {
    version?.id.as_ref().map(|id| id.0.clone())
}

/// Something was begun that is to end the old version.
fn killed(rotation: &Rotation) -> bool {
    let kills = [Step::Disable, Step::Revoke];
    kills.iter().any(|step| rotation.facts.ended.contains(step))
        || rotation.state.step().is_some_and(|step| kills.contains(&step))
}

fn automatic(reset: &Reset, member: &Member, rotation: &Rotation) -> Option<Automatic> {
    let what = |what: &str, at| Some(Automatic { what: what.to_owned(), at });
    match (&rotation.state, &reset.again) {
        _ if matches!(reset.status, ResetStatus::Paused | ResetStatus::Aborted) => None,
        (State::Parked { reason: Reason::Unreachable { .. }, .. }, Some(again)) => {
            what("the daemon tries it again", Some(again.at))
        }
        (State::Waiting { step: Step::Hold } | State::Doing { step: Step::Hold }, _) => {
            what("the hold ends", None).filter(|_| !member.hold.is_zero())
        }
        _ => None,
    }
}

fn commands(reset: &Reset, record: &RotationRecord) -> Vec<String> {
    let (id, credential) = (&reset.id, &record.credential);
    let member = &reset.plan.members[record.index];
    let retry = format!("remint retry {id} --only {credential}");
    let mut commands = match &record.rotation.state {
        State::Parked { reason: Reason::Foreign { .. }, .. } => vec![
            format!("remint get findings --reset {id}"),
            "remint decide FINDING revoke|adopt|except --reason …".to_owned(),
        ],
        State::Parked { reason: Reason::Task { .. }, .. } => vec!["remint task list".to_owned(), retry],
        State::Dark { .. } => {
            let waits = member.awaits.iter().filter(|node| !cleaned(reset, node));
            waits.map(|node| format!("remint clean {} --reset {id} --reason …", named(node))).collect()
        }
        State::Parked { .. } | State::RolledBack => vec![retry],
        _ if reset.status == ResetStatus::Aborted => vec![retry],
        _ => vec![format!("remint resume {id} --reason …"), format!("remint abort {id} --reason …")],
    };
    if matches!(record.rotation.state, State::Parked { .. }) && !killed(&record.rotation) {
        commands.push(format!("remint rollback {id} --only {credential} --reason …"));
    }
    commands
}

/// True for a member that could not be reached: nothing was done, and trying again may help.
pub(crate) fn unreachable(rotation: &Rotation) -> bool {
    matches!(&rotation.state, State::Parked { reason: Reason::Unreachable { .. }, .. })
}

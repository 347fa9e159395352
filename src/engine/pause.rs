//! Pause, resume and abort: a word that is durable, and what may still begin under it.
//!
//! A paused reset finishes the steps under way and begins no other; credentials that are contained go on, unless all were
//! meant. An aborted reset begins nothing more, but for what would leave a consumer without a working value: a credential
//! whose old value is being killed goes on until its consumers have the new one. What was not begun has no owner any more;
//! what is half done keeps it until it is settled: `retry` sends it forward.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use remint_contract::{Ref, ResetId, Strategy};
use remint_core::machine::{Rotation, State};
use remint_core::plan::{Member, Plan, Precedence};
use remint_core::step::{Path, Step};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::record::{Owner, Reset, ResetStatus, RotationRecord, kind, put};
use crate::engine::{Engine, EngineError, Progress};
use crate::store::{Change, Key, Rule};

/// Why a reset stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standstill {
    pub by: String,
    pub at: Timestamp,
    pub reason: String,
    /// Contained credentials stand still, too.
    #[serde(default)]
    pub all: bool,
    /// Members of an aborted reset that somebody sent forward all the same.
    #[serde(default)]
    pub forward: BTreeSet<Ref>,
}

/// May this member begin another step?
#[must_use]
pub fn may_begin(reset: &Reset, member: &Member, rotation: &Rotation) -> bool {
    let standstill = reset.standstill.as_ref();
    match reset.status {
        ResetStatus::Paused => member.path == Path::Contain && !standstill.is_some_and(|standstill| standstill.all),
        ResetStatus::Aborted => {
            must_go_on(member, rotation)
                || standstill.is_some_and(|standstill| standstill.forward.contains(&member.credential))
        }
        _ => true,
    }
}

/// True when stopping here would leave a consumer without a working value: the old one is being killed, or was, and the
/// new one is not confirmed.
#[must_use]
pub fn must_go_on(member: &Member, rotation: &Rotation) -> bool {
    let ended = &rotation.facts.ended;
    let at = |steps: &[Step]| rotation.state.step().is_some_and(|step| steps.contains(&step));
    let under_way = matches!(rotation.state, State::Doing { .. } | State::Unknown { .. });
    let begun = |step: Step| ended.contains(&step) || (under_way && at(&[step]));
    // In place, the new value is the death of the old one.
    let kills: &[Step] = match (member.strategy, member.path) {
        (Strategy::InPlace, _) => &[Step::Mint, Step::Disable, Step::Revoke],
        _ => &[Step::Disable, Step::Revoke],
    };
    let consumed = !member.consumers.is_empty();
    consumed && !rotation.state.rests() && kills.iter().any(|step| begun(*step)) && !ended.contains(&Step::Confirm)
}

/// True when nothing was done that anybody would have to undo or finish.
#[must_use]
pub fn untouched(rotation: &Rotation) -> bool {
    rotation.facts.ended.iter().all(|step| *step == Step::Capture)
        && matches!(
            rotation.state,
            State::Planned
                | State::Superseded { .. }
                | State::Waiting { step: Step::Capture | Step::Mint | Step::Disable }
                | State::Parked { step: Step::Capture, .. }
        )
        && rotation.facts.new.is_none()
}

impl Engine {
    /// Begins no further step of a reset until it is resumed. `all`: of what is contained neither.
    ///
    /// # Errors
    /// It does not run.
    pub async fn pause(&self, id: &ResetId, all: bool, by: &str, reason: &str) -> Result<Reset, EngineError> {
        let at = self.context.clock.now();
        let reset = self.change_reset(id, "reset.paused", |reset| {
            if !matches!(reset.status, ResetStatus::Running | ResetStatus::Resting | ResetStatus::Paused) {
                return Err(stays(reset, "pause"));
            }
            reset.status = ResetStatus::Paused;
            let (by, reason) = (by.to_owned(), reason.to_owned());
            reset.standstill = Some(Standstill { by, at, reason, all, forward: BTreeSet::new() });
            Ok(json!({ "by": by_of(reset), "reason": reason_of(reset), "all": all }))
        });
        let reset = reset.await?;
        self.announce_standstill(id, "paused", reason);
        self.ring(id).await?;
        Ok(reset)
    }

    /// Lets a paused reset go on.
    ///
    /// # Errors
    /// It is not paused.
    pub async fn resume(&self, id: &ResetId, by: &str, reason: &str) -> Result<Reset, EngineError> {
        let reset = self.change_reset(id, "reset.resumed", |reset| {
            match reset.status {
                ResetStatus::Paused => {}
                ResetStatus::Aborted => {
                    return Err(EngineError::Refused(format!(
                        "reset {id} was aborted, which is for good; finish what is half done with remint retry {id}, and plan the rest again"
                    )));
                }
                _ => return Err(EngineError::Refused(format!("reset {id} is not paused"))),
            }
            reset.status = ResetStatus::Running;
            reset.standstill = None;
            Ok(json!({ "by": by, "reason": reason }))
        });
        let reset = reset.await?;
        self.announce_standstill(id, "resumed", reason);
        self.ring(id).await?;
        Ok(reset)
    }

    /// Stops a reset for good where that is safe. What was not begun has no owner any more.
    ///
    /// # Errors
    /// It does not run.
    pub async fn abort(&self, id: &ResetId, by: &str, reason: &str) -> Result<Reset, EngineError> {
        let at = self.context.clock.now();
        let reset = self.change_reset(id, "reset.aborted", |reset| {
            if !matches!(reset.status, ResetStatus::Running | ResetStatus::Resting | ResetStatus::Paused) {
                return Err(stays(reset, "abort"));
            }
            reset.status = ResetStatus::Aborted;
            let (by, reason) = (by.to_owned(), reason.to_owned());
            reset.standstill = Some(Standstill { by, at, reason, all: true, forward: BTreeSet::new() });
            Ok(json!({ "by": by_of(reset), "reason": reason_of(reset) }))
        });
        let reset = reset.await?;
        self.announce_standstill(id, "aborted", reason);
        self.ring(id).await?;
        Ok(reset)
    }

    fn announce_standstill(&self, id: &ResetId, word: &str, reason: &str) {
        let at = self.context.clock.now();
        let (word, reason) = (word.to_owned(), reason.to_owned());
        self.tell(Progress::Standstill { reset: id.clone(), word, reason, at });
    }

    /// Sends members of an aborted reset forward: one, or all that are half done; with them what they wait for, begun or
    /// not. Of any other reset nothing is changed.
    ///
    /// # Errors
    /// What the one member waits for is another reset's by now, or the store failed.
    pub async fn forward(&self, id: &ResetId, only: Option<&Ref>) -> Result<usize, EngineError> {
        let reset = self.reset(id).await?;
        if reset.status != ResetStatus::Aborted {
            return Ok(0);
        }
        let records = self.rotations(id).await?;
        let owners = self.owners().await?;
        let elsewhere = |index: &usize| owners.get(&records[*index].credential).filter(|(owner, _)| owner.reset != *id);
        let mut before: HashMap<usize, Vec<&Precedence>> = HashMap::new();
        for precedence in &reset.plan.precedences {
            before.entry(precedence.after.0).or_default().push(precedence);
        }
        let (mut sent, mut half) = (BTreeSet::new(), 0);
        for (index, record) in records.iter().enumerate() {
            if only.is_some_and(|only| *only != record.credential) || !half_done(&record.rotation) {
                continue;
            }
            let along = with_what_it_waits_for(&reset.plan, &before, &records, index);
            let stops =
                along.iter().filter(|other| **other != index).find_map(|other| Some((*other, elsewhere(other)?)));
            match stops {
                None => {
                    half += 1;
                    sent.extend(along);
                }
                Some((other, (owner, _))) if only.is_some() => {
                    return Err(EngineError::Refused(format!(
                        "{} waits for {}, which reset {} has by now; send it forward when that has ended, or roll it back",
                        record.credential, records[other].credential, owner.reset
                    )));
                }
                Some(_) => {}
            }
        }
        let names: Vec<String> = sent.iter().map(|&index| records[index].credential.to_string()).collect();
        let mut rows = Vec::new();
        for record in sent.iter().map(|&index| &records[index]) {
            // What was not begun was let go at the abort.
            if !owners.contains_key(&record.credential) {
                let row = Owner { reset: id.clone() };
                rows.push(put(kind::OWNER, record.credential.to_string(), &id.0, &row, Rule::Insert)?);
            }
        }
        let told = self.change_reset_and(id, "reset.forward", Change { puts: rows, ..Change::default() }, |reset| {
            if let Some(standstill) = &mut reset.standstill {
                standstill.forward.extend(sent.iter().map(|&index| records[index].credential.clone()));
            }
            Ok(json!({ "credentials": names }))
        });
        told.await?;
        self.ring(id).await?;
        Ok(half)
    }

    /// The owner rows that an aborted reset does not need any more: of what was not begun, and of what is settled.
    pub(crate) fn released(reset: &Reset, rotations: &[Rotation]) -> Vec<Key> {
        let free = |rotation: &Rotation| untouched(rotation) || matches!(rotation.state, State::Settled { .. });
        let sent = |member: &Member| {
            reset.standstill.as_ref().is_some_and(|standstill| standstill.forward.contains(&member.credential))
        };
        let pairs = reset.plan.members.iter().zip(rotations);
        pairs
            .filter(|(member, rotation)| {
                free(rotation) && (matches!(rotation.state, State::Settled { .. }) || !sent(member))
            })
            .map(|(member, _)| Key { kind: kind::OWNER, id: member.credential.to_string() })
            .collect()
    }
}

/// A member, and every other one with a step that has not ended and must come before a step that this one, or what it
/// waits for, has still to do. `before`: the precedences of a plan by the member that waits.
fn with_what_it_waits_for(
    plan: &Plan,
    before: &HashMap<usize, Vec<&Precedence>>,
    records: &[RotationRecord],
    member: usize,
) -> BTreeSet<usize> {
    let open = |(member, step): (usize, Step)| {
        let rotation = &records[member].rotation;
        let over = matches!(rotation.state, State::Settled { .. } | State::Superseded { .. });
        !over && !rotation.facts.ended.contains(&step) && plan.members[member].steps().contains(&step)
    };
    let mut found = BTreeSet::from([member]);
    let mut next = vec![member];
    while let Some(member) = next.pop() {
        for precedence in before.get(&member).into_iter().flatten() {
            if open(precedence.after) && open(precedence.before) && found.insert(precedence.before.0) {
                next.push(precedence.before.0);
            }
        }
    }
    found
}

/// Begun, and not settled.
fn half_done(rotation: &Rotation) -> bool {
    !untouched(rotation) && !matches!(rotation.state, State::Settled { .. } | State::Superseded { .. })
}

/// What stays of an aborted reset for somebody to finish, with what to do.
#[must_use]
pub fn half_done_of<'a>(reset: &Reset, records: &'a [RotationRecord]) -> Vec<(&'a RotationRecord, String)> {
    let id = &reset.id;
    let half = records.iter().filter(|record| half_done(&record.rotation));
    half.map(|record| {
        let forward = format!("remint retry {id} --only {}", record.credential);
        let killed = [Step::Disable, Step::Revoke].iter().any(|step| record.rotation.facts.ended.contains(step));
        let back = matches!(record.rotation.state, State::Parked { .. }) && !killed;
        let back =
            if back { format!(", or back: remint rollback {id} --only {}", record.credential) } else { String::new() };
        (record, format!("forward: {forward}{back}"))
    })
    .collect()
}

fn by_of(reset: &Reset) -> Option<&str> {
    reset.standstill.as_ref().map(|standstill| standstill.by.as_str())
}

fn reason_of(reset: &Reset) -> Option<&str> {
    reset.standstill.as_ref().map(|standstill| standstill.reason.as_str())
}

fn stays(reset: &Reset, word: &str) -> EngineError {
    let id = &reset.id;
    EngineError::Refused(match reset.status {
        ResetStatus::Requested => format!("reset {id} was not begun; remint reject {id} --reason … ends it"),
        ResetStatus::Aborted => format!("reset {id} was aborted already"),
        _ => format!("reset {id} does not run any more; there is nothing to {word}"),
    })
}

//! The state machine of one rotation: one pure function from (rotation, event) to (rotation, effects).
//!
//! The engine performs effects and reports events; recovery after a crash replays through the same function. The steps
//! and their order are in [`crate::step`]; this page draws what may happen to a step, whichever path it is on.
//!
//! ```text
//! planned      --start------------> waiting       nothing was done yet
//! planned      --drifted----------> parked        the leaf is not what was approved
//! planned      --recovered--------> parked        the store is older than the world, and what it knows does not hold
//! planned      --superseded-------> superseded    a more urgent reset takes it
//! planned      --queued-----------> queued        another reset owns it: this one waits
//! planned      --joined-----------> joined        another reset, as urgent, mints after the exposure: its evidence counts
//! planned      --revised----------> planned       the plan's revision gives it another path
//! queued       --freed------------> planned       nobody owns it any more
//! queued       --recovered--------> parked
//! joined       --freed------------> planned       the other one ended without settling it
//! joined       --vouched----------> settled       the other one settled it
//! joined       --recovered--------> parked
//! waiting      --cleared----------> doing         all that must come before has ended
//! waiting      --drifted----------> parked
//! waiting      --recovered--------> parked
//! waiting      --superseded-------> superseded
//! waiting      --revised----------> waiting       on the other path, from what was done: a minted value joins what is killed
//! doing        --done-------------> waiting       on to the path's next step
//! doing        --done-------------> parked        done, but not to the least grade, or something undecided was found
//! doing        --done-------------> dark          contained; only dirty nodes would read a new value
//! doing        --done-------------> settled       the path's last step: provisional until the last re-proof
//! doing        --lost-------------> unknown       an effect's answer was lost: neither done nor undone
//! doing        --failed-----------> parked        the reason says who can move it on, and how
//! doing        --spoiled----------> waiting       before delivery: the new value is not accepted any more; mint another
//! doing        --destroyed--------> parked        the new version had other rights and is dead: a retry mints another
//! doing        --recovered--------> parked
//! doing        --superseded-------> superseded
//! unknown      --found-done-------> doing         the target says it happened: the step goes on from there
//! unknown      --found-undone-----> doing         the target says it never happened: the step is tried again
//! unknown      --failed-----------> parked        the target does not say
//! unknown      --recovered--------> parked
//! unknown      --superseded-------> superseded    who takes it asks the target
//! unknown      --revised----------> waiting
//! parked       --retry------------> waiting       the same step again, or the earlier one that has to be repeated for it
//! parked       --rolled-back------> rolled-back   before anything was revoked: the new version is given up
//! parked       --recovered--------> parked
//! parked       --superseded-------> superseded
//! parked       --revised----------> waiting
//! dark         --cleaned----------> waiting       rebuilt, isolated or cut off: on to mint
//! dark         --recovered--------> parked
//! dark         --superseded-------> superseded
//! settled      --reproved---------> settled       refused again; after the last one it is final
//! settled      --delivered--------> settled       a place that was held back got the value
//! settled      --resurrected------> parked        the old value was accepted again
//! settled      --recovered--------> parked
//! rolled-back  --retry------------> waiting       forward: from the mint on, with a third version
//! rolled-back  --recovered--------> parked
//! rolled-back  --superseded-------> superseded
//! rolled-back  --revised----------> waiting
//! ```
//!
//! Guarantees, each held by the transition function and not by its callers:
//! - **revoke never precedes confirm of every clean consumer** in rolling mode: `done(confirm)` that lacks one, or has one
//!   below the least grade, parks;
//! - **activation never precedes propagation to every clean verifier**: `done(propagate)` that lacks a verifier or an
//!   endpoint parks, and what retires the old version comes after;
//! - **an encryption key is never stopped while anything is encrypted under it**: `done(rewrap)` with something left parks;
//!   no table has a step that destroys it, and a new version that encrypts already is not rolled back;
//! - **dead means proven**: `done(prove)` below the least grade parks; `done(sweep)` with an undecided version parks;
//! - **a dark credential mints nothing** before `cleaned`;
//! - what was revoked is not rolled back.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{ConfirmGrade, Location, ProofGrade, Ref, VersionId};
use serde::{Deserialize, Serialize};

use crate::plan::Member;
use crate::step::{Course, Path, Step};

mod destroy;
mod event;
mod state;
#[cfg(test)]
mod tests;

pub use destroy::Kept;
pub use event::{Done, Event};
pub use state::{Reason, State};

/// One version of the credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// At the issuer; unknown when nothing could say.
    pub id: Option<VersionId>,
    pub username: Option<String>,
    /// The sealed value's id in escrow, when it is held.
    pub sealed: Option<String>,
    /// Who the issuer takes the bearer for.
    pub principal: Option<String>,
    /// The endpoints that accepted it before anything was changed: the control of the proof.
    pub accepted_at: BTreeSet<usize>,
}

/// What is known of a rotation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub old: Option<Version>,
    pub new: Option<Version>,
    /// Versions of ours that are killed, proven and swept with the old one: minted by a rotation that this one took over,
    /// or by this one before its path changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Version>,
    /// Places where readers see the new version.
    #[serde(default)]
    pub delivered: BTreeSet<Location>,
    pub confirmed: BTreeMap<Ref, ConfirmGrade>,
    pub proof: Option<ProofGrade>,
    /// Steps that ended.
    pub ended: BTreeSet<Step>,
}

/// A rotation: where it stands and what is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    pub state: State,
    pub facts: Facts,
}

/// What the engine has to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Wait until everything that must come before this step has ended.
    Await(Step),
    /// Do this step.
    Perform(Step),
    /// Ask the target what became of this step's open intents.
    Ask(Step),
    /// Schedule the re-proofs.
    ScheduleReproof,
    /// Give up the new version: revoke it, and put the old value back where the new one was delivered.
    GiveUpNew,
    /// The credential has no owner any more.
    Release,
    /// Tell somebody now.
    Alarm,
}

/// An event that cannot happen in a state. Always a defect of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` cannot happen while {state}")]
pub struct Illegal {
    pub state: String,
    pub event: &'static str,
}

impl Facts {
    /// Do they settle this member? A proof that is too weak for it settles nothing, nor does a value that one of its
    /// consumers was not seen on: should the old one rise again, it would be killed under that consumer.
    fn vouch(&self, member: &Member) -> bool {
        self.new.is_some()
            && self.proof.is_some_and(|grade| grade <= member.least_proof)
            && member.consumers.iter().all(|consumer| self.saw(consumer, member))
    }

    /// Was the consumer seen on the new version, as surely as the member asks for?
    fn saw(&self, consumer: &Ref, member: &Member) -> bool {
        self.confirmed.get(consumer).is_some_and(|grade| *grade <= member.least_confirm)
    }
}

impl Rotation {
    /// A rotation of which nothing was done.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Planned, facts: Facts::default() }
    }

    /// The next state and what to do, or why this event cannot happen here.
    ///
    /// # Errors
    /// [`Illegal`], with the rotation unchanged.
    #[expect(clippy::match_same_arms, reason = "each row of the transition table stands for itself")]
    pub fn on(&self, member: &Member, event: &Event) -> Result<(Self, Vec<Effect>), Illegal> {
        let illegal = || Illegal { state: self.state.to_string(), event: event.name() };
        let mut next = self.clone();
        let effects = match (&self.state, event) {
            (State::Planned, Event::Start) => next.wait(next.first(member)),
            (State::Planned, Event::Queued { behind }) => {
                next.state = State::Queued { behind: behind.clone() };
                Vec::new()
            }
            (State::Planned, Event::Joined { with }) => {
                next.state = State::Joined { with: with.clone() };
                Vec::new()
            }
            (State::Queued { .. } | State::Joined { .. }, Event::Freed) => {
                next.state = State::Planned;
                Vec::new()
            }
            (State::Joined { .. }, Event::Vouched { facts }) if facts.vouch(member) => {
                next.facts = (**facts).clone();
                next.state = State::Settled { last: true };
                Vec::new()
            }
            (State::Planned, Event::Revised) => Vec::new(),
            (
                State::Waiting { .. } | State::Unknown { .. } | State::Parked { .. } | State::RolledBack,
                Event::Revised,
            ) if next.may_turn(member.path) => next.turn(member),
            (State::Planned, Event::Drifted { what }) => {
                next.park(Step::Capture, Reason::Drifted { what: what.clone() })
            }
            (State::Waiting { step }, Event::Drifted { what }) => {
                next.park(*step, Reason::Drifted { what: what.clone() })
            }
            (State::Waiting { step }, Event::Cleared) => next.perform(*step),
            // A step of another path has no next one here, which must not be taken for the end.
            (State::Doing { step }, Event::Done { facts }) if facts.fits(*step) && member.steps().contains(step) => {
                next.finish(*step, member, facts)
            }
            (State::Doing { step }, Event::Lost) => {
                next.state = State::Unknown { step: *step };
                vec![Effect::Ask(*step)]
            }
            (State::Doing { step: Step::Activate | Step::Deliver }, Event::Spoiled)
                if member.course() != Course::Rewrap =>
            {
                next.drop_new();
                next.wait(Step::Mint)
            }
            (State::Doing { step } | State::Unknown { step }, Event::Failed { reason }) => {
                next.park(*step, reason.clone())
            }
            (State::Unknown { step }, Event::FoundDone | Event::FoundUndone) => next.perform(*step),
            (State::Doing { step: Step::Verify }, Event::Destroyed { change }) => {
                next.drop_new();
                next.park(Step::Mint, Reason::Rights { change: change.clone() })
            }
            (State::Parked { step, reason }, Event::Retry) => next.repeat(*step, reason, member),
            (State::Parked { .. }, Event::RolledBack) if !next.killed() && !next.encrypts(member) => {
                // It may live for as long as it was not given up: it joins what is killed. What lies where it was
                // delivered stays known until somebody goes forward.
                next.facts.also.extend(next.facts.new.take());
                next.facts.confirmed.clear();
                next.facts.ended.retain(|step| *step == Step::Capture);
                next.state = State::RolledBack;
                vec![Effect::GiveUpNew]
            }
            (State::RolledBack, Event::Retry) => {
                next.facts.delivered.clear();
                next.wait(Step::Mint)
            }
            (State::Dark { .. }, Event::Cleaned) => next.wait(Step::Mint),
            (State::Settled { last: false }, Event::Reproved { last }) => {
                next.state = State::Settled { last: *last };
                if *last { vec![Effect::Release] } else { vec![Effect::ScheduleReproof] }
            }
            (State::Settled { .. }, Event::Delivered { places }) => {
                next.facts.delivered.extend(places.iter().cloned());
                Vec::new()
            }
            (State::Settled { .. }, Event::Resurrected { endpoints }) => {
                // The old version is killed and proven again, from the step that kills it for good on this path.
                let kill = member.course().last_kill(member.path);
                if let Some(&last) = member.steps().last() {
                    next.forget(member, kill, last);
                }
                next.facts.proof = None;
                let mut effects = next.park(kill, Reason::Alive { endpoints: endpoints.clone() });
                effects.push(Effect::Alarm);
                effects
            }
            (State::Superseded { .. }, Event::Recovered { .. }) => return Err(illegal()),
            (_, Event::Recovered { what }) => {
                // From the start, with what the target says then: nothing that was known before is relied on.
                next.facts = Facts::default();
                next.park(Step::Capture, Reason::Failed { what: what.clone() })
            }
            (
                State::Planned
                | State::Waiting { .. }
                | State::Doing { .. }
                | State::Unknown { .. }
                | State::Parked { .. }
                | State::Dark { .. }
                | State::RolledBack,
                Event::Superseded { by },
            ) => {
                next.state = State::Superseded { by: by.clone() };
                vec![Effect::Release]
            }
            _ => return Err(illegal()),
        };
        Ok((next, effects))
    }

    /// A rotation that takes over from another one of the same credential: what that one knew to be alive, its half-minted
    /// value too, is to be killed, and the old value is not looked for where the half-minted one may lie by now.
    #[must_use]
    pub fn over(other: &Self) -> Self {
        let mut next = Self::new();
        next.facts.old.clone_from(&other.facts.old);
        next.facts.also = other.facts.also.iter().chain(&other.facts.new).cloned().collect();
        next.facts.ended.extend(other.facts.ended.get(&Step::Capture));
        next
    }

    /// A version that was found to be ours, and must die with the old one.
    #[must_use]
    pub fn with(&self, version: Version) -> Self {
        let mut next = self.clone();
        if !next.facts.also.contains(&version) {
            next.facts.also.push(version);
        }
        next
    }

    /// The first step of the path that has not ended.
    fn first(&self, member: &Member) -> Step {
        let mut steps = member.steps().iter().copied();
        steps.find(|step| !self.facts.ended.contains(step)).unwrap_or(Step::Capture)
    }

    /// May it go on along this path? What was killed for good is not contained any more, and what was stopped, or perhaps
    /// stopped, does not roll.
    fn may_turn(&self, path: Path) -> bool {
        match path {
            Path::Contain => !self.facts.ended.contains(&Step::Revoke),
            Path::Rolling => {
                let stopped = self.facts.ended.contains(&Step::Disable);
                !stopped && matches!(self.state, State::Waiting { .. } | State::Parked { .. })
            }
            Path::Cut => false,
        }
    }

    /// Goes on along another path. The new value may be in the attacker's hands by now: it joins what is killed.
    fn turn(&mut self, member: &Member) -> Vec<Effect> {
        self.facts.also.extend(self.facts.new.take());
        self.facts.delivered.clear();
        self.facts.confirmed.clear();
        self.facts.proof = None;
        self.facts.ended.retain(|step| *step == Step::Capture);
        self.wait(self.first(member))
    }

    /// True when something irreversible or disabling was done to the old version.
    fn killed(&self) -> bool {
        self.facts.ended.contains(&Step::Revoke)
            || self.facts.ended.contains(&Step::Disable)
            || matches!(&self.state, State::Parked { step, .. } if matches!(step, Step::Revoke | Step::Disable))
    }

    /// The new version is gone: all that was done for it and before its delivery is to be done for another.
    fn drop_new(&mut self) {
        self.facts.new = None;
        for step in [Step::Mint, Step::Publish, Step::Propagate, Step::Verify, Step::Activate] {
            self.facts.ended.remove(&step);
        }
    }

    /// True when something may be encrypted under the new version: giving it up would lose that.
    fn encrypts(&self, member: &Member) -> bool {
        let at = matches!(&self.state, State::Parked { step: Step::Activate, .. });
        member.course() == Course::Rewrap && (at || self.facts.ended.contains(&Step::Activate))
    }

    fn wait(&mut self, step: Step) -> Vec<Effect> {
        self.state = State::Waiting { step };
        vec![Effect::Await(step)]
    }

    /// A step that could not end is tried again, from the earlier one whose doing it only looked at: consumers that were
    /// not seen are made to read again, a version that lives is killed again.
    fn repeat(&mut self, step: Step, reason: &Reason, member: &Member) -> Vec<Effect> {
        let killed = || {
            let steps = member.steps().iter().rev().skip_while(|&&other| other != step);
            steps.copied().find(|step| matches!(step, Step::Disable | Step::Revoke))
        };
        let first = match reason {
            _ if step == Step::Confirm => Step::Reload,
            _ if step == Step::Propagate => Step::Publish,
            Reason::Encrypted { .. } => Step::Rewrap,
            Reason::Alive { .. } => killed().unwrap_or(step),
            _ => step,
        };
        self.forget(member, first, step);
        self.wait(first)
    }

    /// These steps have to be done (again).
    fn forget(&mut self, member: &Member, first: Step, last: Step) {
        let steps = member.steps().iter().skip_while(|&&step| step != first);
        for step in steps {
            self.facts.ended.remove(step);
            if *step == last {
                return;
            }
        }
    }

    fn perform(&mut self, step: Step) -> Vec<Effect> {
        self.state = State::Doing { step };
        vec![Effect::Perform(step)]
    }

    fn park(&mut self, step: Step, reason: Reason) -> Vec<Effect> {
        self.state = State::Parked { step, reason };
        Vec::new()
    }

    /// A step ended: record what it established, and go on unless that is not enough.
    fn finish(&mut self, step: Step, member: &Member, facts: &Done) -> Vec<Effect> {
        match facts {
            Done::Captured { old } => self.facts.old.clone_from(old),
            Done::Minted { new } => self.facts.new = Some(new.clone()),
            Done::Promoted { places } => self.facts.delivered.clone_from(places),
            Done::Confirmed { consumers } => {
                self.facts.confirmed.clone_from(consumers);
                let seen = |consumer: &&Ref| self.facts.saw(consumer, member);
                let missing: BTreeSet<Ref> =
                    member.consumers.iter().filter(|consumer| !seen(consumer)).cloned().collect();
                if !missing.is_empty() {
                    return self.park(step, Reason::Unconfirmed { workloads: missing });
                }
            }
            Done::Proved { grade } => {
                self.facts.proof = Some(*grade);
                // The first proof of the contain path has no new value to compare with; the final one has.
                let judged = step == Step::FinalProve || !member.steps().contains(&Step::FinalProve);
                if judged && *grade > member.least_proof {
                    return self.park(step, Reason::WeakProof { grade: *grade });
                }
            }
            Done::Propagated { verifiers, endpoints } => {
                let behind = member.verifiers.iter().filter(|verifier| !verifiers.contains(verifier));
                let lagging = member.endpoints.iter().filter(|endpoint| !endpoints.contains(*endpoint));
                let missing: Vec<String> = behind.map(ToString::to_string).chain(lagging.cloned()).collect();
                if !missing.is_empty() {
                    return self.park(step, Reason::Untrusted { verifiers: missing });
                }
            }
            Done::Rewrapped { left } if *left > 0 => return self.park(step, Reason::Encrypted { left: *left }),
            Done::Swept { undecided } | Done::Contained { undecided, .. } if !undecided.is_empty() => {
                return self.park(step, Reason::Foreign { versions: undecided.clone() });
            }
            Done::Swept { .. } | Done::Contained { .. } | Done::Rewrapped { .. } | Done::Plain { .. } => {}
        }
        self.facts.ended.insert(step);
        if let (Done::Contained { now, .. }, true) = (facts, member.dark) {
            self.state = State::Dark { since: *now };
            return vec![Effect::Alarm];
        }
        // What ended before and was not undone by a repetition stays.
        let mut after = member.after(step);
        while let Some(done) = after.filter(|step| self.facts.ended.contains(step)) {
            after = member.after(done);
        }
        if let Some(after) = after {
            return self.wait(after);
        }
        self.state = State::Settled { last: false };
        vec![Effect::ScheduleReproof]
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self::new()
    }
}

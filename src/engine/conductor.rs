//! The members of a running reset as they move: what begins when, in which wave, and what lets it go.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use remint_core::drift::drift;
use remint_core::machine::{Effect, Event, Reason, Rotation, State};
use remint_core::step::{Path, Step};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

use crate::engine::barrier::Barrier;
use crate::engine::deadline::Clock;
use crate::engine::effect::{Stop, Task};
use crate::engine::host::{PLACE, Place, TRIES};
use crate::engine::outcome::record;
use crate::engine::record::{entry, kind};
use crate::engine::run::Run;
use crate::engine::work::{Bound, Worked, work};
use crate::engine::{Engine, EngineError, Progress, step};
use crate::store::{Change, StoreError};

mod hear;
mod rank;
mod turn;
mod wave;
mod way;

/// The members as they move.
pub(super) struct Conductor {
    engine: Engine,
    run: Arc<Run>,
    pub(super) rotations: Vec<Rotation>,
    /// (member, step) → steps that must end before.
    before: HashMap<(usize, Step), usize>,
    /// (member, step) → steps that it lets go.
    after: HashMap<(usize, Step), Vec<(usize, Step)>>,
    /// Member → its wave.
    wave: Vec<usize>,
    open: usize,
    moving: JoinSet<Moved>,
    /// Members that wait for steps of others.
    held: BTreeSet<usize>,
    /// Members that begin nothing because the reset stands still.
    stopped: BTreeSet<usize>,
    /// Rung when somebody said something of the reset.
    bell: Arc<Notify>,
    heard: u64,
    clock: Clock,
    /// Cuts whose outage was announced.
    out: BTreeSet<usize>,
    /// How often a step's answer was lost in this run.
    lost: HashMap<(usize, Step), u32>,
    /// Keeps new values back until everything in scope is stopped.
    barrier: Barrier,
    /// Contained members that had their first try at being stopped, and failed: the others come first.
    behind: BTreeSet<usize>,
    /// Those of them that wait for the first tries of the others.
    late: Vec<(usize, Step)>,
    /// Findings of this reset that a person decided.
    decided: BTreeSet<String>,
    /// Tasks of this reset that a person did.
    attested: BTreeSet<String>,
    bound: Arc<Bound>,
    /// Member → its place in the line for budgets.
    places: Vec<u64>,
}

impl Conductor {
    /// `elsewhere`: members that another reset took over and settled.
    pub(super) fn new(engine: Engine, run: Arc<Run>, rotations: Vec<Rotation>, elsewhere: &BTreeSet<usize>) -> Self {
        let plan = run.reset.lock().unwrap_or_else(PoisonError::into_inner).plan.clone();
        let mut before: HashMap<(usize, Step), usize> = HashMap::new();
        let mut after: HashMap<(usize, Step), Vec<(usize, Step)>> = HashMap::new();
        for precedence in &plan.precedences {
            let (member, step) = precedence.before;
            // What another reset took over and settled is dead by its hand.
            if elsewhere.contains(&member) {
                continue;
            }
            if rotations[member].facts.ended.contains(&step) || !run.members[member].steps().contains(&step) {
                continue;
            }
            *before.entry(precedence.after).or_default() += 1;
            after.entry(precedence.before).or_default().push(precedence.after);
        }
        let barrier = Barrier::new(&run.members, &plan.precedences, &rotations);
        let mut wave = vec![0; rotations.len()];
        for (number, members) in plan.waves.iter().enumerate() {
            for &member in members {
                wave[member] = number;
            }
        }
        let first = engine.begun.fetch_add(run.members.len() as u64, Ordering::Relaxed);
        let steps: Vec<&[Step]> = run.members.iter().map(|member| member.steps()).collect();
        let ranks = rank::ranks(&steps, &plan.precedences);
        let places = ranks.into_iter().map(|rank| first + rank).collect();
        let bell = engine.bell(&run.id);
        let bound = Arc::new(Bound::of(&plan));
        let clock = Clock::new(plan, run.context.clock.now());
        Self {
            engine,
            run,
            rotations,
            before,
            after,
            wave,
            open: 0,
            moving: JoinSet::new(),
            held: BTreeSet::new(),
            stopped: BTreeSet::new(),
            bell,
            heard: 0,
            clock,
            out: BTreeSet::new(),
            lost: HashMap::new(),
            barrier,
            behind: BTreeSet::new(),
            late: Vec::new(),
            decided: BTreeSet::new(),
            attested: BTreeSet::new(),
            bound,
            places,
        }
    }

    /// Starts the first wave; goes on with everything that was under way.
    pub(super) async fn start(&mut self) -> Result<(), EngineError> {
        self.heard = self.engine.rung(&self.run.id).await?;
        // What the plan says and the estate that is active now does not: only that leaf parks.
        let active = self.engine.active_estate().await?;
        for index in 0..self.rotations.len() {
            if let (State::Planned, Some(estate)) = (&self.rotations[index].state, &active)
                && let Some(what) = drift(&self.run.members[index], estate, &*self.engine.kinds)
            {
                self.apply(index, Event::Drifted { what }).await?;
            }
        }
        let findings = self.engine.findings(Some(&self.run.id)).await?;
        self.decided = findings.into_iter().filter(|found| found.decision.is_some()).map(|found| found.id).collect();
        let tasks = self.engine.tasks(Some(&self.run.id)).await?;
        self.attested = tasks.into_iter().filter(|task| task.attested.is_some()).map(|task| task.id).collect();
        for index in 0..self.rotations.len() {
            self.announce(index);
        }
        for index in 0..self.rotations.len() {
            if !matches!(self.rotations[index].state, State::Planned) {
                self.resume(index).await?;
            }
        }
        self.open_wave(0).await
    }

    async fn resume(&mut self, index: usize) -> Result<(), EngineError> {
        if !self.rotations[index].state.rests() && !self.goes_on(index) {
            self.stopped.insert(index);
            return Ok(());
        }
        match self.rotations[index].state.clone() {
            State::Waiting { step } => self.wait(index, step),
            State::Doing { step } => {
                self.spawn(index, step);
                Ok(())
            }
            State::Unknown { step } => self.again(index, step).await,
            State::Dark { .. } if self.run.clean(&self.run.members[index]) => self.apply(index, Event::Cleaned).await,
            State::Parked { step, reason } if self.answered(index, step, &reason) => {
                self.apply(index, Event::Retry).await
            }
            State::Planned
            | State::Parked { .. }
            | State::Dark { .. }
            | State::Settled { .. }
            | State::Superseded { .. }
            | State::Queued { .. }
            | State::Joined { .. }
            | State::RolledBack => Ok(()),
        }
    }

    /// True when people said what a parked member waited for.
    fn answered(&self, index: usize, step: Step, reason: &Reason) -> bool {
        let member = &self.run.members[index];
        match reason {
            Reason::Task { .. } => {
                let given_up = self.rotations[index].facts.also.len();
                self.attested.contains(&step::task_id(&self.run.id, index, step, given_up))
            }
            Reason::Foreign { versions } | Reason::Full { versions, .. } => {
                self.run.document(&member.credential).is_ok_and(|document| {
                    let system = document.issued_by.system.to_string();
                    versions
                        .iter()
                        .all(|version| self.decided.contains(&step::finding_id(&self.run.id.0, &system, version)))
                })
            }
            _ => false,
        }
    }

    /// A step whose answer was lost begins again, and asks the target first; a target that goes on saying nothing is a
    /// matter for a person.
    async fn again(&mut self, index: usize, step: Step) -> Result<(), EngineError> {
        let times = self.lost.entry((index, step)).or_default();
        *times += 1;
        if *times < self.engine.settings.host.tries {
            return self.apply(index, Event::FoundUndone).await;
        }
        let what = format!("{step} got no answer {times} times; look at the system, then `remint retry`");
        self.apply(index, Event::Failed { reason: Reason::Unclear { what } }).await
    }

    /// Moves on until everything rests, or waits for something that rests.
    pub(super) async fn finish(&mut self) -> Result<(), EngineError> {
        let changed = Arc::clone(&self.engine.changed);
        let mut woken = Box::pin(changed.notified());
        loop {
            while !self.moving.is_empty() {
                let bell = Arc::clone(&self.bell);
                tokio::select! {
                    biased;
                    Some(joined) = self.moving.join_next() => self.joined(joined).await?,
                    () = &mut woken => {
                        woken = Box::pin(changed.notified());
                        self.look().await?;
                    }
                    () = bell.notified() => self.heed().await?,
                    () = tokio::time::sleep(LISTEN) => {
                        self.listen().await?;
                        self.take_turns().await?;
                    }
                }
            }
            if self.barrier.give_up() {
                self.opened()?;
                continue;
            }
            // Somebody may have spoken while the last step ended.
            self.listen().await?;
            self.take_turns().await?;
            if !self.moving.is_empty() {
                continue;
            }
            self.close_window().await?;
            if self.open + 1 >= self.waves() || self.over_budget() || self.stands_still() {
                return Ok(());
            }
            self.open_wave(self.open + 1).await?;
        }
    }

    async fn joined(&mut self, joined: Result<Moved, JoinError>) -> Result<(), EngineError> {
        let Moved { index, took, result } =
            joined.map_err(|error| EngineError::Refused(format!("a step failed: {error}")))?;
        match result {
            Ok(Worked::Moved(rotation)) => {
                let before = &self.rotations[index].facts.ended;
                self.clock.took(rotation.facts.ended.difference(before).copied(), took);
                self.moved(index, rotation).await?;
                self.clock.tell(&self.engine, &self.run, &self.rotations).await
            }
            Ok(Worked::Behind(step)) => self.fall_behind(index, step),
            Err(error) if taken(&error) => {
                // Who got leave to restart a workload and was stopped before the end of it keeps it from nobody.
                self.run.restarted(index);
                self.taken(index).await
            }
            Err(error) => Err(error),
        }
    }

    /// Settled members whose held-back places may be written by now get them, and what reads there is reloaded.
    pub(super) async fn held_back(&mut self) -> Result<(), EngineError> {
        for index in 0..self.rotations.len() {
            if self.stands_still() {
                return Ok(());
            }
            let member = &self.run.members[index];
            let missing = |rotation: &Rotation| {
                self.run.places(member).iter().any(|place| !rotation.facts.delivered.contains(&place.at))
            };
            // What another reset rotated since is delivered by that one, with its own value.
            let mine = self.run.expected(index).is_some();
            if !mine
                || !matches!(self.rotations[index].state, State::Settled { .. })
                || !missing(&self.rotations[index])
            {
                continue;
            }
            let mut task = Task::new(Arc::clone(&self.run), index, self.rotations[index].facts.clone());
            let places = match step::held_back(&mut task).await {
                Ok(places) => places,
                Err(Stop::Broken(error)) if taken(&error) => continue,
                Err(Stop::Broken(error)) => return Err(error),
                // It stays held back, and the reset open; the next run tries again.
                Err(stop) => {
                    tracing::warn!(credential = %member.credential, ?stop, "a held-back place could not be written");
                    continue;
                }
            };
            let seen = step::shown(&self.run, places.iter()).await;
            let told = match seen {
                Ok(()) => step::restart(&mut task, member.dirty_consumers.clone()).await,
                Err(stop) => Err(stop),
            };
            match told {
                Ok(()) => task.close_rest(),
                Err(Stop::Broken(error)) if taken(&error) => continue,
                Err(Stop::Broken(error)) => return Err(error),
                Err(stop) => {
                    tracing::warn!(credential = %member.credential, ?stop, "what reads a held-back place was not restarted");
                    continue;
                }
            }
            let body = json!({ "places": places.iter().map(ToString::to_string).collect::<Vec<_>>() });
            let (next, _) = self.rotations[index].on(member, &Event::Delivered { places })?;
            let mut change = std::mem::take(&mut task.pending);
            change.puts.push(record(&self.run, index, &next)?);
            let now = self.run.context.clock.now();
            change.entries.push(entry("held-back.delivered", now, Some(&self.run.id), Some(&member.credential), &body));
            match self.run.commit_of(index, change).await {
                Err(error) if taken(&error) => continue,
                done => done?,
            }
            self.rotations[index] = next;
        }
        Ok(())
    }

    /// A step's outcome is durable: follow its effects, and let go who waited for it.
    async fn moved(&mut self, index: usize, rotation: Rotation) -> Result<(), EngineError> {
        let ended: Vec<Step> = rotation.facts.ended.difference(&self.rotations[index].facts.ended).copied().collect();
        self.rotations[index] = rotation;
        self.tell(index);
        for step in ended {
            if step == Step::Sweep {
                self.run.swept.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
            }
            for next in self.after.remove(&(index, step)).unwrap_or_default() {
                if let Some(count) = self.before.get_mut(&next) {
                    *count = count.saturating_sub(1);
                    let waits = matches!(self.rotations[next.0].state, State::Waiting { step } if step == next.1);
                    if *count == 0 && waits && self.held.remove(&next.0) {
                        self.wait(next.0, next.1)?;
                    }
                }
            }
        }
        if let State::Dark { since } = self.rotations[index].state {
            self.engine.alarm_dark(&self.run.id, &self.run.members[index].credential, since);
        }
        self.announce(index);
        if self.barrier.moved(index, &self.rotations[index]) {
            self.opened()?;
        }
        match self.rotations[index].state.clone() {
            State::Waiting { step } => self.wait(index, step)?,
            State::Doing { step } => self.spawn(index, step),
            State::Unknown { .. } if !self.goes_on(index) => drop(self.stopped.insert(index)),
            State::Unknown { step } => self.again(index, step).await?,
            _ => {}
        }
        Ok(())
    }

    /// Begins the step when nothing must come before it any more.
    fn wait(&mut self, index: usize, step: Step) -> Result<(), EngineError> {
        if !self.goes_on(index) {
            self.stopped.insert(index);
            return Ok(());
        }
        let member = &self.run.members[index];
        // On the rolling path the old value lives on meanwhile; on the contain path this is what `dark` is.
        let awaits = step == Step::Mint && member.dark && !self.run.clean(member);
        if !awaits && !self.barrier.holds(index, step) && self.before.get(&(index, step)).copied().unwrap_or(0) == 0 {
            self.clear(index, step)
        } else {
            self.held.insert(index);
            Ok(())
        }
    }

    /// `doing` is not written down: after a crash the step begins again, and resolves its open intents first.
    fn clear(&mut self, index: usize, step: Step) -> Result<(), EngineError> {
        let (next, _) = self.rotations[index].on(&self.run.members[index], &Event::Cleared)?;
        self.rotations[index] = next;
        self.announce(index);
        self.spawn(index, step);
        Ok(())
    }

    fn spawn(&mut self, index: usize, step: Step) {
        self.tell(index);
        let (run, rotation) = (Arc::clone(&self.run), self.rotations[index].clone());
        let (engine, bound) = (self.engine.clone(), Arc::clone(&self.bound));
        let lost = self.lost.get(&(index, step)).copied().unwrap_or_default();
        let wait = self.engine.settings.host.backoff * lost;
        let hasty = run.members[index].path == Path::Contain
            && matches!(step, Step::Capture | Step::Disable)
            && !self.behind.contains(&index);
        // Everything that is to be stopped is stopped before anybody's next step, whoever came earlier; but what failed
        // once does not keep it waiting again.
        let place = Place { patient: !hasty, number: self.places[index] };
        self.moving.spawn(PLACE.scope(place, async move {
            if !wait.is_zero() {
                run.context.clock.sleep(wait).await;
            }
            let began = run.context.clock.now();
            let work = work(engine, Arc::clone(&run), bound, index, rotation, step, hasty);
            let result = if hasty { TRIES.scope(1, work).await } else { work.await };
            let took = run.context.clock.now().duration_since(began).unsigned_abs();
            Moved { index, took, result }
        }));
    }

    /// An event that is not a step's outcome: durable at once.
    async fn apply(&mut self, index: usize, event: Event) -> Result<(), EngineError> {
        let (next, effects) = self.rotations[index].on(&self.run.members[index], &event)?;
        let now = self.run.context.clock.now();
        let member = &self.run.members[index];
        let mut change = Change::default();
        change.puts.push(record(&self.run, index, &next)?);
        if let State::Parked { reason, .. } = &next.state {
            let body = json!({ "event": event.name(), "why": reason.to_string() });
            change.entries.push(entry("rotation.parked", now, Some(&self.run.id), Some(&member.credential), &body));
        } else if event == Event::Cleaned {
            let body = json!({ "event": event.name(), "state": next.state.to_string() });
            change.entries.push(entry("rotation.moved", now, Some(&self.run.id), Some(&member.credential), &body));
        }
        match self.run.commit_of(index, change).await {
            Err(error) if taken(&error) => return self.taken(index).await,
            done => done?,
        }
        self.rotations[index] = next;
        self.tell(index);
        if self.barrier.moved(index, &self.rotations[index]) {
            self.opened()?;
        }
        for effect in effects {
            match effect {
                Effect::Await(step) => self.wait(index, step)?,
                Effect::Perform(step) => self.spawn(index, step),
                _ => {}
            }
        }
        Ok(())
    }

    fn tell(&self, index: usize) {
        self.engine.tell(Progress::Moved {
            reset: self.run.id.clone(),
            index,
            credential: self.run.members[index].credential.clone(),
            state: self.rotations[index].state.clone(),
            at: self.run.context.clock.now(),
        });
    }

    /// A cut's outage begins with the first disable of its members and ends when all of them are confirmed.
    fn announce(&mut self, index: usize) {
        let Some(cut) = self.run.members[index].cut else { return };
        let at = self.run.context.clock.now();
        let confirmed = self
            .run
            .members
            .iter()
            .zip(&self.rotations)
            .filter(|(member, _)| member.cut == Some(cut))
            .all(|(_, rotation)| rotation.facts.ended.contains(&Step::Confirm));
        let Rotation { state, facts } = &self.rotations[index];
        let begins = matches!(state, State::Doing { step: Step::Disable }) || facts.ended.contains(&Step::Disable);
        if begins && !confirmed && self.out.insert(cut) {
            self.engine.tell(Progress::Outage { reset: self.run.id.clone(), cut, began: true, at });
        }
        if confirmed && self.out.remove(&cut) {
            self.engine.tell(Progress::Outage { reset: self.run.id.clone(), cut, began: false, at });
        }
    }
}

/// What became of one member's way through its next steps.
struct Moved {
    index: usize,
    took: Duration,
    result: Result<Worked, EngineError>,
}

/// The store refused a change because the member's owner row had moved on.
fn taken(error: &EngineError) -> bool {
    matches!(error, EngineError::Store(StoreError::Stale { kind: kind::OWNER, .. }))
}

/// How often a run looks whether somebody spoke at another replica.
const LISTEN: Duration = Duration::from_secs(2);

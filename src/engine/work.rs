//! One member's way through its steps, as far as no other member is concerned.
//!
//! Flow: a step is done, its outcome is judged by the machine, and the next one begins at once where nothing in the plan
//! stands between them; else the outcome is committed and the conductor says when the next one may begin.
//!
//! Guarantees: an effect's intent is durable before it, and its outcome no later than with the intent of the member's next
//! effect or before anything that may take long; what others wait for is durable before they hear of it. An outcome that a
//! crash loses leaves its intent open, and whoever goes on asks the target (see [`Task::resolve`]).

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use remint_contract::ErrorKind;
use remint_core::machine::{Done, Event, Reason, Rotation, State};
use remint_core::plan::{Member, Plan};
use remint_core::step::{Path, Step};

use crate::engine::effect::{Stop, Task};
use crate::engine::outcome::{record, told};
use crate::engine::record::{entry, kind};
use crate::engine::run::Run;
use crate::engine::{Engine, EngineError, Progress, step, takeover};
use crate::store::Change;

/// Steps that wait for others, or that others wait for.
pub(super) struct Bound {
    steps: HashSet<(usize, Step)>,
    /// Something is stopped first: until then nothing mints.
    contains: bool,
}

/// What a member's way came to.
#[expect(clippy::large_enum_variant, reason = "one at a time, moved once")]
pub(super) enum Worked {
    Moved(Rotation),
    /// Its one try failed; the next ones come after everybody's first.
    Behind(Step),
}

impl Bound {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            steps: plan.precedences.iter().flat_map(|precedence| [precedence.before, precedence.after]).collect(),
            contains: plan.members.iter().any(|member| member.path == Path::Contain),
        }
    }

    /// True when the conductor has a say between the two.
    fn between(&self, index: usize, member: &Member, ended: Step, next: Step) -> bool {
        // Contained and cut members are announced, and let others go, step by step.
        member.path != Path::Rolling
            || member.dark
            || self.contains && next == Step::Mint
            || self.steps.contains(&(index, ended))
            || self.steps.contains(&(index, next))
    }
}

/// From one step to the last that can be done without anybody else.
pub(super) async fn work(
    engine: Engine,
    run: Arc<Run>,
    bound: Arc<Bound>,
    index: usize,
    mut rotation: Rotation,
    mut step: Step,
    hasty: bool,
) -> Result<Worked, EngineError> {
    let mut pending = Change::default();
    loop {
        if matches!(step, Step::Reload | Step::Confirm) {
            let mut leave = std::pin::pin!(run.restart_allowed(index));
            tokio::select! {
                biased;
                leave = &mut leave => leave?,
                () = std::future::ready(()) => {
                    // It may take long, so what was done is written first.
                    run.commit_of(index, std::mem::take(&mut pending)).await?;
                    leave.await?;
                }
            }
        }
        let mut task = Task::new(Arc::clone(&run), index, rotation.facts.clone());
        task.pending = pending;
        let done = match run.permitted(index, &rotation) {
            Err(what) => Err(Stop::Park(Reason::Task { what })),
            Ok(()) => match takeover::adopt(&mut task, &rotation, step).await {
                Ok(()) => step::perform(&mut task, step).await,
                Err(stop) => Err(stop),
            },
        };
        // Versions of ours that were found meanwhile die with the old one.
        rotation = task.facts.also.iter().fold(rotation, |rotation, version| rotation.with(version.clone()));
        if hasty && matches!(done, Err(Stop::Failed { kind: ErrorKind::Unreachable | ErrorKind::Throttled, .. })) {
            if !task.pending.entries.is_empty() {
                run.commit_of(index, std::mem::take(&mut task.pending)).await?;
            }
            return Ok(Worked::Behind(step));
        }
        let event = outcome(done)?;
        let done = matches!(event, Event::Done { .. });
        if done {
            task.close_rest();
        }
        let member = judged(&run, index);
        let (next, _) = rotation.on(&member, &event)?;
        pending = std::mem::take(&mut task.pending);
        // One row a rotation: the last state that it came to.
        pending.puts.retain(|put| put.key.kind != kind::ROTATION);
        pending.puts.push(record(&run, index, &next)?);
        if next.state.step() != Some(Step::Confirm) || next.state.rests() {
            run.restarted(index);
        }
        let (word, body) = told(&run, step, &event, &next);
        let now = run.context.clock.now();
        pending.entries.push(entry(word, now, Some(&run.id), Some(&member.credential), &body));
        let goes_on = match next.state {
            State::Waiting { step: following } if done && !bound.between(index, &member, step, following) => {
                (!run.yields.load(Ordering::Relaxed)).then_some(following)
            }
            _ => None,
        };
        let Some(following) = goes_on else {
            run.commit_of(index, pending).await?;
            return Ok(Worked::Moved(next));
        };
        if !may_wait(step, following) {
            run.commit_of(index, std::mem::take(&mut pending)).await?;
        }
        tell(&engine, &run, index, &next.state);
        (rotation, _) = next.on(&member, &Event::Cleared)?;
        tell(&engine, &run, index, &rotation.state);
        step = following;
    }
}

/// True when the outcome of `ended` may be written with the next intent: nothing that may take long lies between them, and
/// no value would be lost.
const fn may_wait(ended: Step, next: Step) -> bool {
    matches!(
        (ended, next),
        (Step::Capture, Step::Mint)
            | (Step::Verify, Step::Deliver)
            | (Step::Deliver, Step::Promote)
            | (Step::Promote, Step::Reload)
            | (Step::Hold, Step::Revoke)
            | (Step::Revoke, Step::EndDerived)
            | (Step::Prove, Step::Sweep)
    )
}

fn outcome(done: Result<Done, Stop>) -> Result<Event, EngineError> {
    Ok(match done {
        Ok(facts) => Event::Done { facts },
        Err(Stop::Park(reason)) => Event::Failed { reason },
        Err(Stop::Failed { kind: ErrorKind::Unreachable | ErrorKind::Throttled, what }) => {
            Event::Failed { reason: Reason::Unreachable { what } }
        }
        Err(Stop::Failed { what, .. }) => Event::Failed { reason: Reason::Failed { what } },
        Err(Stop::Destroyed { change }) => Event::Destroyed { change },
        Err(Stop::Lost) => Event::Lost,
        Err(Stop::Spoiled) => Event::Spoiled,
        Err(Stop::Broken(error)) => return Err(error),
    })
}

/// The member as the machine judges it: who has to be confirmed depends on who is clean by now.
fn judged(run: &Run, index: usize) -> Cow<'_, Member> {
    let member = &run.members[index];
    if member.dirty_consumers.is_empty() && member.dirty_verifiers.is_empty() {
        return Cow::Borrowed(member);
    }
    let mut member = member.clone();
    member.consumers = run.consumers(&member);
    member.verifiers = run.verifiers(&member);
    Cow::Owned(member)
}

fn tell(engine: &Engine, run: &Run, index: usize, state: &State) {
    engine.tell(Progress::Moved {
        reset: run.id.clone(),
        index,
        credential: run.members[index].credential.clone(),
        state: state.clone(),
        at: run.context.clock.now(),
    });
}

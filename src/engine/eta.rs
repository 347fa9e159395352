//! When a running reset will be done: from what its steps took so far and from what is left. Pure.
//!
//! The answer is the longer of two: the longest chain of steps that wait for one another, each as long as its kind took on
//! average; and all steps that are left, at the pace at which steps ended until now. Before anything was measured the
//! plan's own forecast stands, for the part that is left. What rests (parked, dark, settled) is not waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use remint_core::machine::Rotation;
use remint_core::plan::Plan;
use remint_core::step::Step;
use serde::{Deserialize, Serialize};

/// The forecast of a running reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eta {
    /// When it was made.
    pub at: Timestamp,
    /// When everything that does not rest will have settled.
    pub done: Timestamp,
    pub deadline: Option<Timestamp>,
}

impl Eta {
    /// True when the deadline will be missed.
    #[must_use]
    pub fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.done > deadline)
    }
}

/// What steps took until now, in this run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    steps: BTreeMap<Step, (Duration, u32)>,
    ended: u32,
}

impl Measured {
    /// A step ended, after so long.
    pub fn took(&mut self, step: Step, time: Duration) {
        let (sum, count) = self.steps.entry(step).or_default();
        *sum += time;
        *count += 1;
        self.ended += 1;
    }

    fn mean(&self, step: Step) -> Option<Duration> {
        self.steps.get(&step).map(|(sum, count)| *sum / (*count).max(1))
    }
}

/// How long until everything that moves has settled. `ran`: how long the run has been going on.
#[must_use]
pub fn left(plan: &Plan, rotations: &[Rotation], measured: &Measured, ran: Duration) -> Duration {
    let open = |member: usize, step: Step| {
        let rests = rotations[member].state.rests();
        !rests && !rotations[member].facts.ended.contains(&step)
    };
    let all: usize = plan.members.iter().map(|member| member.steps().len()).sum();
    let steps =
        || plan.members.iter().enumerate().flat_map(|(at, member)| member.steps().iter().map(move |s| (at, *s)));
    let to_do = steps().filter(|(member, step)| open(*member, *step)).count();
    if to_do == 0 {
        return Duration::ZERO;
    }
    let share = |of: Duration, part: usize, whole: usize| {
        Duration::from_secs_f64(of.as_secs_f64() * count(part) / count(whole.max(1)))
    };
    let guess = share(plan.eta, 1, plan.members.iter().map(|member| member.steps().len()).max().unwrap_or(1));
    let each = |member: usize, step: Step| match step {
        Step::Hold => plan.members[member].hold,
        step => measured.mean(step).unwrap_or(guess),
    };
    let pace = match measured.ended {
        0 => share(plan.eta, to_do, all),
        ended => share(ran, to_do, ended as usize),
    };
    pace.max(longest(plan, open, each))
}

/// The longest chain of open steps.
fn longest(plan: &Plan, open: impl Fn(usize, Step) -> bool, each: impl Fn(usize, Step) -> Duration) -> Duration {
    let node = |member: usize, step: Step| member * Step::COUNT + step as usize;
    let nodes = plan.members.len() * Step::COUNT;
    let mut waits = vec![0_u32; nodes];
    let mut starts = vec![Duration::ZERO; nodes];
    let mut after: Vec<Vec<(usize, Step)>> = vec![Vec::new(); nodes];
    let mut edge = |before: (usize, Step), next: (usize, Step)| {
        if open(before.0, before.1) && open(next.0, next.1) {
            after[node(before.0, before.1)].push(next);
            waits[node(next.0, next.1)] += 1;
        }
    };
    for (member, document) in plan.members.iter().enumerate() {
        let steps = document.steps();
        for pair in steps.windows(2) {
            edge((member, pair[0]), (member, pair[1]));
        }
        // What is done already between two steps does not part them.
        let left: Vec<Step> = steps.iter().copied().filter(|step| open(member, *step)).collect();
        for pair in left.windows(2).filter(|pair| document.after(pair[0]) != Some(pair[1])) {
            edge((member, pair[0]), (member, pair[1]));
        }
    }
    for row in &plan.precedences {
        let has = |(member, step): (usize, Step)| plan.members[member].steps().contains(&step);
        if has(row.before) && has(row.after) {
            edge(row.before, row.after);
        }
    }
    let mut ready: Vec<(usize, Step)> = Vec::new();
    for (member, document) in plan.members.iter().enumerate() {
        let steps = document.steps().iter().filter(|step| open(member, **step) && waits[node(member, **step)] == 0);
        ready.extend(steps.map(|step| (member, *step)));
    }
    let mut end = Duration::ZERO;
    while let Some((member, step)) = ready.pop() {
        let ends = starts[node(member, step)] + each(member, step);
        end = end.max(ends);
        for next in std::mem::take(&mut after[node(member, step)]) {
            let at = node(next.0, next.1);
            starts[at] = starts[at].max(ends);
            waits[at] -= 1;
            if waits[at] == 0 {
                ready.push(next);
            }
        }
    }
    end
}

#[expect(clippy::cast_precision_loss, reason = "a forecast, of far fewer steps than would be rounded")]
fn count(steps: usize) -> f64 {
    steps as f64
}

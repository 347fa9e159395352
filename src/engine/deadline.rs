//! The deadline clock of a run: measures its steps, and tells when it will be done, and when that is too late.

use std::time::Duration;

use jiff::Timestamp;
use remint_core::machine::Rotation;
use remint_core::step::Step;
use serde_json::json;

use crate::engine::eta::{Eta, Measured, left};
use crate::engine::planned::Planned;
use crate::engine::record::{entry, kind, put, read};
use crate::engine::run::Run;
use crate::engine::{Engine, EngineError, Progress};
use crate::store::{Change, Key, Rule};

/// One run's clock.
pub(crate) struct Clock {
    plan: Planned,
    measured: Measured,
    began: Timestamp,
    told: Option<Timestamp>,
    kept: Option<Timestamp>,
    late: bool,
}

impl Clock {
    pub(crate) fn new(plan: Planned, began: Timestamp) -> Self {
        Self { plan, measured: Measured::default(), began, told: None, kept: None, late: false }
    }

    /// These steps ended, one after another, in so long.
    pub(crate) fn took(&mut self, steps: impl Iterator<Item = Step>, time: Duration) {
        let steps: Vec<Step> = steps.collect();
        let each = time / u32::try_from(steps.len()).unwrap_or(1).max(1);
        steps.into_iter().for_each(|step| self.measured.took(step, each));
    }

    /// Tells whoever watches once a second (less often in a large reset, whose forecast is work), and whoever asks the
    /// store every few; at once when the deadline is lost or won back.
    pub(crate) async fn tell(&mut self, engine: &Engine, run: &Run, rotations: &[Rotation]) -> Result<(), EngineError> {
        let now = run.context.clock.now();
        let every = TELL.max(TELL_PER_MEMBER * u32::try_from(rotations.len()).unwrap_or(u32::MAX));
        if self.told.is_some_and(|told| now < told + every) {
            return Ok(());
        }
        self.told = Some(now);
        let ran = now.duration_since(self.began).unsigned_abs();
        let done = now + left(&self.plan, rotations, &self.measured, ran);
        let eta = Eta { at: now, done, deadline: self.plan.limits.deadline };
        let turned = eta.late() != self.late;
        self.late = eta.late();
        engine.tell(Progress::Eta { reset: run.id.clone(), done, deadline: eta.deadline, late: self.late, at: now });
        if !turned && self.kept.is_some_and(|kept| now < kept + KEEP) {
            return Ok(());
        }
        self.kept = Some(now);
        let mut change = Change::default();
        change.puts.push(put(kind::ETA, run.id.0.clone(), &run.id.0, &eta, Rule::Upsert)?);
        if turned {
            let deadline = eta.deadline.map(|deadline| deadline.to_string());
            if self.late {
                tracing::warn!(reset = %run.id, %done, deadline, "the deadline will be missed");
            }
            let word = if self.late { "deadline.at-risk" } else { "deadline.kept" };
            let body = json!({ "done": done.to_string(), "deadline": deadline });
            change.entries.push(entry(word, now, Some(&run.id), None, &body));
        }
        run.commit(change).await
    }
}

impl Engine {
    /// When a running reset will be done, as far as its run could tell; `None` for one of which nothing is known.
    ///
    /// # Errors
    /// The store failed.
    pub async fn eta(&self, id: &remint_contract::ResetId) -> Result<Option<Eta>, EngineError> {
        let key = Key { kind: kind::ETA, id: id.0.clone() };
        Ok(self.store.get(&key).await?.map(read).transpose()?)
    }
}

/// How often watchers are told.
const TELL: Duration = Duration::from_secs(1);
/// A forecast takes some microseconds a member, and nothing else goes on meanwhile: it may have a hundredth of the time.
const TELL_PER_MEMBER: Duration = Duration::from_micros(400);
/// How often it is written down.
const KEEP: Duration = Duration::from_secs(5);

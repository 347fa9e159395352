//! The last look before a credential's first effect: is it approved now, by whom it takes?
//!
//! Flow: [`Engine::permits`] works out once per run what each member takes; [`Run::permitted`] compares that with the case
//! as people left it, before each step until an effect was begun.
//!
//! Guarantees: what it takes is the stricter of what the plan's estate says and what the active one says; a member whose
//! approval fails is parked, and no other; what was begun is carried on, because half done is worse than either; a state
//! that nobody governs pays nothing.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::approval::{Candidate, Executor, Lack, Met, Obligations};
use remint_core::estate::{Estate, Tier};
use remint_core::machine::Rotation;
use remint_core::plan::Plan;
use remint_core::step::Step;

use crate::engine::record::Reset;
use crate::engine::run::Run;
use crate::engine::{Engine, EngineError, newest};

/// What every member of one plan takes.
#[derive(Debug, Clone)]
pub struct Permits {
    /// Each different sum of obligations once.
    kinds: Vec<(Obligations, Tier)>,
    /// Member → its place in `kinds`.
    of: Vec<usize>,
    executor: Executor,
    /// The newest time that any decision was made at.
    newest: Timestamp,
}

impl Permits {
    /// Works out what the members of a plan take.
    pub(crate) fn of(plan: &Plan, planned: &Estate, active: &Estate, executor: Executor, newest: Timestamp) -> Self {
        let mut kinds: Vec<(Obligations, Tier)> = Vec::new();
        let mut known: BTreeMap<(Option<&Ref>, Option<&Ref>, &str), usize> = BTreeMap::new();
        let of = plan.members.iter().map(|member| {
            let credential = &member.credential;
            let then = planned.credentials.get(credential).map(|found| &found.identity);
            let now = active.credentials.get(credential).map(|found| &found.identity);
            // Two credentials of one identity in one namespace take the same.
            *known.entry((then, now, credential.namespace.as_str())).or_insert_with(|| {
                let needs = Obligations::of_both(planned, active, credential);
                let tier = if needs.privileged { Tier::Privileged } else { Tier::Standard };
                kinds.iter().position(|kind| *kind == (needs.clone(), tier)).unwrap_or_else(|| {
                    kinds.push((needs, tier));
                    kinds.len() - 1
                })
            })
        });
        let of = of.collect();
        Self { kinds, of, executor, newest }
    }

    /// The most persons that any member of the plan takes.
    pub(crate) fn persons(&self) -> u32 {
        self.kinds.iter().map(|(needs, _)| needs.approvals).max().unwrap_or_default()
    }

    /// The longest rest between the last signature and the start.
    pub(crate) fn rest(&self) -> Duration {
        self.kinds.iter().map(|(needs, _)| needs.cool_down).max().unwrap_or_default()
    }

    /// How one member of the plan stands.
    pub(crate) fn standing(&self, reset: &Reset, index: usize, now: Timestamp) -> Result<Met, Lack> {
        if now < self.newest {
            return Err(Lack::ClockBack { latest: self.newest });
        }
        let missing = || Lack::Persons { missing: 1, of: 1, not_counted: Vec::new() };
        let case = reset.case.as_ref().ok_or_else(missing)?;
        self.judge(&reset.plan, case, index, now)
    }

    /// How one member of a plan stands in a case.
    pub(crate) fn judge(
        &self,
        plan: &Plan,
        case: &remint_core::approval::Case,
        index: usize,
        now: Timestamp,
    ) -> Result<Met, Lack> {
        let missing = || Lack::Persons { missing: 1, of: 1, not_counted: Vec::new() };
        let member = plan.members.get(index).ok_or_else(missing)?;
        let (needs, tier) = self.of.get(index).and_then(|kind| self.kinds.get(*kind)).ok_or_else(missing)?;
        case.standing(&Candidate::of(member, *tier, plan.limits.canary), needs, &self.executor, now)
    }
}

impl Engine {
    /// What the members of a plan take; `None` where nobody governs.
    pub(crate) async fn permits(&self, plan: &Plan, planned: &Estate) -> Result<Option<Permits>, EngineError> {
        let Some(executor) = self.settings.executor.clone() else { return Ok(None) };
        let active = self.active_estate().await?.unwrap_or_default();
        let newest = newest::seen(&*self.store).await?;
        Ok(Some(Permits::of(plan, planned, &active, executor, newest)))
    }
}

impl Run {
    /// May this member go on? Only what has begun nothing yet is asked.
    pub(super) fn permitted(&self, index: usize, rotation: &Rotation) -> Result<(), String> {
        let Some(permits) = &self.permits else { return Ok(()) };
        let looked = rotation.facts.ended.iter().all(|step| *step == Step::Capture) && rotation.facts.new.is_none();
        let member = &self.members[index];
        let begun = || {
            let intents = self.intents.lock().unwrap_or_else(PoisonError::into_inner);
            intents.get(&member.credential).is_some_and(|intents| !intents.is_empty())
        };
        if !looked || begun() {
            return Ok(());
        }
        let now = self.context.clock.now();
        let reset = self.reset.lock().unwrap_or_else(PoisonError::into_inner);
        permits.standing(&reset, index, now).map(drop).map_err(|lack| format!("not approved: {lack}"))
    }
}

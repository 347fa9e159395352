//! Conducting a reset: every member goes through the machine, each step waits for what the plan says must come before,
//! and waves open one after another.
//!
//! Flow: [`Engine::run`] takes the reset's lease, loads what was done, and moves members until nothing more happens
//! without a person. It may be called again at any time, by any process: that is what resuming is.
//!
//! Guarantees: a step begins only after every step that precedes it has ended, durably; a wave opens only when nothing
//! of an earlier one is moving and not more members than the failure budget are parked; contain opens all waves at once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use remint_contract::{CredentialId, ResetId, Strategy};
use remint_core::estate::Estate;
use remint_core::plan::Member;
use remint_core::step::Step;

use crate::engine::conductor::Conductor;
use crate::engine::lease::Lease;
use crate::engine::record::{IntentRecord, Owner, Reset, ResetStatus, kind, read};
use crate::engine::run::Run;
use crate::engine::step::own_switch;
use crate::engine::{Engine, EngineError};

impl Engine {
    /// Carries a reset on until nothing more happens without a person, a due re-proof or another call.
    ///
    /// # Errors
    /// Not approved, approved for another plan, held by another process, or the store failed; parked members are no error.
    pub async fn run(&self, id: &ResetId) -> Result<Reset, EngineError> {
        let reset = self.reset(id).await?;
        if !may_go_on(&reset)? {
            if reset.status == ResetStatus::Complete {
                self.closing(&reset).await?;
            }
            return Ok(reset);
        }
        loop {
            // What waits for another reset may find the way free.
            self.claim(id).await?;
            self.inherit(id).await?;
            match self.under(id, |lease| self.go_on(id, lease)).await {
                Err(EngineError::Revised(_)) => {}
                done => return done,
            }
        }
    }

    /// From what the store says under the lease: whoever held it before may have finished meanwhile.
    async fn go_on(&self, id: &ResetId, lease: Arc<Lease>) -> Result<Reset, EngineError> {
        // Before the plan and the rotations: when either is revised or taken over after this, the next change is refused.
        let owners = self.owners().await?;
        let reset = self.reset(id).await?;
        if !may_go_on(&reset)? {
            return Ok(reset);
        }
        let estate = self.estate(&reset.plan.estate.to_string()).await?;
        self.conduct(reset, owners, estate, lease).await
    }

    async fn conduct(
        &self,
        reset: Reset,
        owners: HashMap<CredentialId, (Owner, u64)>,
        estate: Arc<Estate>,
        lease: Arc<Lease>,
    ) -> Result<Reset, EngineError> {
        let id = reset.id.clone();
        let permits = self.permits(&reset.plan, &estate).await?;
        let mut run = Run::new(
            reset.clone(),
            Arc::clone(&estate),
            Arc::new(self.host(Arc::clone(&estate))),
            Arc::clone(&self.store),
            Arc::clone(&self.escrow),
            self.context.clone(),
            self.settings.clone(),
            lease,
        );
        run.permits = permits;
        let run = Arc::new(run);
        let rotations = self.rotations(&id).await?.into_iter().map(|record| record.rotation).collect::<Vec<_>>();
        for record in self.store.list(kind::INTENT, Some(&id.0)).await? {
            let intent: IntentRecord = read(record)?;
            let mut intents = run.intents.lock().unwrap_or_else(PoisonError::into_inner);
            intents.entry(intent.credential.clone()).or_default().push(intent);
        }
        // What another reset owns may have a younger value by now: that one lies where it was delivered.
        let own = |member: &Member| owners.get(&member.credential).is_some_and(|(owner, _)| owner.reset == id);
        for (member, rotation) in reset.plan.members.iter().zip(&rotations).filter(|(member, _)| own(member)) {
            if let Some(new) = &rotation.facts.new {
                run.news.lock().unwrap_or_else(PoisonError::into_inner).insert(member.credential.clone(), new.clone());
                // Where the old value of what Remint acts through is dead, or about to be, only the new one is good.
                let killed = [Step::Reload, Step::Disable, Step::Revoke];
                let gone = killed.iter().any(|step| rotation.facts.ended.contains(step));
                if gone || member.strategy == Strategy::InPlace {
                    own_switch(&run, member, Some(new)).await?;
                }
            }
        }
        for (index, rotation) in
            rotations.iter().enumerate().filter(|(_, rotation)| rotation.facts.ended.contains(&Step::Sweep))
        {
            tracing::trace!(index, state = %rotation.state, "dead already");
            run.swept.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
        }
        {
            let mut owned = run.owned.lock().unwrap_or_else(PoisonError::into_inner);
            let mine = owners.into_iter().filter(|(_, (owner, _))| owner.reset == id);
            owned.extend(mine.map(|(credential, (_, revision))| (credential, revision)));
        }
        let elsewhere = self.settled_elsewhere(&rotations, &reset).await?;
        let mut conductor = Conductor::new(self.clone(), Arc::clone(&run), rotations, &elsewhere);
        conductor.start().await?;
        conductor.finish().await?;
        conductor.held_back().await?;
        self.carry_out_under(&id, Some(&run.fence)).await?;
        let rotations = conductor.rotations;
        self.sum_up(&run, &rotations).await
    }
}

/// Is there something to carry on? Only what was approved, and only exactly that, is.
fn may_go_on(reset: &Reset) -> Result<bool, EngineError> {
    let id = &reset.id;
    match reset.status {
        ResetStatus::Requested => return Err(EngineError::Unapproved(id.clone())),
        ResetStatus::Complete | ResetStatus::Rejected => return Ok(false),
        ResetStatus::Running
        | ResetStatus::Resting
        | ResetStatus::Provisional
        | ResetStatus::Paused
        | ResetStatus::Aborted => {}
    }
    let digest = reset.plan.digest.to_string();
    match &reset.approval {
        Some(approval) if approval.digest == digest => Ok(true),
        Some(approval) => {
            Err(EngineError::OtherPlan { id: id.clone(), approved: approval.digest.clone(), plan: digest })
        }
        None => Err(EngineError::Unapproved(id.clone())),
    }
}

//! Who answers what the engine asks, tries again, and now and then says something of his own.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use remint::engine::Engine;
use remint::engine::record::{DecisionWord, ResetStatus, RotationRecord};
use remint::store::{Change, Key, Store as _};
use remint_contract::ResetId;
use remint_core::machine::State;
use tokio::time::Instant;

use super::check::may_stay;
use super::coverage::Tracker;
use super::dice::Dice;
use super::scene::{Act, Scene};
use super::stage::{Stage, standing};
use super::world::Life;

pub(crate) struct Person {
    engine: Engine,
    scene: Scene,
    tracker: Arc<Tracker>,
    pub(crate) retries: u32,
    resurrected: bool,
    /// Something was answered since it was last looked.
    answered: bool,
    /// When something of an aborted reset was last sent forward.
    sent: Option<Instant>,
}

/// Everything that was asked for.
pub(crate) fn asked(stage: &Stage) -> Vec<ResetId> {
    stage.store.ids("reset").into_iter().map(ResetId).collect()
}

impl Person {
    pub(crate) fn new(stage: &Stage, scene: Scene, tracker: Arc<Tracker>) -> Self {
        Self { engine: stage.person(), scene, tracker, retries: 0, resurrected: false, answered: false, sent: None }
    }

    /// Waits for a moment that may be over soon.
    pub(crate) fn is_on_edge(&self) -> bool {
        self.scene.is_on_edge()
    }

    /// `Some`: all is over; true when every reset is complete.
    pub(crate) async fn look(&mut self, stage: &Stage, dice: &Dice, since: Duration, quiet: bool) -> Option<bool> {
        self.scene.play(stage, &self.engine, &self.tracker, since, quiet).await;
        let (mut over, mut complete, mut given_up) = (true, true, quiet);
        for id in asked(stage) {
            let status = standing(&stage.store, &id).0;
            complete &= status == ResetStatus::Complete;
            match status {
                ResetStatus::Complete | ResetStatus::Rejected => continue,
                ResetStatus::Provisional if quiet && !self.resurrected => {
                    self.resurrected = true;
                    if dice.permille(400) {
                        self.resurrect(stage, &id, dice).await;
                    }
                }
                // What was sent forward takes its time, and the reset stays aborted meanwhile.
                ResetStatus::Aborted if self.sent.is_some_and(|sent| sent.elapsed() < Duration::from_secs(30)) => {}
                ResetStatus::Resting | ResetStatus::Aborted if dice.permille(if quiet { 500 } else { 40 }) => {
                    self.answered = true;
                    self.sent = (status == ResetStatus::Aborted).then(Instant::now).or(self.sent);
                    self.answer(stage, &id, dice, quiet).await;
                }
                _ => {}
            }
            if quiet && status == ResetStatus::Aborted && self.engine.parked(Some(&id)).await.unwrap().is_empty() {
                continue;
            }
            over = false;
            given_up &= matches!(status, ResetStatus::Resting | ResetStatus::Aborted);
        }
        if over {
            return Some(complete);
        }
        // As long as one goes on, the others may wait for it.
        self.retries += u32::from(given_up && self.answered);
        self.answered = false;
        if given_up && self.retries > 6 && self.left().await.is_empty() {
            return Some(false);
        }
        None
    }

    /// What did not come to an end, and should.
    pub(crate) async fn left(&self) -> Vec<String> {
        let mut all: Vec<RotationRecord> = Vec::new();
        for reset in self.engine.resets().await.unwrap() {
            // What was aborted stays as it is, but for what is half done.
            let half = self.engine.parked(Some(&reset.id)).await.unwrap();
            let counts = |record: &RotationRecord| {
                let shown = half.iter().any(|parked| parked.credential == record.credential);
                reset.status != ResetStatus::Aborted || shown
            };
            if reset.status != ResetStatus::Rejected {
                all.extend(self.engine.rotations(&reset.id).await.unwrap().into_iter().filter(counts));
            }
        }
        let left = all.iter().filter(|record| !may_stay(&record.rotation.state, &all));
        left.map(|record| format!("{} {} {:?}", record.reset, record.credential, record.rotation.state)).collect()
    }

    /// How every reset stands, and what of it is open.
    pub(crate) async fn statuses(&self) -> String {
        let mut text = String::new();
        for reset in self.engine.resets().await.unwrap() {
            let _ = write!(text, "{} {:?}: ", reset.id, reset.status);
            if let Some(standstill) = &reset.standstill {
                let _ = write!(text, "(forward: {:?}) ", standstill.forward);
            }
            let open = |record: &&RotationRecord| !matches!(record.rotation.state, State::Settled { .. });
            for record in self.engine.rotations(&reset.id).await.unwrap().iter().filter(open) {
                let path = reset.plan.members[record.index].path;
                let _ = write!(text, "{} ({path:?}) {}, ", record.credential, record.rotation.state);
            }
        }
        text
    }

    /// Acts on everything of a reset that waits for somebody.
    async fn answer(&mut self, stage: &Stage, id: &ResetId, dice: &Dice, quiet: bool) {
        if quiet || self.scene.act != Act::Drift || dice.permille(100) {
            let active = Key { kind: "active", id: "estate".to_owned() };
            let _ = stage.store.commit(Change { deletes: vec![active], ..Change::default() }).await;
        }
        // What somebody changed at the same time is looked at again the next time.
        for finding in self.engine.findings(Some(id)).await.unwrap() {
            if finding.decision.is_none() {
                stage.world.trace(&format!("REVOKE {} of {id}: {}", finding.version, finding.label));
                let _ = self.engine.decide(&finding.id, DecisionWord::Revoke, "tester", "not ours").await;
            }
        }
        for task in self.engine.tasks(Some(id)).await.unwrap() {
            if task.attested.is_none() {
                stage.do_by_hand(&task);
                let _ = self.engine.attest(&task.id, "tester", "done").await;
            }
        }
        let reset = self.engine.reset(id).await.unwrap();
        for node in reset.plan.dirty.iter().filter(|node| !reset.cleaned.contains(*node)) {
            if quiet || dice.permille(300) {
                let _ = self.engine.clean(id, node, "tester", "rebuilt").await;
            }
        }
        stage.world.trace(&format!("the person answers {id} and has everything tried again"));
        let _ = self.engine.forward(id, None).await;
        let _ = self.engine.retry(id, None).await;
    }

    /// An old value that was dead is accepted again.
    async fn resurrect(&self, stage: &Stage, id: &ResetId, dice: &Dice) {
        let rotations = self.engine.rotations(id).await.unwrap();
        let settled: Vec<_> = rotations
            .iter()
            .filter(|record| matches!(record.rotation.state, State::Settled { .. }))
            .filter_map(|record| Some((record, record.rotation.facts.old.as_ref()?.id.clone()?)))
            .collect();
        if settled.is_empty() {
            return;
        }
        let (record, old) = dice.pick(&settled);
        let document = &stage.estate.credentials[&record.credential];
        stage.world.land(|state| {
            if let Some(issuer) = state.issuers.get_mut(document.issued_by.system.name.as_str())
                && let Some(version) = issuer.versions.get_mut(&old.0)
            {
                (version.life, version.untried) = (Life::Live, true);
            }
        });
        stage.world.trace(&format!("RESURRECTED {old}"));
    }
}

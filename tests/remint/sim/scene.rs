//! What people do in a run beside answering: one act, at a moment that little meets.
//!
//! The favoured fault and the scene are two digits of the seed, so that every pair of them comes up in so many seeds.

use std::time::Duration;

use jiff::SignedDuration;
use remint::engine::escalate::Escalation;
use remint::engine::record::{ResetStatus, Urgency};
use remint::engine::{Engine, EngineError};
use remint::store::{Change, Key, Put, Rule, Store as _};
use remint_contract::{ResetId, Strategy};
use remint_core::plan::{Plan, Request, plan};
use remint_core::step::Path;
use tokio::time::Instant;

use super::coverage::{Edge, Tracker};
use super::dice::Dice;
use super::fate::Fault;
use super::stage::{FIRST, Stage, kinds, standing};

/// The one act of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Nothing,
    /// The active estate says something else of one credential than the plan.
    Drift,
    /// A credential is to be stopped first.
    Escalate,
    /// Another reset, which contains, takes over.
    Over,
    /// Another one, as urgent, whose exposure is later than what this one has minted.
    Queue,
    /// Another one, as urgent, whose exposure was before.
    Join,
    /// … and a third one takes over from both.
    JoinOver,
    Pause,
    Abort,
    /// Goes back to the old version of what is parked, until somebody has it tried again.
    RollBack,
}

/// Acts, each with the state in which it is to find a rotation.
const SCENES: [(Act, &str); 26] = [
    (Act::Nothing, ""),
    (Act::Drift, "planned"),
    (Act::Escalate, "planned"),
    (Act::Escalate, "waiting"),
    (Act::Escalate, "parked"),
    (Act::Escalate, "unknown"),
    (Act::Over, "planned"),
    (Act::Over, "waiting"),
    (Act::Over, "parked"),
    (Act::Over, "doing"),
    (Act::Over, "unknown"),
    (Act::Queue, "waiting"),
    (Act::Join, "planned"),
    (Act::JoinOver, "planned"),
    (Act::JoinOver, "waiting"),
    (Act::Nothing, "cut"),
    (Act::Nothing, "lost"),
    // What comes together least often is tried more often.
    (Act::Nothing, "lost"),
    (Act::Escalate, "rolled-back"),
    (Act::Escalate, "rolled-back"),
    (Act::Pause, "waiting"),
    (Act::Abort, "waiting"),
    (Act::Drift, "planned"),
    (Act::RollBack, "parked"),
    (Act::Escalate, "rolled-back"),
    (Act::Over, "rolled-back"),
];

/// The kind of fault that a seed has more of.
pub(crate) fn favoured(seed: u64) -> Fault {
    let kinds = Fault::ALL.len() as u64;
    Fault::ALL[usize::try_from(seed % kinds).unwrap()]
}

/// The act of a seed's run, and the state in which it is to find a rotation.
fn drawn(seed: u64) -> (Act, &'static str) {
    let number = seed / Fault::ALL.len() as u64 % SCENES.len() as u64;
    SCENES[usize::try_from(number).unwrap()]
}

/// Is this a seed that may take the edge under the fault?
pub(crate) fn may_take(seed: u64, (from, event, _): &Edge, fault: Fault) -> bool {
    let (act, when) = drawn(seed);
    let there = when == from;
    let scene = match event.as_str() {
        "revised" => act == Act::Escalate && there,
        "superseded" => act == Act::Over && there,
        "rolled-back" => act == Act::RollBack || when == "rolled-back",
        "spoiled" => when == "cut",
        "failed" if from == "unknown" => when == "lost",
        "retry" if from == "rolled-back" => act == Act::RollBack || there,
        _ => true,
    };
    scene && favoured(seed) == fault
}

/// What people do in a seed's run, and when.
pub(crate) struct Scene {
    pub(crate) act: Act,
    when: &'static str,
    favoured: Fault,
    /// Until then the favoured fault is waited for.
    patience: Duration,
    done: bool,
    asked: bool,
    third: bool,
    /// The third one was asked for.
    last: bool,
    resumes: Option<Instant>,
}

pub(crate) fn second() -> ResetId {
    ResetId(format!("{FIRST}-2"))
}

pub(crate) fn third() -> ResetId {
    ResetId(format!("{FIRST}-3"))
}

impl Scene {
    pub(crate) fn draw(seed: u64, dice: &Dice) -> Self {
        let (act, when) = drawn(seed);
        Self {
            act,
            when,
            favoured: favoured(seed),
            patience: dice.millis(15_000, 60_000),
            done: act == Act::Nothing,
            asked: false,
            third: false,
            last: false,
            resumes: None,
        }
    }

    /// An act that takes over or stops first needs something that rolls.
    pub(crate) fn suits(&self, request: &mut Request) {
        if matches!(self.act, Act::Escalate | Act::Over | Act::Queue | Act::Join | Act::JoinOver) {
            request.contain = None;
        }
        if self.when == "planned" {
            request.canary = 1;
        }
    }

    /// Is there something to act on in this plan?
    pub(crate) fn has_room(&self, plan: &Plan) -> bool {
        let rolls = plan.members.iter().filter(|member| member.path == Path::Rolling).count();
        match (self.act, self.when) {
            (Act::Nothing, "cut") => plan.members.iter().any(|member| member.path == Path::Cut),
            (Act::Nothing, _) => true,
            (Act::Drift, _) | (_, "planned") => plan.members.len() >= 3 && rolls >= 2,
            _ => rolls >= 1,
        }
    }

    /// Does it take something that parks?
    pub(crate) fn parks(&self) -> bool {
        matches!(self.when, "parked" | "rolled-back" | "cut")
    }

    /// How many of a thousand answers to a change are lost: once is enough for a step to be asked about, and only a step
    /// whose answer is lost again and again is given up.
    pub(crate) fn losses(&self) -> u64 {
        match self.when {
            "unknown" => 200,
            "lost" => 800,
            _ => 0,
        }
    }

    /// Of a thousand calls, how many are struck at least.
    pub(crate) fn storm(&self) -> u64 {
        match self.when {
            "" => 50,
            "planned" | "waiting" | "doing" => 100,
            _ => 200,
        }
    }

    /// How many of a thousand losses end their process before it can ask.
    pub(crate) fn loses(&self) -> u64 {
        if self.when == "unknown" { 700 } else { 100 }
    }

    /// True while a moment is waited for that may be over before anybody looks again.
    pub(crate) fn is_on_edge(&self) -> bool {
        !self.done && matches!(self.when, "unknown" | "doing")
    }

    /// Acts when the moment is there.
    pub(crate) async fn play(
        &mut self,
        stage: &Stage,
        engine: &Engine,
        tracker: &Tracker,
        since: Duration,
        quiet: bool,
    ) {
        let first = ResetId(FIRST.to_owned());
        if let Some(resumes) = self.resumes
            && (resumes <= Instant::now() || quiet)
            && engine.resume(&first, "tester", "looked at").await.is_ok()
        {
            self.resumes = None;
            stage.world.trace("RESUMED");
        }
        if self.done {
            return;
        }
        self.prepare(stage, engine).await;
        if self.when == "rolled-back" && since < self.patience && tracker.standing(FIRST, self.when, None).is_empty() {
            // What cannot go back now may do so the next time.
            let _ = roll_back(stage, engine, &first, &tracker.standing(FIRST, "parked", None)).await;
        }
        let under = (since < self.patience).then_some(self.favoured);
        let ready = tracker.standing(FIRST, self.when, under);
        let other = match self.act {
            Act::JoinOver if self.third => tracker.standing(&second().0, "joined", under).is_empty(),
            Act::Queue | Act::Join | Act::Over | Act::JoinOver => {
                under.is_some() && tracker.standing(&second().0, "planned", under).is_empty() && self.when != "unknown"
            }
            _ => false,
        };
        if quiet || !ready.is_empty() && !other || self.third && !other {
            self.act(stage, engine, &first, &ready, quiet).await;
        }
    }

    /// A second reset is asked for long before it is approved.
    async fn prepare(&mut self, stage: &Stage, engine: &Engine) {
        if self.asked || !matches!(self.act, Act::Over | Act::Queue | Act::Join | Act::JoinOver) {
            return;
        }
        self.asked = true;
        let now = engine.context.clock.now();
        let (urgency, exposed) = match self.act {
            Act::Over => (Urgency::Contain, None),
            Act::Queue => (Urgency::Incident, Some(now + SignedDuration::from_secs(1))),
            _ => (Urgency::Incident, Some(now - SignedDuration::from_secs(7200))),
        };
        ask(stage, &second(), urgency, exposed).await;
    }

    async fn act(&mut self, stage: &Stage, engine: &Engine, first: &ResetId, ready: &[String], quiet: bool) {
        stage.world.trace(&format!("ACT {:?} on {}: {ready:?}", self.act, self.when));
        let told = match self.act {
            Act::Nothing => Ok(()),
            Act::Drift => {
                drift(stage, ready).await;
                Ok(())
            }
            Act::Escalate => escalate(stage, engine, first, ready).await,
            Act::Over | Act::Queue | Act::Join => engine.approve(&second(), "tester").await.map(drop),
            Act::JoinOver if self.third => {
                if !self.last {
                    self.last = true;
                    ask(stage, &third(), Urgency::Contain, None).await;
                }
                let approved = engine.approve(&third(), "tester").await.map(drop);
                self.third = approved.is_err();
                approved
            }
            Act::JoinOver => {
                let approved = engine.approve(&second(), "tester").await.map(drop);
                self.third = approved.is_ok() && !quiet;
                approved
            }
            Act::Pause => {
                self.resumes = Some(Instant::now() + Duration::from_secs(20));
                engine.pause(first, true, "tester", "look at it").await.map(drop)
            }
            Act::Abort => engine.abort(first, "tester", "no more").await.map(drop),
            Act::RollBack => roll_back(stage, engine, first, ready).await,
        };
        let again = match told {
            Ok(()) => self.third,
            Err(error) => {
                stage.world.trace(&format!("the act was refused: {error}"));
                // A moment that went by comes again, for as long as there is time.
                !quiet && standing(&stage.store, first).0 != ResetStatus::Complete
            }
        };
        self.done = !again || quiet;
        if self.done && self.act == Act::JoinOver {
            self.third = false;
        }
        if self.act == Act::Pause && self.resumes.is_some() && !self.done {
            self.resumes = None;
        }
    }
}

/// Asks for a reset of the same scope.
async fn ask(stage: &Stage, id: &ResetId, urgency: Urgency, exposed: Option<jiff::Timestamp>) {
    let mut request = Request { contain: None, ..stage.asked.clone() };
    let now = stage.world.time.now();
    if urgency == Urgency::Contain {
        request.contain = Some("*".parse().unwrap());
    }
    let plan = plan(&stage.estate, &request, &kinds(), now).unwrap_or_else(|_| stage.plan.clone());
    // Nobody asks to stop something less urgently than that.
    stage.request(id, &plan, urgency.max(Urgency::of(&plan)), exposed).await;
}

/// One of these credentials is to be stopped before it is replaced.
async fn escalate(stage: &Stage, engine: &Engine, first: &ResetId, ready: &[String]) -> Result<(), EngineError> {
    let mut refused = None;
    for credential in ready {
        let name = credential.rsplit('/').next().unwrap_or_default();
        let asked = Escalation {
            contain: Some(format!("name={name}").parse().unwrap()),
            roll: None,
            reason: "it is worse".to_owned(),
            by: "tester".to_owned(),
        };
        match engine.escalate(first, asked).await {
            Ok((reset, _)) => {
                if let Some(revision) = &reset.revision {
                    stage.promise_no_more_than(&revision.plan);
                }
                return engine.approve(first, "tester").await.map(drop);
            }
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(()), Err)
}

/// One of these credentials goes back to its old version.
async fn roll_back(stage: &Stage, engine: &Engine, first: &ResetId, parked: &[String]) -> Result<(), EngineError> {
    let mut refused = None;
    for credential in parked {
        match engine.rollback(first, Some(&credential.parse().unwrap()), "tester", "look at it first").await {
            Ok(back) => {
                stage.world.trace(&format!("ROLLED BACK {credential}: {:?}", back[0].unfinished));
                return Ok(());
            }
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(()), Err)
}

/// The active estate says something else of these credentials than the plan.
async fn drift(stage: &Stage, ready: &[String]) {
    let mut estate = stage.estate.clone();
    for (name, credential) in &mut estate.credentials {
        if ready.contains(&name.to_string()) {
            credential.rotation.strategy = Strategy::Manual;
        }
    }
    let put = |kind, id: &str, body| Put {
        key: Key { kind, id: id.to_owned() },
        scope: String::new(),
        body,
        rule: Rule::Upsert,
    };
    let digest = estate.digest().to_string();
    let puts = vec![
        put("estate", &digest, serde_json::to_value(&estate).unwrap()),
        put("active", "estate", serde_json::to_value(&digest).unwrap()),
    ];
    stage.store.commit(Change { puts, ..Change::default() }).await.unwrap();
}

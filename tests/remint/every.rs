//! Every effect and every commit of a reset, struck in every way: one function over strategies, paths and stores.
//!
//! Flow: a run without a fault counts its effects and commits; then, for each of them and each [`Blow`], the same run is
//! struck there, another process goes on where the first one cannot, a person has parked members tried again, and what
//! was still under way lands at the end. The reset must be complete, and everything [`check`] looks at must be so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remint::engine::Engine;
use remint::engine::record::{ResetStatus, Urgency};
use remint::store::Change;
use remint_contract::{ErrorKind, Kind, Name, Pattern, ResetId, Strategy, Verb};
use remint_core::estate::{Unlock, UnlockVerb, UnlockWhat};
use remint_core::plan::{Node, Plan, Request, plan};
use remint_core::step::Path;

use crate::sim::check::check;
use crate::sim::clock::Gate;
use crate::sim::dice::Dice;
use crate::sim::estate::{COURSES, ISSUERS, Make, name, systems};
use crate::sim::fate::{CallFate, CommitFate, Fair, Fate};
use crate::sim::stage::{Stage, kinds, standing};

/// One way to rotate one credential (two, where they read each other's places).
#[derive(Debug, Clone, Copy)]
struct Case {
    /// Of [`ISSUERS`] or [`COURSES`].
    issuer: &'static str,
    path: Path,
    store: &'static str,
    /// Do the targets refuse what comes after its deadline?
    deadlines: bool,
    /// What Remint itself acts through.
    own: bool,
}

/// What happens at one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    Call(CallFate),
    Commit(CommitFate),
    /// … and there a reset that contains takes over.
    Over(CallFate),
}

const CALLS: [CallFate; 12] = [
    CallFate::Refuse(ErrorKind::Unreachable),
    CallFate::Refuse(ErrorKind::Denied),
    CallFate::LostBefore,
    CallFate::LostAfter,
    CallFate::Twice(Duration::from_millis(1)),
    CallFate::Twice(LATE),
    CallFate::Late(Duration::from_secs(3)),
    CallFate::Late(LATE),
    CallFate::CrashBefore,
    CallFate::CrashAfter,
    CallFate::StopAfter,
    CallFate::StopWithheld,
];

const COMMITS: [CommitFate; 5] = [
    CommitFate::FailBefore,
    CommitFate::FailAfter,
    CommitFate::CrashBefore,
    CommitFate::CrashAfter,
    CommitFate::StopBefore,
];

const OVERS: [CallFate; 3] = [CallFate::LostAfter, CallFate::CrashBefore, CallFate::CrashAfter];

/// Long after the reset is complete.
const LATE: Duration = Duration::from_mins(10);

/// Strikes the n-th effect or commit of the first process, once; counts them.
struct Script {
    at: usize,
    blow: Option<Blow>,
    effects: AtomicUsize,
    commits: AtomicUsize,
    struck: Mutex<Option<String>>,
}

impl Script {
    fn new(at: usize, blow: Option<Blow>) -> Arc<Self> {
        Arc::new(Self {
            at,
            blow,
            effects: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            struck: Mutex::default(),
        })
    }
}

impl Fate for Script {
    fn call(&self, _: &str, verb: Verb, system: &str) -> CallFate {
        if !verb.changes() {
            return CallFate::Fine;
        }
        let number = self.effects.fetch_add(1, Ordering::SeqCst);
        match self.blow {
            Some(Blow::Call(fate) | Blow::Over(fate)) if number == self.at => {
                *self.struck.lock().unwrap() = Some(format!("{verb} at {system}"));
                fate
            }
            _ => CallFate::Fine,
        }
    }

    fn commit(&self, _: &str, change: &Change) -> CommitFate {
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        match self.blow {
            Some(Blow::Commit(fate)) if number == self.at => {
                let said = change.entries.iter().map(|entry| entry.kind.as_str()).collect::<Vec<_>>().join(" ");
                *self.struck.lock().unwrap() = Some(format!("commit of {said}"));
                fate
            }
            _ => CommitFate::Fine,
        }
    }
}

impl Case {
    /// The estate and plan of this case, in a fresh world.
    fn stage(self) -> Stage {
        let budget = remint_core::estate::Budget::default();
        let mut make = Make::new();
        systems(&mut make, budget);
        make.workload("w0");
        if self.store == "late" {
            make.late_store();
        }
        let count = match (self.own, self.path) {
            (true, _) => 0,
            (false, Path::Cut) => 2,
            (false, Path::Rolling | Path::Contain) => 1,
        };
        let place = |index: usize| format!("{}:a/c{index}", self.store);
        for index in 0..count {
            let own = format!("c{index}");
            let consumers = ["w0".to_owned()];
            let credential = match COURSES.iter().find(|course| course.system == self.issuer) {
                Some(course) => make.of_course(&own, course, &[place(index)], &consumers, budget),
                None => {
                    let (system, .., strategy) = ISSUERS.iter().find(|(system, ..)| *system == self.issuer).unwrap();
                    make.credential(&own, system, *strategy, &[place(index)], &consumers)
                }
            };
            if count == 2 {
                let what = Pattern::parse_in(&Name::default_namespace(), &place(1 - index)).unwrap();
                credential.unlocks.push(Unlock { what: UnlockWhat::Places(what), verb: UnlockVerb::Read });
            }
        }
        let estate = make.done();
        let start = if self.own { format!("root-{}", self.issuer) } else { "c0".to_owned() };
        let mut request = Request::new(vec![Node::Doc(name(Kind::Credential, &start))]);
        if self.path == Path::Contain {
            request.contain = Some("*".parse().unwrap());
        }
        let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        let plan: Plan = plan(&estate, &request, &kinds(), now).unwrap();
        assert!(plan.members.iter().all(|member| member.path == self.path), "{self:?}: {:?}", plan.members);
        let mut stage = Stage::set(estate, request, plan, Dice::new(7, 3), self.deadlines);
        stage.settings.reproofs = vec![Duration::from_secs(5)];
        stage
    }

    /// The whole of it, struck at one point. What was struck, and what is wrong after it.
    async fn strike(self, at: usize, blow: Option<Blow>) -> (Arc<Script>, Vec<String>, String) {
        let stage = self.stage();
        let id = stage.ask().await;
        let script = Script::new(at, blow);
        let live = |name: &str, gate: &Arc<Gate>, fate: Arc<dyn Fate>| {
            let process = stage.process(name, Arc::clone(gate), fate);
            process.live(Arc::clone(&stage.world), Arc::clone(&stage.store))
        };
        let gate: Arc<Gate> = Arc::default();
        let first = live("first", &gate, Arc::clone(&script) as Arc<dyn Fate>);
        let mut second = None;
        let person = stage.person();
        let mut wrong = Vec::new();
        let mut retries = 0;
        let mut ids = vec![id];
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let struck = script.struck.lock().unwrap().is_some();
            if ids.len() == 1 && struck && matches!(blow, Some(Blow::Over(_))) {
                ids.push(take_over(&stage).await);
            }
            if second.is_none() && (gate.is_dead() || gate.is_stopped()) {
                second = Some(live("second", &Arc::default(), Arc::new(Fair)));
            }
            for id in &ids {
                match standing(&stage.store, id).0 {
                    ResetStatus::Resting if by_hand(&stage, &person, id).await => {}
                    // Where nothing goes wrong nobody has to have anything tried again.
                    ResetStatus::Resting if retries < 5 && blow.is_some() => {
                        retries += 1;
                        let _ = person.retry(id, None).await;
                    }
                    _ => {}
                }
            }
            if ids.iter().all(|id| standing(&stage.store, id).0 == ResetStatus::Complete) {
                break;
            }
        }
        for id in ids.iter().filter(|id| standing(&stage.store, id).0 != ResetStatus::Complete) {
            let rotations = person.rotations(id).await.unwrap();
            let left: Vec<String> = rotations.iter().map(|record| format!("{:?}", record.rotation.state)).collect();
            wrong.push(format!("{id} is not complete: {}", left.join(", ")));
        }
        // The stopped one wakes up when all is over, and what it had sent lands.
        stage.world.release();
        gate.wake();
        tokio::time::sleep(LATE * 2).await;
        first.abort();
        wrong.extend(check(&stage).await);
        (script, wrong, stage.world.story(usize::MAX))
    }

    /// Strikes everything, in every way.
    #[expect(clippy::print_stdout, reason = "what was struck, for who runs it with --nocapture")]
    fn strike_everything(self) {
        let run = |at, blow| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(self.strike(at, blow))
        };
        let (fair, wrong, story) = run(0, None);
        assert!(wrong.is_empty(), "{self:?} without any fault: {wrong:#?}\n{story}");
        let (effects, commits) = (fair.effects.load(Ordering::SeqCst), fair.commits.load(Ordering::SeqCst));
        assert!(effects >= 2 && commits >= 12, "{self:?}: {effects} effects, {commits} commits");
        let mut failures = Vec::new();
        let mut points = 0;
        let calls = (0..effects).flat_map(|at| CALLS.iter().map(move |fate| (at, Blow::Call(*fate))));
        let saves = (0..commits).flat_map(|at| COMMITS.iter().map(move |fate| (at, Blow::Commit(*fate))));
        // What contains already is not taken over by what contains. What Remint acts through rolls even then: with two
        // slots a half-made value has to go before there is room for another, and which one is a person's decision.
        let full = self.own && self.issuer == "once";
        let over = if self.path == Path::Contain || full { 0 } else { effects };
        let overs = (0..over).flat_map(|at| OVERS.iter().map(move |fate| (at, Blow::Over(*fate))));
        for (at, blow) in calls.chain(saves).chain(overs) {
            points += 1;
            if points % sample() != 0 {
                continue;
            }
            let (script, wrong, story) = run(at, Some(blow));
            let struck = script.struck.lock().unwrap().clone();
            assert!(struck.is_some(), "{self:?}: nothing was struck at {at} by {blow:?}");
            if !wrong.is_empty() {
                if failures.is_empty() {
                    println!("{story}");
                }
                failures.push(format!("{blow:?} at {at}, {}: {wrong:?}", struck.unwrap_or_default()));
            }
        }
        println!("{self:?}: {effects} effects and {commits} commits, {points} blows");
        assert!(failures.is_empty(), "{self:?}: {} of {points}:\n{}", failures.len(), failures.join("\n"));
    }
}

/// A reset of the same scope that contains is asked for and approved.
async fn take_over(stage: &Stage) -> ResetId {
    let mut request = stage.asked.clone();
    request.contain = Some("*".parse().unwrap());
    let plan = plan(&stage.estate, &request, &kinds(), stage.world.time.now()).unwrap();
    let id = ResetId("r-over".to_owned());
    stage.request(&id, &plan, Urgency::Contain, None).await;
    stage.person().approve(&id, "tester").await.unwrap();
    id
}

/// Does what is asked of a person, if anything is.
async fn by_hand(stage: &Stage, person: &Engine, id: &ResetId) -> bool {
    let mut any = false;
    for task in person.tasks(Some(id)).await.unwrap().iter().filter(|task| task.attested.is_none()) {
        stage.do_by_hand(task);
        any |= person.attest(&task.id, "tester", "done").await.is_ok();
    }
    any
}

/// In CI every point is struck; elsewhere every seventh, which takes a minute.
fn sample() -> usize {
    #[expect(clippy::disallowed_methods, reason = "CI says so in the environment")]
    let all = std::env::var("CI").is_ok_and(|ci| ci == "true");
    if all { 1 } else { 7 }
}

/// Every path of one issuer, with both kinds of store, what Remint itself acts through, and with targets that know deadlines and targets that do not.
fn every_step_of(issuer: &'static str) {
    let one_value = ISSUERS.iter().any(|(of, _, _, strategy)| *of == issuer && *strategy == Strategy::InPlace);
    for (path, store, deadlines, own) in [
        (Path::Rolling, "vault", false, false),
        (Path::Rolling, "plain", true, false),
        (Path::Rolling, "vault", false, true),
        (Path::Contain, "vault", true, false),
        (Path::Cut, "plain", false, false),
    ] {
        // What is replaced in place has no second value to hold back in escrow.
        // What Remint acts through and only itself can mint again is refused by the planner.
        if !(one_value && (path == Path::Cut || own)) {
            Case { issuer, path, store, deadlines, own }.strike_everything();
        }
    }
}

#[test]
fn every_step_may_be_struck_where_remint_makes_the_value() {
    every_step_of("many");
}

#[test]
fn every_step_may_be_struck_where_the_issuer_shows_the_value_again() {
    every_step_of("shown");
}

#[test]
fn every_step_may_be_struck_where_the_value_is_shown_once() {
    every_step_of("once");
}

#[test]
fn every_step_may_be_struck_where_two_roles_take_turns() {
    every_step_of("roles");
}

#[test]
fn every_step_may_be_struck_where_the_one_value_is_replaced() {
    every_step_of("slot");
}

/// The same for what goes another way than a value that is replaced at once. Remint acts through none of these.
fn every_step_of_course(issuer: &'static str, cases: &[(Path, &'static str, bool)]) {
    for &(path, store, deadlines) in cases {
        Case { issuer, path, store, deadlines, own: false }.strike_everything();
    }
}

const ALL: [(Path, &str, bool); 4] = [
    (Path::Rolling, "vault", false),
    (Path::Rolling, "plain", true),
    (Path::Contain, "vault", true),
    (Path::Cut, "plain", false),
];

#[test]
fn every_step_may_be_struck_where_verifiers_are_told_by_the_issuer() {
    every_step_of_course("signer", &ALL);
}

#[test]
fn every_step_may_be_struck_where_verifiers_read_a_bundle() {
    every_step_of_course("keyring", &ALL);
}

#[test]
fn every_step_may_be_struck_where_data_are_encrypted() {
    // An encryption key is never stopped first.
    every_step_of_course("cipher", &[ALL[0], ALL[1], ALL[3]]);
}

#[test]
fn every_step_may_be_struck_where_consumers_fetch_what_they_use() {
    // What lies nowhere is read by nobody, so it is in no circle.
    every_step_of_course("leaser", &ALL[..3]);
}

#[test]
fn every_step_may_be_struck_where_a_change_is_seen_late() {
    every_step_of_course("slow", &ALL);
}

#[test]
fn every_step_may_be_struck_where_readers_see_late_what_is_written() {
    let late = [(Path::Rolling, "late", false), (Path::Contain, "late", true)];
    every_step_of_course("many", &late);
    every_step_of_course("keyring", &late);
}

#[test]
fn every_step_may_be_struck_where_a_person_makes_the_value() {
    // What a person makes cannot be kept for later, so a circle of these is stopped first.
    every_step_of_course("hand", &ALL[..3]);
}

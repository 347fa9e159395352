//! One simulated run: a random estate, some processes, a person, and everything that goes wrong until it is quiet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use remint_contract::{Material, SecretValue};
use remint_core::plan::plan;
use remint_core::step::{Course, Path};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::chance::{Chance, Weather};
use super::check::check;
use super::clock::Gate;
use super::coverage::{Table, Tracker};
use super::dice::Dice;
use super::estate::random;
use super::fate::{Fate, Fault};
use super::person::{Person, asked};
use super::scene::{Scene, favoured};
use super::stage::{FIRST, Stage, kinds};
use super::world::Life;

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) wrong: Vec<String>,
    pub(crate) table: Table,
    /// Lines of the trace, and a hash over them.
    pub(crate) fingerprint: (usize, u64),
    pub(crate) story: String,
    pub(crate) members: usize,
    pub(crate) complete: bool,
}

/// Runs a seed in a runtime of its own.
pub(crate) fn run(seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulate(seed))
}

/// A process's seat: who sits there now.
struct Seat {
    gate: Arc<Gate>,
    task: JoinHandle<()>,
    lives: u32,
    wakes: Option<Instant>,
    back: Option<Instant>,
}

async fn simulate(seed: u64) -> Outcome {
    let shape = Dice::new(seed, 1);
    let scene = Scene::draw(seed, &shape);
    let (stage, request_deadlines) = stage(&shape, seed, &scene);
    let favoured = favoured(seed);
    let weather = Weather::draw(&shape, favoured, scene.storm());
    let tracker = Arc::new(Tracker::default());
    tracker.needs(stage.needs());
    let seen = Arc::clone(&tracker);
    stage.store.watch(Box::new(move |before, after, entries| seen.moved(before, after, entries)));
    let chance = Arc::new(Chance {
        dice: Dice::new(seed, 2),
        tracker: Arc::clone(&tracker),
        quiet: AtomicBool::new(false),
        calls: weather.calls,
        commits: weather.commits,
        favoured,
        parks: scene.parks(),
        losses: scene.losses(),
        loses: scene.loses(),
    });
    stage.world.trace(&format!(
        "seed {seed}: {} members, {} processes, deadlines {request_deadlines}, mostly {favoured}, {:?}",
        stage.plan.members.len(),
        weather.processes,
        scene.act
    ));
    stage.ask().await;
    let mut seats = Vec::new();
    for number in 0..weather.processes {
        seats.push(seat(&stage, &chance, number, 0));
    }
    let mut person = Person::new(&stage, scene, Arc::clone(&tracker));
    let began = Instant::now();
    let mut last_event = began;
    let mut next_event = chance.dice.millis(weather.events.0, weather.events.1);
    let mut complete = false;
    let mut stuck = true;
    while began.elapsed() < Duration::from_mins(60) && person.retries < 60 {
        tokio::select! {
            biased;
            () = tracker.moves.notified(), if person.is_on_edge() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        let quiet = began.elapsed() > weather.until;
        if quiet && !chance.quiet.swap(true, Ordering::SeqCst) {
            stage.world.trace("QUIET");
            heal(&stage, &seats);
        }
        for (number, own) in seats.iter_mut().enumerate() {
            mind(&stage, &chance, number as u64, own, quiet);
        }
        if !quiet && last_event.elapsed() > next_event {
            last_event = Instant::now();
            next_event = chance.dice.millis(weather.events.0, weather.events.1);
            happen(&stage, &chance, &mut seats);
        }
        if let Some(done) = person.look(&stage, &chance.dice, began.elapsed(), quiet).await {
            complete = done;
            stuck = false;
            break;
        }
    }
    // What is still under way somewhere lands before anything is looked at.
    tokio::time::sleep(Duration::from_mins(2)).await;
    for own in &seats {
        own.task.abort();
    }
    let mut wrong = check(&stage).await;
    if stuck {
        wrong.push(format!("it never came to an end: {}{}", person.statuses().await, person.left().await.join("; ")));
    }
    let strangers = tracker.table().strangers();
    wrong.extend(strangers.iter().map(|edge| format!("no edge that a run takes: {edge}")));
    Outcome {
        wrong,
        table: tracker.table(),
        fingerprint: stage.world.fingerprint(),
        story: stage.world.story(usize::MAX),
        members: stage.plan.members.len(),
        complete,
    }
}

/// An estate of which a plan can be made, and its world.
fn stage(shape: &Dice, seed: u64, scene: &Scene) -> (Stage, bool) {
    loop {
        let (estate, mut request) = random(shape);
        scene.suits(&mut request);
        let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        if let Ok(plan) = plan(&estate, &request, &kinds(), now)
            && !plan.members.is_empty()
            && plan.members.len() <= 12
            && scene.has_room(&plan)
        {
            let deadlines = shape.permille(500);
            return (Stage::set(estate, request, plan, Dice::new(seed, 3), deadlines), deadlines);
        }
    }
}

fn seat(stage: &Stage, chance: &Arc<Chance>, number: u64, lives: u32) -> Seat {
    let gate: Arc<Gate> = Arc::default();
    gate.off.store(i64::try_from(chance.dice.below(400)).unwrap() - 200, Ordering::SeqCst);
    let fate: Arc<dyn Fate> = Arc::clone(chance) as Arc<dyn Fate>;
    let process = stage.process(&format!("p{number}.{lives}"), Arc::clone(&gate), fate);
    let task = process.live(Arc::clone(&stage.world), Arc::clone(&stage.store));
    Seat { gate, task, lives, wakes: None, back: None }
}

/// A process that died comes back as another one, and one that was stopped is woken.
fn mind(stage: &Stage, chance: &Arc<Chance>, number: u64, own: &mut Seat, quiet: bool) {
    let now = Instant::now();
    if own.gate.is_dead() {
        own.task.abort();
        let back = *own.back.get_or_insert_with(|| now + chance.dice.millis(100, 20_000));
        if quiet || back <= now {
            *own = seat(stage, chance, number, own.lives + 1);
        }
    } else if own.gate.is_stopped() {
        // Past its lease, as often as not.
        let wakes = *own.wakes.get_or_insert_with(|| now + chance.dice.millis(1_000, 25_000));
        if quiet || wakes <= now {
            own.wakes = None;
            stage.world.trace(&format!("p{number}.{} WOKEN", own.lives));
            own.gate.wake();
        }
    }
}

/// Something that happens to a process, or in the world.
fn happen(stage: &Stage, chance: &Chance, seats: &mut [Seat]) {
    let dice = &chance.dice;
    let number = usize::try_from(dice.below(seats.len() as u64)).unwrap();
    let gate = &seats[number].gate;
    let name = format!("p{number}.{}", seats[number].lives);
    let soon = Instant::now() + dice.millis(500, 20_000);
    let what = match chance.favoured {
        Fault::Crash if dice.permille(300) => 0,
        Fault::Stop if dice.permille(300) => 1,
        Fault::Partition if dice.permille(300) => 3,
        Fault::ClockJump if dice.permille(300) => 6,
        _ if chance.parks && dice.permille(600) => *dice.pick(&[9, 10, 11, 11]),
        _ => dice.below(12),
    };
    match what {
        0 => {
            stage.world.trace(&format!("{name} CRASHES"));
            chance.tracker.strike(Fault::Crash, None);
            gate.kill();
        }
        1 | 2 => {
            stage.world.trace(&format!("{name} STOPS"));
            chance.tracker.strike(Fault::Stop, None);
            gate.stop();
        }
        3 | 4 => {
            stage.world.trace(&format!("{name} CUT OFF"));
            chance.tracker.strike(Fault::Partition, None);
            *gate.cut_off.lock().unwrap() = Some(soon);
        }
        5 => *gate.slow.lock().unwrap() = Some(soon),
        6 => {
            chance.tracker.strike(Fault::ClockJump, None);
            let off = i64::try_from(dice.below(400)).unwrap() - 200;
            stage.world.trace(&format!("{name} CLOCK {off}"));
            gate.off.store(off, Ordering::SeqCst);
        }
        7 => {
            chance.tracker.strike(Fault::ClockJump, None);
            let by = *dice.pick(&[-60, -10, 30, 3600]);
            stage.world.trace(&format!("EVERYBODY'S CLOCK {by} s"));
            stage.world.time.jump(SignedDuration::from_secs(by));
        }
        other => strike_world(stage, dice, other),
    }
}

/// The world goes on beside us.
fn strike_world(stage: &Stage, dice: &Dice, what: u64) {
    let member = dice.pick(&stage.plan.members);
    let number = stage.plan.members.iter().position(|other| other.credential == member.credential).unwrap();
    let proven = |body: &serde_json::Value| {
        let ended = body["rotation"]["facts"]["ended"].as_array().unwrap();
        ended.iter().any(|step| matches!(step.as_str(), Some("prove" | "final-prove")))
    };
    // What appears once its issuer was looked through is for the next reset to find.
    let late = asked(stage).len() > 1 || stage.store.peek("rotation", &rotation(number), proven).unwrap_or(true);
    let early = |body: &serde_json::Value| {
        let step = body["rotation"]["state"]["step"].as_str();
        matches!(step, Some("disable" | "end-derived" | "prove" | "sweep"))
    };
    let before_deliver = stage.store.peek("rotation", &rotation(number), early).unwrap_or(false);
    let document = &stage.estate.credentials[&member.credential];
    let (system, target) = (document.issued_by.system.name.to_string(), document.issued_by.target.name.clone());
    let value = SecretValue::from(format!("foreign-{:016x}", dice.next()));
    let told = stage.world.land(|state| {
        match what {
            // A workload starts again by itself.
            8 => {
                let all: Vec<String> = state.workloads.keys().cloned().collect();
                if !all.is_empty() {
                    state.reload(dice.pick::<String>(&all));
                }
            }
            9 => {
                let workload = state.workloads.values_mut().nth(usize::try_from(dice.below(4)).unwrap());
                workload?.deaf = true;
            }
            _ => {}
        }
        let issuer = state.issuers.get_mut(&system)?;
        let lying: BTreeSet<String> = issuer.living(&target).into_iter().map(str::to_owned).collect();
        match what {
            10 if !late && (system == "many" || system == "shown") => {
                return Some(format!("PLANTED {}", issuer.plant(&target, Material::of(value))));
            }
            // Before anybody has it: it has rights too many, or it is dead.
            11 => {
                // Who kills the last value that Remint has locks it out, and who kills a minter
                // before anybody has it stops all that it would mint.
                let dies =
                    |other: &remint_core::estate::Credential| other.issued_by.by.as_ref() == Some(&member.credential);
                if member.remint_acts || stage.estate.credentials.values().any(dies) {
                    return None;
                }
                let fresh = lying.iter().find(|id| issuer.versions[*id].operation.is_some())?.clone();
                let secret = issuer.versions[&fresh].material.secret.clone();
                let delivered = document.delivered_to.iter().any(|place| {
                    state.lies(place.at.system.name.as_str(), &place.at.path).is_some_and(|lies| lies.secret == secret)
                });
                let version = state.issuers.get_mut(&system)?.versions.get_mut(&fresh)?;
                if delivered {
                    return None;
                }
                // What is looked at once more before it is delivered.
                // … by who learns of it at once; nobody looks at what is fetched, and nobody destroys an encryption key.
                let looks = matches!(member.course(), Course::Replace | Course::Trust) && system != "slow";
                if member.path == Path::Cut && before_deliver && looks && dice.permille(600) {
                    version.life = Life::Revoked;
                    return Some(format!("KILLED {fresh}"));
                }
                version.wider = true;
                return Some(format!("WIDENED {fresh}"));
            }
            _ => {}
        }
        None
    });
    if let Some(told) = told {
        stage.world.trace(&told);
    }
}

/// From now on nothing goes wrong.
fn heal(stage: &Stage, seats: &[Seat]) {
    for own in seats {
        *own.gate.cut_off.lock().unwrap() = None;
        *own.gate.slow.lock().unwrap() = None;
    }
    stage.world.land(|state| state.workloads.values_mut().for_each(|running| running.deaf = false));
}

/// The id of a rotation's record.
fn rotation(number: usize) -> String {
    format!("{FIRST}/{number:06}")
}

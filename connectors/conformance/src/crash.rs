//! A crash before and after each request of each verb that changes something; then the host's own course: a mint is asked
//! about, everything else is done again, and in the end there is what one undisturbed call would have left.

mod consumer;
mod store;

use std::collections::BTreeSet;

use remint_contract::{Error, ErrorKind, Minted, Recovered, Strategy, Verb, Verdict, VersionId};

pub(crate) use self::consumer::check as consumer;
pub(crate) use self::store::check as store;

use crate::harness::{Crash, Cut};
use crate::issuer::{Life, life};
use crate::roles::{Outcome, Stop, Suite, hold};

/// A call that takes more requests than this, where nobody counts them, does not end.
const MOST: u32 = 64;
/// Of a longer one, how many are cut off at either end.
const LONG: u32 = 20;
const NEAR: u32 = 3;

const WAYS: [Cut; 3] = [Cut::Refused, Cut::Unread, Cut::Unanswered];

/// For what the suite cannot call as it is: `once` is called with a crash before the first request of a call, while it is
/// sent and after it, then the second one, until a call ended without its crash. It makes what the call needs, arms the
/// crash, calls, ends it, looks, and says whether the crash was.
///
/// # Panics
/// The call takes no request, or so many that nobody believes that it ends.
#[expect(clippy::panic, reason = "so a test ends")]
pub async fn at_each_request(mut once: impl AsyncFnMut(Crash) -> bool) {
    for request in 1..=MOST {
        for how in WAYS {
            if !once(Crash { request, how }).await {
                assert!(request > 1, "it took no request");
                return;
            }
        }
    }
    panic!("it does not end");
}

/// A credential after a crash, with what has to be true of it once everything is seen everywhere.
struct After {
    life: Life,
    at: String,
    accepted: Vec<Minted>,
    denied: Vec<Minted>,
    session: Option<u64>,
}

pub(crate) async fn issuer(suite: &mut Suite<'_>, strategy: Strategy) {
    let declared = suite.connector.describe();
    for verb in [Verb::Mint, Verb::Promote, Verb::Disable, Verb::Enable, Verb::EndDerived, Verb::Revoke] {
        // Where it is a store as well, what is promoted lies there.
        if declared.verbs.contains(&verb) && (verb != Verb::Promote || declared.store.is_none()) {
            let outcome = each_request_of(suite, strategy, verb).await;
            suite.note(format!("{strategy:?}: after a crash at each request of {verb} it is taken up again"), outcome);
        }
    }
}

/// No crash: the call is only counted.
const NONE: Crash = Crash { request: u32::MAX, how: Cut::Unread };

/// Before the first request, after it, before the second one, and so on. Of a call of many requests, which looks at everything
/// that lives: around its first ones and its last ones.
async fn points(suite: &Suite<'_>) -> Vec<Crash> {
    let total = suite.harness.seen().await;
    let last = total.map_or(MOST, |total| total + 1);
    let near = |request: &u32| total.is_none_or(|total| total <= LONG) || *request <= NEAR || request + NEAR > last;
    (1..=last).filter(near).flat_map(|request| WAYS.map(|how| Crash { request, how })).collect()
}

fn name(crash: Crash) -> String {
    if crash == NONE { "no crash".to_owned() } else { crash.to_string() }
}

/// Which one failed.
fn at<T>(crash: Crash, result: Result<T, Stop>) -> Result<T, Stop> {
    result.map_err(|stop| match stop {
        Stop::Failed(why) => Stop::Failed(format!("{}: {why}", name(crash))),
        stop @ Stop::NotShown(_) => stop,
    })
}

async fn arm(suite: &mut Suite<'_>, crash: Crash) -> Outcome {
    if suite.harness.crash(crash).await { Ok(()) } else { Err(Stop::NotShown("nothing before the target can stop it")) }
}

/// The answer of a call at whose time there was a crash. What it prints is scanned; true when it says that it was done.
fn answered<T: std::fmt::Debug>(suite: &mut Suite<'_>, verb: Verb, result: &Result<T, Error>) -> bool {
    let said = match result {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    suite.leaks.scan(&format!("the answer of {verb} in a crash"), &said);
    result.is_ok()
}

/// True of an answer that says that nothing was done: nobody would ask the target.
fn denies<T>(result: &Result<T, Error>) -> bool {
    result.as_ref().is_err_and(|error| error.kind != ErrorKind::Unclear)
}

async fn each_request_of(suite: &mut Suite<'_>, strategy: Strategy, verb: Verb) -> Outcome {
    let mut found = false;
    let mut all = vec![once_of(suite, strategy, verb, NONE, &mut found).await?.1];
    let points = points(suite).await;
    hold(points.len() > 3, "it took no request")?;
    for crash in points {
        let (crashed, after) = at(crash, once_of(suite, strategy, verb, crash, &mut found).await)?;
        all.push(after);
        if !crashed {
            break;
        }
    }
    hold(found || verb != Verb::Mint, "what was made was found after no crash at all")?;
    end(suite, strategy, verb, all).await
}

async fn once_of(
    suite: &mut Suite<'_>,
    strategy: Strategy,
    verb: Verb,
    crash: Crash,
    found: &mut bool,
) -> Result<(bool, After), Stop> {
    match verb {
        Verb::Mint => mint(suite, strategy, crash, found).await,
        Verb::EndDerived => end_derived(suite, strategy, crash).await,
        _ => change(suite, strategy, verb, crash).await,
    }
}

/// Everything that was changed is seen everywhere.
async fn end(suite: &mut Suite<'_>, strategy: Strategy, verb: Verb, all: Vec<After>) -> Outcome {
    suite.harness.settle().await;
    let shows_disabled = verb != Verb::Disable || suite.harness.refuses_disabled();
    for after in all {
        let what = |what: &str| format!("{what} after {}", after.at);
        for minted in &after.accepted {
            after.life.everywhere(suite, &minted.material, &Verdict::Accepted, &what("a value")).await?;
        }
        for minted in after.denied.iter().filter(|_| shows_disabled) {
            let denied = Verdict::Denied;
            after.life.everywhere(suite, &minted.material, &denied, &what("what should be dead")).await?;
        }
        if let Some(session) = after.session {
            hold(!suite.harness.session_alive(session).await, what("a session lives on"))?;
        }
        if verb == Verb::Revoke && strategy != Strategy::InPlace {
            let alive = alive(suite, &after.life).await?;
            let stays = after.denied.iter().find(|minted| alive.contains(&minted.version));
            hold(stays.is_none(), what("a revoked version is shown as alive"))?;
        }
    }
    Ok(())
}

/// What lives of a target; empty where nobody can say.
async fn alive(suite: &mut Suite<'_>, life: &Life) -> Result<BTreeSet<VersionId>, Stop> {
    if !life.verbs.contains(&Verb::Enumerate) {
        return Ok(BTreeSet::new());
    }
    let call = suite.harness.call().await;
    let target = &life.case.target;
    let live = suite.connector.clone().enumerate(&call, std::slice::from_ref(target)).await;
    let live = suite.good("enumerate", live)?;
    Ok(live.into_iter().filter(|live| live.target.as_ref() == Some(&target.name)).map(|live| live.version).collect())
}

async fn mint(
    suite: &mut Suite<'_>,
    strategy: Strategy,
    crash: Crash,
    found: &mut bool,
) -> Result<(bool, After), Stop> {
    let life = life(suite, strategy).await?;
    let old = life.case.old.clone();
    let before = alive(suite, &life).await?;
    let call = suite.harness.call().await;
    let request = life.request(suite, Some(&old), life.case.target.clone());
    let connector = suite.connector.clone();
    arm(suite, crash).await?;
    let result = connector.mint(&call, &request).await;
    let crashed = suite.harness.crashed().await;
    let minted = if crashed {
        let done = answered(suite, Verb::Mint, &result);
        let intent = life.intent(&call, Verb::Mint, None, Some(request.clone()));
        let answer = connector.recover(&call, &intent).await;
        let answer = suite.good("recover", answer)?;
        let made = !matches!(answer, Recovered::NotDone);
        *found |= made;
        hold(made || !done, "a mint that was answered is said not to be done")?;
        hold(!made || !denies(&result), format!("the error says that nothing was done: {:?}", result.err()))?;
        match answer {
            Recovered::Done(Some(minted)) => minted,
            // The same operation with the same value.
            Recovered::NotDone | Recovered::Done(None) => {
                let again = connector.mint(&call, &request).await;
                suite.good("mint once more", again)?
            }
            Recovered::Orphan(orphan) => {
                life.revoke(suite, &orphan).await?;
                life.mint(suite, &old).await?
            }
        }
    } else {
        suite.good("mint", result)?
    };
    suite.watch(&minted.material);
    let after = alive(suite, &life).await?;
    let expected: BTreeSet<_> = match strategy {
        Strategy::InPlace => {
            before.iter().filter(|version| **version != old.version).chain([&minted.version]).collect()
        }
        _ => before.iter().chain([&minted.version]).collect(),
    };
    if life.verbs.contains(&Verb::Enumerate) {
        let alike = after.iter().collect::<BTreeSet<_>>() == expected;
        hold(alike, format!("there lives {after:?}, expected {expected:?}"))?;
    }
    let (accepted, denied) = match strategy {
        Strategy::InPlace => (vec![minted], vec![old]),
        _ => (vec![minted, old], Vec::new()),
    };
    Ok((crashed, After { life, at: name(crash), accepted, denied, session: None }))
}

/// Revoke, disable and enable, and promote where keys are made: each names one version.
async fn change(suite: &mut Suite<'_>, strategy: Strategy, verb: Verb, crash: Crash) -> Result<(bool, After), Stop> {
    let life = life(suite, strategy).await?;
    let old = life.case.old.clone();
    let new = if matches!(verb, Verb::Revoke | Verb::Promote) { Some(life.mint(suite, &old).await?) } else { None };
    let version = new.as_ref().filter(|_| verb == Verb::Promote).map_or(&old.version, |new| &new.version).clone();
    if verb == Verb::Enable {
        once(suite, &life, Verb::Disable, &old.version).await?;
    }
    let call = suite.harness.call().await;
    arm(suite, crash).await?;
    let result = named(suite, &life, verb, &call, &version).await;
    let crashed = suite.harness.crashed().await;
    if crashed {
        let done = answered(suite, verb, &result);
        // The host asks about these; the others it only does again.
        if matches!(verb, Verb::Revoke | Verb::Disable) && strategy != Strategy::InPlace {
            let intent = life.intent(&call, verb, Some(version.clone()), None);
            let answer = suite.connector.clone().recover(&call, &intent).await;
            let answer = suite.good("recover", answer)?;
            hold(!matches!(answer, Recovered::Orphan(_)), format!("a {verb} is said to have made something"))?;
            let found = matches!(answer, Recovered::Done(_));
            hold(found || !done, format!("a {verb} that was answered is said not to be done"))?;
            hold(!found || !denies(&result), format!("the error says that nothing was done: {:?}", result.err()))?;
        }
        let again = named(suite, &life, verb, &call, &version).await;
        suite.good(&format!("{verb} once more"), again)?;
    } else {
        suite.good(&verb.to_string(), result)?;
    }
    let (accepted, denied) = match verb {
        Verb::Enable => (vec![old], Vec::new()),
        Verb::Promote => (new.into_iter().chain([old]).collect(), Vec::new()),
        _ => (new.into_iter().collect(), vec![old]),
    };
    Ok((crashed, After { life, at: name(crash), accepted, denied, session: None }))
}

async fn once(suite: &mut Suite<'_>, life: &Life, verb: Verb, version: &VersionId) -> Outcome {
    let call = suite.harness.call().await;
    let result = named(suite, life, verb, &call, version).await;
    suite.good(&verb.to_string(), result)
}

async fn named(
    suite: &Suite<'_>,
    life: &Life,
    verb: Verb,
    call: &remint_contract::Call,
    version: &VersionId,
) -> Result<(), Error> {
    let (connector, target) = (suite.connector.clone(), &life.case.target);
    match verb {
        Verb::Disable => connector.disable(call, target, version).await,
        Verb::Enable => connector.enable(call, target, version).await,
        Verb::Promote => connector.promote(call, &target.name, &version.0).await,
        _ => connector.revoke(call, target, version).await,
    }
}

async fn end_derived(suite: &mut Suite<'_>, strategy: Strategy, crash: Crash) -> Result<(bool, After), Stop> {
    let life = life(suite, strategy).await?;
    let (target, old) = (life.case.target.clone(), life.case.old.clone());
    let session = suite.harness.open_session(&target, &old.material).await;
    let session = session.ok_or(Stop::NotShown("the harness opens no sessions"))?;
    let connector = suite.connector.clone();
    // Where a version stays able to log in, ending comes after it was stopped.
    let stopped = life.verbs.contains(&Verb::Disable);
    if stopped {
        once(suite, &life, Verb::Disable, &old.version).await?;
    }
    let call = suite.harness.call().await;
    arm(suite, crash).await?;
    let result = connector.end_derived(&call, &target, &old.version).await;
    let crashed = suite.harness.crashed().await;
    answered(suite, Verb::EndDerived, &result);
    let again = connector.end_derived(&call, &target, &old.version).await;
    suite.good("end-derived once more", again)?;
    let accepted = if stopped { Vec::new() } else { vec![old] };
    Ok((crashed, After { life, at: name(crash), accepted, denied: Vec::new(), session: Some(session) }))
}

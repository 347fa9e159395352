//! Stores: what was cut off is done again under the same operation, and readers see the one value or the other, whole.

use remint_contract::{StoreCapabilities, Verb};

use super::{NONE, answered, arm, at, denies, points};
use crate::harness::{Crash, StoreCase};
use crate::roles::{Outcome, Stop, Suite, hold};
use crate::store;

pub(crate) async fn check(suite: &mut Suite<'_>) {
    let connector = suite.connector.describe();
    let Some(declared) = connector.store else { return };
    for verb in [Verb::Write, Verb::Promote, Verb::DestroyVersion] {
        if connector.verbs.contains(&verb) && (verb != Verb::Promote || declared.staged) {
            let outcome = each_request_of_store(suite, verb, &declared).await;
            suite.note(format!("store: after a crash at each request of {verb} it is taken up again"), outcome);
        }
    }
}

async fn each_request_of_store(suite: &mut Suite<'_>, verb: Verb, declared: &StoreCapabilities) -> Outcome {
    once_of_store(suite, verb, declared, NONE).await?;
    let points = points(suite).await;
    hold(points.len() > 3, "it took no request")?;
    for crash in points {
        if !at(crash, once_of_store(suite, verb, declared, crash).await)? {
            break;
        }
    }
    Ok(())
}

async fn once_of_store(
    suite: &mut Suite<'_>,
    verb: Verb,
    declared: &StoreCapabilities,
    crash: Crash,
) -> Result<bool, Stop> {
    match verb {
        Verb::Write => write(suite, declared, crash).await,
        Verb::Promote => promote(suite, declared, crash).await,
        _ => destroy(suite, declared, crash).await,
    }
}

async fn write(suite: &mut Suite<'_>, declared: &StoreCapabilities, crash: Crash) -> Result<bool, Stop> {
    let case = store::case(suite).await?;
    let (first, second) = (suite.secret(), suite.secret());
    store::put(suite, &case, &first, declared).await?;
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    let expect = current(suite, &case, declared).await?;
    let request = store::request(&case, &second, expect);
    arm(suite, crash).await?;
    let result = connector.write(&call, &request).await;
    let crashed = suite.harness.crashed().await;
    let written = if crashed {
        answered(suite, Verb::Write, &result);
        // Readers see the one value or the other, whole.
        let early = if declared.staged { Ok(()) } else { store::sees(suite, &case, &second).await };
        if early.is_err() {
            store::sees(suite, &case, &first).await?;
            hold(result.is_err(), "a write that was answered is not seen")?;
        } else if !declared.staged {
            hold(!denies(&result), format!("the error says that nothing was done: {:?}", result.err()))?;
        }
        let expect = current(suite, &case, declared).await?;
        store::write(suite, &call, &case, &second, expect).await?
    } else {
        suite.good("write", result)?
    };
    if declared.staged {
        let result = connector.promote(&call, &case.path, &written.version).await;
        suite.good("promote", result)?;
    }
    store::sees(suite, &case, &second).await?;
    if declared.versioned && connector.describe().verbs.contains(&Verb::DestroyVersion) {
        // As the host clears up: every version but the one that is read.
        for version in store::versions(suite, &case).await?.into_iter().skip(1) {
            let call = suite.harness.call().await;
            let result = connector.destroy_version(&call, &case.path, &version).await;
            suite.good("destroy-version", result)?;
        }
        hold(store::versions(suite, &case).await?.len() == 1, "more than one version is left")?;
        store::sees(suite, &case, &second).await?;
    }
    Ok(crashed)
}

/// What a write has to find, where the store compares.
async fn current(
    suite: &mut Suite<'_>,
    case: &StoreCase,
    declared: &StoreCapabilities,
) -> Result<Option<String>, Stop> {
    if !declared.compare_and_set || declared.staged {
        return Ok(None);
    }
    let call = suite.harness.call().await;
    let read = suite.connector.clone().read(&call, &case.path).await;
    Ok(Some(suite.good("read", read)?.version))
}

async fn promote(suite: &mut Suite<'_>, declared: &StoreCapabilities, crash: Crash) -> Result<bool, Stop> {
    let case = store::case(suite).await?;
    let (first, second) = (suite.secret(), suite.secret());
    store::put(suite, &case, &first, declared).await?;
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    let written = store::write(suite, &call, &case, &second, None).await?;
    arm(suite, crash).await?;
    let result = connector.promote(&call, &case.path, &written.version).await;
    let crashed = suite.harness.crashed().await;
    answered(suite, Verb::Promote, &result);
    let again = connector.promote(&call, &case.path, &written.version).await;
    suite.good("promote once more", again)?;
    store::sees(suite, &case, &second).await?;
    Ok(crashed)
}

async fn destroy(suite: &mut Suite<'_>, declared: &StoreCapabilities, crash: Crash) -> Result<bool, Stop> {
    if !declared.versioned {
        return Err(Stop::NotShown("this store keeps one version"));
    }
    let case = store::case(suite).await?;
    let (first, second) = (suite.secret(), suite.secret());
    store::put(suite, &case, &first, declared).await?;
    let old = store::versions(suite, &case).await?.first().cloned();
    let old = old.ok_or_else(|| Stop::Failed("no version is listed".to_owned()))?;
    store::put(suite, &case, &second, declared).await?;
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    arm(suite, crash).await?;
    let result = connector.destroy_version(&call, &case.path, &old).await;
    let crashed = suite.harness.crashed().await;
    answered(suite, Verb::DestroyVersion, &result);
    let again = connector.destroy_version(&call, &case.path, &old).await;
    suite.good("destroy-version once more", again)?;
    hold(!store::versions(suite, &case).await?.contains(&old), "the version is still listed")?;
    store::sees(suite, &case, &second).await?;
    Ok(crashed)
}

//! Stores: what is written is read back, nothing else changes, and a race loses nothing.

use std::collections::BTreeMap;

use remint_contract::{Call, ErrorKind, SecretValue, StoreCapabilities, Verb, WriteRequest, Written};

use crate::harness::StoreCase;
use crate::roles::{Outcome, Stop, Suite, hold};

pub(crate) async fn check(suite: &mut Suite<'_>) {
    let Some(declared) = suite.connector.describe().store else { return };
    let outcome = round_trip(suite, &declared).await;
    suite.note("store: what is written is read back and other fields stay", outcome);
    let outcome = staging(suite, &declared).await;
    suite.note("store: readers see a staged value only after promote, which may be repeated", outcome);
    let outcome = repeated(suite, &declared).await;
    suite.note("store: one operation's write repeated is one version", outcome);
    let outcome = compare_and_set(suite, &declared).await;
    suite.note("store: a write that expects another version is a Conflict", outcome);
    let outcome = late_promote(suite, &declared).await;
    suite.note("store: a late promote of an older version leaves the newer value alone", outcome);
    let outcome = destroy(suite, &declared).await;
    suite.note("store: a destroyed version is gone, and destroying it again is fine", outcome);
    let outcome = missing(suite).await;
    suite.note("store: what is not there is Missing", outcome);
    let outcome = check_changes_nothing(suite).await;
    suite.note("store: check of a path changes nothing", outcome);
}

pub(crate) async fn case(suite: &mut Suite<'_>) -> Result<StoreCase, Stop> {
    let case = suite.harness.store_case().await.ok_or(Stop::NotShown("the harness has no path to write to"))?;
    if let Some((_, kept)) = &case.kept {
        suite.leaks.watch(kept);
    }
    Ok(case)
}

async fn round_trip(suite: &mut Suite<'_>, declared: &StoreCapabilities) -> Outcome {
    let case = case(suite).await?;
    let value = suite.secret();
    let fields = BTreeMap::from([(case.field.clone(), value.clone())]);
    let fits = suite.connector.fits(&case.path, &fields);
    suite.good("fits", fits)?;
    put(suite, &case, &value, declared).await?;
    sees(suite, &case, &value).await
}

async fn staging(suite: &mut Suite<'_>, declared: &StoreCapabilities) -> Outcome {
    if !declared.staged {
        return Err(Stop::NotShown("this store does not stage"));
    }
    let case = case(suite).await?;
    let (first, second) = (suite.secret(), suite.secret());
    put(suite, &case, &first, declared).await?;
    let call = suite.harness.call().await;
    let written = write(suite, &call, &case, &second, None).await?;
    sees(suite, &case, &first).await?;
    for _ in 0..2 {
        let result = suite.connector.clone().promote(&call, &case.path, &written.version).await;
        suite.good("promote", result)?;
        sees(suite, &case, &second).await?;
    }
    Ok(())
}

async fn repeated(suite: &mut Suite<'_>, declared: &StoreCapabilities) -> Outcome {
    let case = case(suite).await?;
    let value = suite.secret();
    let call = suite.harness.call().await;
    let first = write(suite, &call, &case, &value, None).await?;
    let second = write(suite, &call, &case, &value, None).await?;
    if declared.staged {
        hold(first == second, "a repeated write staged a second version")?;
        let result = suite.connector.clone().promote(&call, &case.path, &first.version).await;
        suite.good("promote", result)?;
    }
    sees(suite, &case, &value).await
}

async fn compare_and_set(suite: &mut Suite<'_>, declared: &StoreCapabilities) -> Outcome {
    if !declared.compare_and_set {
        return Err(Stop::NotShown("this store has no compare-and-set"));
    }
    let case = case(suite).await?;
    let (first, second, lost) = (suite.secret(), suite.secret(), suite.secret());
    put(suite, &case, &first, declared).await?;
    let call = suite.harness.call().await;
    let before = suite.connector.clone().read(&call, &case.path).await;
    let before = suite.good("read", before)?.version;
    put(suite, &case, &second, declared).await?;
    let call = suite.harness.call().await;
    let request = request(&case, &lost, Some(before));
    let result = suite.connector.clone().write(&call, &request).await;
    suite.bad("write", result, &[ErrorKind::Conflict])?;
    sees(suite, &case, &second).await
}

async fn late_promote(suite: &mut Suite<'_>, declared: &StoreCapabilities) -> Outcome {
    if !declared.staged {
        return Err(Stop::NotShown("this store does not stage"));
    }
    let case = case(suite).await?;
    let (older, newer) = (suite.secret(), suite.secret());
    let late = suite.harness.call().await;
    let staged = write(suite, &late, &case, &older, None).await?;
    put(suite, &case, &newer, declared).await?;
    let result = suite.connector.clone().promote(&late, &case.path, &staged.version).await;
    suite.either("a late promote", result);
    sees(suite, &case, &newer).await
}

async fn destroy(suite: &mut Suite<'_>, declared: &StoreCapabilities) -> Outcome {
    let verbs = suite.connector.describe().verbs;
    if !verbs.contains(&Verb::DestroyVersion) || !verbs.contains(&Verb::Versions) {
        return Err(Stop::NotShown("this store does not destroy versions"));
    }
    let case = case(suite).await?;
    let (first, second) = (suite.secret(), suite.secret());
    put(suite, &case, &first, declared).await?;
    // In a store that keeps old versions the first one becomes old; in one that stages the second is never promoted.
    let victim = if declared.versioned {
        let old = versions(suite, &case).await?.first().cloned();
        put(suite, &case, &second, declared).await?;
        old.ok_or_else(|| Stop::Failed("no version is listed".to_owned()))?
    } else if declared.staged {
        let call = suite.harness.call().await;
        write(suite, &call, &case, &second, None).await?.version
    } else {
        return Err(Stop::NotShown("this store keeps one version"));
    };
    hold(versions(suite, &case).await?.contains(&victim), "the version is not listed before it is destroyed")?;
    let call = suite.harness.call().await;
    for _ in 0..2 {
        let result = suite.connector.clone().destroy_version(&call, &case.path, &victim).await;
        suite.good("destroy-version", result)?;
    }
    hold(!versions(suite, &case).await?.contains(&victim), "the version is listed after it was destroyed")?;
    sees(suite, &case, if declared.versioned { &second } else { &first }).await
}

async fn missing(suite: &mut Suite<'_>) -> Outcome {
    let case = case(suite).await?;
    let call = suite.harness.call().await;
    let connector = suite.connector.clone();
    if reads(suite) {
        suite.bad("read", connector.read(&call, &case.missing).await, &[ErrorKind::Missing])?;
    } else if connector.describe().verbs.contains(&Verb::Versions) {
        // A write makes what is not there.
        suite.bad("versions", connector.versions(&call, &case.missing).await, &[ErrorKind::Missing])?;
    } else {
        let lost = StoreCase { path: case.missing.clone(), ..case.clone() };
        let result = connector.write(&call, &request(&lost, &suite.secret(), None)).await;
        suite.bad("write", result, &[ErrorKind::Missing])?;
    }
    if connector.describe().verbs.contains(&Verb::Promote) {
        let result = connector.promote(&call, &case.missing, "1").await;
        suite.bad("promote", result, &[ErrorKind::Missing])?;
    }
    Ok(())
}

async fn check_changes_nothing(suite: &mut Suite<'_>) -> Outcome {
    let Some(declared) = suite.connector.describe().store else { return Ok(()) };
    let case = case(suite).await?;
    let value = suite.secret();
    put(suite, &case, &value, &declared).await?;
    let call = suite.harness.call().await;
    if !reads(suite) {
        let result = suite.connector.clone().check(&call, Some(&case.path)).await;
        suite.good("check", result)?;
        return sees(suite, &case, &value).await;
    }
    let before = suite.connector.clone().read(&call, &case.path).await;
    let before = suite.good("read", before)?.version;
    let result = suite.connector.clone().check(&call, Some(&case.path)).await;
    suite.good("check", result)?;
    let after = suite.connector.clone().read(&call, &case.path).await;
    hold(suite.good("read", after)?.version == before, "the version changed")
}

/// False of a store that never shows a value again.
pub(crate) fn reads(suite: &Suite<'_>) -> bool {
    suite.connector.describe().verbs.contains(&Verb::Read)
}

pub(crate) fn request(case: &StoreCase, value: &SecretValue, expect: Option<String>) -> WriteRequest {
    let fields = BTreeMap::from([(case.field.clone(), value.clone())]);
    WriteRequest { path: case.path.clone(), fields, expect }
}

pub(crate) async fn write(
    suite: &mut Suite<'_>,
    call: &Call,
    case: &StoreCase,
    value: &SecretValue,
    expect: Option<String>,
) -> Result<Written, Stop> {
    let result = suite.connector.clone().write(call, &request(case, value, expect)).await;
    suite.good("write", result)
}

/// Writes and, where the store stages, promotes.
pub(crate) async fn put(
    suite: &mut Suite<'_>,
    case: &StoreCase,
    value: &SecretValue,
    declared: &StoreCapabilities,
) -> Outcome {
    let call = suite.harness.call().await;
    let written = write(suite, &call, case, value, None).await?;
    if declared.staged {
        let call = suite.harness.call().await;
        let result = suite.connector.clone().promote(&call, &case.path, &written.version).await;
        suite.good("promote", result)?;
    }
    Ok(())
}

/// Readers see this value, and the field beside it as it was.
pub(crate) async fn sees(suite: &mut Suite<'_>, case: &StoreCase, value: &SecretValue) -> Outcome {
    if !reads(suite) {
        let found = suite.harness.stored(&case.path, &case.field).await;
        let found = found.ok_or(Stop::NotShown("it shows no value, and the harness does not look behind it"))?;
        return hold(found == *value, "readers find another value than was written");
    }
    let call = suite.harness.call().await;
    let result = suite.connector.clone().read(&call, &case.path).await;
    let fields = suite.good("read", result)?.fields;
    hold(fields.get(&case.field) == Some(value), "another value is read than was written")?;
    let kept = case.kept.as_ref().is_none_or(|(field, kept)| fields.get(field) == Some(kept));
    hold(kept, "a field that was not written changed")
}

pub(crate) async fn versions(suite: &mut Suite<'_>, case: &StoreCase) -> Result<Vec<String>, Stop> {
    let call = suite.harness.call().await;
    let result = suite.connector.clone().versions(&call, &case.path).await;
    suite.good("versions", result)
}

//! What holds for every connector: `describe` is stable and asks nobody, and what is not declared is not there.

use std::collections::BTreeMap;

use remint_contract::{
    Call, Connector, ErrorKind, Expected, Intent, Material, MintRequest, Strategy, Target, Verb, VersionId, Workload,
    WriteRequest,
};

use crate::roles::{Outcome, Stop, Suite, hold};

pub(crate) async fn check(suite: &mut Suite<'_>) {
    let outcome = describe(suite).await;
    suite.note("describe makes no call", outcome);
    let outcome = declaration(suite);
    suite.note("the declared roles and verbs fit together", outcome);
    let outcome = undeclared(suite).await;
    suite.note("verbs that are not declared answer Unsupported", outcome);
    let outcome = reachable(suite).await;
    suite.note("check accepts the target", outcome);
    let outcome = unreachable(suite).await;
    suite.note("check of a target that is gone is Unreachable or Missing", outcome);
    let outcome = stranger(suite).await;
    suite.note("check by somebody who may not is Denied", outcome);
}

async fn describe(suite: &mut Suite<'_>) -> Outcome {
    let Some(before) = suite.harness.requests().await else {
        return hold(suite.connector.describe() == suite.connector.describe(), "two answers differ")
            .and(Err(Stop::NotShown("the target counts no requests")));
    };
    let same = suite.connector.describe() == suite.connector.describe();
    hold(same, "two answers differ")?;
    hold(suite.harness.requests().await == Some(before), "the target saw a request")
}

fn declaration(suite: &Suite<'_>) -> Outcome {
    let declared = suite.connector.describe();
    let has = |verb| declared.verbs.contains(&verb);
    hold(has(Verb::Check), "check is not declared")?;
    let issues = has(Verb::Mint) && has(Verb::Verify) && has(Verb::Revoke) && has(Verb::Recover);
    hold(declared.issuer.is_none() || issues, "an issuer needs mint, verify, revoke and recover")?;
    let looks = has(Verb::Probe) || has(Verb::Enumerate);
    hold(declared.issuer.is_none() || looks, "an issuer needs probe, or enumerate where nobody can be asked")?;
    hold(declared.store.is_none() || has(Verb::Write), "a store needs write")?;
    let compares = declared.store.as_ref().is_some_and(|store| store.compare_and_set);
    hold(!compares || has(Verb::Read), "compare-and-set needs read, which tells what to compare with")?;
    let staged = declared.store.as_ref().is_some_and(|store| store.staged);
    hold(!staged || has(Verb::Promote), "a store that stages needs promote")?;
    hold(declared.consumer.is_none() || has(Verb::Observe), "a consumer host needs observe")?;
    let endpoints = declared.issuer.as_ref().is_none_or(|issuer| !issuer.endpoints.is_empty());
    hold(endpoints, "an issuer needs an endpoint where values are tried")
}

async fn undeclared(suite: &mut Suite<'_>) -> Outcome {
    let declared = suite.connector.describe().verbs;
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    for verb in Verb::ALL.into_iter().filter(|verb| !declared.contains(verb)) {
        let result = anything(connector.as_ref(), &call, verb).await;
        suite.bad(&verb.to_string(), result, &[ErrorKind::Unsupported])?;
    }
    Ok(())
}

async fn reachable(suite: &mut Suite<'_>) -> Outcome {
    let call = suite.harness.call().await;
    let result = suite.connector.clone().check(&call, None).await;
    suite.good("check", result)
}

async fn unreachable(suite: &mut Suite<'_>) -> Outcome {
    let Some(gone) = suite.harness.unreachable().await else {
        return Err(Stop::NotShown("the harness has no address where nothing answers"));
    };
    let call = suite.harness.call().await;
    suite.bad("check", gone.check(&call, None).await, &[ErrorKind::Unreachable, ErrorKind::Missing])
}

async fn stranger(suite: &mut Suite<'_>) -> Outcome {
    let Some(call) = suite.harness.wrong_actor().await else {
        return Err(Stop::NotShown("the harness knows nobody who may not"));
    };
    let result = suite.connector.clone().check(&call, None).await;
    suite.bad("check", result, &[ErrorKind::Denied])
}

/// Calls a verb with anything: it must not get as far as looking at it.
async fn anything(connector: &dyn Connector, call: &Call, verb: Verb) -> Result<(), remint_contract::Error> {
    let target = Target { name: "conformance".to_owned(), settings: serde_json::Value::Null };
    let version = VersionId("conformance".to_owned());
    let material = Material::of("conformance-value".into());
    let workload = Workload {
        name: "conformance".to_owned(),
        reference: "conformance".to_owned(),
        settings: serde_json::Value::Null,
    };
    let request = MintRequest {
        target: target.clone(),
        strategy: Strategy::Overlap,
        old: None,
        old_username: None,
        proposed: None,
    };
    match verb {
        Verb::Check => connector.check(call, None).await,
        Verb::Mint => connector.mint(call, &request).await.map(drop),
        Verb::Verify => connector.verify(call, &target, &material).await.map(drop),
        Verb::CompareRights => connector.compare_rights(call, &target, &version, &version).await.map(drop),
        Verb::Write => {
            let request = WriteRequest { path: "conformance".to_owned(), fields: BTreeMap::new(), expect: None };
            connector.write(call, &request).await.map(drop)
        }
        Verb::Read => connector.read(call, "conformance").await.map(drop),
        Verb::Promote => connector.promote(call, "conformance", "1").await,
        Verb::Versions => connector.versions(call, "conformance").await.map(drop),
        Verb::DestroyVersion => connector.destroy_version(call, "conformance", "1").await,
        Verb::Reload => connector.reload(call, &workload).await,
        Verb::Observe => {
            let expected = Expected { new: "sha256:0".to_owned(), old: None, path: None };
            connector.observe(call, &workload, &expected).await.map(drop)
        }
        Verb::Disable => connector.disable(call, &target, &version).await,
        Verb::Enable => connector.enable(call, &target, &version).await,
        Verb::Revoke => connector.revoke(call, &target, &version).await,
        Verb::RevokeValue => connector.revoke_value(call, &target, &material).await,
        Verb::ListDerived => connector.list_derived(call, &target, &version).await.map(drop),
        Verb::EndDerived => connector.end_derived(call, &target, &version).await.map(drop),
        Verb::Probe => connector.probe(call, &target, &material, 0).await.map(drop),
        Verb::Enumerate => connector.enumerate(call, &[]).await.map(drop),
        Verb::LastUsed => connector.last_used(call, &target, &version, call.deadline).await.map(drop),
        Verb::Recover => {
            let operation = call.operation.clone();
            let intent = Intent { operation, verb: Verb::Mint, target, version: None, mint: Some(request) };
            connector.recover(call, &intent).await.map(drop)
        }
        Verb::Discover => connector.discover(call).await.map(drop),
    }
}

//! Trust: verifiers learn a new version before it is used, and forget the old one after.
//!
//! A verifier learns it from a bundle (a place of `trustedBy` where no other credential lies: one public half per line or
//! per PEM block), or from the issuer itself (a key set that it publishes). In both cases it is then asked, until it says
//! yes or the time is over: its endpoint is shown something that only the new version could have made, or its host is
//! asked what it trusts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use remint_contract::{
    Error, ErrorKind, Expected, Location, Material, OperationId, Ref, SecretValue, Seen, Verb, Verdict,
};
use remint_core::estate::Credential;
use remint_core::machine::{Done, Reason, Version};
use remint_core::plan::Member;
use remint_core::step::{Course, Step};

use crate::engine::effect::{Stop, Task, chain};
use crate::engine::host::Ask;
use crate::engine::run::Run;
use crate::engine::step::confirm::{as_host, restart, shown};
use crate::engine::step::deliver::{REREADS, show, write};
use crate::engine::step::mint::park;
use crate::engine::step::prove::probe;

/// Tells every verifier of the new version, beside the old one.
pub(super) async fn publish(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let places: Vec<Location> = bundles(&run, document).cloned().collect();
    if !places.is_empty() {
        let public = public(task.facts.new.as_ref(), "new")?;
        for place in &places {
            edit(task, place, |blocks| {
                if !blocks.contains(&public) {
                    blocks.push(public.clone());
                }
            })
            .await?;
        }
    }
    shown(&run, places.iter()).await?;
    let verifiers = run.verifiers(task.member());
    restart(task, verifiers).await?;
    Ok(Done::Plain { step: Step::Publish })
}

/// Takes the old version out of every bundle, and every one of ours that dies with it. What else stands there is not ours
/// and stays.
pub(super) async fn withdraw(task: &mut Task) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    if bundles(&run, document).next().is_none() {
        return Ok(());
    }
    let mut gone = BTreeSet::from([public(task.facts.old.as_ref(), "old")?]);
    // One whose public half is not known was never told of.
    gone.extend(task.facts.also.iter().filter_map(|version| public(Some(version), "given-up").ok()));
    forget(task, &gone).await
}

/// Takes a version that is given up out of every bundle: it may have been told of.
pub(super) async fn give_up(task: &mut Task, version: &Version) -> Result<(), Stop> {
    match public(Some(version), "given-up") {
        Ok(public) if task.member().course() == Course::Trust => forget(task, &BTreeSet::from([public])).await,
        _ => Ok(()),
    }
}

/// No verifier is told of these any more.
async fn forget(task: &mut Task, gone: &BTreeSet<String>) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let places: Vec<Location> = bundles(&run, document).cloned().collect();
    for place in &places {
        edit(task, place, |blocks| blocks.retain(|block| !gone.contains(block))).await?;
    }
    if places.is_empty() {
        return Ok(());
    }
    shown(&run, places.iter()).await?;
    let verifiers = run.verifiers(task.member());
    restart(task, verifiers).await
}

/// Asks every verifier until all trust the new version, or the time is over: then the machine parks with who does not.
pub(super) async fn propagate(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let document = run.document(&member.credential)?;
    let new = task.facts.new.clone().ok_or_else(|| park("there is no new version to be trusted"))?;
    let value = run.material(&new).await?;
    let propagation = run.propagation(&document.issued_by.system)?;
    let deadline = run.context.clock.now() + run.settings.settle(propagation);
    let probes = run.host.connector(&document.issued_by.system)?.describe().verbs.contains(&Verb::Probe);
    let (mut verifiers, mut endpoints) = (BTreeSet::new(), BTreeSet::new());
    if !probes || value.is_none() {
        // Nothing can be shown to an endpoint: the issuer's own word on how long it takes has to do.
        run.context.clock.sleep(propagation).await;
        endpoints.extend(member.endpoints.iter().cloned());
    }
    loop {
        for (index, endpoint) in member.endpoints.iter().enumerate() {
            let Some(value) = value.as_ref().filter(|_| !endpoints.contains(endpoint)) else { continue };
            if probe(&run, &member, value, index).await == Ok(Verdict::Accepted) {
                endpoints.insert(endpoint.clone());
            }
        }
        let all = run.verifiers(&member);
        for verifier in &all {
            if !verifiers.contains(verifier) && trusts(&run, document, &member, verifier, &new).await? {
                verifiers.insert(verifier.clone());
            }
        }
        let done = verifiers.len() == all.len() && endpoints.len() == member.endpoints.len();
        if done || run.context.clock.now() >= deadline {
            return Ok(Done::Propagated { verifiers, endpoints });
        }
        run.context.clock.sleep(run.settings.poll).await;
    }
}

/// No verifier trusts the old version any more, or the time is over: a bundle that was changed is not yet one that was read.
pub(super) async fn forgotten(task: &Task, old: &Version) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    if bundles(&run, document).next().is_none() {
        return Ok(());
    }
    let deadline = run.context.clock.now() + run.settings.settle(run.propagation(&document.issued_by.system)?);
    loop {
        let mut still = Vec::new();
        for verifier in run.verifiers(task.member()) {
            if trusts(&run, document, task.member(), &verifier, old).await? {
                still.push(verifier.to_string());
            }
        }
        if still.is_empty() {
            return Ok(());
        }
        if run.context.clock.now() >= deadline {
            return Err(Stop::Park(Reason::Alive { endpoints: still }));
        }
        run.context.clock.sleep(run.settings.poll).await;
    }
}

/// The places of `trustedBy` that Remint keeps itself: another credential's place is a bundle of its own.
pub(super) fn bundles<'a>(run: &'a Run, document: &'a Credential) -> impl Iterator<Item = &'a Location> {
    let ours = |place: &&Location| {
        let whole = place.whole();
        !run.estate.credentials.values().any(|other| other.delivered_to.iter().any(|there| there.at.whole() == whole))
    };
    document.trusted_by.iter().filter(ours)
}

/// The half that verifiers know.
fn public(version: Option<&Version>, which: &str) -> Result<String, Stop> {
    let public = version.and_then(|version| version.username.as_deref()).map(str::trim).filter(|text| !text.is_empty());
    public.map(str::to_owned).ok_or_else(|| {
        park(&format!(
            "the public half of the {which} version is not known, so its trust cannot be changed; deliver `{{username}}` beside `{{secret}}`"
        ))
    })
}

/// Changes one bundle: read, changed, written only over what was read.
async fn edit(task: &mut Task, place: &Location, change: impl Fn(&mut Vec<String>)) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let lock = run.place(place);
    let _writer = lock.lock().await;
    let store = run.host.connector(&place.system)?.describe().store;
    let field = place.field.clone().unwrap_or_default();
    let mut last = None;
    for _ in 0..REREADS {
        let (version, blocks) = look(&run, place, &field).await?;
        let mut changed = blocks.clone();
        change(&mut changed);
        if changed == blocks {
            return Ok(());
        }
        let text = changed.iter().flat_map(|block| [&**block, "\n"]).collect::<String>();
        let fields = BTreeMap::from([(field.clone(), SecretValue::from(text))]);
        let expect = version.filter(|_| store.as_ref().is_some_and(|store| store.compare_and_set));
        let written = match write(task, place, &fields, expect).await {
            Ok(version) if store.as_ref().is_some_and(|store| store.staged) => show(task, place, &version).await,
            other => other.map(drop),
        };
        match written {
            Ok(()) => return Ok(()),
            // Somebody else changed the bundle between the look and the write.
            Err(stop @ Stop::Failed { kind: ErrorKind::Conflict | ErrorKind::Missing, .. }) => last = Some(stop),
            Err(stop) => return Err(stop),
        }
    }
    Err(last.unwrap_or_else(|| park(&format!("{place} changes all the time; it was not written"))))
}

/// What a bundle holds: PEM blocks, or else lines.
async fn look(run: &Run, place: &Location, field: &str) -> Result<(Option<String>, Vec<String>), Stop> {
    let operation = OperationId("read".into());
    let ask = Ask { system: &place.system, verb: Verb::Read, operation: &operation, actor: None };
    let found = run
        .host
        .call(ask, |connector, call| {
            let path = place.path.clone();
            async move { connector.read(&call, &path).await }
        })
        .await;
    match found {
        Ok(found) => {
            let text = found.fields.get(field).and_then(SecretValue::expose_str).unwrap_or_default();
            Ok((Some(found.version), blocks(text)))
        }
        // Whoever verifies there trusts the present key by it. Written as if it were new, it would lose what others put there.
        Err(Error { kind: ErrorKind::Missing, .. }) => Err(park(&format!(
            "{place} holds nothing, so not even the present key is trusted by it; put there what is trusted today, or take the place out of the estate"
        ))),
        Err(error) => Err(park(&format!("{place} cannot be read, so its trust was not changed: {}", chain(&error)))),
    }
}

fn blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        match blocks.last_mut().filter(|_| inside) {
            Some(block) => {
                block.push('\n');
                block.push_str(line);
            }
            None => blocks.push(line.to_owned()),
        }
        inside = (inside || line.starts_with("-----BEGIN ")) && !line.starts_with("-----END ");
    }
    blocks
}

/// Does this workload trust the new version?
async fn trusts(
    run: &Run,
    document: &Credential,
    member: &Member,
    verifier: &Ref,
    new: &Version,
) -> Result<bool, Stop> {
    let Some(workload) = run.estate.workloads.get(verifier) else { return Ok(false) };
    let Some(runs_on) = &workload.runs_on else { return Ok(false) };
    let fingerprint = |public: &str| Material::of(SecretValue::from(public)).fingerprint();
    let Some(public) = new.username.as_deref() else { return Ok(false) };
    let path = document.trusted_by.iter().find(|place| place.system == runs_on.system).map(|place| place.path.clone());
    let expected = Expected { new: fingerprint(public), old: None, path };
    let host = as_host(workload, &runs_on.reference);
    let operation = OperationId(format!("propagate-{}", member.credential.name));
    let ask = Ask { system: &runs_on.system, verb: Verb::Observe, operation: &operation, actor: None };
    let answer = run
        .host
        .call(ask, |connector, call| {
            let (host, expected) = (host.clone(), expected.clone());
            async move { connector.observe(&call, &host, &expected).await }
        })
        .await;
    Ok(answer.is_ok_and(|seen| seen.seen == Seen::New))
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn a_bundle_is_read_by_pem_blocks_and_lines() {
        let text = "-----BEGIN A-----\nxx\n-----END A-----\n\none\ntwo\n-----BEGIN B-----\nyy\n-----END B-----";
        assert_eq!(
            blocks(text),
            ["-----BEGIN A-----\nxx\n-----END A-----", "one", "two", "-----BEGIN B-----\nyy\n-----END B-----"]
        );
        assert!(blocks("\n \n").is_empty());
    }
}

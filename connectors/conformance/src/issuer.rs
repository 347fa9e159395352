//! Issuers: one credential's whole life per strategy, each step repeated, out of order, interrupted, and late.

use std::collections::BTreeSet;

use remint_contract::{
    Call, DerivedOutcome, ErrorKind, Intent, IssuerCapabilities, MadeBy, Material, MintRequest, Minted, Recovered,
    Strategy, Target, Verb, Verdict, Verified, VersionId,
};

use crate::harness::{Fault, IssuerCase};
use crate::roles::{Outcome, Stop, Suite, hold};

/// One credential of the suite's, with what the connector declares about it.
pub(crate) struct Life {
    pub(crate) strategy: Strategy,
    pub(crate) declared: IssuerCapabilities,
    pub(crate) verbs: BTreeSet<Verb>,
    pub(crate) case: IssuerCase,
}

pub(crate) async fn check(suite: &mut Suite<'_>, strategy: Strategy) {
    let name = |what: &str| format!("{strategy:?}: {what}");
    let outcome = replaced(suite, strategy).await;
    suite.note(
        name("the new version works, the old one is refused everywhere once revoked, and each verb repeats"),
        outcome,
    );
    let outcome = one_login(suite, strategy).await;
    suite.note(name("verify and the probe of the endpoint that it stands for accept and refuse the same"), outcome);
    let outcome = reversible(suite, strategy).await;
    suite.note(name("disable stops a version and enable brings it back"), outcome);
    let outcome = derived(suite, strategy).await;
    suite.note(name("what came from a version ends, and is seen to end"), outcome);
    let outcome = enumerated(suite, strategy).await;
    suite.note(name("enumerate shows ours with its target, and a foreign one without"), outcome);
    let outcome = zombie(suite, strategy).await;
    suite.note(name("a late revoke of an older version leaves the newer one alone"), outcome);
    let outcome = strangers(suite, strategy).await;
    suite.note(name("unknown versions, targets and values are refused by their class"), outcome);
    let outcome = recovered(suite, strategy).await;
    suite.note(name("recover tells what was not done from what was"), outcome);
    let outcome = lost_answer(suite, strategy).await;
    suite.note(name("a mint whose answer was lost is found again"), outcome);
    let outcome = throttled(suite, strategy).await;
    suite.note(name("a call too many is Throttled and changes nothing"), outcome);
    let outcome = lying(suite, strategy).await;
    suite.note(name("a revoke that did nothing is seen by the probe"), outcome);
    let outcome = lagging(suite, strategy).await;
    suite.note(name("an endpoint that is behind is seen to accept still, and to deny later"), outcome);
    let outcome = denied_actor(suite, strategy).await;
    suite.note(name("somebody who may not mint is Denied"), outcome);
    let outcome = unreachable(suite, strategy).await;
    suite.note(name("a target that is gone is Unreachable, and its probe proves nothing"), outcome);
}

pub(crate) async fn life(suite: &mut Suite<'_>, strategy: Strategy) -> Result<Life, Stop> {
    let declared = suite.connector.describe();
    let issuer = declared.issuer.ok_or(Stop::NotShown("it is no issuer"))?;
    let case = suite.harness.issuer_case(strategy).await.ok_or(Stop::NotShown("the harness has no target for it"))?;
    suite.watch(&case.old.material);
    Ok(Life { strategy, declared: issuer, verbs: declared.verbs, case })
}

async fn replaced(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    let old = life.case.old.clone();
    let before = life.verify(suite, &old.material).await?;
    hold(before.version == old.version, "verify names another version for the old value")?;
    life.everywhere(suite, &old.material, &Verdict::Accepted, "the old value before").await?;
    let new = life.mint(suite, &old).await?;
    hold(new.version != old.version, "the new version has the old one's id")?;
    let after = life.verify(suite, &new.material).await?;
    hold(after.version == new.version, "verify names another version for the new value")?;
    hold(after.principal == before.principal, "the new value speaks for somebody else")?;
    let during = if strategy == Strategy::InPlace { Verdict::Denied } else { Verdict::Accepted };
    life.everywhere(suite, &old.material, &during, "the old value after the mint").await?;
    for _ in 0..2 {
        life.revoke(suite, &old.version).await?;
        suite.harness.settle().await;
        life.everywhere(suite, &old.material, &Verdict::Denied, "the old value after the revoke").await?;
        life.everywhere(suite, &new.material, &Verdict::Accepted, "the new value after the revoke").await?;
    }
    let call = suite.harness.call().await;
    let result = suite.connector.clone().verify(&call, &life.case.target, &old.material).await;
    suite.bad("verify of the revoked value", result, &[ErrorKind::Denied])?;
    if life.verbs.contains(&Verb::Enable) {
        let result = suite.connector.clone().enable(&call, &life.case.target, &old.version).await;
        suite.either("enable of a revoked version", result);
        life.everywhere(suite, &old.material, &Verdict::Denied, "a revoked value that was enabled").await?;
    }
    Ok(())
}

async fn one_login(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    let at = life.declared.verifies_at.ok_or(Stop::NotShown("verify stands for no endpoint"))?;
    hold(at < life.declared.endpoints.len(), "the endpoint that verify stands for is not declared")?;
    let old = life.case.old.clone();
    let wrong = Material { username: old.material.username.clone(), secret: suite.secret() };
    life.alike(suite, &old.material, at, true, "the old value").await?;
    life.alike(suite, &wrong, at, false, "a value that never was").await?;
    let new = life.mint(suite, &old).await?;
    life.alike(suite, &new.material, at, true, "the new value").await?;
    if life.declared.reversible_disable && suite.harness.refuses_disabled() {
        let call = suite.harness.call().await;
        let result = suite.connector.clone().disable(&call, &life.case.target, &new.version).await;
        suite.good("disable", result)?;
        suite.harness.settle().await;
        life.alike(suite, &new.material, at, false, "a disabled value").await?;
    }
    life.revoke(suite, &old.version).await?;
    suite.harness.settle().await;
    life.alike(suite, &old.material, at, false, "a revoked value").await
}

async fn reversible(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    if !life.declared.reversible_disable {
        return Err(Stop::NotShown("disable is not declared reversible"));
    }
    if !suite.harness.refuses_disabled() {
        return Err(Stop::NotShown("the target accepts what is disabled"));
    }
    let (target, old) = (life.case.target.clone(), life.case.old.clone());
    let connector = suite.connector.clone();
    for _ in 0..2 {
        let call = suite.harness.call().await;
        let result = connector.disable(&call, &target, &old.version).await;
        suite.good("disable", result)?;
        suite.harness.settle().await;
        life.everywhere(suite, &old.material, &Verdict::Denied, "a disabled value").await?;
    }
    for _ in 0..2 {
        let call = suite.harness.call().await;
        let result = connector.enable(&call, &target, &old.version).await;
        suite.good("enable", result)?;
        suite.harness.settle().await;
        life.everywhere(suite, &old.material, &Verdict::Accepted, "an enabled value").await?;
    }
    Ok(())
}

async fn derived(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    if !life.verbs.contains(&Verb::ListDerived) || !life.verbs.contains(&Verb::EndDerived) {
        return Err(Stop::NotShown("it does not end what came from a version"));
    }
    let (target, old) = (life.case.target.clone(), life.case.old.clone());
    let session = suite.harness.open_session(&target, &old.material).await;
    let session = session.ok_or(Stop::NotShown("the harness opens no sessions"))?;
    hold(suite.harness.session_alive(session).await, "the session is dead before it was ended")?;
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    let listed = connector.list_derived(&call, &target, &old.version).await;
    hold(!suite.good("list-derived", listed)?.is_empty(), "the open session is not listed")?;
    // Where a version stays able to log in, ending comes after it was stopped.
    if life.verbs.contains(&Verb::Disable) {
        let result = connector.disable(&call, &target, &old.version).await;
        suite.good("disable", result)?;
    }
    for _ in 0..2 {
        let ended = connector.end_derived(&call, &target, &old.version).await;
        let ended = suite.good("end-derived", ended)?;
        hold(ended.iter().all(|ended| ended.outcome != DerivedOutcome::Unknown), "an outcome is unknown")?;
    }
    suite.harness.settle().await;
    hold(!suite.harness.session_alive(session).await, "the session lives on")?;
    let listed = connector.list_derived(&call, &target, &old.version).await;
    hold(suite.good("list-derived", listed)?.is_empty(), "something is still listed")
}

async fn enumerated(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    if !life.verbs.contains(&Verb::Enumerate) {
        return Err(Stop::NotShown("it does not enumerate"));
    }
    let (target, old) = (life.case.target.clone(), life.case.old.clone());
    let new = life.mint(suite, &old).await?;
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    let label = suite.harness.plant_foreign(&target).await;
    let live = connector.enumerate(&call, std::slice::from_ref(&target)).await;
    let live = suite.good("enumerate", live)?;
    let ours = |version: &VersionId| {
        live.iter().any(|live| live.version == *version && live.target.as_ref() == Some(&target.name))
    };
    hold(ours(&new.version), "the new version is not shown as its target's")?;
    hold(strategy == Strategy::InPlace || ours(&old.version), "the old version is not shown as its target's")?;
    life.revoke(suite, &old.version).await?;
    suite.harness.settle().await;
    let after = connector.enumerate(&call, std::slice::from_ref(&target)).await;
    let after = suite.good("enumerate", after)?;
    hold(after.iter().all(|live| live.version != old.version), "a revoked version is shown as alive")?;
    let label = label.ok_or(Stop::NotShown("no foreign one could be planted; ours were shown"))?;
    let known = [&old.version, &new.version];
    let foreign = |live: &&remint_contract::Live| live.label.contains(&label) && !known.contains(&&live.version);
    hold(after.iter().any(|live| foreign(&live)), "the foreign one is not shown")
}

async fn zombie(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    let first = life.case.old.clone();
    let second = life.mint(suite, &first).await?;
    life.revoke(suite, &first.version).await?;
    suite.harness.settle().await;
    // With two slots the third version takes the first one's place.
    let third = life.mint(suite, &second).await?;
    let late = suite.harness.call().await;
    let result = suite.connector.clone().revoke(&late, &life.case.target, &first.version).await;
    suite.either("a late revoke", result);
    if life.verbs.contains(&Verb::Disable) {
        let result = suite.connector.clone().disable(&late, &life.case.target, &first.version).await;
        suite.either("a late disable", result);
    }
    suite.harness.settle().await;
    life.everywhere(suite, &third.material, &Verdict::Accepted, "the newest value after a late effect").await
}

async fn strangers(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    let (target, old, missing) = (life.case.target.clone(), life.case.old.clone(), life.case.missing.clone());
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    let unknown = VersionId("conformance-no-such-version".to_owned());
    let result = connector.revoke(&call, &target, &unknown).await;
    suite.either("revoke of an unknown version", result);
    life.everywhere(suite, &old.material, &Verdict::Accepted, "the value beside an unknown version").await?;
    let request = life.request(suite, None, missing.clone());
    suite.bad("mint for a missing target", connector.mint(&call, &request).await, &[ErrorKind::Missing])?;
    let wrong = Material { username: old.material.username.clone(), secret: suite.secret() };
    life.everywhere(suite, &wrong, &Verdict::Denied, "a value that never was").await?;
    let result = connector.verify(&call, &target, &wrong).await;
    suite.bad("verify of a value that never was", result, &[ErrorKind::Denied])?;
    if !life.verbs.contains(&Verb::Probe) {
        return Ok(());
    }
    let far = life.declared.endpoints.len();
    let result = connector.probe(&call, &target, &old.material, far).await;
    suite.bad("probe of an endpoint that is not declared", result, &[ErrorKind::Invalid, ErrorKind::Missing])
}

async fn recovered(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    let old = life.case.old.clone();
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    let request = life.request(suite, Some(&old), life.case.target.clone());
    let mint = life.intent(&call, Verb::Mint, None, Some(request.clone()));
    let answer = connector.recover(&call, &mint).await;
    let answer = suite.good("recover of a mint before it", answer)?;
    hold(matches!(answer, Recovered::NotDone), "a mint that was never sent is said to be done")?;
    let minted = connector.mint(&call, &request).await;
    let minted = suite.good("mint", minted)?;
    suite.watch(&minted.material);
    let answer = connector.recover(&call, &mint).await;
    let answer = suite.good("recover of a mint after it", answer)?;
    life.names(&answer, &minted.version)?;
    let revoker = suite.harness.call().await;
    let revoke = life.intent(&revoker, Verb::Revoke, Some(old.version.clone()), None);
    if strategy != Strategy::InPlace {
        let answer = connector.recover(&revoker, &revoke).await;
        let answer = suite.good("recover of a revoke before it", answer)?;
        hold(matches!(answer, Recovered::NotDone), "a revoke that was never sent is said to be done")?;
    }
    life.revoke(suite, &old.version).await?;
    suite.harness.settle().await;
    let answer = connector.recover(&revoker, &revoke).await;
    let answer = suite.good("recover of a revoke after it", answer)?;
    hold(matches!(answer, Recovered::Done(_)), "a revoke that was done is not said to be")
}

async fn lost_answer(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    if !suite.harness.fault(Fault::LostAnswer(Verb::Mint)).await {
        return Err(Stop::NotShown("the target loses no answers"));
    }
    let old = life.case.old.clone();
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    let request = life.request(suite, Some(&old), life.case.target.clone());
    let result = connector.mint(&call, &request).await;
    suite.bad("mint whose answer is lost", result, &[ErrorKind::Unclear])?;
    suite.harness.settle().await;
    let intent = life.intent(&call, Verb::Mint, None, Some(request));
    let answer = connector.recover(&call, &intent).await;
    match suite.good("recover", answer)? {
        Recovered::Done(Some(minted)) => life.verify(suite, &minted.material).await.map(drop),
        Recovered::Orphan(version) => {
            life.revoke(suite, &version).await?;
            // In place the orphan took the old value's place; otherwise the old one is as it was.
            let beside = if strategy == Strategy::InPlace { Verdict::Denied } else { Verdict::Accepted };
            life.everywhere(suite, &old.material, &beside, "the old value beside an orphan").await
        }
        Recovered::Done(None) => {
            hold(life.declared.made_by != MadeBy::IssuerOnce, "a mint without its value is an orphan")
        }
        Recovered::NotDone => Err(Stop::Failed("a mint that was done is said not to be".to_owned())),
    }
}

async fn throttled(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    if !suite.harness.fault(Fault::Throttle).await {
        return Err(Stop::NotShown("the target does not throttle"));
    }
    let call = suite.harness.call().await;
    let result = suite.connector.clone().revoke(&call, &life.case.target, &life.case.old.version).await;
    suite.bad("revoke", result, &[ErrorKind::Throttled])?;
    suite.harness.settle().await;
    life.everywhere(suite, &life.case.old.material, &Verdict::Accepted, "the value of a throttled revoke").await
}

async fn lying(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    if !suite.harness.fault(Fault::LyingRevoke).await {
        return Err(Stop::NotShown("the target does not lie"));
    }
    life.revoke(suite, &life.case.old.version).await?;
    life.everywhere(suite, &life.case.old.material, &Verdict::Accepted, "the value of a revoke that lied").await?;
    suite.harness.settle().await;
    life.revoke(suite, &life.case.old.version).await?;
    suite.harness.settle().await;
    life.everywhere(suite, &life.case.old.material, &Verdict::Denied, "the value of a true revoke").await
}

async fn lagging(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    if !suite.harness.fault(Fault::Lagging).await {
        return Err(Stop::NotShown("no endpoint of the target lags"));
    }
    let old = life.case.old.clone();
    life.revoke(suite, &old.version).await?;
    let mut verdicts = Vec::new();
    for index in 0..life.declared.endpoints.len() {
        let call = suite.harness.call().await;
        let result = suite.connector.clone().probe(&call, &life.case.target, &old.material, index).await;
        verdicts.push(suite.good("probe", result)?);
    }
    hold(verdicts.contains(&Verdict::Accepted), "no endpoint was seen to be behind")?;
    if let Some(at) = life.declared.verifies_at {
        let call = suite.harness.call().await;
        let accepted = suite.connector.clone().verify(&call, &life.case.target, &old.material).await.is_ok();
        let same = verdicts.get(at).is_some_and(|verdict| (*verdict == Verdict::Accepted) == accepted);
        hold(same, "verify is not the try at the endpoint that it stands for")?;
    }
    suite.harness.settle().await;
    life.everywhere(suite, &old.material, &Verdict::Denied, "the old value once every endpoint knows").await
}

async fn denied_actor(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    let call = suite.harness.wrong_actor().await.ok_or(Stop::NotShown("the harness knows nobody who may not"))?;
    let request = life.request(suite, Some(&life.case.old), life.case.target.clone());
    suite.bad("mint", suite.connector.clone().mint(&call, &request).await, &[ErrorKind::Denied])
}

async fn unreachable(suite: &mut Suite<'_>, strategy: Strategy) -> Outcome {
    let life = life(suite, strategy).await?;
    let gone = suite.harness.unreachable().await;
    let gone = gone.ok_or(Stop::NotShown("the harness has no address where nothing answers"))?;
    let call = suite.harness.call().await;
    let request = life.request(suite, Some(&life.case.old), life.case.target.clone());
    suite.bad("mint", gone.mint(&call, &request).await, &[ErrorKind::Unreachable])?;
    if !life.verbs.contains(&Verb::Probe) {
        return Ok(());
    }
    match gone.probe(&call, &life.case.target, &life.case.old.material, 0).await {
        Ok(Verdict::Unclear(_)) => Ok(()),
        other => suite.bad("probe", other, &[ErrorKind::Unreachable]),
    }
}

impl Life {
    pub(crate) fn request(&self, suite: &mut Suite<'_>, old: Option<&Minted>, target: Target) -> MintRequest {
        MintRequest {
            target,
            strategy: self.strategy,
            old: old.map(|old| old.version.clone()),
            old_username: old.and_then(|old| old.material.username.clone()),
            proposed: (self.declared.made_by == MadeBy::Remint).then(|| suite.secret()),
        }
    }

    pub(crate) fn intent(
        &self,
        call: &Call,
        verb: Verb,
        version: Option<VersionId>,
        mint: Option<MintRequest>,
    ) -> Intent {
        Intent { operation: call.operation.clone(), verb, target: self.case.target.clone(), version, mint }
    }

    pub(crate) async fn mint(&self, suite: &mut Suite<'_>, old: &Minted) -> Result<Minted, Stop> {
        let call = suite.harness.call().await;
        let request = self.request(suite, Some(old), self.case.target.clone());
        let result = suite.connector.clone().mint(&call, &request).await;
        let minted = suite.good("mint", result)?;
        suite.watch(&minted.material);
        suite.harness.settle().await;
        Ok(minted)
    }

    pub(crate) async fn verify(&self, suite: &mut Suite<'_>, material: &Material) -> Result<Verified, Stop> {
        let call = suite.harness.call().await;
        let result = suite.connector.clone().verify(&call, &self.case.target, material).await;
        suite.good("verify", result)
    }

    pub(crate) async fn revoke(&self, suite: &mut Suite<'_>, version: &VersionId) -> Outcome {
        let call = suite.harness.call().await;
        let result = suite.connector.clone().revoke(&call, &self.case.target, version).await;
        suite.good("revoke", result)
    }

    /// `verify` and the probe at the endpoint that it stands for say the same of a value.
    async fn alike(
        &self,
        suite: &mut Suite<'_>,
        material: &Material,
        endpoint: usize,
        accepted: bool,
        what: &str,
    ) -> Outcome {
        let call = suite.harness.call().await;
        let result = suite.connector.clone().verify(&call, &self.case.target, material).await;
        if accepted {
            suite.good("verify", result)?;
        } else {
            suite.bad(&format!("verify of {what}"), result, &[ErrorKind::Denied])?;
        }
        let result = suite.connector.clone().probe(&call, &self.case.target, material, endpoint).await;
        let verdict = suite.good("probe", result)?;
        let expected = if accepted { Verdict::Accepted } else { Verdict::Denied };
        hold(verdict == expected, format!("{what} is {verdict:?} by the probe, and verify says otherwise"))
    }

    /// The same verdict at every declared endpoint; the issuer's own word where nobody can be asked.
    pub(crate) async fn everywhere(
        &self,
        suite: &mut Suite<'_>,
        material: &Material,
        expected: &Verdict,
        what: &str,
    ) -> Outcome {
        if !self.verbs.contains(&Verb::Probe) {
            let call = suite.harness.call().await;
            let result = suite.connector.clone().verify(&call, &self.case.target, material).await;
            return match expected {
                Verdict::Accepted => suite.good(&format!("verify of {what}"), result).map(drop),
                _ => suite.bad(&format!("verify of {what}"), result, &[ErrorKind::Denied]),
            };
        }
        for (index, endpoint) in self.declared.endpoints.iter().enumerate() {
            let call = suite.harness.call().await;
            let result = suite.connector.clone().probe(&call, &self.case.target, material, index).await;
            let verdict = suite.good("probe", result)?;
            hold(verdict == *expected, format!("{what} is {verdict:?} at {endpoint}, expected {expected:?}"))?;
        }
        Ok(())
    }

    /// A mint that was done is told as done, or as an orphan where its value cannot be had again.
    fn names(&self, answer: &Recovered, version: &VersionId) -> Outcome {
        match answer {
            Recovered::Done(None) => hold(self.declared.made_by != MadeBy::IssuerOnce, "its value is lost: an orphan"),
            Recovered::Done(Some(minted)) => hold(minted.version == *version, "recover names another version"),
            Recovered::Orphan(orphan) => hold(orphan == version, "recover names another orphan"),
            Recovered::NotDone => Err(Stop::Failed("a mint that was done is said not to be".to_owned())),
        }
    }
}

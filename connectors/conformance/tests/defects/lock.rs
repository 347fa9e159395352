//! An issuer in memory with two endpoints, of which the second may be behind.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use remint_conformance::{Crash, Cut, Fault, Harness, IssuerCase, Report, run};
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, Intent, IssuerCapabilities, Live, MadeBy, Material, MintRequest,
    Minted, OperationId, ProbeCost, Recovered, Slots, Strategy, Target, Verb, Verdict, Verified, VersionId,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// `verify` reads a list of its own, from which nothing is ever taken.
    VerifyKnowsNoRevoke,
    /// `verify` asks the first endpoint, and is said to stand for the second.
    VerifyAsksElsewhere,
    VerifyStandsForNoEndpoint,
    /// `recover` never finds what a mint made.
    ForgetsWhatItMade,
    /// A lost answer is said to be no connection.
    SaysThatNothingWasDone,
    /// A revoke whose answer was lost is not done when it is asked for again.
    RevokesOnce,
}

struct Lock {
    defect: Defect,
    made: AtomicU32,
    /// Version and fingerprint of every value that was ever minted.
    all: Mutex<Vec<(VersionId, String)>>,
    /// What each endpoint takes for dead.
    dead: [Mutex<BTreeSet<VersionId>>; 2],
    behind: Mutex<bool>,
    /// The operation of every mint, with what it made.
    mints: Mutex<Vec<(OperationId, Minted)>>,
    revokes: Mutex<BTreeSet<OperationId>>,
    crash: Mutex<Option<Crash>>,
}

impl Lock {
    fn find(&self, material: &Material) -> Option<VersionId> {
        let fingerprint = material.fingerprint();
        self.all.lock().unwrap().iter().find(|(_, known)| *known == fingerprint).map(|(version, _)| version.clone())
    }

    fn accepts(&self, material: &Material, endpoint: usize) -> Option<VersionId> {
        self.find(material).filter(|version| !self.dead[endpoint].lock().unwrap().contains(version))
    }

    /// Every call is one request, and each may be the last one.
    fn request<T>(&self, verb: Verb, effect: impl FnOnce() -> T) -> Result<T, Error> {
        let mut crash = self.crash.lock().unwrap();
        let Some(left) = crash.as_mut() else { return Ok(effect()) };
        left.request = left.request.saturating_sub(1);
        if left.request > 0 {
            return Ok(effect());
        }
        let arrives = left.how == Cut::Unanswered;
        let lies = arrives && self.defect == Defect::SaysThatNothingWasDone;
        if arrives {
            effect();
        }
        let kind = if lies || left.how == Cut::Refused { ErrorKind::Unreachable } else { ErrorKind::Unclear };
        Err(Error::new(kind, verb, "the answer was lost"))
    }

    fn next(&self) -> String {
        self.made.fetch_add(1, Ordering::Relaxed).to_string()
    }
}

#[async_trait]
impl Connector for Lock {
    fn describe(&self) -> Capabilities {
        let verifies_at = match self.defect {
            Defect::VerifyAsksElsewhere => 1,
            Defect::VerifyStandsForNoEndpoint => 2,
            _ => 0,
        };
        Capabilities {
            verbs: VERBS.into(),
            issuer: Some(IssuerCapabilities {
                slots: Slots::Many,
                made_by: MadeBy::Remint,
                probe: ProbeCost::Free,
                propagation: Duration::ZERO,
                strategies: [Strategy::Overlap].into(),
                endpoints: vec!["near".to_owned(), "far".to_owned()],
                verifies_at: Some(verifies_at),
                reversible_disable: false,
                dies_with_issuer: false,
                calls: Vec::new(),
            }),
            store: None,
            consumer: None,
        }
    }

    async fn check(&self, _call: &Call, _path: Option<&str>) -> Result<(), Error> {
        Ok(())
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        self.request(Verb::Mint, || {
            let version = VersionId(self.next());
            let material = Material::of(request.proposed.clone().unwrap());
            self.all.lock().unwrap().push((version.clone(), material.fingerprint()));
            let minted = Minted { version, material };
            self.mints.lock().unwrap().push((call.operation.clone(), minted.clone()));
            minted
        })
    }

    async fn verify(&self, _call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let version = match self.defect {
            Defect::VerifyKnowsNoRevoke => self.find(material),
            _ => self.accepts(material, 0),
        };
        let version = version.ok_or_else(|| Error::new(ErrorKind::Denied, Verb::Verify, "not accepted"))?;
        Ok(Verified { version, principal: target.name.clone(), expires: None })
    }

    async fn revoke(&self, call: &Call, _target: &Target, version: &VersionId) -> Result<(), Error> {
        if !self.revokes.lock().unwrap().insert(call.operation.clone()) && self.defect == Defect::RevokesOnce {
            return Ok(());
        }
        self.request(Verb::Revoke, || {
            self.dead[0].lock().unwrap().insert(version.clone());
            if !*self.behind.lock().unwrap() {
                self.dead[1].lock().unwrap().insert(version.clone());
            }
        })
    }

    async fn enumerate(&self, _call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let dead = self.dead[0].lock().unwrap();
        let all = self.all.lock().unwrap();
        let living = all.iter().filter(|(version, _)| !dead.contains(version)).map(|(version, _)| Live {
            version: version.clone(),
            target: targets.first().map(|target| target.name.clone()),
            label: version.0.clone(),
            operation: None,
            created: None,
        });
        Ok(living.collect())
    }

    async fn recover(&self, _call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        if let Some(version) = &intent.version {
            let dead = self.dead[0].lock().unwrap().contains(version);
            return Ok(if dead { Recovered::Done(None) } else { Recovered::NotDone });
        }
        let mints = self.mints.lock().unwrap();
        let made = mints.iter().find(|(operation, _)| *operation == intent.operation);
        Ok(match made {
            Some((_, minted)) if self.defect != Defect::ForgetsWhatItMade => Recovered::Done(Some(minted.clone())),
            _ => Recovered::NotDone,
        })
    }

    async fn probe(&self, _: &Call, _: &Target, material: &Material, endpoint: usize) -> Result<Verdict, Error> {
        if endpoint >= self.dead.len() {
            return Err(Error::new(ErrorKind::Invalid, Verb::Probe, "no such endpoint"));
        }
        Ok(if self.accepts(material, endpoint).is_some() { Verdict::Accepted } else { Verdict::Denied })
    }
}

struct OneLock(Arc<Lock>);

#[async_trait]
impl Harness for OneLock {
    fn connector(&self) -> Arc<dyn Connector> {
        self.0.clone()
    }

    async fn call(&self) -> Call {
        Call { operation: OperationId(self.0.next()), deadline: "2026-01-01T00:00:00Z".parse().unwrap(), actor: None }
    }

    async fn issuer_case(&self, strategy: Strategy) -> Option<IssuerCase> {
        let target = |name: &str| Target { name: name.to_owned(), settings: serde_json::Value::Null };
        let request = MintRequest {
            target: target("web"),
            strategy,
            old: None,
            old_username: None,
            proposed: Some(format!("first-marker-{}", self.0.next()).into()),
        };
        let old = self.0.mint(&self.call().await, &request).await.unwrap();
        Some(IssuerCase { target: target("web"), old, missing: target("none") })
    }

    async fn fault(&self, fault: Fault) -> bool {
        *self.0.behind.lock().unwrap() = fault == Fault::Lagging;
        fault == Fault::Lagging
    }

    async fn crash(&self, crash: Crash) -> bool {
        *self.0.crash.lock().unwrap() = Some(crash);
        true
    }

    async fn crashed(&self) -> bool {
        self.0
            .crash
            .lock()
            .unwrap()
            .take()
            .is_some_and(|left| left.request == u32::from(left.how == Cut::Refused) || left.request == 0)
    }

    async fn settle(&self) {
        *self.0.behind.lock().unwrap() = false;
        let dead = self.0.dead[0].lock().unwrap().clone();
        *self.0.dead[1].lock().unwrap() = dead;
    }
}

async fn examine(defect: Defect) -> Report {
    let lock = Lock {
        defect,
        made: AtomicU32::new(0),
        all: Mutex::default(),
        dead: [Mutex::default(), Mutex::default()],
        behind: Mutex::new(false),
        mints: Mutex::default(),
        revokes: Mutex::default(),
        crash: Mutex::default(),
    };
    run(&OneLock(Arc::new(lock))).await
}

const ALIKE: &str = "Overlap: verify and the probe of the endpoint that it stands for accept and refuse the same";
const MINT: &str = "Overlap: after a crash at each request of mint it is taken up again";
const REVOKE: &str = "Overlap: after a crash at each request of revoke it is taken up again";
const VERBS: [Verb; 7] =
    [Verb::Check, Verb::Mint, Verb::Verify, Verb::Revoke, Verb::Probe, Verb::Enumerate, Verb::Recover];
const BEHIND: &str = "Overlap: an endpoint that is behind is seen to accept still, and to deny later";

#[tokio::test]
async fn a_verify_that_is_the_probe_it_stands_for_passes() {
    let report = examine(Defect::None).await;
    for check in [ALIKE, BEHIND, MINT, REVOKE] {
        assert!(report.passed.iter().any(|passed| passed == check), "{check}\n{report}");
    }
}

#[tokio::test]
async fn a_verify_that_is_not_the_probe_it_stands_for_fails() {
    let table = [
        (Defect::VerifyKnowsNoRevoke, ALIKE),
        (Defect::VerifyAsksElsewhere, BEHIND),
        (Defect::VerifyStandsForNoEndpoint, ALIKE),
    ];
    for (defect, check) in table {
        let report = examine(defect).await;
        assert!(report.failed.iter().any(|(failed, _)| failed == check), "{defect:?}\n{report}");
    }
}

#[tokio::test]
async fn what_a_crash_would_leave_behind_or_make_twice_fails() {
    let table = [
        (Defect::ForgetsWhatItMade, MINT, "a crash after request 1: "),
        (Defect::SaysThatNothingWasDone, MINT, "a crash after request 1: the error says that nothing was done"),
        (Defect::SaysThatNothingWasDone, REVOKE, "a crash after request 1: the error says that nothing was done"),
        (Defect::RevokesOnce, REVOKE, "what should be dead after a crash before request 1 is Accepted"),
    ];
    for (defect, check, words) in table {
        let report = examine(defect).await;
        let failed = report.failed.iter().any(|(failed, why)| failed == check && why.starts_with(words));
        assert!(failed, "{defect:?}\n{report}");
    }
}

//! An issuer in memory with two endpoints, of which the second may be behind.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use remint_conformance::{Fault, Harness, IssuerCase, Report, run};
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, IssuerCapabilities, MadeBy, Material, MintRequest, Minted,
    OperationId, ProbeCost, Slots, Strategy, Target, Verb, Verdict, Verified, VersionId,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// `verify` reads a list of its own, from which nothing is ever taken.
    VerifyKnowsNoRevoke,
    /// `verify` asks the first endpoint, and is said to stand for the second.
    VerifyAsksElsewhere,
    VerifyStandsForNoEndpoint,
}

struct Lock {
    defect: Defect,
    made: AtomicU32,
    /// Version and fingerprint of every value that was ever minted.
    all: Mutex<Vec<(VersionId, String)>>,
    /// What each endpoint takes for dead.
    dead: [Mutex<BTreeSet<VersionId>>; 2],
    behind: Mutex<bool>,
}

impl Lock {
    fn find(&self, material: &Material) -> Option<VersionId> {
        let fingerprint = material.fingerprint();
        self.all.lock().unwrap().iter().find(|(_, known)| *known == fingerprint).map(|(version, _)| version.clone())
    }

    fn accepts(&self, material: &Material, endpoint: usize) -> Option<VersionId> {
        self.find(material).filter(|version| !self.dead[endpoint].lock().unwrap().contains(version))
    }

    fn next(&self) -> String {
        self.made.fetch_add(1, Ordering::Relaxed).to_string()
    }
}

#[async_trait]
impl Connector for Lock {
    fn describe(&self) -> Capabilities {
        let verifies_at = match self.defect {
            Defect::None | Defect::VerifyKnowsNoRevoke => 0,
            Defect::VerifyAsksElsewhere => 1,
            Defect::VerifyStandsForNoEndpoint => 2,
        };
        Capabilities {
            verbs: [Verb::Check, Verb::Mint, Verb::Verify, Verb::Revoke, Verb::Probe, Verb::Recover].into(),
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

    async fn mint(&self, _call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let version = VersionId(self.next());
        let material = Material::of(request.proposed.clone().unwrap());
        self.all.lock().unwrap().push((version.clone(), material.fingerprint()));
        Ok(Minted { version, material })
    }

    async fn verify(&self, _call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let version = match self.defect {
            Defect::VerifyKnowsNoRevoke => self.find(material),
            _ => self.accepts(material, 0),
        };
        let version = version.ok_or_else(|| Error::new(ErrorKind::Denied, Verb::Verify, "not accepted"))?;
        Ok(Verified { version, principal: target.name.clone(), expires: None })
    }

    async fn revoke(&self, _call: &Call, _target: &Target, version: &VersionId) -> Result<(), Error> {
        self.dead[0].lock().unwrap().insert(version.clone());
        if !*self.behind.lock().unwrap() {
            self.dead[1].lock().unwrap().insert(version.clone());
        }
        Ok(())
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
    };
    run(&OneLock(Arc::new(lock))).await
}

const ALIKE: &str = "Overlap: verify and the probe of the endpoint that it stands for accept and refuse the same";
const BEHIND: &str = "Overlap: an endpoint that is behind is seen to accept still, and to deny later";

#[tokio::test]
async fn a_verify_that_is_the_probe_it_stands_for_passes() {
    let report = examine(Defect::None).await;
    for check in [ALIKE, BEHIND] {
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

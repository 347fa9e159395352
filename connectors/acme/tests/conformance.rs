//! The conformance suite over a real Pebble (see `cargo xtask test`), and what only it shows.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what cannot be set up ends the test")]

mod account;
mod binding;
mod calls;
mod certificates;
mod dns;
mod pebble;

use std::sync::Arc;

use async_trait::async_trait;
use pebble::proxy::Trouble;
use pebble::{Rig, open};
use remint_conformance::gate::Gate;
use remint_conformance::{Fault, Harness, IssuerCase, assert_passes, run};
use remint_contract::{Call, Connector, Material, Strategy, Target, Verb};
use serde_json::Value;

/// Certificates of one account.
struct Certificates {
    rig: Rig,
    nobody: Arc<Material>,
}

#[async_trait]
impl Harness for Certificates {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.rig.connector)
    }

    async fn call(&self) -> Call {
        self.rig.call()
    }

    async fn issuer_case(&self, strategy: Strategy) -> Option<IssuerCase> {
        // An account has one key, and so one version: `account.rs` replaces it.
        if strategy != Strategy::Reissue {
            return None;
        }
        let target = self.rig.pebble.target();
        let old = self.rig.mint(&target).await;
        Some(IssuerCase { target, old, missing: Target { name: "nowhere".to_owned(), settings: Value::Null } })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.rig.pebble.acting(&self.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        let pebble = &self.rig.pebble;
        Some(open(&pebble.settings("https://127.0.0.1:1/dir", &pebble.roots, false)))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.rig.proxy.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.rig.proxy.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.rig.proxy.arm(Some(match fault {
            Fault::LostAnswer(Verb::Mint) => Trouble::Lost("/finalize-order/".to_owned()),
            Fault::Throttle => Trouble::Throttled("/revoke-cert".to_owned()),
            Fault::LostAnswer(_) | Fault::LyingRevoke | Fault::Lagging => return false,
        }));
        true
    }

    async fn settle(&self) {
        self.rig.proxy.arm(None);
    }
}

#[tokio::test]
async fn certificates_behave_as_the_contract_says() {
    let nobody = Arc::new(pebble::key());
    let report = run(&Certificates { rig: Rig::new().await, nobody }).await;
    assert_passes(&report);
    let shown: Vec<&str> = report.not_shown.iter().map(|(name, _)| name.as_str()).collect();
    let of_certificates: Vec<&&str> = shown.iter().filter(|name| !name.starts_with("InPlace")).collect();
    assert_eq!(
        of_certificates,
        [
            &"Reissue: verify and the probe of the endpoint that it stands for accept and refuse the same",
            &"Reissue: disable stops a version and enable brings it back",
            &"Reissue: what came from a version ends, and is seen to end",
            &"Reissue: enumerate shows ours with its target, and a foreign one without",
            &"Reissue: a revoke that did nothing is seen by the probe",
            &"Reissue: an endpoint that is behind is seen to accept still, and to deny later",
            &"consumer: reload, twice, brings the workload to the new value",
            &"consumer: a value that is neither new nor old is not taken for either",
            &"consumer: a workload that does not run is Missing",
        ],
        "{report}"
    );
}

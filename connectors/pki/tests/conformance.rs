//! The conformance suite over an authority in files, its lists over HTTP, and a relying party over TLS.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up ends the test")]

mod calls;
mod crashes;
mod land;
mod relying;
mod rotation;

use std::sync::Arc;

use async_trait::async_trait;
use land::tls::Server;
use land::{Land, mint};
use remint_conformance::{ConsumerCase, Fault, Harness, IssuerCase, Report, assert_passes, run};
use remint_contract::{Call, Connector, ConnectorKind as _, Expected, HostRules, Strategy, Target, Workload};
use serde_json::{Value, json};

/// Leaves of one authority.
struct Leaves {
    land: Land,
    connector: Arc<dyn Connector>,
    authority: Target,
}

impl Leaves {
    async fn new() -> Self {
        let land = Land::new().await;
        let connector = land.open(&[]);
        let authority = land.authority();
        mint(&land, connector.as_ref(), &authority).await;
        Self { land, connector, authority }
    }
}

#[async_trait]
impl Harness for Leaves {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    async fn call(&self) -> Call {
        self.land.call()
    }

    async fn issuer_case(&self, _strategy: Strategy) -> Option<IssuerCase> {
        let target = self.land.leaf(&self.authority);
        let old = mint(&self.land, self.connector.as_ref(), &target).await;
        let missing = self.land.leaf(&Target { name: "nowhere".to_owned(), settings: Value::Null });
        Some(IssuerCase { target, old, missing })
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        let settings = json!({"folder": "/nonexistent/remint"});
        Some(remint_pki::kind().open(&settings, &HostRules::default()).unwrap())
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.land.lists.requests())
    }

    async fn fault(&self, fault: Fault) -> bool {
        // A list that a cache holds back is late, and until then a lie.
        let held_back = matches!(fault, Fault::Lagging | Fault::LyingRevoke);
        if held_back {
            self.land.lists.freeze();
        }
        held_back
    }

    async fn settle(&self) {
        self.land.lists.thaw();
    }

    async fn plant_foreign(&self, _target: &Target) -> Option<String> {
        // Somebody who got at the key signs without Remint, and the certificate is found later.
        let other = land::request(&self.land.leaf(&self.authority), Strategy::Reissue);
        let made = self.connector.mint(&self.land.call(), &other).await.unwrap();
        let issued = self.land.folder().join(&self.authority.name).join("issued");
        std::fs::remove_file(issued.join(format!("{}.json", made.version.0.replace(':', "")))).unwrap();
        std::fs::write(issued.join("found.pem"), made.material.username.unwrap()).unwrap();
        Some(made.version.0)
    }

    async fn consumer_case(&self) -> Option<ConsumerCase> {
        let case = self.issuer_case(Strategy::Reissue).await?;
        let new = mint(&self.land, self.connector.as_ref(), &case.target).await;
        let server = Server::start(&case.old.material, None).await;
        let workload = Workload { name: "web".to_owned(), reference: server.address.clone(), settings: Value::Null };
        // It serves until the test ends.
        std::mem::forget(server);
        let expected =
            Expected { new: new.material.fingerprint(), old: Some(case.old.material.fingerprint()), path: None };
        Some(ConsumerCase { workload, expected, missing: None })
    }
}

fn not_shown(report: &Report) -> Vec<&str> {
    report.not_shown.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn leaves_behave_as_the_contract_says() {
    let report = run(&Leaves::new().await).await;
    assert_passes(&report);
    assert_eq!(
        not_shown(&report),
        [
            "check by somebody who may not is Denied",
            "Reissue: verify and the probe of the endpoint that it stands for accept and refuse the same",
            "Reissue: disable stops a version and enable brings it back",
            "Reissue: what came from a version ends, and is seen to end",
            "Reissue: a mint whose answer was lost is found again",
            "Reissue: a call too many is Throttled and changes nothing",
            "Reissue: somebody who may not mint is Denied",
            // `crashes.rs` has them, file by file.
            "Reissue: after a crash at each request of mint it is taken up again",
            "Reissue: after a crash at each request of promote it is taken up again",
            "Reissue: after a crash at each request of revoke it is taken up again",
            "consumer: reload, twice, brings the workload to the new value",
            "consumer: a workload that does not run is Missing",
        ],
        "{report}"
    );
}

/// Authorities and leaves, tried by their lists and by a server that relies on all of them.
struct Authorities {
    land: Land,
    connector: Arc<dyn Connector>,
    leaves: Target,
    relying: Server,
}

impl Authorities {
    async fn new() -> Self {
        let land = Land::new().await;
        let alone = land.open(&[]);
        let leaves = land.authority();
        mint(&land, alone.as_ref(), &leaves).await;
        let pair = mint(&land, alone.as_ref(), &land.leaf(&leaves)).await;
        let relying = Server::start(&pair.material, Some(land.believes())).await;
        // Its own certificate is another authority's than those that come and go.
        let roots = land.folder().join("roots.pem");
        std::fs::write(&roots, pair.material.username.unwrap()).unwrap();
        let connector = land.open_trusting(&relying.address, &roots);
        Self { land, connector, leaves, relying }
    }
}

#[async_trait]
impl Harness for Authorities {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    async fn call(&self) -> Call {
        self.land.call()
    }

    async fn issuer_case(&self, strategy: Strategy) -> Option<IssuerCase> {
        let leaf = strategy == Strategy::Reissue;
        let target = if leaf { self.land.leaf(&self.leaves) } else { self.land.authority() };
        let old = mint(&self.land, self.connector.as_ref(), &target).await;
        let nowhere = Target { name: "nowhere".to_owned(), settings: target.settings.clone() };
        let missing = if leaf { self.land.leaf(&nowhere) } else { nowhere };
        Some(IssuerCase { target, old, missing })
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.land.lists.requests() + self.relying.handshakes())
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        let settings = json!({"folder": "/nonexistent/remint", "relyingParties": [{"address": "127.0.0.1:1"}]});
        Some(remint_pki::kind().open(&settings, &HostRules::default()).unwrap())
    }
}

#[tokio::test]
async fn authorities_and_leaves_behave_as_the_contract_says_where_somebody_relies_on_them() {
    let report = run(&Authorities::new().await).await;
    assert_passes(&report);
    for strategy in ["Reissue", "DualTrust"] {
        let shown = report.passed.iter().filter(|name| name.starts_with(strategy)).count();
        assert_eq!(shown, 5, "{report}");
    }
}

//! How many requests one rotation is, counted at the server of the lists and at the relying party: the number that the
//! connector declares, and that the catalogue's page names.

use remint_contract::{Connector, Strategy, Target};

use crate::land::tls::Server;
use crate::land::{Land, mint};

const PAGE: &str = include_str!("../../../src/docs/catalogue/pki.md");

/// What the engine asks of an issuer for one rotation: the old value before, the new one, the change, the old value twice
/// and the new one as control, and what lives.
async fn rotation(land: &Land, connector: &dyn Connector, target: &Target) {
    let old = mint(land, connector, target).await;
    let call = land.call();
    let endpoints = connector.describe().issuer.unwrap().endpoints.len();
    let probe = async |material| {
        for endpoint in 0..endpoints {
            drop(connector.probe(&call, target, material, endpoint).await.unwrap());
        }
    };
    probe(&old.material).await;
    let new = mint(land, connector, target).await;
    connector.verify(&call, target, &new.material).await.unwrap();
    connector.compare_rights(&call, target, &old.version, &new.version).await.unwrap();
    if target.settings.get("authority").is_none() {
        connector.promote(&call, &target.name, &new.version.0).await.unwrap();
    }
    connector.revoke(&call, target, &old.version).await.unwrap();
    for material in [&old.material, &old.material, &new.material] {
        probe(material).await;
    }
    connector.enumerate(&call, std::slice::from_ref(target)).await.unwrap();
}

#[tokio::test]
async fn one_rotation_is_as_many_requests_as_declared_and_written_down() {
    let land = Land::new().await;
    let alone = land.open(&[]);
    let authority = land.authority();
    mint(&land, alone.as_ref(), &authority).await;
    let own = mint(&land, alone.as_ref(), &land.leaf(&authority)).await;
    let server = Server::start(&own.material, Some(land.believes())).await;
    let count = || u32::try_from(land.lists.requests() + server.handshakes()).unwrap();
    let before = count();
    rotation(&land, alone.as_ref(), &land.leaf(&authority)).await;
    let reissue = count() - before;
    let relied_on = land.open(&[&server.address]);
    let other = land.authority();
    let before = count();
    rotation(&land, relied_on.as_ref(), &other).await;
    let counted = [(Strategy::Reissue, reissue), (Strategy::DualTrust, count() - before)];
    assert_eq!(relied_on.describe().issuer.unwrap().calls, counted);
    for (strategy, requests) in counted {
        let line = format!("| {} | {requests} |", serde_json::json!(strategy).as_str().unwrap());
        assert!(PAGE.contains(&line), "src/docs/catalogue/pki.md lacks: {line}");
    }
}

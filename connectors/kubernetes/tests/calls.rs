//! How many requests one rotation is, counted on the way to the server: the number that the connector declares, and that the
//! catalogue's page names.

use remint_contract::{Material, MintRequest, Strategy, Target};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Proxy, open};

const PAGE: &str = include_str!("../../../src/docs/catalogue/kubernetes.md");

/// What the engine asks of an issuer for one rotation at one endpoint: the old value before, the new one, the change, the
/// old value twice and the new one as control, and what lives.
#[tokio::test]
async fn one_rotation_is_as_many_requests_as_declared_and_written_down() {
    let cluster = Cluster::find();
    for tokens in ["bound", "legacy"] {
        let namespace = cluster.namespace().await;
        let proxy = Proxy::to(&cluster).await;
        let connector = open(&proxy.address, &namespace, &json!({"tokens": tokens}));
        let target = Target { name: cluster.account(&namespace).await, settings: Value::Null };
        let request = MintRequest {
            target: target.clone(),
            strategy: Strategy::Overlap,
            old: None,
            old_username: None,
            proposed: None,
        };
        let call = cluster.acting(&cluster.admin);
        let old = connector.mint(&call, &request).await.unwrap();
        let call = cluster.acting(&cluster.admin);
        let before = proxy.requests();
        let probe = async |material: &Material| drop(connector.probe(&call, &target, material, 0).await.unwrap());
        probe(&old.material).await;
        let new = connector.mint(&call, &MintRequest { old: Some(old.version.clone()), ..request }).await.unwrap();
        connector.verify(&call, &target, &new.material).await.unwrap();
        connector.revoke(&call, &target, &old.version).await.unwrap();
        for material in [&old.material, &old.material, &new.material] {
            probe(material).await;
        }
        connector.enumerate(&call, std::slice::from_ref(&target)).await.unwrap();
        let counted = u32::try_from(proxy.requests() - before).unwrap();
        let declared = connector.describe().issuer.unwrap().calls;
        assert_eq!(declared, [(Strategy::Overlap, counted)], "{tokens}: {:?}", proxy.seen());
        let line = format!("| {tokens} | overlap | {counted} |");
        assert!(PAGE.contains(&line), "src/docs/catalogue/kubernetes.md lacks: {line}");
    }
}

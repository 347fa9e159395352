//! The engine over fake services: whole resets, and what goes wrong in them.

use remint::engine::record::ResetStatus;

use crate::rig::{Rig, states};

#[tokio::test]
async fn a_rolling_reset_replaces_delivers_confirms_revokes_and_proves() {
    let rig = Rig::start(3).await;
    let before: Vec<_> = (0..3).map(|index| rig.store.value(&format!("apps/{index}"), "secret").unwrap()).collect();
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    let records = engine.rotations(&reset.id).await.unwrap();
    assert_eq!(states(&records), [("settled (provisional)".to_owned(), 3)].into(), "{records:#?}");
    assert_eq!(reset.status, ResetStatus::Provisional);
    for (index, old) in before.iter().enumerate() {
        let new = rig.store.value(&format!("apps/{index}"), "secret").unwrap();
        assert_ne!(&new, old);
        assert!(rig.issuer.accepts(&remint_contract::Material::of(new)));
        assert!(!rig.issuer.accepts(&remint_contract::Material::of(old.clone())));
        assert_eq!(rig.issuer.live_versions(&format!("app{index}")).len(), 1);
    }
    let (reset, outcome) = engine.reprove(&reset.id).await.unwrap();
    assert_eq!((reset.status, outcome.refused.len()), (ResetStatus::Complete, 3));
}

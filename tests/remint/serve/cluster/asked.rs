//! What teams that rotate by hand today asked an operator for, as one list: wso2/open-cloud-datacenter#299.

use serde_json::json;

use super::incident::events;
use super::{Cluster, Place, object, until};

/// How long the old value goes on beside the new one.
const GRACE: &str = "rotation: {strategy: overlap, overlap: 12s}";

#[tokio::test]
async fn an_annotation_rotates_with_a_grace_and_status_and_events_say_when_the_old_one_dies() {
    let cluster = Cluster::start().await;
    let place = Place::new(1).await;
    let text = place.documents().replace("rotation: {strategy: overlap}", GRACE);
    assert!(text.contains(GRACE));
    cluster.documents(&text).await;
    let daemon = cluster.serve(&place, place.open().await).await;
    let app0 = object("Credential", "app0", json!({}));
    until("the credential is known", async || {
        let there = cluster.get(&app0).await;
        let valid = there["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == "Valid")?.clone();
        (valid["status"] == "True").then_some(())
    })
    .await;
    let old = place.rig.value(0);

    // 1. An annotation triggers it.
    let now = jiff::Timestamp::now();
    let word = json!({"metadata": {"annotations": {"remint.dev/requested-at": now.to_string()}}});
    cluster.merge(&app0, &word).await.ok();

    // 2. The new value is delivered; the old one goes on for its grace.
    let there = cluster.stands(&app0, "/status/state", "Retiring").await;
    let new = place.rig.value(0);
    assert!(place.rig.issuer.accepts(&old) && place.rig.issuer.accepts(&new) && old.secret != new.secret);

    // 3. Status says when the old one dies, and nobody has to read a log for that.
    let dies: jiff::Timestamp = there["status"]["oldDiesAt"].as_str().unwrap().parse().unwrap();
    let (least, most) = (now + std::time::Duration::from_secs(11), now + std::time::Duration::from_secs(120));
    assert!(dies > least && dies < most, "{dies} of {now}");
    let ready = there["status"]["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "Ready").unwrap();
    assert!(ready["message"].as_str().unwrap().contains("the old one still lives"), "{ready}");

    // 4. An Event for the rotation, and none yet for the revocation.
    assert_eq!(events(&cluster, "app0").await, ["Rotated"]);

    // 5. The old one is dead when that was said, the status says since when all is well, and an Event tells of it.
    let there = cluster.stands(&app0, "/status/state", "Settled").await;
    assert!(!place.rig.issuer.accepts(&old) && place.rig.issuer.accepts(&new));
    assert!(jiff::Timestamp::now() >= dies, "not before what was said");
    assert!(there["status"]["oldDiesAt"].is_null() && there["status"]["lastRotated"].is_string(), "{there}");
    assert_eq!(there["status"]["proof"], "refused");
    until("two events", async || (events(&cluster, "app0").await == ["Revoked", "Rotated"]).then_some(())).await;

    // 6. The same annotation again asks for nothing more.
    cluster.merge(&app0, &json!({"metadata": {"annotations": {"touched": "yes"}}})).await.ok();
    cluster.merge(&app0, &word).await.ok();
    let resets = daemon.client.get("/v1/resets").await.ok();
    assert_eq!(resets.as_array().unwrap().len(), 1, "{resets}");
    daemon.stop().await;
}

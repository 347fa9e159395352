//! Every strategy and class: what each promises, in rolling mode and contained, through crashes, lag and stalls.

use std::collections::BTreeSet;
use std::time::Duration;

use remint_core::machine::{Reason, State};
use remint_core::plan::Plan;
use remint_core::step::Path;
use remint_fake::world::{Fault, Trouble};

use crate::crash::crash_here_and_there;
use crate::rig::{Rig, THINGS, assert_settled, told};
use crate::sorts::{Sort, estate_of};

fn on(rig: &Rig, path: Path) -> Plan {
    let mut plan = rig.plan();
    plan.members.iter_mut().for_each(|member| member.path = path);
    plan
}

/// One reset without any fault; what is true of every sort.
async fn reset(sort: Sort, path: Path) -> Rig {
    let rig = Rig::with(estate_of(sort)).await;
    let old = [rig.value(0)];
    assert!(rig.issuer.accepts(&old[0]), "{sort:?}");
    let traffic = rig.world.traffic(Duration::from_millis(5), &BTreeSet::default());
    let engine = rig.engine();
    let done = rig.reset(&engine, on(&rig, path)).await;
    assert_settled(&rig, &engine, &done, &old, &format!("{sort:?} {path}")).await;
    let seen = traffic.stop().await;
    // Neither an overwritten value nor a contained one promises that nobody fails.
    if path == Path::Rolling && sort != Sort::InPlace {
        assert_eq!(seen.failures, [], "{sort:?}");
    }
    assert_eq!((rig.issuer.early(), rig.issuer.stranded()), (Vec::new(), 0), "{sort:?}");
    rig
}

#[tokio::test]
async fn a_login_is_replaced_and_proven_dead() {
    reset(Sort::Login, Path::Rolling).await;
}

#[tokio::test]
async fn a_login_is_contained() {
    reset(Sort::Login, Path::Contain).await;
}

#[tokio::test]
async fn what_is_overwritten_is_replaced_and_proven_dead() {
    reset(Sort::InPlace, Path::Rolling).await;
}

#[tokio::test]
async fn what_is_overwritten_is_contained() {
    reset(Sort::InPlace, Path::Contain).await;
}

#[tokio::test]
async fn a_certificate_is_replaced_and_proven_dead() {
    reset(Sort::Certificate, Path::Rolling).await;
}

#[tokio::test]
async fn a_certificate_is_contained() {
    reset(Sort::Certificate, Path::Contain).await;
}

#[tokio::test]
async fn leases_are_replaced_and_proven_dead() {
    reset(Sort::Lease, Path::Rolling).await;
}

#[tokio::test]
async fn leases_are_contained() {
    reset(Sort::Lease, Path::Contain).await;
}

#[tokio::test]
async fn what_others_trust_is_replaced_and_proven_dead() {
    reset(Sort::Trusted, Path::Rolling).await;
}

#[tokio::test]
async fn what_others_trust_is_contained() {
    reset(Sort::Trusted, Path::Contain).await;
}

#[tokio::test]
async fn a_signing_key_is_replaced_and_proven_dead() {
    reset(Sort::SigningKey, Path::Rolling).await;
}

#[tokio::test]
async fn a_signing_key_is_contained() {
    reset(Sort::SigningKey, Path::Contain).await;
}

#[tokio::test]
async fn an_encryption_key_is_replaced_and_proven_dead() {
    reset(Sort::EncryptionKey, Path::Rolling).await;
}

#[tokio::test]
async fn an_encryption_key_is_contained() {
    reset(Sort::EncryptionKey, Path::Contain).await;
}

#[tokio::test]
async fn what_a_person_does_is_replaced_and_proven_dead() {
    reset(Sort::Manual, Path::Rolling).await;
}

#[tokio::test]
async fn what_a_person_does_is_contained() {
    reset(Sort::Manual, Path::Contain).await;
}

#[tokio::test]
async fn a_certificate_survives_crashes() {
    crash_here_and_there(estate_of(Sort::Certificate), Path::Rolling).await;
}

#[tokio::test]
async fn leases_survive_crashes() {
    crash_here_and_there(estate_of(Sort::Lease), Path::Rolling).await;
}

#[tokio::test]
async fn what_others_trust_survives_crashes() {
    crash_here_and_there(estate_of(Sort::Trusted), Path::Rolling).await;
}

#[tokio::test]
async fn a_signing_key_survives_crashes() {
    crash_here_and_there(estate_of(Sort::SigningKey), Path::Rolling).await;
}

#[tokio::test]
async fn an_encryption_key_survives_crashes() {
    crash_here_and_there(estate_of(Sort::EncryptionKey), Path::Rolling).await;
}

#[tokio::test]
async fn what_a_person_does_survives_crashes() {
    crash_here_and_there(estate_of(Sort::Manual), Path::Rolling).await;
}

#[tokio::test]
async fn containment_of_every_new_sort_survives_crashes() {
    for sort in [Sort::Certificate, Sort::Lease, Sort::Trusted, Sort::SigningKey, Sort::EncryptionKey, Sort::Manual] {
        crash_here_and_there(estate_of(sort), Path::Contain).await;
    }
}

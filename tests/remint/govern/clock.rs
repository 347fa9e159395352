//! A clock that was set back, by whoever has the machine: it lets nobody through, and no signature counts again.

use std::sync::Arc;
use std::time::Duration;

use remint::context::Context;
use remint::govern::{Gate, GateError};
use remint_contract::{Clock as _, TestClock};
use remint_core::approval::Signature;
use remint_core::gate::{Action, Caller, Entrance, Resource};

use super::daemon::resting;
use super::state::{Anything, Governed};

#[tokio::test]
async fn a_clock_that_was_set_back_lets_nobody_through_signs_nothing_and_starts_nothing() {
    let governed = Governed::with(1, resting).await;
    let id = governed.asked(governed.rig.plan()).await;
    governed.sign(&id, "bob").await;
    let (digest, file) = governed.app.engine.reset(&id).await.unwrap().waits();
    let what = format!("reset {id}");
    let note = governed.note("carol", &what, digest, &file);
    let signature = governed.vouched("carol", &note, &what, digest, &file).await.unwrap();

    let back = governed.clock.now() - Duration::from_mins(30);
    let earlier = Context { clock: Arc::new(TestClock::new(back)), ..Context::system() };
    let mut engine = governed.app.engine.clone();
    engine.context = earlier.clone();
    let early = Signature { at: back, ..signature.clone() };
    let refused = engine.sign(&id, digest, early).await.unwrap_err().to_string();
    assert!(refused.contains("clock"), "{refused}");

    let gate = Gate::open(Arc::clone(&engine.store), earlier).await.unwrap().decided_by(Arc::new(Anything));
    let caller = Caller::plain("unix:1", Entrance::Cli);
    for action in Action::ALL.into_iter().filter(|action| !action.only_looks()) {
        match gate.pass(&caller, "nobody", action, &Resource::Estate).await {
            Err(GateError::Denied { decision, .. }) => assert!(decision.to_string().contains("set it right")),
            other => panic!("{action}: {other:?}"),
        }
    }
    assert!(gate.pass(&caller, "nobody", Action::Read, &Resource::Estate).await.is_ok(), "looking is no act");

    // Both signed; what rested long enough by the right clock does not start by the wrong one.
    governed.app.engine.sign(&id, digest, signature).await.unwrap();
    let refused = engine.begin(&id).await.unwrap_err().to_string();
    assert!(refused.contains("clock"), "{refused}");
    let old = governed.rig.value(0);
    assert!(governed.rig.issuer.accepts(&old));
    governed.clock.to(&(governed.clock.now() + Duration::from_mins(61)).to_string());
    governed.app.engine.begin(&id).await.unwrap();
}

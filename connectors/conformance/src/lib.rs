//! The suite that every connector must pass, chosen by what the connector declares.
//!
//! Flow: a connector's test implements [`Harness`] over a real target, calls [`run`] and then [`assert_passes`]. A verb
//! that is declared must work, one that is not must say so; each is repeated, called in the wrong order, for things that
//! are not there, by somebody who may not, against a target that is gone, and again after a crash at each of its requests.
//!
//! Guarantees: every secret that the suite hands out or receives carries through a [`leaks::Leaks`] scanner, and every
//! error and every printed value is searched for it. What a harness cannot set up is reported as not shown, never as
//! passed.

mod consumer;
mod crash;
mod errors;
pub mod gate;
mod harness;
mod issuer;
pub mod leaks;
pub mod proxy;
mod report;
mod roles;
mod store;

use std::collections::BTreeSet;

pub use crash::at_each_request;
pub use harness::{ConsumerCase, Crash, Cut, Fault, Harness, IssuerCase, StoreCase};
pub use report::{Report, assert_passes};

use crate::roles::Suite;

/// Runs every check that the connector's declaration asks for.
pub async fn run(harness: &dyn Harness) -> Report {
    let mut suite = Suite::new(harness);
    errors::check(&mut suite).await;
    let declared = harness.connector().describe();
    if let Some(issuer) = &declared.issuer {
        for strategy in issuer.strategies.iter().copied().collect::<BTreeSet<_>>() {
            issuer::check(&mut suite, strategy).await;
            crash::issuer(&mut suite, strategy).await;
        }
    }
    if declared.store.is_some() {
        store::check(&mut suite).await;
        crash::store(&mut suite).await;
    }
    if declared.consumer.is_some() {
        consumer::check(&mut suite).await;
        crash::consumer(&mut suite).await;
    }
    suite.finish()
}

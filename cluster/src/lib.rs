//! Documents and acts as custom resources of a Kubernetes cluster.
//!
//! Everything here is pure: what an API server is told of the kinds ([`crd`], [`schema`]), what it is answered when it asks
//! ([`admission`]), how an object becomes a document ([`document`]) or an act ([`act`]), what is said of it in its status
//! ([`condition`], [`progress`]), and who of several leads ([`lease`]). The doing is the daemon's.

pub mod act;
pub mod admission;
pub mod certificate;
pub mod condition;
pub mod crd;
pub mod document;
pub mod lease;
pub mod progress;
pub mod schema;
pub mod webhook;

pub use crd::{GROUP, RESOURCES, Resource, VERSION};

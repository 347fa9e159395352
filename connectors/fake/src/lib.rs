//! A scripted target over real HTTP sockets, for engine tests, the demo and benchmarks.
//!
//! - [`world`] is the other side: issuers, stores and workloads that listen on loopback, do what real ones do, and
//!   fail on demand; an attacker who never stops; and traffic that shows an outage.
//! - [`connector`] is how Remint talks to it: the kind `fake`, with every verb of the contract.
//! - [`demo`] puts an estate of services, documents and attacker together.
//!
//! Both halves meet only in [`wire`], the shape of requests and answers. Nothing here is meant to guard anything: the
//! values are made from a seed, so that a run can be repeated.

pub mod connector;
pub mod demo;
mod wire;
pub mod world;

pub use connector::FakeKind;
pub use world::World;

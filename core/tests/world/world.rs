//! The world that plans are tried in: estates, connector kinds, and a model in which an attacker acts between the steps.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test program uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot make its estate has failed")]

mod hands;
mod kinds;
mod make;
mod model;
mod random;
mod run;

pub use hands::Hands;
pub use kinds::TestKinds;
pub use make::{Make, cred, meta, pattern, r, unlock};
pub use model::World;
pub use random::{Dice, random};
pub use run::{Fault, run};

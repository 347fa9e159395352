//! Everything that is tested through the library's own doors, in one program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod engine;
mod escrow;
mod evidence;
mod harden;
mod postgres;
mod rig;
mod store;

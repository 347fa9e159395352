//! Remint: the daemon, its command line, and what composes them.

pub mod context;
pub mod engine;
pub mod escrow;
pub mod evidence;
pub mod harden;
pub mod store;

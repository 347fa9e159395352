//! Remint: the daemon, its command line, and what composes them.

pub mod escrow;
pub mod evidence;
pub mod harden;
pub mod store;

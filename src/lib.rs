//! Remint: the daemon, its command line, and what composes them.

pub mod evidence;
pub mod store;

//! Remint: the daemon, its command line, and what composes them.

mod answer;
pub mod app;
pub mod check;
pub mod cli;
pub mod config;
pub mod context;
pub mod demo;
mod durable;
pub mod engine;
pub mod escrow;
pub mod evidence;
pub mod govern;
pub mod harden;
pub mod keeper;
pub mod keys;
pub mod privacy;
pub mod prober;
pub mod recover;
pub mod registry;
pub mod report;
pub mod serve;
pub mod store;
pub mod stream;
mod terminal;
pub mod watch;

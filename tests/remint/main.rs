//! Everything that is tested through the library's own doors, in one program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod backup;
mod budget;
mod capabilities;
mod certificates;
mod chaos;
mod cli;
mod confirm;
mod contain;
mod crash;
mod dark;
mod engine;
mod escrow;
mod every;
mod evidence;
mod foreign;
mod govern;
mod harden;
mod identity;
mod incident;
mod keeper;
mod keys;
mod leak;
mod lies;
mod log;
mod owner;
mod pages;
mod postgres;
mod privacy;
mod prober;
mod recover;
mod replicas;
mod report;
mod rig;
mod rights;
mod rollback;
mod serve;
mod sim;
mod sorts;
mod standstill;
mod store;
mod strategies;
mod stream;
#[path = "../../xtask/src/postgres.rs"]
#[allow(dead_code, clippy::print_stderr, reason = "it belongs to xtask, which needs other parts of it")]
mod throwaway;
mod tidy;
mod whole;
mod windows;

/// An error is a sentence for a person, as in xtask.
type Outcome<T> = Result<T, String>;

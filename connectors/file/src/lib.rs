//! Files of one folder: a store of values, and a host of the workloads that read them.
//!
//! Flow: `write` stages named fields beside a file, `promote` replaces the file in one step, `reload` makes the workload
//! read it again, `observe` asks the workload which value it uses.
//!
//! Guarantees: no path leads out of the root, whatever links others make meanwhile; readers see a whole file, the old
//! one or the new one, also after a crash; a replaced file keeps its owner, permissions, comments, order and every other
//! field; a command comes from the daemon's configuration and an address is one of this machine.
//!
//! Assumptions: the folder is on a file system with atomic rename and `flock`; Remint may write the folder, and is root
//! where files belong to others.
//!
//! Errors: a value that the format cannot carry is `RefusedValue`; a lost race is `Conflict`; a file or folder that is
//! not there is `Missing`; a link, a pipe or a folder in the file's place is `Invalid`.

mod config;
mod connector;
pub mod encode;
mod error;
mod http;
mod observe;
mod place;
mod read;
mod reload;
mod replace;
mod settings;
mod stage;
mod write;

use remint_contract::ConnectorKind;

/// The kind `file`.
pub fn kind() -> impl ConnectorKind {
    connector::FileKind
}

//! A certificate authority of ours, kept in files of the machine where Remint runs.
//!
//! Flow: a folder per authority holds its generations (certificate and key) and what they issued. `mint` makes a leaf, or a
//! new generation of the authority; `promote` makes that generation the one that signs; `revoke` puts a serial number on
//! the list of the generation that signed it; `observe` looks which leaf an address serves.
//!
//! Guarantees: a key of an authority never leaves its folder; what was issued is written down before anybody gets it; a
//! list is trusted only when the authority signed it and it is not overdue; a certificate counts as refused only where a
//! relying party was asked, by its alert on the certificate itself.
//!
//! Assumptions: nobody but Remint writes into the folder; the file system has atomic rename and `flock`; the machine's clock
//! is right.
//!
//! Errors: a folder that is not there is `Unreachable` (it may not be mounted), an authority that is not there `Missing`.

mod authority;
mod calls;
mod config;
mod connector;
mod error;
mod issue;
mod list;
mod probe;
mod revoke;
mod target;

use remint_contract::ConnectorKind;

/// The kind `pki`.
pub fn kind() -> impl ConnectorKind {
    connector::PkiKind
}

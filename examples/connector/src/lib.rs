//! A connector from nothing to passing: a store that keeps each value in a file of its own, `ROOT/PATH/FIELD`.
//!
//! It is here to be read and copied, and no part of the product: `connectors/file` keeps values in files that programs read.
//!
//! Flow: settings are read into a type, `describe` says what follows from them without a call, and each verb is one call.
//! Guarantees: readers see the old value or the new one, never a part; a value is readable by its owner alone.
//! Assumptions: the disk is quick; a call to anything slower would not block its thread as this does.
//! Errors: by what the file system says; a path in a folder that is not there is `Missing`.

mod config;
mod connector;
mod error;

use remint_contract::ConnectorKind;

/// The kind `notes`.
pub fn kind() -> impl ConnectorKind {
    connector::NotesKind
}

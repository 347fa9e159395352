//! Any program as a connector: one line of JSON in, one line of JSON out.
//!
//! Flow: for every verb the program is started anew. It reads `describe` and answers with what it can do; when that is
//! what the System document declares, and only then, it reads the request on a second line, answers it and ends. The
//! words of both lines are `protocol.schema.json` beside this crate's README.
//!
//! Guarantees: a document names a command of the daemon's own configuration, never a program or an argument; secrets go
//! over standard input only, and only to a program that declared what was approved; the environment is empty but for a
//! fixed `PATH` and `LC_ALL`; the program and all that it started are killed when the time is over, when the call is
//! given up, and when the answer is there; what it writes is bounded; no word of it reaches an error when it holds a
//! secret of the call.
//!
//! Assumptions: the program is trusted with the secrets of its systems, as a connector is. What it starts in a session
//! of its own (`setsid`) is out of reach of the kill.
//!
//! Errors: the program's own class when it answers with one. A program that cannot be started, or that fails before it
//! has read the request, is `Unreachable`: nothing was done. One that fails later is `Unclear` where the verb changes
//! something, and else `Unreachable`. One that declares something else is `Invalid`.

mod config;
mod connector;
mod error;
mod program;
mod redact;
mod wire;

use remint_contract::ConnectorKind;

/// The kind `exec`.
pub fn kind() -> impl ConnectorKind {
    connector::ExecKind
}

//! Governance: who may, at one gate that every entrance passes.
//!
//! Flow: an entrance verifies a caller and asks the [`Gate`]; the gate reads the active [`Charter`] (policies and the table
//! of persons), puts the question to the decision [`Program`], and writes the answer down; what it takes beyond that (how
//! many persons, how far apart) is looked at when a credential starts, see `engine::approvals`.
//!
//! Guarantees: a state that is governed denies everything but looking ahead where nobody decides; a charter becomes active
//! only by the consent, under the one before, of two persons; every decision about an act is an entry.

pub mod charter;
mod consent;
mod gate;
mod program;
mod subject;
pub mod yes;

pub use charter::{Charter, CharterError};
pub use consent::Consent;
pub(crate) use gate::{DECIDED_BY, active_key as active_charter, marker};
pub use gate::{Gate, GateError, Passed};
pub use program::{Program, ProgramError};
pub use subject::{credential, exception, named, reset, standing, thing, window};
pub use yes::{About, PersonKey, YesError};

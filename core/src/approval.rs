//! What it takes: the obligations of a credential, and how far the approvals of a reset meet them. No IO, no clock.
//!
//! Flow: [`Obligations::of`] merges every matching `ApprovalPolicy` (the strictest value of each field wins; none matching is
//! the strict default); a [`Case`] collects what people said of one reset's plan and its revisions; [`Case::standing`] says
//! whether one credential may start now, and else what is missing.
//!
//! Guarantees:
//! - a signature is of one plan's Merkle digest; it counts for a leaf as long as no revision changed that leaf;
//! - persons are counted, not principals: an unmapped principal counts for nothing where persons have to differ;
//! - time never runs backwards in a case: a clock that was set back revives nothing;
//! - what is withdrawn or expired stops the credentials that did not start, and no other.

mod case;
mod obligations;
mod party;
mod signature;
mod standing;

pub use case::{Case, Refusal, Way};
pub use obligations::{Obligations, Separate};
pub use party::{Executor, Party, Person};
pub use signature::{Additions, Delta, Signature, Signed, Strength};
pub use standing::{Candidate, Lack, Met};

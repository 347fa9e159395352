//! May they: Cedar, behind the [`Decider`](remint_core::gate::Decider) of the core. No other crate knows Cedar.
//!
//! Flow: [`Policies::parse`] reads, names and validates policies against our own schema, and sorts them by action and by
//! whom they speak of; [`Policies::decide`](remint_core::gate::Decider::decide) asks only those that can have a say.
//!
//! Guarantees:
//! - what is not permitted is denied, and one `forbid` outweighs every `permit`;
//! - a policy that does not fit the schema, has no `@id`, or is a template is refused as a whole set, before it can be
//!   staged; what fails while it is evaluated denies;
//! - sorting changes no answer: a test compares it with all policies asked at once.

mod asked;
mod policies;
mod schema;
mod sorted;

pub use policies::{Policies, PolicyError};
pub use remint_core::gate::Question;

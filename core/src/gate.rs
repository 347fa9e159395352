//! May they: the words that whoever decides is asked in. Who decides is behind [`Decider`]; nothing here knows how.
//!
//! Flow: an entrance hands over a [`Caller`] that it has verified; [`Table`] says which person that is; a [`Decider`] says
//! whether he may do an [`Action`] to a [`Resource`]; obligations are another matter, see [`crate::approval`].
//!
//! Guarantees: what nobody decides is denied ([`without_engine`]); a group is a flat list of persons, so that nobody comes
//! into one through another.

mod action;
mod caller;
mod decision;
mod resource;
mod table;

pub use action::Action;
pub use caller::{Caller, Entrance};
pub use decision::{Decider, Decision, Question, Why, without_engine};
pub use resource::{Resource, Scope};
pub use table::{Table, TableError};

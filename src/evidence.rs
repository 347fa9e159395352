//! The writing side of the evidence: entries are sealed by the store as they are committed.

pub mod seal;

//! The format from outside: committed vectors, known answers, other implementations, hostile bundles.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod approval;
mod attack;
mod bundle;
mod canonical;
mod cosignature;
mod log;
mod note;
mod observed;
mod oracle;
mod person;
mod report;
mod sample;
mod succession;
mod tile;
mod tree;
mod vectors;
mod witness;
mod witnessed;

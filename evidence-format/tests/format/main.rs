//! The format from outside: committed vectors, known answers, other implementations, hostile bundles.

mod bundle;
mod canonical;
mod note;
mod oracle;
mod report;
mod sample;
mod tree;
mod vectors;

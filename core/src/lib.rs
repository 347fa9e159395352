//! Deciding. Everything here is a pure, synchronous function of its arguments: the estate's documents, the graph of
//! what reaches what, the plan of a reset, and the machine of one rotation. Nothing here knows tokio, a file, a socket,
//! the time or a random number; the compiler keeps it so, because this crate does not depend on any of them.

pub mod approval;
pub mod calendar;
pub mod digest;
pub mod drift;
pub mod estate;
pub mod gate;
pub mod graph;
mod halves;
pub mod machine;
pub mod plan;
pub mod schedule;
pub mod step;

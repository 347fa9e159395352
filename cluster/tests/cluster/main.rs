//! Custom resources: what is pure alone, and what an API server makes of it on a real one.

mod accepted;
mod act;
mod admission;
mod certificate;
mod chart;
mod definitions;
mod helm;
mod reader;
mod rendered;
mod rig;
mod server;
mod status;

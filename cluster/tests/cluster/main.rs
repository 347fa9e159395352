//! Custom resources: what is pure alone, and what an API server makes of it on a real one.

mod act;
mod admission;
mod chart;
mod definitions;
mod reader;
mod rig;
mod server;
mod status;

//! Hostile input for every reader of the evidence, on the stable toolchain: `cargo xtask fuzz [TARGET] [--minutes N]`.
//!
//! Flow: a [`target::Target`] reads bytes and asserts what must hold of whatever it accepts: it has one form, it is what a
//! writer can give, a changed bundle is never accepted. [`run::run`] mutates known inputs ([`mutate`]); one with an outcome that
//! was not seen before, by the words of the refusal, is kept and mutated further, which stands in for instrumented code.
//! What fails is written beside the seeds, and is one from then on.
//!
//! Guarantees: the same seed number gives the same inputs. `seeds/` is replayed by an ordinary test, with some thousand
//! mutations of each.

pub mod mutate;
pub mod run;
pub mod sample;
pub mod target;

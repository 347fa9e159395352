//! The suite finds what is wrong: an issuer and a store in memory, sound and with one defect at a time.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod lock;
mod shelf;

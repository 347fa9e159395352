//! The writing side of the evidence: the key that signs, the sequencer that gives entries their places, and the export
//! of a bundle. What the bytes look like is `remint_evidence_format`'s; the store numbers and chains entries as it
//! commits them.

pub mod acts;
pub mod anchor;
pub mod elsewhere;
mod entries;
pub mod export;
pub mod folder;
pub mod key;
pub mod publish;
pub mod refusals;
pub mod rotation;
pub mod sequencer;
pub mod signer;
pub mod tiles;
pub mod witnessing;
pub mod years;

pub use self::entries::told;
pub use self::export::{ExportError, export, export_seen};
pub use self::sequencer::{Flush, Sequencer, SequencerError};
pub use self::signer::Signer;
pub use self::tiles::Tiles;

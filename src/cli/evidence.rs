//! `evidence list|export|verify|report|match|fingerprint|erase`.

use clap::Subcommand;

use crate::cli::{Exit, Failure, Session};

mod erase;
mod export;
pub(super) mod list;
mod matched;
mod report;
mod trust;
mod verify;

#[derive(Debug, Subcommand)]
pub(super) enum Evidence {
    /// The entries of a reset
    List(list::List),
    /// Write a reset's bundle: everything an auditor needs, in one file or one folder
    Export(export::Export),
    /// Verify a bundle, offline; needs no state. Exit 0 only when there is no doubt at all
    Verify(verify::Verify),
    /// Write one page about a bundle, to read and to print: what happened, how it is known, and what is not
    Report(report::Report),
    /// Look for values of ours in a text that was found somewhere; that somebody looked is an entry
    Match(matched::Match),
    /// Begin a new generation of keyed fingerprints; the first one turns them on, and values that are captured or minted from
    /// then on can be matched
    Fingerprint,
    /// Erase a person's name from beside the tree; what was done stays, and by the same person as before
    Erase(erase::Erase),
}

impl Evidence {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Export(export) => export.run(session).await,
            Self::Verify(verify) => verify.run(session),
            Self::Report(report) => report.run(session),
            Self::Match(text) => text.run(session).await,
            Self::Fingerprint => matched::rotate(session).await,
            Self::Erase(erase) => erase.run(session).await,
        }
    }
}

//! What whoever verifies brings along, as options.

use std::path::{Path, PathBuf};

use clap::Args;
use remint_evidence_format::bundle::{Bundle, Trust};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::cosignature::{Quorum, WitnessKey};
use remint_evidence_format::note::{Note, VerifierKey};
use remint_evidence_format::report::Report;

use crate::cli::{Exit, Failure};
use crate::evidence::folder::{self, FolderError};

#[derive(Debug, Args)]
pub(super) struct Trusted {
    /// The public key, as `remint init` printed it. Without it only integrity is checked, and the exit is 1
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// A checkpoint that you saw before: the `checkpoint` file of an earlier bundle, or the anchor
    #[arg(long, value_name = "FILE")]
    seen: Option<PathBuf>,
    /// The public key of a prober that you trust: then it must have seen every old value refused. Repeat it for more
    #[arg(long, value_name = "VKEY")]
    prober: Vec<String>,
    /// The public key of a witness that you trust: it must have seen the log. Repeat it for more
    #[arg(long, value_name = "VKEY")]
    witness: Vec<String>,
    /// How many of the witnesses must have seen it; all of them when nothing is said
    #[arg(long, value_name = "N", requires = "witness")]
    quorum: Option<usize>,
}

impl Trusted {
    /// # Errors
    /// An option cannot be read.
    pub(super) fn read(&self) -> Result<Trust, Failure> {
        let key = self.key.as_deref().map(|text| parse("--key", text)).transpose()?;
        let seen = self.seen.as_deref().map(|path| checkpoint(path, key.as_ref())).transpose()?;
        let probers = self.prober.iter().map(|text| parse("--prober", text)).collect::<Result<_, _>>()?;
        let witnesses = self.witness.iter().map(|text| {
            WitnessKey::parse(text).map_err(|error| {
                Failure::usage(format!("--witness is not a public key as `remint witness` prints it: {error}"))
            })
        });
        let witnesses = witnesses.collect::<Result<Vec<_>, _>>()?;
        let quorum = (!witnesses.is_empty()).then(|| Quorum::new(self.quorum.unwrap_or(witnesses.len()), witnesses));
        let witnesses = quorum.transpose().map_err(|error| Failure::usage(format!("--quorum: {error}")))?;
        Ok(Trust { key, seen, probers, witnesses })
    }
}

fn parse(option: &str, text: &str) -> Result<VerifierKey, Failure> {
    VerifierKey::parse(text)
        .map_err(|error| Failure::usage(format!("{option} is not a public key as `remint init` prints it: {error}")))
}

/// A checkpoint that was kept. With a key it must be signed by it: else anybody could hand over one that fits.
pub(super) fn checkpoint(path: &Path, key: Option<&VerifierKey>) -> Result<Checkpoint, Failure> {
    let bytes =
        std::fs::read(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let read = match key {
        Some(key) => Checkpoint::open(&bytes, key),
        None => Note::parse(&bytes).and_then(|note| Checkpoint::parse(note.text)),
    };
    read.map_err(|error| Failure::usage(format!("{} is not a checkpoint of this log: {error}", path.display())))
}

/// A bundle from disk and what verifying it says; no bundle where there is none to be read.
///
/// # Errors
/// There is nothing to be read.
pub(super) fn verified(path: &Path, trust: &Trust) -> Result<(Option<Bundle>, Report), Failure> {
    match folder::read(path) {
        Ok(bundle) => {
            let report = bundle.verify_with(trust);
            Ok((Some(bundle), report))
        }
        Err(FolderError::Format(error)) => Ok((None, Report::unreadable(&error))),
        Err(error) => Err(Failure::new(Exit::Usage, error)),
    }
}

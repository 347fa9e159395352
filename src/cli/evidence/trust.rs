//! What whoever verifies brings along, as options.

use std::path::{Path, PathBuf};

use clap::Args;
use remint_evidence_format::bundle::{Bundle, Trust};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{Note, VerifierKey};
use remint_evidence_format::report::Report;

use crate::cli::witnesses::Witnesses;
use crate::cli::{Exit, Failure};
use crate::evidence::folder::{self, FolderError};

#[derive(Debug, Args)]
pub(super) struct Trusted {
    /// The public key, as `remint init` printed it; where the log changed its key, it is followed from there. Without it only integrity is checked, and the exit is 1
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// A checkpoint that you saw before: the `checkpoint` file of an earlier bundle, or the anchor
    #[arg(long, value_name = "FILE")]
    seen: Option<PathBuf>,
    /// The public key of a prober that you trust: then it must have seen every old value refused. Repeat it for more
    #[arg(long, value_name = "VKEY")]
    prober: Vec<String>,
    /// The public key that you know a person by, as `remint policy key` printed it: then every approval that was signed must
    /// be signed with one of them. Repeat it for more
    #[arg(long, value_name = "VKEY")]
    person: Vec<String>,
    #[command(flatten)]
    witnesses: Witnesses,
}

impl Trusted {
    /// What was brought along; a checkpoint that was seen before may be signed by the key that was given, or by one that it
    /// leads to in the bundle.
    ///
    /// # Errors
    /// An option cannot be read.
    fn read(&self, bundle: Option<&Bundle>) -> Result<Trust, Failure> {
        let key = self.key.as_deref().map(|text| parse("--key", text)).transpose()?;
        let last = key.as_ref().zip(bundle).and_then(|(key, bundle)| bundle.follow(key).ok());
        let keys: Vec<VerifierKey> = key.iter().cloned().chain(last.map(|followed| followed.key)).collect();
        let seen = self.seen.as_deref().map(|path| checkpoint(path, &keys)).transpose()?;
        let probers = self.prober.iter().map(|text| parse("--prober", text)).collect::<Result<_, _>>()?;
        let persons = self.person.iter().map(|text| parse("--person", text)).collect::<Result<_, _>>()?;
        let witnesses = self.witnesses.quorum()?;
        Ok(Trust { key, seen, probers, persons, witnesses })
    }
}

fn parse(option: &str, text: &str) -> Result<VerifierKey, Failure> {
    VerifierKey::parse(text)
        .map_err(|error| Failure::usage(format!("{option} is not a public key as `remint init` prints it: {error}")))
}

/// A checkpoint that was kept. With keys it must be signed by one of them: else anybody could hand over one that fits.
pub(super) fn checkpoint(path: &Path, keys: &[VerifierKey]) -> Result<Checkpoint, Failure> {
    let bytes =
        std::fs::read(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let read = match keys {
        [] => Note::parse(&bytes).and_then(|note| Checkpoint::parse(note.text)),
        [first, rest @ ..] => rest
            .iter()
            .fold(Checkpoint::open(&bytes, first), |read, key| read.or_else(|_| Checkpoint::open(&bytes, key))),
    };
    read.map_err(|error| Failure::usage(format!("{} is not a checkpoint of this log: {error}", path.display())))
}

/// A bundle from disk and what verifying it says; no bundle where there is none to be read.
///
/// # Errors
/// There is nothing to be read, or an option cannot be.
pub(super) fn verified(path: &Path, trusted: &Trusted) -> Result<(Option<Bundle>, Report), Failure> {
    match folder::read(path) {
        Ok(bundle) => {
            let report = bundle.verify_with(&trusted.read(Some(&bundle))?);
            Ok((Some(bundle), report))
        }
        Err(FolderError::Format(error)) => {
            trusted.read(None)?;
            Ok((None, Report::unreadable(&error)))
        }
        Err(error) => Err(Failure::new(Exit::Usage, error)),
    }
}

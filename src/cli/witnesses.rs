//! The witnesses that whoever verifies trusts, as options.

use clap::Args;
use remint_evidence_format::cosignature::{Quorum, WitnessKey};

use crate::cli::Failure;

#[derive(Debug, Args)]
pub(super) struct Witnesses {
    /// The public key of a witness that you trust: it must have seen the log. Repeat it for more
    #[arg(long, value_name = "VKEY")]
    witness: Vec<String>,
    /// How many of the witnesses must have seen it; all of them when nothing is said
    #[arg(long, value_name = "N", requires = "witness")]
    quorum: Option<usize>,
}

impl Witnesses {
    /// `None` when nobody is trusted.
    ///
    /// # Errors
    /// A key is none, or the quorum cannot be met.
    pub(super) fn quorum(&self) -> Result<Option<Quorum>, Failure> {
        if self.witness.is_empty() {
            return Ok(None);
        }
        let keys = self.witness.iter().map(|text| {
            WitnessKey::parse(text).map_err(|error| {
                Failure::usage(format!("--witness is not a public key as `remint witness` prints it: {error}"))
            })
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let quorum = Quorum::new(self.quorum.unwrap_or(keys.len()), keys);
        quorum.map(Some).map_err(|error| Failure::usage(format!("--quorum: {error}")))
    }
}

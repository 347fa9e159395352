//! `evidence verify`.

use std::path::PathBuf;

use clap::Args;

use super::trust::{Trusted, verified};
use crate::cli::output::{data, json};
use crate::cli::{Exit, Failure, Session};

#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The file or the folder
    bundle: PathBuf,
    #[command(flatten)]
    trusted: Trusted,
}

impl Verify {
    pub(super) fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (_, report) = verified(&self.bundle, &self.trusted)?;
        if session.json() {
            json(&report.to_json())?;
        } else {
            data(&report.render());
        }
        Ok(if report.ok { Exit::Done } else { Exit::Failed })
    }
}

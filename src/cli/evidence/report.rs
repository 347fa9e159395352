//! `evidence report`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::trust::{Trusted, verified};
use crate::cli::output::{json, next, say};
use crate::cli::{Exit, Failure, Session};
use crate::report::render;

#[derive(Debug, Args)]
pub(in crate::cli) struct Report {
    /// The bundle: a file or a folder
    bundle: PathBuf,
    /// Where to write the page
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    trusted: Trusted,
}

impl Report {
    /// The page is written whatever the bundle is worth; the exit says what verifying it said.
    pub(super) fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (bundle, report) = verified(&self.bundle, &self.trusted)?;
        let page = render(bundle.as_ref(), &report).map_err(|error| Failure::new(Exit::Failed, error))?;
        std::fs::write(&self.out, &page)
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot write {}: {error}", self.out.display())))?;
        if session.json() {
            json(&json!({ "report": self.out, "bytes": page.len(), "verified": report.ok }))?;
        } else {
            say(&format!("{} bytes in {}", page.len(), self.out.display()));
            next(if report.ok {
                "open it in any browser, or print it; the bundle is what counts"
            } else {
                "read in it what does not hold: the bundle does not verify without doubt"
            });
        }
        Ok(if report.ok { Exit::Done } else { Exit::Failed })
    }
}

//! `store copy`.

use clap::{Args, Subcommand};

use crate::app::copy::{CopyError, copy};
use crate::app::{AppError, Places};
use crate::cli::output::{json, next, say};
use crate::cli::{Exit, Failure, Session};

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Carry everything to another back end, and check the tree's root there
    Copy(Copy),
}

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// The empty store: postgres://USER@HOST/DATABASE?password_file=PATH, or a state folder
    #[arg(long, value_name = "URL|FOLDER")]
    to: String,
}

impl Store {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let Self::Copy(Copy { to }) = self;
        let from = session.places()?;
        let target = if to.contains("://") {
            Places { store: Some(to.parse().map_err(AppError::from)?), ..from.clone() }
        } else {
            Places { state: to.clone().into(), store: None, ..from.clone() }
        };
        let copied = copy(&from, &target).await?;
        if session.json() {
            json(&copied)?;
            return Ok(Exit::Done);
        }
        say(&format!(
            "Copied, and read again: {} records, {} sealed values, {} entries, {} of them under the same signed root.",
            copied.records, copied.sealed, copied.entries, copied.tree
        ));
        say("Never start the old one again: two that go on from here would fork the evidence.");
        next(&match target.store {
            Some(_) => format!("write `store: {to}` into {}/remint.yaml, then start the daemons", from.state.display()),
            None => format!("start the daemon with --state {to}"),
        });
        Ok(Exit::Done)
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::App(error) => error.into(),
            error => Self::new(Exit::Failed, error),
        }
    }
}

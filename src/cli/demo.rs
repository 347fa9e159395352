//! `demo`: the incident, played.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use crate::cli::output::{data, json, next, say, table, watched};
use crate::cli::{Exit, Failure, Session};
use crate::demo::{DemoError, Options, Summary, play};

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Replace first and kill after (rolling), or kill first and replace after (contain)
    #[arg(long, value_enum, default_value_t = Mode::Rolling)]
    mode: Mode,
    /// How many credentials the estate has; 40 at the least
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(40..=20_000))]
    credentials: u32,
    /// Another seed gives other values
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Where the state, the graph and the bundle go; a new temporary folder when none is named
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Rolling,
    Contain,
}

impl Demo {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let folder = match self.keep {
            Some(folder) => {
                std::fs::create_dir_all(&folder)?;
                folder
            }
            None => tempfile::Builder::new().prefix("remint-demo-").tempdir()?.keep(),
        };
        let options = Options {
            contain: self.mode == Mode::Contain,
            credentials: self.credentials as usize,
            seed: self.seed,
            folder,
            watch: watched() && !session.json(),
        };
        let quiet = session.json();
        let tell = |text: &str| if quiet { say(text) } else { data(&format!("\n{text}")) };
        let summary = play(&options, Arc::clone(&session.kinds), &tell).await.map_err(failure)?;
        let good = summary.complete && summary.verified && summary.attacker_alive == 0 && summary.failed_requests == 0;
        if session.json() {
            json(&summary)?;
        } else {
            data(&rendered(&summary));
            say(&format!("The graph as a picture: {}", options.folder.join("graph.svg").display()));
            next(&format!("remint evidence verify {} --key {}", summary.bundle.display(), summary.key));
        }
        Ok(if good { Exit::Done } else { Exit::Failed })
    }
}

fn failure(error: DemoError) -> Failure {
    match error {
        DemoError::App(error) => error.into(),
        DemoError::Engine(error) => error.into(),
        error => Failure::new(Exit::Failed, error),
    }
}

fn rendered(summary: &Summary) -> String {
    let rows = [
        ["credentials replaced".to_owned(), format!("{} of {}", summary.settled, summary.credentials)],
        ["old values tried and refused".to_owned(), summary.proof.refused.to_string()],
        ["… without the whole control".to_owned(), summary.proof.refused_uncontrolled.to_string()],
        ["… gone by the issuer's list".to_owned(), summary.proof.absent.to_string()],
        ["foreign keys found and decided".to_owned(), summary.foreign.to_string()],
        [
            "the intruder".to_owned(),
            format!(
                "read {} values, minted {}, and has {} alive",
                summary.attacker_read, summary.attacker_minted, summary.attacker_alive
            ),
        ],
        [
            "requests of clean workloads".to_owned(),
            format!(
                "{}, {} failed, {} in announced outages",
                summary.requests, summary.failed_requests, summary.outage_requests
            ),
        ],
        ["seconds".to_owned(), format!("{:.1}", summary.seconds)],
    ];
    format!("\n8. How it ended.\n\n{}", table(["what", "how much"], rows))
}

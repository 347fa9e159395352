//! `generate`, `operator` and `k8s`: what a cluster is given, served, and freed of.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use remint_cluster::RESOURCES;
use remint_contract::Ref;

use crate::cli::output::{data, say};
use crate::cli::{Exit, Failure, Session, chart};
use crate::serve::release;

#[derive(Debug, Subcommand)]
pub(super) enum Generate {
    /// The custom resource definitions, as YAML
    Crds(Crds),
}

#[derive(Debug, Args)]
pub(super) struct Crds {
    /// Write each into a file of this folder instead of all to stdout
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

impl Generate {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let Self::Crds(Crds { to }) = self;
        for resource in RESOURCES {
            let (name, text) = resource.file().map_err(|error| Failure::new(Exit::Failed, error))?;
            match &to {
                None => data(&format!("---\n{}", text.trim_end())),
                Some(folder) => {
                    let path = folder.join(name);
                    let written = std::fs::write(&path, text);
                    written.map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", path.display())))?;
                    say(&format!("{}\n", path.display()));
                }
            }
        }
        Ok(Exit::Done)
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum K8s {
    /// Let an object of the cluster go that is held because its credential lives
    Release(Release),
    /// Bring the custom resource definitions of the cluster to what this version knows
    Definitions,
    /// Look whether the operator may go: not while an object is held because its credential lives
    Leave,
}

#[derive(Debug, Args)]
pub(super) struct Release {
    /// Credential/NAME or Credential/NAMESPACE/NAME
    credential: Ref,
}

impl K8s {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let Release { credential } = match self {
            Self::Release(release) => release,
            Self::Definitions => return chart::definitions(session).await,
            Self::Leave => return chart::leave(session).await,
        };
        release(&chart::at(session)?, &credential).await.map_err(|error| Failure::new(Exit::Unreachable, error))?;
        say(&format!(
            "{credential} is let go; what lives of it at its issuer stays in the active estate, and after that as a ghost, until it is proven dead\n"
        ));
        Ok(Exit::Done)
    }
}

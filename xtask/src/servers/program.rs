//! No servers, but programs of others that tests run; here they are only built, each from a small module of ours over the
//! library of its project.

use std::path::{Path, PathBuf};

use super::go::Module;
use super::{Running, Server};
use crate::Outcome;

/// One of them.
pub(super) struct Program {
    name: &'static str,
    /// Which it does not know of itself.
    version: &'static str,
    /// Where tests find its path.
    variable: &'static str,
    module: Module,
}

/// Helm's own command, over the chart.
pub(super) const HELM: Program = Program {
    name: "Helm",
    version: "4.3.1",
    variable: "REMINT_TEST_HELM",
    module: Module { folder: "helm", tags: "", link: "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1" },
};

/// Prometheus' reading of alert rules.
pub(super) const RULES: Program = Program {
    name: "Prometheus-rules",
    version: "0.316.0",
    variable: "REMINT_TEST_RULES",
    module: Module { folder: "rules", tags: "", link: "-s -w" },
};

/// It, where it lies.
struct Built {
    version: &'static str,
    variable: &'static str,
    path: PathBuf,
}

impl Server for Program {
    fn name(&self) -> &'static str {
        self.name
    }

    fn obtain(&self) -> Outcome<()> {
        self.module.program().map(drop)
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        let Self { version, variable, module, .. } = self;
        Ok(Box::new(Built { version, variable, path: module.program()? }))
    }

    fn stop(&self, _folder: &Path) -> Outcome<()> {
        Ok(())
    }
}

impl Running for Built {
    fn version(&self) -> &str {
        self.version
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![(self.variable, self.path.display().to_string())]
    }

    fn stay(self: Box<Self>) -> Option<PathBuf> {
        // What is kept is nobody's to remove.
        Some(self.path)
    }
}

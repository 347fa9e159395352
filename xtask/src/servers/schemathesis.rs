//! Schemathesis: questions made from the description of an API. No server, but a program of the Python index that a test
//! runs against its own daemon; here it is only installed.

use std::path::{Path, PathBuf};

use super::python::Packages;
use super::{Running, Server};
use crate::Outcome;

pub(super) struct Schemathesis;

const PACKAGES: Packages = Packages { folder: "schemathesis" };

/// The program, where it lies.
struct Installed {
    version: String,
    path: PathBuf,
}

impl Server for Schemathesis {
    fn name(&self) -> &'static str {
        "schemathesis"
    }

    fn obtain(&self) -> Outcome<()> {
        PACKAGES.path().map(drop)
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        let version = PACKAGES.pinned("schemathesis").unwrap_or_else(|| "unknown".to_owned());
        Ok(Box::new(Installed { version, path: PACKAGES.path()? }))
    }

    fn stop(&self, _folder: &Path) -> Outcome<()> {
        Ok(())
    }
}

impl Running for Installed {
    fn version(&self) -> &str {
        &self.version
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        // Where the interpreter finds its modules.
        vec![("REMINT_TEST_SCHEMATHESIS", self.path.display().to_string())]
    }

    fn stay(self: Box<Self>) -> Option<PathBuf> {
        // What is kept is nobody's to remove.
        Some(self.path)
    }
}

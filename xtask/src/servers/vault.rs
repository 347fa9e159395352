//! HashiCorp's Vault 1.14, the last release under the MPL: on demand only, and never in CI. It says the same words as OpenBao
//! in its place, so the same tests run against it.

use std::path::Path;

use super::go::Module;
use super::{Running, Server, daemon, openbao};
use crate::Outcome;

pub(super) struct Vault;

const MODULE: Module = Module { folder: "vault", tags: "", link: "-s -w" };

impl Server for Vault {
    fn name(&self) -> &'static str {
        "Vault-1.14"
    }

    fn obtain(&self) -> Outcome<()> {
        MODULE.program().map(drop)
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        let program = MODULE.program()?;
        Ok(Box::new(daemon::on_some_port(|| openbao::begin(self.name(), &program))?))
    }

    fn stop(&self, folder: &Path) -> Outcome<()> {
        daemon::stop(folder)
    }
}

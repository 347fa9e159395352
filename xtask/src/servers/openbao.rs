//! OpenBao, the open fork of Vault: built from its own module, started in its development mode, which keeps all data in
//! memory and is unsealed from the start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use super::daemon::{self, Daemon, Served};
use super::go::Module;
use super::{Running, Server};
use crate::Outcome;
use crate::postgres::{free_port, random};

pub(super) struct OpenBao;

/// Without symbols; it says which release it is, which it does not know of itself.
const MODULE: Module =
    Module { folder: "openbao", tags: "", link: "-s -w -X github.com/openbao/openbao/version.fullVersion=2.4.0" };

impl Server for OpenBao {
    fn name(&self) -> &'static str {
        "OpenBao"
    }

    fn obtain(&self) -> Outcome<()> {
        MODULE.program().map(drop)
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        let program = MODULE.program()?;
        Ok(Box::new(daemon::on_some_port(|| begin(self.name(), &program))?))
    }

    fn stop(&self, folder: &Path) -> Outcome<()> {
        daemon::stop(folder)
    }
}

/// A server of this API in its development mode.
pub(super) fn begin(name: &str, program: &Path) -> Outcome<Served> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let token = random()?;
    let folder = daemon::folder(name)?;
    let mut command = Command::new(program);
    command
        .args(["server", "-dev", "-dev-no-store-token", &format!("-dev-listen-address={address}")])
        .env_clear()
        .env("HOME", folder.path())
        .env("BAO_DEV_ROOT_TOKEN_ID", &token)
        .env("VAULT_DEV_ROOT_TOKEN_ID", &token);
    let health = || daemon::ask(address, "/v1/sys/health");
    let daemon = Daemon::start(command, folder, || health().is_some())?;
    let version = health().and_then(|body| field(&body, "version")).unwrap_or_else(|| "unknown".to_owned());
    let environment = vec![
        ("REMINT_TEST_OPENBAO", format!("http://{address}")),
        ("REMINT_TEST_OPENBAO_TOKEN", token),
        // For tests that seal one, or end it while they work.
        ("REMINT_TEST_OPENBAO_PROGRAM", program.display().to_string()),
    ];
    Ok(Served { daemon, version, environment })
}

/// A text of a flat JSON object, which is all that is read here.
fn field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next().map(str::to_owned)
}

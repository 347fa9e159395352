//! JupyterHub: a service with an HTTP API for tokens, for the connector `http`. Only its hub runs: nobody logs in to a
//! notebook, so there is no proxy before it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::daemon::{self, Daemon, Served};
use super::python::Packages;
use super::{Running, Server, kept};
use crate::Outcome;
use crate::postgres::{free_port, random};

pub(super) struct JupyterHub;

const PACKAGES: Packages = Packages { folder: "jupyterhub" };

impl Server for JupyterHub {
    fn name(&self) -> &'static str {
        "JupyterHub"
    }

    fn obtain(&self) -> Outcome<()> {
        PACKAGES.path().map(drop)
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        Ok(Box::new(daemon::on_some_port(|| begin(self.name()))?))
    }

    fn stop(&self, folder: &Path) -> Outcome<()> {
        daemon::stop(folder)
    }
}

fn begin(name: &str) -> Outcome<Served> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let token = random()?;
    let folder = daemon::folder(name)?;
    let secret = folder.path().join("token");
    fs::write(&secret, &token).map_err(|failure| format!("{} could not be written: {failure}", secret.display()))?;
    let mut command = PACKAGES.run("jupyterhub")?;
    command
        .arg("--config")
        .arg(kept::source(PACKAGES.folder).join("config.py"))
        .env("HOME", folder.path())
        .env("REMINT_HUB", format!("http://{address}"))
        .env("REMINT_HUB_TOKEN_FILE", &secret);
    let about = || daemon::ask(address, "/hub/api/");
    let daemon = Daemon::start(command, folder, || about().is_some())?;
    let version = about().and_then(|body| Some(body.split('"').nth(3)?.to_owned()));
    let environment = vec![("REMINT_TEST_JUPYTERHUB", address.to_string()), ("REMINT_TEST_JUPYTERHUB_TOKEN", token)];
    Ok(Served { daemon, version: version.unwrap_or_else(|| "unknown".to_owned()), environment })
}

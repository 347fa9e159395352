//! An OpenID provider, `oidc-provider`, for logins: three people who know one password.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::daemon::{self, Daemon};
use super::node::Packages;
use super::{Running, Server};
use crate::Outcome;
use crate::postgres::{free_port, random};

pub(super) struct OpenId;

const PACKAGES: Packages = Packages { folder: "openid" };

struct Started {
    daemon: Daemon,
    version: String,
    address: SocketAddr,
    password: String,
}

impl Server for OpenId {
    fn name(&self) -> &'static str {
        "oidc-provider"
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

fn begin(name: &str) -> Outcome<Started> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let password = random()?;
    let folder = daemon::folder(name)?;
    let secret = folder.path().join("password");
    fs::write(&secret, &password).map_err(|failure| format!("{} could not be written: {failure}", secret.display()))?;
    let mut command = PACKAGES.run("serve.mjs")?;
    command.arg(address.to_string()).arg(&secret);
    let daemon =
        Daemon::start(command, folder, || daemon::ask(address, "/.well-known/openid-configuration").is_some())?;
    let version = PACKAGES.version("oidc-provider").unwrap_or_else(|| "unknown".to_owned());
    Ok(Started { daemon, version, address, password })
}

impl Running for Started {
    fn version(&self) -> &str {
        &self.version
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("REMINT_TEST_OPENID", format!("http://{}", self.address)),
            ("REMINT_TEST_OPENID_PASSWORD", self.password.clone()),
        ]
    }

    fn stay(self: Box<Self>) -> Option<PathBuf> {
        self.daemon.stay()
    }
}

//! An OpenID provider, `oidc-provider`, for logins: three people who know one password.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::daemon::{self, Daemon, Served};
use super::node::Packages;
use super::{Running, Server};
use crate::Outcome;
use crate::postgres::{free_port, random};

pub(super) struct OpenId;

const PACKAGES: Packages = Packages { folder: "openid" };

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

fn begin(name: &str) -> Outcome<Served> {
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
    let environment =
        vec![("REMINT_TEST_OPENID", format!("http://{address}")), ("REMINT_TEST_OPENID_PASSWORD", password)];
    Ok(Served { daemon, version, environment })
}

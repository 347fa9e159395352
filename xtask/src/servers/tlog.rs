//! An independent reader and witness of transparency logs: built from its own Go module over `golang.org/x/mod/sumdb` and
//! `transparency-dev/formats`, which share nothing with what Remint writes its log with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::{self, Daemon};
use super::go::Module;
use super::{Running, Server};
use crate::Outcome;
use crate::postgres::free_port;

pub(super) struct Tlog;

const MODULE: Module = Module { folder: "tlog", tags: "", link: "-s -w" };

struct Started {
    daemon: Daemon,
    version: String,
    address: SocketAddr,
}

impl Server for Tlog {
    fn name(&self) -> &'static str {
        "tlog"
    }

    fn obtain(&self) -> Outcome<()> {
        MODULE.program().map(drop)
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        let program = MODULE.program()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let folder = daemon::folder(self.name())?;
        let mut command = Command::new(program);
        command.arg(address.to_string());
        let version = || daemon::ask(address, "/version");
        let daemon = Daemon::start(command, folder, || version().is_some())?;
        let version = version().unwrap_or_else(|| "unknown".to_owned());
        Ok(Box::new(Started { daemon, version, address }))
    }

    fn stop(&self, folder: &Path) -> Outcome<()> {
        daemon::stop(folder)
    }
}

impl Running for Started {
    fn version(&self) -> &str {
        &self.version
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("REMINT_TEST_TLOG", format!("http://{}", self.address))]
    }

    fn stay(self: Box<Self>) -> Option<PathBuf> {
        self.daemon.stay()
    }
}

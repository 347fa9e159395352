//! An independent reader and witness of transparency logs: built from its own Go module over `golang.org/x/mod/sumdb` and
//! `transparency-dev/formats`, which share nothing with what Remint writes its log with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use super::daemon::{self, Daemon, Served};
use super::go::Module;
use super::{Running, Server};
use crate::Outcome;
use crate::postgres::free_port;

pub(super) struct Tlog;

const MODULE: Module = Module { folder: "tlog", tags: "", link: "-s -w" };

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
        let environment = vec![("REMINT_TEST_TLOG", format!("http://{address}"))];
        Ok(Box::new(Served { daemon, version, environment }))
    }

    fn stop(&self, folder: &Path) -> Outcome<()> {
        daemon::stop(folder)
    }
}

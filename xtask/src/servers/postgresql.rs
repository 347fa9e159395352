//! PostgreSQL, from Debian's package: see [`crate::postgres`].

use std::path::{Path, PathBuf};

use super::{Running, Server};
use crate::Outcome;
use crate::postgres::{self, Durability};

pub(super) struct PostgreSql;

impl Server for PostgreSql {
    fn name(&self) -> &'static str {
        postgres::NAME
    }

    fn obtain(&self) -> Outcome<()> {
        postgres::obtain().map(drop)
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        Ok(Box::new(postgres::start(Durability::None)?))
    }

    fn stop(&self, folder: &Path) -> Outcome<()> {
        postgres::stop(folder)
    }
}

impl Running for postgres::Server {
    fn version(&self) -> &str {
        &self.version
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        postgres::Server::environment(self).to_vec()
    }

    fn stay(self: Box<Self>) -> Option<PathBuf> {
        postgres::Server::stay(*self)
    }
}

//! Where the engine keeps what it knows: the stores that a run is measured over.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use remint::store::Store;
use remint::store::postgres::PostgresStore;
use remint::store::sqlite::SqliteStore;

use crate::Outcome;
use crate::server::Server;

/// A back end.
pub(super) enum Kept {
    Sqlite,
    Postgres(Server),
}

impl Kept {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// What a commit is when it is answered.
    pub(super) async fn durability(&self) -> Outcome<String> {
        Ok(match self {
            Self::Sqlite => "journal_mode=WAL, synchronous=FULL".to_owned(),
            Self::Postgres(server) => format!(
                "synchronous_commit={}, fsync={}, full_page_writes={}, shared_buffers={}, max_wal_size={}",
                server.show("synchronous_commit").await?,
                server.show("fsync").await?,
                server.show("full_page_writes").await?,
                server.show("shared_buffers").await?,
                server.show("max_wal_size").await?
            ),
        })
    }

    /// Has a new server write as much log as a run does: from then on its segments are there and only used again, as on
    /// any server that has been in use for a day. Making them is a third of the first run otherwise.
    pub(super) async fn warm(&self) -> Outcome<()> {
        const FILL: &str = "CREATE TABLE warm AS SELECT repeat('x', 1000) FROM generate_series(1, 1500000)";
        if let Self::Postgres(server) = self {
            for sql in [FILL, "DROP TABLE warm", "CHECKPOINT"] {
                server.run(sql.to_owned()).await?;
            }
        }
        Ok(())
    }

    /// A store that nobody has used: in the state folder, or in a database of its own.
    pub(super) async fn open(&self, state: &Path, keys: &Path) -> Outcome<Arc<dyn Store>> {
        Ok(match self {
            Self::Sqlite => Arc::new(SqliteStore::open(state)?),
            Self::Postgres(server) => {
                static COUNT: AtomicU32 = AtomicU32::new(0);
                let name = format!("remint_bench_{}", COUNT.fetch_add(1, Ordering::Relaxed));
                server.run(format!("CREATE DATABASE {name}")).await?;
                let password = keys.join("password");
                tokio::fs::write(&password, &server.boss.password).await?;
                let (user, address) = (&server.boss.user, &server.address);
                let url = format!("postgres://{user}@{address}/{name}?password_file={}", password.display());
                Arc::new(PostgresStore::open(url.parse()?).await?)
            }
        })
    }
}

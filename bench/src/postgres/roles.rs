//! The server, and a set of roles at it: a group and two login roles each, the first in use.

use std::fmt::Write as _;
use std::time::Instant;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::Outcome;

/// Where the server is, and its superuser.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: String,
    pub(super) boss: Login,
}

/// A user name and its password.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// Roles of one round.
pub(super) struct Roles {
    pub(super) prefix: String,
    /// What Remint, or the plain client, acts with.
    pub(super) admin: Login,
    /// The group of each role, and the login in use.
    pub(super) logins: Vec<(String, Login)>,
}

impl Server {
    /// The server that `cargo xtask bench` started.
    #[expect(clippy::disallowed_methods, reason = "a benchmark is told where its server is")]
    pub(super) fn find() -> Outcome<Self> {
        let missing = "there is no server; run `cargo xtask bench postgres`";
        let url = std::env::var("REMINT_TEST_POSTGRES").map_err(|_| missing)?;
        let password = std::env::var("REMINT_TEST_POSTGRES_PASSWORD").map_err(|_| missing)?;
        let (user, rest) = url.strip_prefix("postgres://").and_then(|rest| rest.split_once('@')).ok_or(missing)?;
        let address = rest.split('/').next().unwrap_or_default().to_owned();
        Ok(Self { address, boss: Login { user: user.to_owned(), password } })
    }

    /// One fresh login.
    pub(super) async fn connect(&self, login: &Login) -> Result<PgConnection, sqlx::Error> {
        let (host, port) = self.address.rsplit_once(':').unwrap_or((&self.address, "5432"));
        PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port.parse().unwrap_or(5432))
            .database("postgres")
            .username(&login.user)
            .password(&login.password)
            .disable_statement_logging()
            .connect()
            .await
    }

    async fn run(&self, sql: String) -> Outcome<()> {
        let mut boss = self.connect(&self.boss).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut boss).await?;
        boss.close().await?;
        Ok(())
    }
}

impl Roles {
    pub(super) async fn create(server: &Server, prefix: &str, count: usize) -> Outcome<Self> {
        let login = |user: String| {
            let password = format!("Old-{user}-{:x}", Instant::now().elapsed().as_nanos());
            Login { user, password }
        };
        let admin = login(format!("{prefix}adm_a"));
        let mut sql = format!(
            "CREATE ROLE {prefix}adm NOLOGIN SUPERUSER;
             CREATE ROLE {0} LOGIN PASSWORD '{1}' IN ROLE {prefix}adm; ALTER ROLE {0} SET role = '{prefix}adm';",
            admin.user, admin.password
        );
        let mut logins = Vec::with_capacity(count);
        for index in 0..count {
            let group = format!("{prefix}{index:04}");
            let login = login(format!("{group}_a"));
            write!(
                sql,
                "CREATE ROLE {group} NOLOGIN; CREATE ROLE {0} LOGIN PASSWORD '{1}' IN ROLE {group};
                 CREATE ROLE {group}_b NOLOGIN IN ROLE {group};
                 ALTER ROLE {0} SET role = '{group}'; ALTER ROLE {group}_b SET role = '{group}';",
                login.user, login.password
            )?;
            logins.push((group, login));
        }
        server.run(sql).await?;
        Ok(Self { prefix: prefix.to_owned(), admin, logins })
    }

    pub(super) async fn drop(&self, server: &Server) -> Outcome<()> {
        let mut sql = format!("DROP ROLE {}, {}adm;", self.admin.user, self.prefix);
        for (group, _) in &self.logins {
            write!(sql, "DROP ROLE {group}_a, {group}_b, {group};")?;
        }
        server.run(sql).await
    }
}

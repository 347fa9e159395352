//! The PostgreSQL server that `cargo xtask bench` started.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::Outcome;

/// Where the server is, and its superuser.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) boss: Login,
}

/// A user name and its password.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Server {
    /// The server that `cargo xtask bench` started.
    #[expect(clippy::disallowed_methods, reason = "a benchmark is told where its server is")]
    pub(crate) fn find() -> Outcome<Self> {
        let missing = "there is no server; run it as `cargo xtask bench NAME`";
        let url = std::env::var("REMINT_TEST_POSTGRES").map_err(|_| missing)?;
        let password = std::env::var("REMINT_TEST_POSTGRES_PASSWORD").map_err(|_| missing)?;
        let (user, rest) = url.strip_prefix("postgres://").and_then(|rest| rest.split_once('@')).ok_or(missing)?;
        let address = rest.split('/').next().unwrap_or_default().to_owned();
        Ok(Self { address, boss: Login { user: user.to_owned(), password } })
    }

    /// One fresh login.
    pub(crate) async fn connect(&self, login: &Login) -> Result<PgConnection, sqlx::Error> {
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

    /// What a setting of the server is.
    pub(crate) async fn show(&self, setting: &str) -> Outcome<String> {
        let mut boss = self.connect(&self.boss).await?;
        let row: (String,) = sqlx::query_as(AssertSqlSafe(format!("SHOW {setting}"))).fetch_one(&mut boss).await?;
        boss.close().await?;
        Ok(row.0)
    }

    /// As the superuser.
    pub(crate) async fn run(&self, sql: String) -> Outcome<()> {
        let mut boss = self.connect(&self.boss).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut boss).await?;
        boss.close().await?;
        Ok(())
    }
}

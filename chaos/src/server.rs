//! A real PostgreSQL and its superuser, asked by somebody who is not Remint.

use std::path::Path;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::Outcome;

/// A user name and its password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Login {
    pub user: String,
    pub password: String,
}

/// Where the server is.
#[derive(Clone)]
pub struct Server {
    /// host:port
    pub address: String,
    pub boss: Login,
}

impl Server {
    /// From `postgres://user@host:port/…` and the password.
    ///
    /// # Errors
    /// It is no such address.
    pub fn parse(url: &str, password: String) -> Outcome<Self> {
        let rest = url.strip_prefix("postgres://").and_then(|rest| rest.split_once('@'));
        let (user, rest) = rest.ok_or("the server's address must be postgres://user@host:port/database")?;
        let address = rest.split('/').next().unwrap_or_default().to_owned();
        Ok(Self { address, boss: Login { user: user.to_owned(), password } })
    }

    /// One fresh login.
    pub(crate) async fn login(&self, login: &Login, application: &str) -> Result<PgConnection, sqlx::Error> {
        let (host, port) = self.address.rsplit_once(':').unwrap_or((&self.address, "5432"));
        PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port.parse().unwrap_or(5432))
            .database("postgres")
            .application_name(application)
            .username(&login.user)
            .password(&login.password)
            .disable_statement_logging()
            .connect()
            .await
    }

    /// Runs statements as the superuser.
    pub(crate) async fn run(&self, sql: String) -> Outcome<()> {
        let mut boss = self.login(&self.boss, "chaos").await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut boss).await?;
        Ok(boss.close().await?)
    }

    /// One column of text.
    pub(crate) async fn texts(&self, sql: String) -> Outcome<Vec<String>> {
        let mut boss = self.login(&self.boss, "chaos").await?;
        let texts = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut boss).await?;
        boss.close().await?;
        Ok(texts)
    }

    /// Who a login acts as, or `None` when the server refuses it.
    pub(crate) async fn acts_as(&self, login: &Login) -> Outcome<Option<String>> {
        match self.login(login, "chaos-count").await {
            Ok(mut session) => {
                let name = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut session).await?;
                session.close().await?;
                Ok(Some(name))
            }
            // Class 28: the server looked at the credential and said no.
            Err(sqlx::Error::Database(answer)) if answer.code().is_some_and(|code| code.starts_with("28")) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What was delivered: two keys of a JSON document.
pub(crate) fn delivered(file: &Path) -> Outcome<Login> {
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let field = |key: &str| value[key].as_str().map(str::to_owned).ok_or("a delivered file lacks a field");
    Ok(Login { user: field("user")?, password: field("password")? })
}

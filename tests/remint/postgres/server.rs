//! The server that `cargo xtask test` gives, seen by its superuser and by clients that are not Remint.

use std::io::Write as _;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, MutexGuard};

/// Roles belong to the whole server, and a sweep lists them all: one test at a time.
static ONE: Mutex<()> = Mutex::const_new(());

/// A real PostgreSQL.
pub(crate) struct Server {
    /// host:port
    pub(crate) address: String,
    /// Its superuser.
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) version: i32,
    boss: Mutex<PgConnection>,
    _turn: MutexGuard<'static, ()>,
}

/// A user name and its password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Server {
    /// The server, or a line that says what was skipped; in CI there must be one.
    #[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
    pub(crate) async fn find(test: &str) -> Option<Self> {
        // Past the harness, which hides what a passing test prints.
        let mut out = std::io::stderr();
        let Ok(url) = std::env::var("REMINT_TEST_POSTGRES") else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "REMINT_TEST_POSTGRES is not set in CI");
            writeln!(out, "SKIPPED {test}: REMINT_TEST_POSTGRES is not set; run `cargo xtask test`").unwrap();
            return None;
        };
        writeln!(out, "SERVER PostgreSQL").unwrap();
        let turn = ONE.lock().await;
        let password = std::env::var("REMINT_TEST_POSTGRES_PASSWORD").unwrap();
        let (user, rest) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let address = rest.split('/').next().unwrap().to_owned();
        let login = Login { user: user.to_owned(), password };
        let mut boss = login.connect(&address, "boss").await.unwrap();
        let version =
            sqlx::query_scalar("SELECT current_setting('server_version_num')::int").fetch_one(&mut boss).await.unwrap();
        let Login { user, password } = login;
        Some(Self { address, user, password, version, boss: Mutex::new(boss), _turn: turn })
    }

    /// Runs statements as the superuser.
    pub(crate) async fn run(&self, sql: &str) {
        let mut boss = self.boss.lock().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *boss).await.unwrap();
    }

    /// One column of text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let mut boss = self.boss.lock().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut *boss).await.unwrap()
    }

    /// Every role that may log in and whose name is like this.
    pub(crate) async fn logins(&self, like: &str) -> Vec<String> {
        self.texts(&format!(
            "SELECT rolname::text FROM pg_roles WHERE rolcanlogin AND rolname LIKE '{like}' ORDER BY 1"
        ))
        .await
    }

    /// The user names of every session whose user is like this.
    pub(crate) async fn sessions(&self, like: &str) -> Vec<String> {
        self.texts(&format!("SELECT usename::text FROM pg_stat_activity WHERE usename LIKE '{like}' ORDER BY 1")).await
    }
}

impl Login {
    /// One fresh login.
    pub(crate) async fn connect(&self, address: &str, application: &str) -> Result<PgConnection, sqlx::Error> {
        let (host, port) = address.rsplit_once(':').unwrap();
        PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port.parse().unwrap())
            .database("postgres")
            .application_name(application)
            .username(&self.user)
            .password(&self.password)
            .disable_statement_logging()
            .connect()
            .await
    }

    /// True when the server lets it in, false when it refuses the credential; anything else ends the test.
    pub(crate) async fn accepted(&self, address: &str) -> bool {
        match self.connect(address, "probe").await {
            Ok(connection) => {
                connection.close().await.unwrap();
                true
            }
            Err(failure) => {
                let code =
                    failure.as_database_error().and_then(|answer| answer.code().map(std::borrow::Cow::into_owned));
                let refused = matches!(code.as_deref(), Some("28P01" | "28000"));
                assert!(refused, "{}: {failure}", self.user);
                false
            }
        }
    }
}

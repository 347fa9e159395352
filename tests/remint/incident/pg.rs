//! Login roles of a real PostgreSQL, which take turns.

use async_trait::async_trait;
use remint_contract::{HostRules, Material, Strategy};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::part::{Part, Seat, decided, fresh, mint, open, told};

/// What Remint acts with at the server.
pub(crate) const ADMIN: &str = "pg-admin";

pub(crate) struct Pg {
    /// `host:port/database`
    pub(crate) address: String,
    pub(crate) prefix: String,
    seats: Vec<Seat>,
}

impl Pg {
    pub(crate) async fn with(count: usize) -> Self {
        let url = told("REMINT_TEST_POSTGRES");
        let (_, address) = url.split_once("://").unwrap().1.split_once('@').unwrap();
        let mut pg = Self { address: address.to_owned(), prefix: fresh(), seats: Vec::new() };
        for index in 0..count {
            let first = pg.logs_in(&format!("{index:02}"), "").await;
            let group = format!("{}_{index:02}", pg.prefix);
            let planted = if index == 0 {
                // Nobody logs in as the group itself.
                pg.sql(format!("ALTER ROLE {group} LOGIN PASSWORD 'stolen-from-us'")).await;
                Some(Material::login(group, "stolen-from-us".into()))
            } else {
                None
            };
            pg.seats.push(Seat::of(format!("pg-{index:02}"), first).planted(planted));
        }
        let own = pg.logs_in("remint", "SUPERUSER").await;
        pg.seats.push(Seat::own(ADMIN, own));
        pg
    }

    /// The first login of a new group of these attributes.
    pub(crate) async fn logs_in(&self, name: &str, attributes: &str) -> Material {
        let group = format!("{}_{name}", self.prefix);
        self.sql(format!("CREATE ROLE {group} NOLOGIN {attributes}")).await;
        let connector = open("sql", &self.settings(), &HostRules::default());
        let (options, password) = boss();
        let boss = Material::login(options.get_username().to_owned(), password.as_str().into());
        mint(&connector, Some(&boss), (&group, Value::Null, Strategy::Alternate)).await
    }

    /// As the server's own administrator.
    pub(crate) async fn sql(&self, statement: String) {
        let (options, password) = boss();
        let mut boss: PgConnection = options.password(&password).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut boss).await.unwrap();
        boss.close().await.unwrap();
    }

    fn settings(&self) -> Value {
        json!({"url": format!("postgres://{}", self.address)})
    }
}

fn boss() -> (PgConnectOptions, String) {
    let options: PgConnectOptions = told("REMINT_TEST_POSTGRES").parse().unwrap();
    (options.disable_statement_logging(), told("REMINT_TEST_POSTGRES_PASSWORD"))
}

/// Does a PostgreSQL let the bearer in?
pub(crate) async fn lets_in(material: &Material) -> bool {
    let (options, _) = boss();
    let options = options.username(material.username.as_ref().unwrap());
    let options = options.password(material.secret.expose_str().unwrap());
    decided(|| async {
        match options.connect().await {
            Ok(connection) => {
                // It said yes.
                drop(connection.close().await);
                Ok(true)
            }
            Err(sqlx::Error::Database(failure)) if matches!(failure.code().as_deref(), Some("28P01" | "28000")) => {
                Ok(false)
            }
            Err(failure) => Err(failure.to_string()),
        }
    })
    .await
}

#[async_trait]
impl Part for Pg {
    fn name(&self) -> &'static str {
        "sql (PostgreSQL)"
    }

    fn documents(&self) -> String {
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: pg}}\nspec: {{sql: {}, auth: {{credential: {ADMIN}}}}}\n",
            self.settings()
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        let name = if seat == ADMIN { "remint" } else { seat.rsplit_once('-').unwrap().1 };
        (format!("system: pg, target: {}_{name}", self.prefix), "alternate")
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        lets_in(material).await
    }

    fn calls(&self) -> Option<u64> {
        None
    }
}

//! The conformance suite over a real PostgreSQL, given by `REMINT_TEST_POSTGRES` (see `cargo xtask test`).
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod way;

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use remint_conformance::gate::Gate;
use remint_conformance::{Fault, Harness, IssuerCase, assert_passes, run};
use remint_contract::{
    Call, Connector, ConnectorKind as _, HostRules, Material, MintRequest, OperationId, SecretValue, Strategy, Target,
    Verb,
};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;

use crate::way::Way;

struct Server {
    options: PgConnectOptions,
    address: String,
    admin: Arc<Material>,
    boss: Mutex<PgConnection>,
    /// Somebody who may log in and nothing else.
    nobody: Arc<Material>,
    connector: Arc<dyn Connector>,
    way: Way,
    sessions: Mutex<HashMap<u64, PgConnection>>,
    prefix: String,
    made: AtomicU64,
}

fn open(address: &str) -> Arc<dyn Connector> {
    remint_sql::kind().open(&json!({ "url": format!("postgres://{address}/postgres") }), &HostRules::default()).unwrap()
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
    async fn find() -> Option<Self> {
        // Past the harness, which hides what a passing test prints.
        let mut out = std::io::stderr();
        let Ok(url) = std::env::var("REMINT_TEST_POSTGRES") else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "REMINT_TEST_POSTGRES is not set in CI");
            writeln!(out, "SKIPPED conformance: REMINT_TEST_POSTGRES is not set; run `cargo xtask test`").unwrap();
            return None;
        };
        writeln!(out, "SERVER PostgreSQL").unwrap();
        let password = std::env::var("REMINT_TEST_POSTGRES_PASSWORD").unwrap();
        let (user, rest) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let address = rest.split('/').next().unwrap().to_owned();
        let options = url.parse::<PgConnectOptions>().unwrap().disable_statement_logging();
        let boss = options.clone().password(&password).connect().await.unwrap();
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        let prefix = format!("k{:08x}", u32::from_ne_bytes(random));
        let nobody = Material::login(format!("{prefix}_nobody"), SecretValue::from("nobody's-marker-0815"));
        let way = Way::to(&address).await;
        let server = Self {
            options,
            connector: open(&way.address),
            way,
            address,
            admin: Arc::new(Material::login(user, SecretValue::from(password))),
            boss: Mutex::new(boss),
            nobody: Arc::new(nobody),
            sessions: Mutex::default(),
            prefix,
            made: AtomicU64::new(0),
        };
        server.run(&format!("CREATE ROLE {}_nobody LOGIN PASSWORD 'nobody''s-marker-0815'", server.prefix)).await;
        Some(server)
    }

    async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *self.boss.lock().await).await.unwrap();
    }

    fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    fn acting(&self, actor: &Arc<Material>) -> Call {
        Call {
            operation: OperationId(format!("{}-{}", self.prefix, self.next())),
            deadline: "9000-01-01T00:00:00Z".parse().unwrap(),
            actor: Some(Arc::clone(actor)),
        }
    }

    /// Takes away what the suite made, so that later tests find the server as it was.
    async fn clean(&self) {
        self.sessions.lock().await.clear();
        let sql = format!("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname LIKE '{}%'", self.prefix);
        let roles: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *self.boss.lock().await).await.unwrap();
        self.run(&format!("DROP ROLE {}", roles.join(", "))).await;
    }
}

#[async_trait]
impl Harness for Server {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    async fn call(&self) -> Call {
        self.acting(&self.admin)
    }

    async fn issuer_case(&self, strategy: Strategy) -> Option<IssuerCase> {
        let name = format!("{}_{}", self.prefix, self.next());
        self.run(&format!("CREATE ROLE {name} NOLOGIN")).await;
        let target = Target { name, settings: json!({}) };
        let request = MintRequest {
            target: target.clone(),
            strategy,
            old: None,
            old_username: None,
            proposed: Some(SecretValue::from(format!("first-marker-{:08}", self.next()))),
        };
        let old = self.connector.mint(&self.call().await, &request).await.unwrap();
        let missing = Target { name: format!("{}_missing", self.prefix), settings: json!({}) };
        Some(IssuerCase { target, old, missing })
    }

    async fn fault(&self, fault: Fault) -> bool {
        let loses = matches!(fault, Fault::LostAnswer(Verb::Mint));
        self.way.lose(loses);
        loses
    }

    async fn settle(&self) {
        self.way.lose(false);
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.way.gate)
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.acting(&self.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        assert_ne!(free.to_string(), self.address);
        Some(open(&free.to_string()))
    }

    async fn plant_foreign(&self, _target: &Target) -> Option<String> {
        let name = format!("{}_foreign{}", self.prefix, self.next());
        self.run(&format!("CREATE ROLE {name} LOGIN PASSWORD 'foreign'")).await;
        Some(name)
    }

    async fn open_session(&self, target: &Target, material: &Material) -> Option<u64> {
        let user = material.username.as_deref().unwrap_or(&target.name);
        let options = self.options.clone().username(user).password(material.secret.expose_str()?);
        let session = self.next();
        self.sessions.lock().await.insert(session, options.connect().await.unwrap());
        Some(session)
    }

    async fn session_alive(&self, session: u64) -> bool {
        self.sessions.lock().await.get_mut(&session).unwrap().ping().await.is_ok()
    }
}

/// What a real server cannot be asked to do: the suite shows it on the fake.
const NOT_SHOWN: [&str; 3] = [
    "a call too many is Throttled and changes nothing",
    "a revoke that did nothing is seen by the probe",
    "an endpoint that is behind is seen to accept still, and to deny later",
];

#[tokio::test]
async fn postgresql_behaves_as_the_contract_says() {
    let Some(server) = Server::find().await else { return };
    let report = run(&server).await;
    server.clean().await;
    assert_passes(&report);
    let mut expected = vec!["describe makes no call".to_owned()];
    for strategy in [Strategy::InPlace, Strategy::Alternate] {
        expected.extend(NOT_SHOWN.map(|name| format!("{strategy:?}: {name}")));
    }
    let mut not_shown: Vec<String> = report.not_shown.iter().map(|(name, _)| name.clone()).collect();
    expected.sort();
    not_shown.sort();
    assert_eq!(not_shown, expected, "{report}");
}

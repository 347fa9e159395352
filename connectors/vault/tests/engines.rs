//! The conformance suite over engines that keep their values to themselves: a database's logins, an encryption key.

use std::sync::Arc;

use crate::bao::proxy::Trouble;
use crate::bao::{Bao, Proxy, nowhere, open};
use async_trait::async_trait;
use remint_conformance::gate::Gate;
use remint_conformance::{Fault, Harness, IssuerCase, Report, assert_passes, run};
use remint_contract::{
    Call, Connector, ErrorKind, Intent, Live, Material, MintRequest, Minted, Recovered, SecretValue, Strategy, Target,
    Verb, Verdict, VersionId,
};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::sync::Mutex;

fn not_shown(report: &Report) -> Vec<&str> {
    report.not_shown.iter().map(|(name, _)| name.as_str()).collect()
}

/// A PostgreSQL in whose name the server gives out logins.
pub(crate) struct Logins {
    pub(crate) bao: Bao,
    proxy: Proxy,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) settings: Value,
    pub(crate) mount: String,
    pub(crate) nobody: Arc<Material>,
    boss: Mutex<PgConnection>,
}

impl Logins {
    #[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
    pub(crate) async fn on(bao: Bao) -> Self {
        let (Ok(url), Ok(password)) =
            (std::env::var("REMINT_TEST_POSTGRES"), std::env::var("REMINT_TEST_POSTGRES_PASSWORD"))
        else {
            panic!("no PostgreSQL: REMINT_TEST_POSTGRES is not set; run `cargo xtask test`");
        };
        let address = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap().1.to_owned();
        let options = url.parse::<PgConnectOptions>().unwrap().password(&password);
        let mut boss = options.disable_statement_logging().connect().await.unwrap();
        let root = format!("{}_root", bao.prefix);
        let made = format!("CREATE ROLE {root} SUPERUSER LOGIN PASSWORD 'roots-own'");
        sqlx::raw_sql(AssertSqlSafe(made)).execute(&mut boss).await.unwrap();
        let mount = bao.mount("sys/mounts", "database", Value::Null).await;
        let config = json!({
            "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": root, "password": "roots-own",
            "connection_url": format!("postgresql://{{{{username}}}}:{{{{password}}}}@{address}?sslmode=disable"),
        });
        bao.post(&format!("{mount}/config/pg"), config).await;
        let proxy = Proxy::to(&bao.address).await;
        let settings = json!({"engine": "database", "mount": mount, "endpoints": [format!("postgres://{address}")]});
        let connector = open(&proxy.address, &settings);
        let nobody = bao.token(&["default"]).await;
        Self { bao, proxy, connector, settings, mount, nobody, boss: Mutex::new(boss) }
    }

    pub(crate) async fn sql(&self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *self.boss.lock().await).await.unwrap();
    }

    pub(crate) async fn static_role(&self) -> Target {
        let name = self.bao.name();
        let login = name.replace('-', "_");
        self.sql(format!("CREATE ROLE {login} LOGIN PASSWORD 'initial'")).await;
        let role = json!({"db_name": "pg", "username": login, "rotation_period": "24h"});
        self.bao.post(&format!("{}/static-roles/{name}", self.mount), role).await;
        Target { name, settings: Value::Null }
    }
}

pub(crate) fn in_place(target: &Target, old: Option<VersionId>) -> MintRequest {
    let target = target.clone();
    MintRequest { target, strategy: Strategy::InPlace, old, old_username: None, proposed: None }
}

#[async_trait]
impl Harness for Logins {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    async fn call(&self) -> Call {
        self.bao.call()
    }

    async fn issuer_case(&self, _strategy: Strategy) -> Option<IssuerCase> {
        let target = self.static_role().await;
        let old = self.connector.mint(&self.call().await, &in_place(&target, None)).await.unwrap();
        let missing = Target { name: self.bao.name(), settings: Value::Null };
        Some(IssuerCase { target, old, missing })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.bao.acting(&self.nobody))
    }

    /// The database lies where the server is: both are gone.
    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        let mut settings = self.settings.clone();
        settings["endpoints"] = json!([nowhere().replace("http://", "postgres://")]);
        Some(open(&nowhere(), &settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.proxy.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.proxy.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.proxy.arm(Some(match fault {
            Fault::LostAnswer(Verb::Mint) => Trouble::LostBelow("/rotate-role/".to_owned()),
            Fault::LyingRevoke => Trouble::LieBelow("/rotate-role/".to_owned()),
            Fault::Throttle => Trouble::Throttled,
            Fault::LostAnswer(_) | Fault::Lagging => return false,
        }));
        true
    }

    async fn settle(&self) {
        self.proxy.arm(None);
    }

    async fn plant_foreign(&self, _target: &Target) -> Option<String> {
        let name = self.bao.name();
        let make = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
        let role = json!({"db_name": "pg", "creation_statements": [make], "default_ttl": "1h"});
        self.bao.post(&format!("{}/roles/{name}", self.mount), role).await;
        self.bao.ask("GET", &format!("{}/creds/{name}", self.mount), Value::Null).await;
        Some(name)
    }
}

#[tokio::test]
async fn static_roles_of_a_database_behave_as_the_contract_says() {
    let report = run(&Logins::on(Bao::find()).await).await;
    assert_passes(&report);
    assert_eq!(
        // What it stores is its own login at a configuration; the engine's incident writes there.
        not_shown(&report).into_iter().filter(|name| !name.starts_with("store: ")).collect::<Vec<_>>(),
        [
            "InPlace: disable stops a version and enable brings it back",
            "InPlace: what came from a version ends, and is seen to end",
            "InPlace: an endpoint that is behind is seen to accept still, and to deny later"
        ],
        "{report}"
    );
}

#[tokio::test]
async fn a_lease_that_nobody_wrote_down_is_found_and_its_login_ended() {
    let logins = Logins::on(Bao::find()).await;
    let name = logins.plant_foreign(&Target { name: "x".into(), settings: Value::Null }).await.unwrap();
    let given = logins.bao.ask("GET", &format!("{}/creds/{name}", logins.mount), Value::Null).await;
    let text = |key: &str| given["data"][key].as_str().unwrap().to_owned();
    let login = Material::login(text("username"), SecretValue::from(text("password")));
    let call = logins.bao.call();
    let target = logins.static_role().await;
    assert_eq!(logins.connector.probe(&call, &target, &login, 0).await.unwrap(), Verdict::Accepted);
    let living = logins.connector.enumerate(&call, std::slice::from_ref(&target)).await.unwrap();
    let leases: Vec<_> = living.iter().filter(|live| live.label.contains(&name)).collect();
    assert!(leases.len() == 2 && leases.iter().all(|live| live.target.is_none() && live.created.is_some()));
    for lease in leases {
        logins.connector.revoke(&call, &target, &lease.version).await.unwrap();
        logins.connector.revoke(&call, &target, &lease.version).await.unwrap();
    }
    assert_eq!(logins.connector.probe(&call, &target, &login, 0).await.unwrap(), Verdict::Denied);
}

impl Logins {
    /// As the System says it: how leases are ended.
    fn ending(&self, leases: &str) -> Arc<dyn Connector> {
        let mut settings = self.settings.clone();
        settings["leases"] = json!(leases);
        open(&self.bao.address, &settings)
    }

    async fn given(&self, role: &str) -> Material {
        let given = self.bao.ask("GET", &format!("{}/creds/{role}", self.mount), Value::Null).await;
        let text = |key: &str| given["data"][key].as_str().unwrap().to_owned();
        Material::login(text("username"), SecretValue::from(text("password")))
    }
}

#[tokio::test]
async fn all_leases_of_a_role_end_by_their_prefix_and_those_of_another_stay() {
    let logins = Logins::on(Bao::find()).await;
    let (call, target) = (logins.bao.call(), logins.static_role().await);
    let name = logins.plant_foreign(&target).await.unwrap();
    let other = logins.plant_foreign(&target).await.unwrap();
    let (one, two, kept) = (logins.given(&name).await, logins.given(&name).await, logins.given(&other).await);
    let connector = logins.ending("prefix");
    let living = connector.enumerate(&call, std::slice::from_ref(&target)).await.unwrap();
    let role = format!("{}/creds/{name}", logins.mount);
    let [all] = &living.iter().filter(|live| live.label.contains(&role)).collect::<Vec<_>>()[..] else {
        panic!("one version of all: {living:?}")
    };
    assert_eq!((all.version.0.clone(), all.target.clone()), (format!("leases:{role}"), None));
    assert_eq!(all.label, format!("3 leases of {role}, all together"));
    let intent = Intent {
        operation: call.operation.clone(),
        verb: Verb::Revoke,
        target: target.clone(),
        version: Some(all.version.clone()),
        mint: None,
    };
    assert!(matches!(connector.recover(&call, &intent).await.unwrap(), Recovered::NotDone));
    connector.revoke(&call, &target, &all.version).await.unwrap();
    connector.revoke(&call, &target, &all.version).await.unwrap();
    assert!(matches!(connector.recover(&call, &intent).await.unwrap(), Recovered::Done(None)));
    for (login, verdict) in [(&one, Verdict::Denied), (&two, Verdict::Denied), (&kept, Verdict::Accepted)] {
        assert_eq!(connector.probe(&call, &target, login, 0).await.unwrap(), verdict);
    }
}

/// The database may be gone for good. What is forgotten by force is not ended there, and the version says that it was force.
#[tokio::test]
async fn leases_end_by_force_only_where_the_system_says_so_and_the_version_says_it_too() {
    let logins = Logins::on(Bao::find()).await;
    let (call, target) = (logins.bao.call(), logins.static_role().await);
    let name = logins.plant_foreign(&target).await.unwrap();
    // A database that takes nothing back.
    let role = format!("{}/roles/{name}", logins.mount);
    logins.bao.post(&role, json!({"revocation_statements": ["SELECT 1/0"]})).await;
    let login = logins.given(&name).await;
    let prefix = format!("{}/creds/{name}", logins.mount);
    let of = |living: Vec<Live>| living.into_iter().find(|live| live.label.contains(&prefix));

    let gentle = logins.ending("prefix");
    let all = of(gentle.enumerate(&call, std::slice::from_ref(&target)).await.unwrap()).unwrap();
    assert!(gentle.revoke(&call, &target, &all.version).await.is_err(), "nothing was ended");
    let forced = logins.ending("force");
    let all = of(forced.enumerate(&call, std::slice::from_ref(&target)).await.unwrap()).unwrap();
    assert_eq!(all.version.0, format!("forced-leases:{prefix}"));
    assert!(all.label.ends_with("by force: forgotten, and the database is not asked"), "{}", all.label);
    for connector in [&gentle, &logins.connector] {
        let failure = connector.revoke(&call, &target, &all.version).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Invalid, "the word was taken back");
    }
    forced.revoke(&call, &target, &all.version).await.unwrap();
    assert!(of(forced.enumerate(&call, std::slice::from_ref(&target)).await.unwrap()).is_none());
    assert_eq!(forced.probe(&call, &target, &login, 0).await.unwrap(), Verdict::Accepted);
}

#[tokio::test]
async fn a_password_that_somebody_set_beside_the_server_is_not_taken_for_its_own() {
    let logins = Logins::on(Bao::find()).await;
    let target = logins.static_role().await;
    let call = logins.bao.call();
    let ours = logins.connector.mint(&call, &in_place(&target, None)).await.unwrap();
    let login = ours.material.username.clone().unwrap();
    logins.sql(format!("ALTER ROLE {login} PASSWORD 'beside-marker'")).await;
    let beside = Material::login(login, SecretValue::from("beside-marker"));
    assert_eq!(logins.connector.probe(&call, &target, &beside, 0).await.unwrap(), Verdict::Accepted);
    let failure = logins.connector.verify(&call, &target, &beside).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Conflict);
    logins.connector.revoke(&call, &target, &ours.version).await.unwrap();
    assert_eq!(logins.connector.probe(&call, &target, &beside, 0).await.unwrap(), Verdict::Denied);
}

/// Encryption keys.
pub(crate) struct Keys {
    pub(crate) bao: Bao,
    proxy: Proxy,
    pub(crate) connector: Arc<dyn Connector>,
    settings: Value,
    pub(crate) mount: String,
    nobody: Arc<Material>,
}

impl Keys {
    pub(crate) async fn new() -> Self {
        let bao = Bao::find();
        let mount = bao.mount("sys/mounts", "transit", Value::Null).await;
        let proxy = Proxy::to(&bao.address).await;
        let settings = json!({"engine": "transit", "mount": mount});
        let connector = open(&proxy.address, &settings);
        let nobody = bao.token(&["default"]).await;
        Self { bao, proxy, connector, settings, mount, nobody }
    }

    async fn encrypt(&self, key: &str, number: u64) -> SecretValue {
        let body = json!({"plaintext": "cmVtaW50", "key_version": number});
        let made = self.bao.post(&format!("{}/encrypt/{key}", self.mount), body).await;
        SecretValue::from(made["data"]["ciphertext"].as_str().unwrap())
    }
}

pub(crate) fn rotated(target: &Target, old: Option<VersionId>) -> MintRequest {
    MintRequest { strategy: Strategy::Overlap, ..in_place(target, old) }
}

#[async_trait]
impl Harness for Keys {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    async fn call(&self) -> Call {
        self.bao.call()
    }

    async fn issuer_case(&self, _strategy: Strategy) -> Option<IssuerCase> {
        let name = self.bao.name();
        self.bao.post(&format!("{}/keys/{name}", self.mount), json!({})).await;
        let old =
            Minted { version: VersionId(format!("{name}@1")), material: Material::of(self.encrypt(&name, 1).await) };
        let missing = Target { name: self.bao.name(), settings: Value::Null };
        Some(IssuerCase { target: Target { name, settings: Value::Null }, old, missing })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.bao.acting(&self.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &self.settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.proxy.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.proxy.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        self.proxy.arm(Some(match fault {
            Fault::LostAnswer(Verb::Mint) => Trouble::Lost("/rotate".to_owned()),
            Fault::Throttle => Trouble::Throttled,
            Fault::LostAnswer(_) | Fault::Lagging | Fault::LyingRevoke => return false,
        }));
        true
    }

    async fn settle(&self) {
        self.proxy.arm(None);
    }

    async fn plant_foreign(&self, _target: &Target) -> Option<String> {
        let name = self.bao.name();
        self.bao.post(&format!("{}/keys/{name}", self.mount), json!({})).await;
        Some(name)
    }
}

#[tokio::test]
async fn an_encryption_key_behaves_as_the_contract_says() {
    let report = run(&Keys::new().await).await;
    assert_passes(&report);
    assert_eq!(
        not_shown(&report),
        [
            "Overlap: verify and the probe of the endpoint that it stands for accept and refuse the same",
            "Overlap: what came from a version ends, and is seen to end",
            "Overlap: a revoke that did nothing is seen by the probe",
            "Overlap: an endpoint that is behind is seen to accept still, and to deny later",
            "Overlap: after a crash at each request of end-derived it is taken up again"
        ],
        "{report}"
    );
}

#[tokio::test]
async fn what_is_encrypted_under_the_old_version_is_counted_and_moved_before_it_is_stopped() {
    let keys = Keys::new().await;
    let shelf = keys.bao.mount("sys/mounts", "kv", json!({"version": "2"})).await;
    let name = keys.bao.name();
    keys.bao.post(&format!("{}/keys/{name}", keys.mount), json!({})).await;
    for path in ["one", "two"] {
        let fields = json!({
            "card": keys.encrypt(&name, 1).await.expose_str(), "pin": keys.encrypt(&name, 1).await.expose_str(),
            "plain": "as it is", "count": 3,
        });
        keys.bao.post(&format!("{shelf}/data/{path}"), json!({"data": fields})).await;
    }
    let settings = json!({"data": {"mount": shelf, "paths": ["one", "two", "not-there"]}});
    let target = Target { name: name.clone(), settings };
    let old = VersionId(format!("{name}@1"));
    let call = keys.bao.call();
    let new = keys.connector.mint(&call, &rotated(&target, Some(old.clone()))).await.unwrap();
    keys.connector.promote(&call, &name, &new.version.0).await.unwrap();
    assert_eq!(keys.connector.list_derived(&call, &target, &old).await.unwrap().len(), 4);
    assert_eq!(keys.connector.end_derived(&call, &target, &old).await.unwrap().len(), 4);
    assert!(keys.connector.list_derived(&call, &target, &old).await.unwrap().is_empty());
    assert_eq!(keys.connector.list_derived(&call, &target, &new.version).await.unwrap().len(), 4);
    assert!(keys.connector.end_derived(&call, &target, &old).await.unwrap().is_empty());
    keys.connector.disable(&call, &target, &old).await.unwrap();
    let read = keys.bao.ask("GET", &format!("{shelf}/data/one"), Value::Null).await;
    assert_eq!(
        (read["data"]["data"]["plain"].as_str(), read["data"]["data"]["count"].as_u64()),
        (Some("as it is"), Some(3))
    );
    let card = json!({"ciphertext": read["data"]["data"]["card"]});
    let opened = keys.bao.post(&format!("{}/decrypt/{name}", keys.mount), card).await;
    assert_eq!(opened["data"]["plaintext"].as_str(), Some("cmVtaW50"));
}

#[tokio::test]
async fn only_the_oldest_version_can_be_stopped_and_one_always_encrypts() {
    let keys = Keys::new().await;
    let case = keys.issuer_case(Strategy::Overlap).await.unwrap();
    let (call, target) = (keys.bao.call(), &case.target);
    let second = keys.connector.mint(&call, &rotated(target, None)).await.unwrap().version;
    let failure = keys.connector.disable(&call, target, &second).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Conflict, "{failure}");
    assert_eq!(keys.connector.probe(&call, target, &case.old.material, 0).await.unwrap(), Verdict::Accepted);
    keys.connector.disable(&call, target, &case.old.version).await.unwrap();
    // The newest goes, and the key goes on to encrypt under another.
    keys.connector.disable(&call, target, &second).await.unwrap();
    assert_eq!(keys.encrypt(&target.name, 0).await.expose_str().unwrap().split(':').nth(1), Some("v3"));
    // Ending the second for good would take the first with it, which is only stopped.
    assert_eq!(keys.connector.revoke(&call, target, &second).await.unwrap_err().kind, ErrorKind::Conflict);
    keys.connector.enable(&call, target, &second).await.unwrap();
    keys.connector.enable(&call, target, &case.old.version).await.unwrap();
    assert_eq!(keys.connector.probe(&call, target, &case.old.material, 0).await.unwrap(), Verdict::Accepted);
}

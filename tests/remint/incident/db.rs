//! The database engine of a real OpenBao: static roles of a real PostgreSQL, and the login that the engine changes them with,
//! which is a superuser of that database: whoever has it makes all of them anew.

use async_trait::async_trait;
use remint::engine::record::Finding;
use remint_contract::{HostRules, Material, Strategy};
use serde_json::{Value, json};

use super::bao::{ADMIN, Bao};
use super::part::{Counted, Part, Seat, WITHIN, ask, fresh, lies_in, mint, open, says, told};
use super::pg::{Pg, lets_in};

/// What the engine logs in with.
const ROOT: &str = "db-root";

pub(crate) struct Db {
    way: Counted,
    mount: String,
    login: Value,
    /// `host:port/database`
    database: String,
    group: String,
    seats: Vec<Seat>,
}

impl Db {
    pub(crate) async fn with(count: usize, pg: &Pg, bao: &Bao) -> Self {
        let (address, token) = (told("REMINT_TEST_OPENBAO"), told("REMINT_TEST_OPENBAO_TOKEN"));
        let (way, http) = (Counted::to(&address).await, reqwest::Client::builder().no_proxy().build().unwrap());
        let ask = async |method: &str, path: String, body: Value| {
            let url = format!("{address}/v1/{path}");
            let (status, answer) = ask(&http, method, &url, ("x-vault-token", &token), body).await;
            assert!((200..300).contains(&status), "{path}: {status} {answer}");
            answer
        };
        let (mount, database) = (fresh(), pg.address.clone());
        ask("POST", format!("sys/mounts/{mount}"), json!({"type": "database"})).await;
        let root = pg.logs_in("root", "SUPERUSER").await;
        let config = json!({
            "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": root.username,
            "password": root.secret.expose_str().unwrap(),
            "connection_url": format!("postgresql://{{{{username}}}}:{{{{password}}}}@{database}?sslmode=disable"),
        });
        ask("POST", format!("{mount}/config/pg"), config).await;
        let make = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
        let role = json!({"db_name": "pg", "creation_statements": [make], "default_ttl": "1h"});
        ask("POST", format!("{mount}/roles/theirs"), role).await;
        let mut db =
            Self { way, mount, login: bao.login(), database, group: format!("{}_root", pg.prefix), seats: Vec::new() };
        for index in 0..count {
            let login = format!("{}_s{index:02}", pg.prefix);
            pg.sql(format!("CREATE ROLE {login} LOGIN PASSWORD 'initial'")).await;
            let role = json!({"db_name": "pg", "username": login, "rotation_period": "24h"});
            ask("POST", format!("{}/static-roles/r{index:02}", db.mount), role).await;
            let connector = open(
                "vault",
                &json!({"address": address, "engine": "database", "mount": db.mount,
                "endpoints": [format!("postgres://{}", db.database)]}),
                &HostRules::default(),
            );
            let root = Material::of(token.as_str().into());
            let first = mint(&connector, Some(&root), (&format!("r{index:02}"), Value::Null, Strategy::InPlace)).await;
            db.seats.push(Seat::of(format!("db-{index:02}"), first));
        }
        // Of the engine the attacker has a login of another of its roles.
        let lease = ask("GET", format!("{}/creds/theirs", db.mount), Value::Null).await;
        let text = |key: &str| lease["data"][key].as_str().unwrap().to_owned();
        db.seats[0].planted = Some(Material::login(text("username"), text("password").as_str().into()));
        db.seats.push(Seat { own: true, ..Seat::of(ROOT.to_owned(), root) });
        db
    }
}

#[async_trait]
impl Part for Db {
    fn name(&self) -> &'static str {
        "vault, database"
    }

    fn documents(&self) -> String {
        let settings = json!({
            "address": self.way.address, "engine": "database", "mount": self.mount, "login": self.login,
            "endpoints": [format!("postgres://{}", self.database)],
        });
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: db}}\nspec: {{vault: {settings}, auth: {{credential: {ADMIN}}}}}\n"
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        match seat.rsplit_once('-').unwrap().1 {
            "root" => (format!("system: pg, target: {}", self.group), "alternate"),
            number => (format!("system: db, target: r{number}"), "in-place, outage: 5m"),
        }
    }

    fn places(&self, seat: &Seat) -> String {
        match seat.name.as_str() {
            ROOT => format!(
                "{}, {{at: \"db:config/pg\", fields: {{username: \"{{username}}\", password: \"{{secret}}\"}}}}",
                lies_in(seat)
            ),
            _ => lies_in(seat),
        }
    }

    fn unlocks(&self, seat: &str) -> String {
        let all = self.seats.iter().filter(|one| seat == ROOT && one.name != ROOT);
        all.map(|one| format!("{{what: Credential/{}, verb: mint}}", one.name)).collect::<Vec<_>>().join(", ")
    }

    /// The engine itself reads the root's login, and logs in with it as soon as it has it.
    fn workload(&self, seat: &Seat, words: &str) -> Option<String> {
        if seat.name == ROOT {
            return Some(format!("{{confirm: {{how: issuer-seen, within: {WITHIN}}}}}"));
        }
        Some(says(seat, words))
    }

    /// One login, one password.
    fn is_out(&self, seat: &str) -> bool {
        seat != ROOT
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        lets_in(material).await
    }

    fn is_planted(&self, _seat: &Seat, finding: &Finding) -> bool {
        self.owns(finding.system.name.as_str()) && finding.label.contains("creds/theirs")
    }

    fn owns(&self, system: &str) -> bool {
        system == "db"
    }

    fn calls(&self) -> Option<u64> {
        Some(self.way.calls())
    }
}

//! An estate over a real server: group roles with two login roles each, delivered to one file each, and the login that
//! Remint acts with, which lies in a folder of its own.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use remint::context::Context;
use remint::engine::record::{Reset, RotationRecord};
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineError, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::registry::Registry;
use remint::store::sqlite::SqliteStore;
use remint_contract::{HostRules, Ref, ResetId};
use remint_core::estate::{Estate, SourceFile, load};
use remint_core::machine::State;
use remint_core::plan::{Node, Request, plan};

use super::client::{Client, Habits};
use super::server::{Login, Server};

/// Nothing here may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// How the estate of a test differs from the usual one.
pub(crate) struct Shape {
    pub(crate) count: usize,
    /// One login role each, replaced in place.
    pub(crate) in_place: bool,
    /// How long a workload may take to be seen.
    pub(crate) within: Duration,
    /// A workload `backup` reads the admin login too.
    pub(crate) backup: bool,
}

pub(crate) struct Bank {
    pub(crate) server: Server,
    pub(crate) prefix: String,
    pub(crate) count: usize,
    pub(crate) estate: Estate,
    pub(crate) engine: Engine,
    pub(crate) admin: Login,
    pub(crate) olds: Vec<Login>,
    /// Credentials of roles that were here before.
    pub(crate) others: Vec<Ref>,
    pub(crate) folder: tempfile::TempDir,
}

impl Bank {
    /// `None` when there is no server.
    pub(crate) async fn open(test: &str, shape: Shape) -> Option<Self> {
        let server = Server::find(test).await?;
        let context = Context::system();
        let prefix = format!("t{}_", context.hex(4).unwrap());
        let folder = tempfile::tempdir().unwrap();
        for name in ["apps", "keep", "state", "keys"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let bank = Draft { server, prefix, context: context.clone(), folder, shape };
        let before = bank.server.logins("%").await;
        let admin = bank.admin().await;
        let mut olds = Vec::new();
        for index in 0..bank.shape.count {
            olds.push(bank.role(index).await);
        }
        let text = bank.documents(&before);
        let files = [SourceFile { name: "estate.yaml".to_owned(), bytes: text.into_bytes() }];
        let kinds = Arc::new(Registry::new());
        let estate = load(&files, &*kinds).map_err(|problems| panic!("{problems}")).unwrap().estate;
        let (state, key) = (bank.folder.path().join("state"), bank.folder.path().join("keys/kek"));
        Kek::create(&key, &state, false, &SystemRandomness).unwrap();
        let escrow = Arc::new(Escrow::new(Kek::load(&key, &state, false).unwrap(), Box::new(SystemRandomness)));
        let store = Arc::new(SqliteStore::open(&state).unwrap());
        let settings = EngineSettings {
            poll: Duration::from_millis(25),
            reproofs: vec![Duration::ZERO],
            ..EngineSettings::default()
        };
        let engine = Engine::new(store, escrow, kinds, HostRules::default(), context, settings);
        let others = (0..before.len()).map(|number| reference(&format!("other-{number}"))).collect();
        let Draft { server, prefix, folder, shape, .. } = bank;
        Some(Self { server, prefix, count: shape.count, estate, engine, admin, olds, others, folder })
    }

    /// The delivered file of a role.
    pub(crate) fn file(&self, index: usize) -> PathBuf {
        self.folder.path().join("apps").join(file(index))
    }

    pub(crate) fn group(&self, index: usize) -> String {
        format!("{}{index:02}", self.prefix)
    }

    /// A client of every role.
    pub(crate) async fn clients(&self, shape: impl Fn(usize, &mut Habits)) -> Vec<Client> {
        let starts = (0..self.count).map(|index| {
            let mut habits = Habits {
                name: format!("w{index:02}"),
                address: self.server.address.clone(),
                file: self.file(index),
                group: self.group(index),
                reloads: true,
                forgiving: false,
            };
            shape(index, &mut habits);
            Client::start(habits)
        });
        futures::future::join_all(starts).await
    }

    /// Asks for a reset that starts at these credentials, and approves it.
    pub(crate) async fn approved(&self, from: &[Ref], change: impl FnOnce(&mut Request)) -> ResetId {
        let mut request = Request::new(from.iter().cloned().map(Node::Doc).collect());
        request.exceptions.extend(self.others.iter().cloned());
        change(&mut request);
        let now = self.engine.context.clock.now();
        let plan = plan(&self.estate, &request, &*self.engine.kinds, now)
            .unwrap_or_else(|refusals| panic!("{}", refusals.iter().map(ToString::to_string).collect::<String>()));
        let id = self.engine.context.reset().unwrap();
        let asked = Asked {
            id: id.clone(),
            plan,
            estate: self.estate.clone(),
            reason: "INC-1".to_owned(),
            by: "tester".to_owned(),
            at: now,
        };
        self.engine.request(asked).await.unwrap();
        self.engine.approve(&id, "tester").await.unwrap();
        id
    }

    /// Carries it on until it rests.
    pub(crate) async fn run(&self, id: &ResetId) -> Reset {
        let run: Result<Reset, EngineError> = tokio::time::timeout(PATIENCE, self.engine.run(id)).await.unwrap();
        run.unwrap()
    }

    /// Every rotation that did not settle, with its state, in words.
    pub(crate) async fn unsettled(&self, id: &ResetId) -> Vec<String> {
        let records = self.engine.rotations(id).await.unwrap();
        records.iter().filter(|record| !matches!(record.rotation.state, State::Settled { .. })).map(words).collect()
    }

    /// The roles' own credentials.
    pub(crate) fn credentials(&self) -> Vec<Ref> {
        (0..self.count).map(|index| reference(&format!("c{index:02}"))).collect()
    }
}

pub(crate) fn reference(name: &str) -> Ref {
    Ref::credential(name).unwrap()
}

pub(crate) fn words(record: &RotationRecord) -> String {
    match &record.rotation.state {
        State::Parked { step, reason } => format!("{} parked at {step}: {reason}", record.credential),
        state => format!("{} {state}", record.credential),
    }
}

fn file(index: usize) -> String {
    format!("c{index:02}.{}", if index.is_multiple_of(2) { "env" } else { "json" })
}

/// What is known before there is an estate.
struct Draft {
    server: Server,
    prefix: String,
    context: Context,
    folder: tempfile::TempDir,
    shape: Shape,
}

impl Draft {
    /// The login that Remint acts with: no more than it needs, as far as the server's version lets such a login be.
    async fn admin(&self) -> Login {
        let (group, login) = (format!("{}adm", self.prefix), self.login(&format!("{}adm_a", self.prefix)));
        let rights = if self.server.version < 160_000 { "CREATEROLE" } else { "SUPERUSER" };
        self.server
            .run(&format!(
                "CREATE ROLE {group} NOLOGIN {rights} IN ROLE pg_signal_backend, pg_read_all_stats;
                 CREATE ROLE {user} LOGIN PASSWORD '{password}' IN ROLE {group};
                 ALTER ROLE {user} SET role = '{group}'",
                user = login.user,
                password = login.password
            ))
            .await;
        let text = serde_json::json!({ "user": login.user, "password": login.password }).to_string();
        std::fs::write(self.folder.path().join("keep/pg-admin.json"), text).unwrap();
        login
    }

    /// A group role and two login roles, the first in use; or one login role.
    async fn role(&self, index: usize) -> Login {
        let group = format!("{}{index:02}", self.prefix);
        let login = self.login(&if self.shape.in_place { group.clone() } else { format!("{group}_a") });
        let Login { user, password } = &login;
        let sql = if self.shape.in_place {
            format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        } else {
            format!(
                "CREATE ROLE {group} NOLOGIN;
                 CREATE ROLE {user} LOGIN PASSWORD '{password}' IN ROLE {group};
                 CREATE ROLE {group}_b NOLOGIN IN ROLE {group};
                 ALTER ROLE {user} SET role = '{group}';
                 CREATE SCHEMA {group} AUTHORIZATION {group}"
            )
        };
        self.server.run(&sql).await;
        let text = if index.is_multiple_of(2) {
            format!("# kept\nDATABASE_URL=postgres://{user}:{password}@{}/postgres\n", self.server.address)
        } else {
            serde_json::json!({ "kept": 1, "db": { "user": user, "password": password } }).to_string()
        };
        std::fs::write(self.folder.path().join("apps").join(file(index)), text).unwrap();
        login
    }

    fn login(&self, user: &str) -> Login {
        Login { user: user.to_owned(), password: format!("Old{}", self.context.hex(12).unwrap()) }
    }

    fn documents(&self, before: &[String]) -> String {
        let (address, prefix, shape) = (&self.server.address, &self.prefix, &self.shape);
        let folder = |name: &str| self.folder.path().join(name).display().to_string();
        let mut text = format!(
            r#"apiVersion: remint.dev/v1alpha1
kind: System
metadata: {{name: pg}}
spec:
  sql: {{url: "postgres://{address}/postgres"}}
  auth: {{credential: pg-admin}}
  budget: {{concurrency: 16}}
---
apiVersion: remint.dev/v1alpha1
kind: System
metadata: {{name: apps}}
spec: {{file: {{root: "{}"}}}}
---
apiVersion: remint.dev/v1alpha1
kind: System
metadata: {{name: keep}}
spec: {{file: {{root: "{}"}}}}
---
apiVersion: remint.dev/v1alpha1
kind: Identity
metadata: {{name: apps}}
spec: {{class: workload, tier: privileged, owners: {{business: b, policy: p, execution: e}}}}
---
apiVersion: remint.dev/v1alpha1
kind: Credential
metadata: {{name: pg-admin}}
spec:
  type: database-login
  identity: apps
  issuedBy: {{system: pg, target: {prefix}adm}}
  deliveredTo: [{{at: "keep:pg-admin.json", fields: {{user: "{{username}}", password: "{{secret}}"}}}}]
  consumedBy: [{}]
  unlocks: [{{what: System/pg, verb: admin}}]
  rotation: {{strategy: alternate}}
"#,
            folder("apps"),
            folder("keep"),
            if shape.backup { "backup" } else { "" },
        );
        if shape.backup {
            workload(&mut text, "backup", shape.within);
        }
        for (number, name) in before.iter().enumerate() {
            let name = serde_json::to_string(name).unwrap();
            write!(
                text,
                "---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: other-{number}}}\nspec:\n  type: database-login\n  identity: apps\n  issuedBy: {{system: pg, target: {name}}}\n  rotation: {{strategy: manual}}\n"
            )
            .unwrap();
        }
        let strategy = if shape.in_place { "in-place, outage: 30s" } else { "alternate" };
        for index in 0..shape.count {
            let fields = if index.is_multiple_of(2) {
                format!(r#"DATABASE_URL: "postgres://{{username|url}}:{{secret|url}}@{address}/postgres""#)
            } else {
                r#"db.user: "{username}", db.password: "{secret}""#.to_owned()
            };
            write!(
                text,
                "---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: c{index:02}}}\nspec:\n  type: database-login\n  identity: apps\n  issuedBy: {{system: pg, target: {prefix}{index:02}}}\n  deliveredTo: [{{at: \"apps:{}\", fields: {{{fields}}}}}]\n  consumedBy: [w{index:02}]\n  begets: {{sessions: 1h}}\n  rotation: {{strategy: {strategy}}}\n",
                file(index)
            )
            .unwrap();
            workload(&mut text, &format!("w{index:02}"), shape.within);
        }
        text
    }
}

/// It polls its file by itself, and is seen by the name of its sessions.
fn workload(text: &mut String, name: &str, within: Duration) {
    write!(
        text,
        "---\napiVersion: remint.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}}}\nspec:\n  reload: none\n  confirm: {{how: issuer-seen, source: {name}, within: {}s}}\n",
        within.as_secs()
    )
    .unwrap();
}

//! Remint's side: an estate of the roles, each delivered to one file, and the engine over a state on disk.

use std::fmt::Write as _;
use std::sync::Arc;

use remint::context::Context;
use remint::engine::record::ResetStatus;
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::registry::Registry;
use remint::store::sqlite::SqliteStore;
use remint_contract::{HostRules, Ref};
use remint_core::estate::{Estate, SourceFile, load};
use remint_core::machine::State;
use remint_core::plan::{Node, Request, plan};

use super::roles::Roles;
use crate::Outcome;
use crate::server::Server;

/// An engine in this process, as the daemon has it.
pub(super) struct Bank {
    estate: Estate,
    engine: Engine,
    count: usize,
    _folder: tempfile::TempDir,
}

impl Bank {
    pub(super) async fn open(server: &Server, roles: &Roles, concurrency: usize) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        for name in ["apps", "keep", "state", "keys"] {
            tokio::fs::create_dir(at(name)).await?;
        }
        let write = |path: &str, user: &str, password: &str| {
            std::fs::write(at(path), format!("DB_USER={user}\nDB_PASSWORD={password}\n"))
        };
        write("keep/admin.env", &roles.admin.user, &roles.admin.password)?;
        for (group, login) in &roles.logins {
            write(&format!("apps/{group}.env"), &login.user, &login.password)?;
        }
        let root = |name: &str| at(name).display().to_string();
        let text = documents(server, roles, concurrency, &root("apps"), &root("keep"))?;
        let kinds = Arc::new(Registry::new());
        let files = [SourceFile { name: "estate.yaml".to_owned(), bytes: text.into_bytes() }];
        let estate = load(&files, &*kinds).map_err(|problems| problems.to_string())?.estate;
        Kek::create(&at("keys/kek"), &at("state"), false, &SystemRandomness)?;
        let kek = Kek::load(&at("keys/kek"), &at("state"), false)?;
        let escrow = Arc::new(Escrow::new(kek, Box::new(SystemRandomness)));
        let store = Arc::new(SqliteStore::open(&at("state"))?);
        let context = Context::system();
        let engine = Engine::new(store, escrow, kinds, HostRules::default(), context, EngineSettings::default());
        Ok(Self { estate, engine, count: roles.logins.len(), _folder: folder })
    }

    /// Plans, approves and carries out one reset of every role; anything but all settled is an error.
    pub(super) async fn rotate(&self) -> Outcome<()> {
        let from = (0..self.count).map(|index| Ok(Node::Doc(Ref::credential(&name(index))?)));
        let request = Request::new(from.collect::<Outcome<_>>()?);
        let now = self.engine.context.clock.now();
        let plan = plan(&self.estate, &request, &*self.engine.kinds, now)
            .map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let id = self.engine.context.reset()?;
        let asked = Asked {
            id: id.clone(),
            plan,
            estate: self.estate.clone(),
            reason: "benchmark".to_owned(),
            by: "benchmark".to_owned(),
            at: now,
        };
        self.engine.request(asked).await?;
        self.engine.approve(&id, "benchmark").await?;
        let reset = self.engine.run(&id).await?;
        let rotations = self.engine.rotations(&id).await?;
        let settled = |state: &State| matches!(state, State::Settled { .. });
        if let Some(open) = rotations.iter().find(|record| !settled(&record.rotation.state)) {
            return Err(format!("{} did not settle: {:?}", open.credential, open.rotation.state).into());
        }
        if rotations.len() != self.count || reset.status != ResetStatus::Provisional {
            let labels: Vec<_> =
                self.engine.findings(Some(&id)).await?.into_iter().map(|finding| finding.label).collect();
            return Err(format!("{} rotations, {:?}, foreign: {labels:?}", rotations.len(), reset.status).into());
        }
        Ok(())
    }
}

fn name(index: usize) -> String {
    format!("c{index:04}")
}

fn documents(server: &Server, roles: &Roles, concurrency: usize, apps: &str, keep: &str) -> Outcome<String> {
    let document = |kind: &str, name: &str, spec: &str| {
        format!("---\napiVersion: remint.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
    };
    let budget = format!("budget: {{concurrency: {concurrency}}}");
    let url = format!("postgres://{}/postgres", server.address);
    let mut text = String::new();
    text += &document("System", "pg", &format!("sql: {{url: \"{url}\"}}, auth: {{credential: admin}}, {budget}"));
    text += &document("System", "apps", &format!("file: {{root: \"{apps}\"}}, {budget}"));
    text += &document("System", "keep", &format!("file: {{root: \"{keep}\"}}, {budget}"));
    text += &document(
        "Identity",
        "apps",
        "class: workload, tier: privileged, owners: {business: b, policy: p, execution: e}",
    );
    let credential = |target: &str, more: &str| {
        format!("type: database-login, identity: apps, issuedBy: {{system: pg, target: {target}}}, {more}")
    };
    let fields = "fields: {DB_USER: \"{username}\", DB_PASSWORD: \"{secret}\"}";
    let delivered = |at: &str| format!("deliveredTo: [{{at: \"{at}\", {fields}}}], rotation: {{strategy: alternate}}");
    let admin = credential(&format!("{}adm", roles.prefix), &delivered("keep:admin.env"));
    text += &document("Credential", "admin", &admin);
    // The cluster's own superuser is known, and nobody's to rotate here.
    let boss = credential(&server.boss.user, "rotation: {strategy: manual}");
    text += &document("Credential", "boss", &boss);
    for (index, (group, _)) in roles.logins.iter().enumerate() {
        let spec = credential(group, &delivered(&format!("apps:{group}.env")));
        write!(text, "{}", document("Credential", &name(index), &spec))?;
    }
    // The other set of this round lies at the same server.
    let other = roles.prefix.replacen('r', "p", 1);
    text += &document("Credential", "other", &credential(&format!("{other}adm"), "rotation: {strategy: manual}"));
    for (index, (group, _)) in roles.logins.iter().enumerate() {
        let other = group.replacen('r', "p", 1);
        let spec = credential(&other, "rotation: {strategy: manual}");
        write!(text, "{}", document("Credential", &format!("o{index:04}"), &spec))?;
    }
    Ok(text)
}

//! What is left in the world: counted at the issuers, in the stores and in the files, never from what Remint says.

use std::collections::BTreeSet;

use remint_contract::Material;
use remint_fake::demo::{Estate, FIELD};
use serde::Serialize;

use crate::consumer::Consumers;
use crate::roles::Roles;
use crate::server::delivered;
use crate::{Database, Outcome};

/// What must be empty, each thing in words.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Counted {
    /// A consumer or a store without a working value, or a sealed value that does not open.
    pub lost: Vec<String>,
    /// What Remint made and nothing names.
    pub orphans: Vec<String>,
    /// A credential of which more than one version is alive.
    pub double_live: Vec<String>,
}

/// Counts the database, its files, the demo's issuers, their stores and workloads.
pub(crate) async fn count(database: Option<&Database>, stage: &Estate) -> Outcome<Counted> {
    let mut counted = Counted::default();
    if let Some(Database { roles, consumers, .. }) = database {
        files(roles, &mut counted).await?;
        logins(roles, consumers, &mut counted).await?;
    }
    issuers(stage, &mut counted);
    workloads(stage, &mut counted).await;
    Ok(counted)
}

/// Every delivered login is let in, and acts as who it shall.
async fn files(roles: &Roles, counted: &mut Counted) -> Outcome<()> {
    for (group, file) in roles.delivered() {
        let Ok(login) = delivered(&file) else {
            counted.lost.push(format!("{} cannot be read", file.display()));
            continue;
        };
        match roles.server.acts_as(&login).await? {
            Some(name) if name == group => {}
            Some(name) => counted.lost.push(format!("{} acts as {name}, not as {group}", file.display())),
            None => counted.lost.push(format!("{} as {} is refused", file.display(), login.user)),
        }
    }
    counted.orphans.extend(roles.strays()?);
    Ok(())
}

/// No other login role, and no other password that ever lay in a file, is let in.
async fn logins(roles: &Roles, consumers: &Consumers, counted: &mut Counted) -> Outcome<()> {
    let mut now = BTreeSet::new();
    for (_, file) in roles.delivered() {
        now.extend(delivered(&file).ok());
    }
    let users: BTreeSet<&str> = now.iter().map(|login| login.user.as_str()).collect();
    for name in roles.logins().await? {
        if !users.contains(name.as_str()) {
            counted.double_live.push(format!("role {name} may log in"));
        }
    }
    let mut named = BTreeSet::new();
    for (group, _) in roles.delivered() {
        named.extend(["", "_a", "_b"].map(|ending| format!("{group}{ending}")));
    }
    let strays = roles.names().await?;
    counted.orphans.extend(strays.into_iter().filter(|name| !named.contains(name)).map(|name| format!("role {name}")));
    for old in consumers.seen(|ledger| ledger.ever.clone()).difference(&now) {
        if roles.server.acts_as(old).await?.is_some() {
            counted.double_live.push(format!("an old password of {} is let in", old.user));
        }
    }
    Ok(())
}

/// Each place has a value that its issuer accepts, and the issuer has no other.
fn issuers(stage: &Estate, counted: &mut Counted) {
    for placed in &stage.placed {
        let Some(issuer) = stage.world.issuers().get(&placed.issuer) else { continue };
        for (store, path) in &placed.places {
            let value = stage.world.stores().get(store).and_then(|store| store.value(path, FIELD));
            if !value.is_some_and(|value| issuer.accepts(&Material::of(value))) {
                counted.lost.push(format!("{store}:{path} has no value that {} accepts", placed.issuer));
            }
        }
        let versions = issuer.live_versions(&placed.name);
        let (stopped, alive): (Vec<_>, Vec<_>) = versions.into_iter().partition(|version| version.disabled);
        let stopped = stopped.iter().map(|version| format!("{} is left disabled", version.version));
        counted.orphans.extend(stopped);
        if alive.len() > 1 {
            let names: Vec<String> = alive.iter().map(|version| version.version.to_string()).collect();
            counted.double_live.push(format!("{} has {} alive: {}", placed.name, alive.len(), names.join(", ")));
            // All but one of those that Remint made are named by nothing.
            let made = alive.iter().filter(|version| version.operation.is_some()).skip(1);
            counted.orphans.extend(made.map(|version| format!("{} is named by nothing", version.version)));
        }
    }
}

/// Every workload of the demo does its work with what it holds.
async fn workloads(stage: &Estate, counted: &mut Counted) {
    for (name, host) in stage.world.hosts() {
        for workload in host.workloads() {
            match stage.world.work(name, &workload).await {
                Some(failed) => {
                    counted.lost.extend(failed.iter().map(|place| format!("{workload} is refused with {place}")));
                }
                None => counted.lost.push(format!("{workload} does not answer")),
            }
        }
    }
}

//! What the roles of a mount may do, as documents: each role a credential, each of its policies read into `unlocks`.
//!
//! Flow: the roles and the mounts of the server are listed, each policy is read once, and every mount that one of them
//! opens is a System of its own, beside the credential that opens it.
//! Guarantee: what is said is never narrower than what the policies allow. A policy that cannot be read, or is not
//! understood, is an error and never left out; a mount that no document can describe is named in the label `unread`.

mod edges;
mod policy;

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Call, Error, ErrorKind, Verb};
use serde::Deserialize;
use serde_json::{Value, json};

use self::edges::{Kind, Mount};
use self::policy::Rule;
use crate::client::Client;
use crate::request::Request;

const VERB: Verb = Verb::Discover;
/// Everything, and no text says so.
pub(crate) const ROOT: &str = "root";

/// A role and the policies of what it gives.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) policies: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Engine {
    r#type: String,
    #[serde(default)]
    options: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Policy {
    policy: String,
}

/// The documents of these roles. `kind` is what their credentials are called.
pub(crate) async fn documents(client: &Client, call: &Call, kind: &str, roles: &[Role]) -> Result<Vec<Value>, Error> {
    let mounts = mounts(client, call).await?;
    let mut known: BTreeMap<&str, Vec<Rule>> = BTreeMap::new();
    let (mut credentials, mut systems) = (Vec::new(), BTreeSet::new());
    for role in roles {
        let (mut opened, mut unread) = (BTreeSet::new(), BTreeSet::new());
        for policy in &role.policies {
            if !known.contains_key(policy.as_str()) {
                known.insert(policy, rules(client, call, policy).await?);
            }
            for rule in &known[policy.as_str()] {
                edges::of(rule, &mounts, &mut opened, &mut unread);
            }
        }
        systems.extend(opened.iter().filter_map(|(what, _)| system_of(what)));
        let unlocks: Vec<_> = opened.iter().map(|(what, verb)| json!({"what": what, "verb": verb})).collect();
        let mut metadata = json!({"name": named(&role.name)});
        if !unread.is_empty() {
            metadata["labels"] = json!({"unread": unread.into_iter().collect::<Vec<_>>().join(" ")});
        }
        credentials.push(json!({
            "apiVersion": "remint.dev/v1alpha1",
            "kind": "Credential",
            "metadata": metadata,
            "spec": {"type": kind, "issuedBy": {"system": "this", "target": role.name}, "unlocks": unlocks},
        }));
    }
    let described = mounts.iter().filter(|mount| systems.contains(mount.system.as_str()));
    let mut documents: Vec<Value> = described.filter_map(|mount| system(client, mount)).collect();
    documents.extend(credentials);
    Ok(documents)
}

/// A mount as a System of its own.
fn system(client: &Client, mount: &Mount) -> Option<Value> {
    let engine = mount.kind.engine().filter(|_| mount.system != edges::THIS)?;
    let mut settings = json!({"address": client.settings.address, "engine": engine, "mount": mount.bare()});
    if let Some(namespace) = &client.settings.namespace {
        settings["namespace"] = json!(namespace);
    }
    Some(json!({
        "apiVersion": "remint.dev/v1alpha1",
        "kind": "System",
        "metadata": {"name": mount.system},
        "spec": {"vault": settings},
    }))
}

fn system_of(what: &str) -> Option<String> {
    let system = what.strip_prefix("System/").unwrap_or_else(|| what.split(':').next().unwrap_or_default());
    (!system.is_empty()).then(|| system.to_owned())
}

async fn mounts(client: &Client, call: &Call) -> Result<Vec<Mount>, Error> {
    // Not those that this login may see: all.
    let mut all: BTreeMap<String, Engine> =
        client.act(call, &Request::get(VERB, "sys/mounts")?).await?.data("the mounts")?;
    let auth: BTreeMap<String, Engine> =
        client.act(call, &Request::get(VERB, "sys/auth")?).await?.data("the logins")?;
    all.extend(auth.into_iter().map(|(path, engine)| (format!("auth/{path}"), engine)));
    let own = format!("{}/", client.settings.mount);
    Ok(all
        .into_iter()
        .map(|(path, engine)| {
            let version = engine.options.as_ref().and_then(|options| options.get("version")).map(String::as_str);
            let kind = Kind::of(&engine.r#type, version);
            let system = if path == own { edges::THIS.to_owned() } else { named(path.trim_end_matches('/')) };
            Mount { path, kind, system }
        })
        .collect())
}

async fn rules(client: &Client, call: &Call, name: &str) -> Result<Vec<Rule>, Error> {
    if name == ROOT {
        return Ok(vec![Rule::everything()]);
    }
    let answer = client.act(call, &Request::get(VERB, &format!("sys/policies/acl/{name}"))?).await?;
    // A role may name a policy that is not there: it gives nothing.
    let found: Option<Policy> = answer.found("the policy").map_err(|failure| failure.with("policy", name))?;
    let Some(found) = found else { return Ok(Vec::new()) };
    policy::read(&found.policy).ok_or_else(|| {
        let message = "the policy is not understood, so what it opens is not known";
        Error::new(ErrorKind::Invalid, VERB, message).with("policy", name)
    })
}

/// A name that a document may have.
fn named(text: &str) -> String {
    let plain = |one: char| if one.is_ascii_alphanumeric() { one.to_ascii_lowercase() } else { '-' };
    text.chars().map(plain).collect::<String>().trim_matches('-').to_owned()
}

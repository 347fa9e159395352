//! What a namespace says of itself, as documents: who reads which Secret, and what each ServiceAccount's roles open.
//!
//! Flow: workloads, ServiceAccounts and bindings are listed, and each bound role is read once. A document names the system
//! that it was found on `this`, for a connector does not know what its own document is called.
//! Errors: what may not be listed is an error, never left out: an edge that is not seen would be reach that is not seen.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Call, Error, Verb};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::place::{APPS, CORE, Place, collection};
use crate::pod::references;
use crate::request::Request;
use crate::roles::{Rule, Scope, unlocks};
use crate::secret::List;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

#[derive(Deserialize)]
struct Named {
    metadata: NamedMetadata,
}

#[derive(Deserialize)]
struct NamedMetadata {
    name: String,
}

#[derive(Deserialize)]
struct Runs {
    metadata: NamedMetadata,
    spec: RunsSpec,
}

#[derive(Deserialize)]
struct RunsSpec {
    template: Template,
}

#[derive(Deserialize)]
struct Template {
    spec: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Binding {
    role_ref: RoleRef,
    #[serde(default)]
    subjects: Vec<Subject>,
}

#[derive(Deserialize)]
struct RoleRef {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
struct Subject {
    kind: String,
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    rules: Option<Vec<Rule>>,
}

pub(crate) async fn discover(client: &Client, call: &Call) -> Result<Vec<Value>, Error> {
    let namespace = client.settings.namespace.as_str();
    let mut documents = Vec::new();
    let mut consumers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (kind, plural) in [("Deployment", "deployments"), ("StatefulSet", "statefulsets"), ("DaemonSet", "daemonsets")]
    {
        for found in list::<Runs>(client, call, &collection(APPS, namespace, plural)).await? {
            let name = format!("{}-{}", kind.to_lowercase(), found.metadata.name);
            let account = found.spec.template.spec.get("serviceAccountName").and_then(Value::as_str);
            consumers.entry(account.unwrap_or("default").to_owned()).or_default().push(name.clone());
            documents.push(workload(namespace, kind, &found, &name));
        }
    }
    let accounts = list::<Named>(client, call, &collection(CORE, namespace, "serviceaccounts")).await?;
    let names: Vec<_> = accounts.into_iter().map(|one| one.metadata.name).collect();
    let mut bound = bound(client, call, namespace, &names).await?;
    for name in &names {
        bound.entry(Place { namespace: namespace.to_owned(), name: name.clone() }).or_default();
    }
    for (account, rules) in bound {
        let mut opened = BTreeSet::new();
        for (scope, rules) in rules {
            opened.extend(unlocks(&rules, scope, namespace, &names));
        }
        let opened: Vec<_> = opened.iter().map(|(what, verb)| json!({"what": what, "verb": verb})).collect();
        let here = account.namespace == namespace;
        let consumers = consumers.get(&account.name).filter(|_| here).cloned().unwrap_or_default();
        let name = if here { account.name.clone() } else { format!("{}.{}", account.namespace, account.name) };
        documents.push(json!({
            "apiVersion": "remint.dev/v1alpha1",
            "kind": "Credential",
            "metadata": {"name": name},
            "spec": {
                "type": "kubernetes-token",
                "issuedBy": {"system": "this", "target": account.to_string()},
                "consumedBy": consumers,
                "unlocks": opened,
            },
        }));
    }
    Ok(documents)
}

fn workload(namespace: &str, kind: &str, found: &Runs, name: &str) -> Value {
    let reads: BTreeSet<_> = references(&found.spec.template.spec)
        .into_iter()
        .map(|one| format!("this:{}", Place { namespace: namespace.to_owned(), name: one.name }))
        .collect();
    json!({
        "apiVersion": "remint.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": name},
        "spec": {
            "runsOn": {"system": "this", "ref": format!("{kind}/{namespace}/{}", found.metadata.name)},
            "reload": "rollout",
            "confirm": {"how": "rolled-out"},
            "reads": reads,
        },
    })
}

/// Rules, and where they hold.
type Bound = BTreeMap<Place, Vec<(Scope, Vec<Rule>)>>;

/// The rules of every ServiceAccount of a namespace, and of those of other namespaces that something here is bound to.
async fn bound(client: &Client, call: &Call, namespace: &str, names: &[String]) -> Result<Bound, Error> {
    let mut found = Bound::new();
    let mut roles: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    let here = collection(RBAC, namespace, "rolebindings");
    for (scope, path) in [(Scope::Namespace, here), (Scope::Cluster, format!("{RBAC}/clusterrolebindings"))] {
        for binding in list::<Binding>(client, call, &path).await? {
            let mut accounts = BTreeSet::new();
            for subject in &binding.subjects {
                accounts.extend(subject.accounts(scope, namespace, names));
            }
            if accounts.is_empty() {
                continue;
            }
            let path = match binding.role_ref.kind.as_str() {
                "Role" => format!("{}/{}", collection(RBAC, namespace, "roles"), binding.role_ref.name),
                _ => format!("{RBAC}/clusterroles/{}", binding.role_ref.name),
            };
            if !roles.contains_key(&path) {
                let answer = client.act(call, &Request::get(Verb::Discover, path.clone())).await?;
                // A binding of a role that is gone gives nothing.
                let role: Option<Role> = answer.found("the role")?;
                roles.insert(path.clone(), role.and_then(|role| role.rules).unwrap_or_default());
            }
            for account in accounts {
                let rules = roles.get(&path).cloned().unwrap_or_default();
                found.entry(account).or_default().push((scope, rules));
            }
        }
    }
    Ok(found)
}

impl Subject {
    /// The ServiceAccounts that are meant, as far as they have to do with this namespace.
    fn accounts(&self, scope: Scope, namespace: &str, names: &[String]) -> Vec<Place> {
        let place = |namespace: &str, name: &String| Place { namespace: namespace.to_owned(), name: name.clone() };
        let own = format!("system:serviceaccounts:{namespace}");
        let groups = ["system:serviceaccounts", "system:authenticated", own.as_str()];
        match self.kind.as_str() {
            "ServiceAccount" if scope == Scope::Namespace || self.namespace == namespace => {
                vec![place(&self.namespace, &self.name)]
            }
            "Group" if groups.contains(&self.name.as_str()) => {
                names.iter().map(|name| place(namespace, name)).collect()
            }
            _ => Vec::new(),
        }
    }
}

async fn list<T: for<'de> Deserialize<'de>>(client: &Client, call: &Call, path: &str) -> Result<Vec<T>, Error> {
    let answer = client.act(call, &Request::get(Verb::Discover, path.to_owned())).await?;
    answer.data::<List<T>>("what is there").map(|list| list.items).map_err(|failure| failure.with("path", path))
}

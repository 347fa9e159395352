//! What a role's rules open, in an estate's words.
//!
//! Guarantees: the reading is never narrower than what the rules allow: whoever may create a Secret can have a token for any
//! account of the namespace made in it; whoever may run a pod can mount every Secret there and be every account; whoever may
//! write roles, bind them or be somebody else has everything.

use std::collections::BTreeSet;

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
    resource_names: Vec<String>,
}

/// Where a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespace,
    Cluster,
}

/// What may be done with a resource runs pods.
const RUNS: [(&str, &str); 9] = [
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("", "podtemplates"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("apps", "replicasets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
];
const WRITES: [&str; 3] = ["create", "update", "patch"];

/// `(what, verb)` of every edge.
pub(crate) fn unlocks(
    rules: &[Rule],
    scope: Scope,
    namespace: &str,
    accounts: &[String],
) -> BTreeSet<(String, &'static str)> {
    let mut found = BTreeSet::new();
    let all = match scope {
        Scope::Namespace => format!("this:{namespace}/*"),
        Scope::Cluster => "this:*".to_owned(),
    };
    for rule in rules {
        let places = |verbs: &[&str]| -> Vec<String> {
            // Names do not narrow what creates or lists.
            let narrow = !rule.resource_names.is_empty() && !rule.may(&["create", "list", "watch"]);
            if !rule.may(verbs) {
                Vec::new()
            } else if narrow && scope == Scope::Namespace {
                rule.resource_names.iter().map(|name| format!("this:{namespace}/{name}")).collect()
            } else {
                vec![all.clone()]
            }
        };
        // Cluster-wide, some account is an administrator.
        let system = (scope == Scope::Cluster).then(|| ("System/this".to_owned(), "admin"));
        let mints = accounts.iter().map(|account| (format!("Credential/{account}"), "mint"));
        let everybody = || mints.clone().chain(system.clone());
        if rule.names("", "secrets") {
            found.extend(places(&["get", "list", "watch"]).into_iter().map(|place| (place, "read")));
            found.extend(places(&WRITES).into_iter().map(|place| (place, "write")));
            if rule.may(&["create"]) {
                found.extend(everybody());
            }
        }
        if rule.names("", "serviceaccounts/token") && rule.may(&["create"]) {
            let named = |account: &&String| rule.resource_names.is_empty() || rule.resource_names.contains(account);
            found.extend(accounts.iter().filter(named).map(|account| (format!("Credential/{account}"), "mint")));
            found.extend(system.clone());
        }
        let runs = RUNS.iter().any(|(group, resource)| rule.names(group, resource)) && rule.may(&WRITES);
        let enters = ["pods/exec", "pods/attach", "pods/ephemeralcontainers"];
        // To enter a pod takes a `get` on its connection, or a `create`.
        let enters = enters.iter().any(|part| rule.names("", part)) && rule.may(&["get", "create", "update", "patch"]);
        if runs || enters {
            found.insert((all.clone(), "read"));
            found.extend(everybody());
        }
        if rule.rules() {
            found.insert(("System/this".to_owned(), "admin"));
        }
    }
    found
}

impl Rule {
    fn names(&self, group: &str, resource: &str) -> bool {
        let all_parts = resource.split_once('/').map(|(_, part)| format!("*/{part}"));
        let is = |one: &String| one == "*" || one == resource || all_parts.as_ref() == Some(one);
        self.api_groups.iter().any(|one| one == "*" || one == group) && self.resources.iter().any(is)
    }

    fn may(&self, verbs: &[&str]) -> bool {
        self.verbs.iter().any(|one| one == "*" || verbs.contains(&one.as_str()))
    }

    /// Does it lead to every other right?
    fn rules(&self) -> bool {
        let rbac = ["roles", "rolebindings", "clusterroles", "clusterrolebindings"];
        let rbac = rbac.iter().any(|resource| self.names("rbac.authorization.k8s.io", resource));
        let whole = self.names("*", "*") && self.may(&["*"]) && self.resource_names.is_empty();
        let be = ["users", "groups", "serviceaccounts"].iter().any(|resource| self.names("", resource));
        whole
            || (rbac && self.may(&["create", "update", "patch", "bind", "escalate"]))
            || (be && self.may(&["impersonate"]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn opened(rule: serde_json::Value, scope: Scope) -> Vec<String> {
        let rules = [serde_json::from_value(rule).unwrap()];
        let accounts = ["ci".to_owned(), "web".to_owned()];
        unlocks(&rules, scope, "team", &accounts).into_iter().map(|(what, verb)| format!("{verb} {what}")).collect()
    }

    fn rule(resource: &str, verbs: &[&str], names: &[&str]) -> serde_json::Value {
        let group = if resource == "deployments" { "apps" } else { "" };
        json!({"apiGroups": [group], "resources": [resource], "verbs": verbs, "resourceNames": names})
    }

    #[test]
    fn a_right_on_secrets_reads_or_writes_the_places_that_it_names() {
        assert_eq!(opened(rule("secrets", &["get"], &["db"]), Scope::Namespace), ["read this:team/db"]);
        assert_eq!(opened(rule("secrets", &["list"], &[]), Scope::Namespace), ["read this:team/*"]);
        assert_eq!(opened(rule("secrets", &["get"], &[]), Scope::Cluster), ["read this:*"]);
        assert_eq!(opened(rule("secrets", &["patch"], &["db"]), Scope::Namespace), ["write this:team/db"]);
        assert_eq!(opened(rule("configmaps", &["*"], &[]), Scope::Cluster), [""; 0]);
    }

    #[test]
    fn whoever_creates_a_secret_or_runs_a_pod_is_every_account() {
        let every = ["mint Credential/ci", "mint Credential/web"];
        assert_eq!(opened(rule("serviceaccounts/token", &["create"], &["ci"]), Scope::Namespace), [every[0]]);
        let creates = opened(rule("secrets", &["create"], &["db"]), Scope::Namespace);
        assert_eq!(creates, [every[0], every[1], "write this:team/*"]);
        for resource in ["deployments", "pods", "pods/exec"] {
            let runs = opened(rule(resource, &["create"], &[]), Scope::Namespace);
            assert_eq!(runs, [every[0], every[1], "read this:team/*"], "{resource}");
        }
    }

    #[test]
    fn whoever_writes_roles_or_is_somebody_else_is_the_administrator() {
        for rule in [
            json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
            json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["create"]}),
            rule("users", &["impersonate"], &[]),
        ] {
            assert!(opened(rule.clone(), Scope::Namespace).contains(&"admin System/this".to_owned()), "{rule}");
        }
        let everywhere = opened(rule("pods", &["create"], &[]), Scope::Cluster);
        assert!(everywhere.contains(&"admin System/this".to_owned()), "{everywhere:?}");
    }
}

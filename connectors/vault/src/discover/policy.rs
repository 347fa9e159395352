//! The text of a policy: HCL, or JSON of the same form.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// One path of a policy and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// As far as it means itself.
    pub(super) prefix: String,
    /// More may follow.
    pub(super) wildcard: bool,
    capabilities: BTreeSet<String>,
}

impl Rule {
    /// What the policy `root` says without a text.
    pub(super) fn everything() -> Self {
        Self { prefix: String::new(), wildcard: true, capabilities: ["sudo".to_owned()].into() }.filled()
    }

    pub(super) fn may(&self, any: &[&str]) -> bool {
        any.iter().any(|one| self.capabilities.contains(*one))
    }

    fn filled(mut self) -> Self {
        self.capabilities.extend(["create", "read", "update", "patch", "delete", "list"].map(str::to_owned));
        self
    }
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    path: BTreeMap<String, Several>,
}

/// A path that stands there twice is a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Several {
    One(Written),
    Many(Vec<Written>),
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    capabilities: Vec<String>,
    /// The older form.
    policy: Option<String>,
}

/// Its rules, without those that only deny; nothing when it cannot be read.
pub(super) fn read(text: &str) -> Option<Vec<Rule>> {
    let text: Text = serde_json::from_str(text).ok().or_else(|| hcl::from_str(text).ok())?;
    let mut rules = Vec::new();
    for (path, several) in text.path {
        let several = match several {
            Several::One(one) => vec![one],
            Several::Many(many) => many,
        };
        for written in several {
            let mut capabilities: BTreeSet<String> = written.capabilities.into_iter().collect();
            let older: &[&str] = match written.policy.as_deref() {
                Some("read") => &["read", "list"],
                Some("write") => &["create", "read", "update", "delete", "list"],
                Some("sudo") => &["create", "read", "update", "delete", "list", "sudo"],
                Some("deny") | None => &[],
                Some(_) => return None,
            };
            capabilities.extend(older.iter().map(|one| (*one).to_owned()));
            if !capabilities.contains("deny") && !capabilities.is_empty() {
                rules.push(rule(&path, capabilities));
            }
        }
    }
    Some(rules)
}

/// What stands for any segment, or for what is known of the bearer only, may be anything.
fn rule(path: &str, capabilities: BTreeSet<String>) -> Rule {
    let path = path.trim_start_matches('/');
    let end = ["+", "{{"].iter().filter_map(|one| path.find(one)).min();
    let (prefix, wildcard) = match (end, path.strip_suffix('*')) {
        (Some(end), _) => (&path[..end], true),
        (None, Some(prefix)) => (prefix, true),
        (None, None) => (path, false),
    };
    Rule { prefix: prefix.to_owned(), wildcard, capabilities }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<(String, bool)> {
        read(text).unwrap().into_iter().map(|rule| (rule.prefix, rule.wildcard)).collect()
    }

    #[test]
    fn both_forms_say_the_same() {
        let hcl = "# who may\npath \"kv/data/team/*\" {\n  capabilities = [\"read\", \"list\"]\n}\npath \"kv/data/one\" { capabilities = [\"create\"] }\n";
        let json = r#"{"path": {"kv/data/team/*": {"capabilities": ["read", "list"]}, "kv/data/one": {"capabilities": ["create"]}}}"#;
        assert_eq!(read(hcl), read(json));
        assert_eq!(said(hcl), [("kv/data/one".to_owned(), false), ("kv/data/team/".to_owned(), true)]);
    }

    #[test]
    fn what_may_be_anything_is_everything_below() {
        let text = "path \"kv/data/+/app\" { policy = \"read\" }\npath \"kv/data/{{identity.entity.id}}/x\" { capabilities = [\"read\"] }";
        assert!(said(text).iter().all(|(prefix, wildcard)| prefix == "kv/data/" && *wildcard));
    }

    #[test]
    fn what_is_denied_opens_nothing_and_what_is_not_understood_is_said() {
        assert!(said("path \"kv/*\" { capabilities = [\"deny\"] }").is_empty());
        assert!(read("path \"kv/*\" {").is_none());
        assert!(read("path \"kv/*\" { policy = \"everything\" }").is_none());
        assert_eq!(said(""), []);
    }
}

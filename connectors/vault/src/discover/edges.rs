//! What one rule of a policy opens, in an estate's words, mount by mount.

use std::collections::BTreeSet;

use super::policy::Rule;

/// How the system that was asked is called.
pub(super) const THIS: &str = "this";

/// `(what, verb)` of an edge.
pub(super) type Edge = (String, &'static str);

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Kv1,
    Kv2,
    AppRole,
    Token,
    Database,
    Pki,
    Transit,
    /// The server's own: policies, mounts, identities.
    Server,
    /// It holds nothing that lasts.
    Nothing,
    /// No document can describe it.
    Other,
}

impl Kind {
    pub(super) fn of(word: &str, version: Option<&str>) -> Self {
        match (word, version) {
            ("kv" | "generic", Some("2")) => Self::Kv2,
            ("kv" | "generic", _) => Self::Kv1,
            ("approle", _) => Self::AppRole,
            ("token" | "ns_token", _) => Self::Token,
            ("database", _) => Self::Database,
            ("pki", _) => Self::Pki,
            ("transit", _) => Self::Transit,
            ("system" | "ns_system" | "identity" | "ns_identity", _) => Self::Server,
            // Everybody's own, and gone with his token.
            ("cubbyhole" | "ns_cubbyhole", _) => Self::Nothing,
            _ => Self::Other,
        }
    }

    /// As settings of this connector name it.
    pub(super) const fn engine(self) -> Option<&'static str> {
        Some(match self {
            Self::Kv1 => "kv1",
            Self::Kv2 => "kv2",
            Self::AppRole => "approle",
            Self::Token => "token",
            Self::Database => "database",
            Self::Pki => "pki",
            Self::Transit => "transit",
            Self::Server | Self::Nothing | Self::Other => return None,
        })
    }
}

/// A mount, and what the System over it is called.
pub(super) struct Mount {
    /// With its slash.
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) system: String,
}

impl Mount {
    /// As settings name it.
    pub(super) fn bare(&self) -> &str {
        let path = self.path.trim_end_matches('/');
        path.strip_prefix("auth/").unwrap_or(path)
    }
}

const WRITES: [&str; 3] = ["create", "update", "patch"];

/// Adds what a rule opens; what nobody can describe is named.
pub(super) fn of(rule: &Rule, mounts: &[Mount], opened: &mut BTreeSet<Edge>, unread: &mut BTreeSet<String>) {
    if rules_all(rule, mounts) {
        let described = mounts.iter().filter(|mount| mount.kind.engine().is_some());
        opened.extend(described.map(|mount| (format!("System/{}", mount.system), "admin")));
        unread.extend(mounts.iter().filter(|mount| mount.kind == Kind::Other).map(|mount| mount.path.clone()));
        return;
    }
    for mount in mounts {
        let at = |below: &str| names(rule, &format!("{}{below}", mount.path));
        let places = |below: &str| at(below).map(|rest| format!("{}:{rest}", mount.system));
        let admin = || (format!("System/{}", mount.system), "admin");
        match mount.kind {
            Kind::Kv1 | Kind::Kv2 => {
                let below = if mount.kind == Kind::Kv2 { "data/" } else { "" };
                if rule.may(&["read"]) {
                    opened.extend(places(below).map(|what| (what, "read")));
                }
                if rule.may(&WRITES) {
                    opened.extend(places(below).map(|what| (what, "write")));
                }
            }
            Kind::AppRole if rule.may(&WRITES) => {
                opened.extend(places("role/").map(|what| (issued(&what), "mint")));
            }
            Kind::Token if rule.may(&WRITES) => {
                opened.extend(places("create/").map(|what| (what, "mint")));
                opened.extend(places("roles/").map(|what| (what, "mint")));
            }
            Kind::Database => {
                if rule.may(&["read"]) {
                    // A password of a static role is read where it is issued; of another role each reading makes one.
                    for below in ["static-creds/", "creds/"] {
                        opened.extend(places(below).map(|what| (what, "mint")));
                    }
                }
                if rule.may(&WRITES) {
                    for below in ["rotate-role/", "static-roles/"] {
                        opened.extend(places(below).map(|what| (what, "mint")));
                    }
                    if ["config/", "roles/", "rotate-root/"].iter().any(|below| at(below).is_some()) {
                        opened.insert(admin());
                    }
                }
            }
            Kind::Pki if rule.may(&WRITES) => {
                for below in ["issue/", "sign/", "roles/"] {
                    opened.extend(places(below).map(|what| (what, "mint")));
                }
                let whole = ["root", "config/", "intermediate/", "issuer", "sign-verbatim"];
                if whole.iter().any(|below| at(below).is_some()) {
                    opened.insert(admin());
                }
            }
            Kind::Transit if rule.may(&WRITES) => {
                opened.extend(places("decrypt/").map(|what| (what, "use")));
                opened.extend(places("keys/").map(|what| (what, "mint")));
            }
            Kind::Other if at("").is_some() => {
                unread.insert(mount.path.clone());
            }
            _ => {}
        }
    }
}

/// Whoever writes policies, roles of logins, mounts or identities has what anybody has.
fn rules_all(rule: &Rule, mounts: &[Mount]) -> bool {
    let own = [
        "sys/policy",
        "sys/policies/",
        "sys/auth",
        "sys/mounts",
        "sys/remount",
        "sys/raw",
        "sys/generate-root",
        "sys/namespaces",
        "sys/plugins/",
        "identity/entity",
        "identity/group",
    ];
    let logins = mounts.iter().filter(|mount| mount.path.starts_with("auth/") && mount.kind != Kind::Token);
    // A role of logins names its policies, in a document of its own below it.
    let changes = |mount: &Mount| {
        let below = if mount.kind == Kind::AppRole { "role/" } else { "" };
        names(rule, &format!("{}{below}", mount.path)).is_some_and(|rest| {
            let part = rest.trim_end_matches('*').split_once('/').map_or("", |(_, part)| part);
            mount.kind != Kind::AppRole || matches!(part, "" | "policies" | "token-policies")
        })
    };
    rule.may(&WRITES) && (own.iter().any(|path| names(rule, path).is_some()) || logins.into_iter().any(changes))
        || rule.may(&["sudo"]) && names(rule, "auth/token/create").is_some()
}

/// What a rule names below a path: the rest of it, or everything.
fn names(rule: &Rule, path: &str) -> Option<String> {
    let more = if rule.wildcard { "*" } else { "" };
    match rule.prefix.strip_prefix(path) {
        Some(rest) => Some(format!("{rest}{more}")),
        None if rule.wildcard && path.starts_with(&rule.prefix) => Some("*".to_owned()),
        None => None,
    }
}

/// The role alone: what stands below it is its own.
fn issued(what: &str) -> String {
    match what.split_once('/') {
        Some((role, _)) => role.to_owned(),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::read;
    use super::*;

    fn mounts() -> Vec<Mount> {
        let mount = |path: &str, kind, system: &str| Mount { path: path.to_owned(), kind, system: system.to_owned() };
        vec![
            mount("kv/", Kind::Kv2, "kv"),
            mount("db/", Kind::Database, "db"),
            mount("ssh/", Kind::Other, "ssh"),
            mount("auth/approle/", Kind::AppRole, THIS),
            mount("auth/token/", Kind::Token, "token"),
        ]
    }

    fn opened(path: &str, capabilities: &str) -> (Vec<String>, Vec<String>) {
        let text = format!("path \"{path}\" {{ capabilities = [{capabilities}] }}");
        let (mut opened, mut unread) = (BTreeSet::new(), BTreeSet::new());
        for rule in read(&text).unwrap() {
            of(&rule, &mounts(), &mut opened, &mut unread);
        }
        (opened.into_iter().map(|(what, verb)| format!("{verb} {what}")).collect(), unread.into_iter().collect())
    }

    fn edges(path: &str, capabilities: &str) -> Vec<String> {
        opened(path, capabilities).0
    }

    #[test]
    fn what_may_be_read_or_written_is_a_place_of_its_mount() {
        assert_eq!(edges("kv/data/team/*", "\"read\""), ["read kv:team/*"]);
        assert_eq!(edges("kv/data/team/app", "\"read\", \"update\""), ["read kv:team/app", "write kv:team/app"]);
        assert_eq!(edges("kv/*", "\"read\""), ["read kv:*"]);
        assert_eq!(edges("kv/metadata/*", "\"list\""), [""; 0]);
    }

    #[test]
    fn whoever_asks_an_issuer_mints_and_whoever_sets_it_up_is_its_administrator() {
        assert_eq!(edges("db/static-creds/app", "\"read\""), ["mint db:app"]);
        assert_eq!(edges("db/rotate-role/app", "\"update\""), ["mint db:app"]);
        assert_eq!(edges("db/config/pg", "\"update\""), ["admin System/db"]);
        assert_eq!(edges("auth/approle/role/ci/secret-id", "\"update\""), ["mint this:ci"]);
        assert_eq!(edges("auth/token/create/ci", "\"update\""), ["mint token:ci"]);
    }

    #[test]
    fn whoever_writes_policies_or_what_they_are_given_to_has_everything() {
        let all = ["admin System/db", "admin System/kv", "admin System/this", "admin System/token"];
        for path in ["*", "sys/policies/acl/x", "sys/*", "auth/approle/role/ci", "auth/approle/role/*", "auth/*"] {
            assert_eq!(edges(path, "\"create\", \"update\""), all, "{path}");
        }
        assert_eq!(edges("auth/token/create", "\"update\", \"sudo\""), all);
    }

    #[test]
    fn a_mount_that_no_document_describes_is_named() {
        assert_eq!(opened("ssh/creds/x", "\"read\""), (vec![], vec!["ssh/".to_owned()]));
        assert_eq!(opened("*", "\"update\"").1, ["ssh/"]);
    }
}

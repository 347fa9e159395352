//! How things of a cluster are named: `name` or `namespace/name`, and for workloads `Kind/namespace/name`.

use remint_contract::{Error, ErrorKind, Verb};

/// A thing in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Place {
    /// `name`, or `namespace/name`.
    pub(crate) fn read(text: &str, namespace: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
        let good = is_name(namespace) && !namespace.contains('.') && is_name(name);
        good.then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    pub(crate) fn parse(verb: Verb, text: &str, namespace: &str) -> Result<Self, Error> {
        Self::read(text, namespace).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "write name or namespace/name, as Kubernetes names things")
                .with("path", text)
        })
    }

    /// Below a collection of the API: `/api/v1/namespaces/…/secrets/…`.
    pub(crate) fn path(&self, group: &str, resource: &str) -> String {
        format!("{group}/namespaces/{}/{resource}/{}", self.namespace, self.name)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The collection of a resource in a namespace.
pub(crate) fn collection(group: &str, namespace: &str, resource: &str) -> String {
    format!("{group}/namespaces/{namespace}/{resource}")
}

/// A DNS subdomain: nothing that could mean another path.
pub(crate) fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= 253 && bytes.iter().copied().all(inner) && edge(bytes.first()) && edge(bytes.last())
}

pub(crate) const CORE: &str = "/api/v1";
pub(crate) const APPS: &str = "/apis/apps/v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_say_its_namespace_and_nothing_else() {
        let place = |text| Place::read(text, "team").map(|place| place.to_string());
        assert_eq!(place("db").as_deref(), Some("team/db"));
        assert_eq!(place("other/db").as_deref(), Some("other/db"));
        for wrong in ["", "a/b/c", "../db", "a/", "/a", "A/b", "a/b?x", "a.b/c", "-a"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}

//! Names, references and locations: how documents, plans and entries point at things.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize, Serializer};

/// The namespace of a document that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Why a name, reference or location cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error(
        "`{0}` is not a name: use lower-case letters, digits, `-` and `.`, at most 63 characters, beginning and ending with a letter or digit"
    )]
    Name(String),
    #[error("`{0}` is not a kind: use System, Identity, Credential, Workload, ApprovalPolicy, RotationWindow or Grant")]
    Kind(String),
    #[error("`{0}` is not a reference: write Kind/name or Kind/namespace/name")]
    Ref(String),
    #[error("`{0}` is not a location: write system:path#field")]
    Location(String),
}

/// A name of a document or namespace: a DNS label with dots allowed. A copy shares the text: names are copied far more
/// often than they are made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(Arc<str>);

/// Nearly every reference is in it.
static DEFAULT: LazyLock<Name> = LazyLock::new(|| Name(DEFAULT_NAMESPACE.into()));

impl Name {
    /// # Errors
    /// The text is not a name.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let bytes = text.as_bytes();
        let inner =
            bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
        if text == DEFAULT_NAMESPACE {
            Ok(Self::default_namespace())
        } else if inner && bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Name(shorten(&text)))
        }
    }

    /// The namespace of a document that names none.
    #[must_use]
    pub fn default_namespace() -> Self {
        DEFAULT.clone()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        // Two references mostly share their namespace, text and all.
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The kinds of estate documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    System,
    Identity,
    Credential,
    Workload,
    ApprovalPolicy,
    RotationWindow,
    Grant,
}

impl Kind {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Identity => "Identity",
            Self::Credential => "Credential",
            Self::Workload => "Workload",
            Self::ApprovalPolicy => "ApprovalPolicy",
            Self::RotationWindow => "RotationWindow",
            Self::Grant => "Grant",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Ok(match text {
            "System" => Self::System,
            "Identity" => Self::Identity,
            "Credential" => Self::Credential,
            "Workload" => Self::Workload,
            "ApprovalPolicy" => Self::ApprovalPolicy,
            "RotationWindow" => Self::RotationWindow,
            "Grant" => Self::Grant,
            other => return Err(NameError::Kind(shorten(other))),
        })
    }
}

/// A reference to a document: `Kind/name`, or `Kind/namespace/name` outside the default namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Ref {
    pub kind: Kind,
    pub namespace: Name,
    pub name: Name,
}

/// A reference known to be of kind `Credential`; kept apart in signatures that mean nothing else.
pub type CredentialId = Ref;

impl Ref {
    /// A reference of `kind` as written inside a document of `namespace`: `name` or `namespace/name`.
    ///
    /// # Errors
    /// The text is neither.
    pub fn within(kind: Kind, namespace: &Name, text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            None => Ok(Self { kind, namespace: namespace.clone(), name: Name::new(text)? }),
            Some((space, name)) => Ok(Self { kind, namespace: Name::new(space)?, name: Name::new(name)? }),
        }
    }

    /// Like parsing `Kind/name`, with `namespace` for a reference that names none.
    ///
    /// # Errors
    /// The text is no reference.
    pub fn parse_in(namespace: &Name, text: &str) -> Result<Self, NameError> {
        let (kind, rest) = text.split_once('/').ok_or_else(|| NameError::Ref(shorten(text)))?;
        Self::within(kind.parse()?, namespace, rest)
    }

    /// A credential of the default namespace; for tests and generated estates.
    ///
    /// # Errors
    /// `name` is not a name.
    pub fn credential(name: &str) -> Result<Self, NameError> {
        Self::within(Kind::Credential, &Name::default_namespace(), name)
    }
}

impl Ref {
    /// What it is written as, in parts: a plan writes millions, which is no work for a formatter.
    fn parts(&self) -> [&str; 5] {
        let namespace = self.namespace.as_str();
        let (namespace, slash) = if namespace == DEFAULT_NAMESPACE { ("", "") } else { (namespace, "/") };
        [self.kind.as_str(), "/", namespace, slash, self.name.as_str()]
    }

    /// As [`fmt::Display`] writes it.
    #[must_use]
    pub fn text(&self) -> String {
        self.parts().concat()
    }
}

impl Serialize for Ref {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().into_iter().try_for_each(|part| f.write_str(part))
    }
}

impl FromStr for Ref {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse_in(&Name::default_namespace(), text)
    }
}

impl TryFrom<String> for Ref {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Ref> for String {
    fn from(reference: Ref) -> Self {
        reference.to_string()
    }
}

/// The field that is meant where a place names none: the whole value at that path.
pub const WHOLE: &str = "value";

/// A place where a value lies: a system, a path inside it, and the field at that path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Location {
    pub system: Ref,
    pub path: String,
    pub field: Option<String>,
}

impl Location {
    /// Reads `system:path#field`, `namespace/system:path#field`, or either with `System/` before it.
    ///
    /// # Errors
    /// The text has no `:`, no path, or an unreadable system name.
    pub fn parse_in(namespace: &Name, text: &str) -> Result<Self, NameError> {
        let (system, rest) = text.split_once(':').ok_or_else(|| NameError::Location(shorten(text)))?;
        let system = Ref::within(Kind::System, namespace, system.strip_prefix("System/").unwrap_or(system))?;
        let (path, field) = match rest.split_once('#') {
            None => (rest, None),
            Some((path, field)) => (path, Some(field.to_owned())),
        };
        if path.is_empty() || field.as_deref() == Some("") {
            return Err(NameError::Location(shorten(text)));
        }
        Ok(Self { system, path: path.to_owned(), field })
    }

    /// The location without its field: where one write puts all fields.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { field: None, ..self.clone() }
    }
}

impl Location {
    fn parts(&self) -> [&str; 9] {
        let [kind, slash, namespace, other, name] = self.system.parts();
        let (hash, field) = self.field.as_ref().map_or(("", ""), |field| ("#", field));
        [kind, slash, namespace, other, name, ":", &self.path, hash, field]
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.parts().concat())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().into_iter().try_for_each(|part| f.write_str(part))
    }
}

impl FromStr for Location {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse_in(&Name::default_namespace(), text)
    }
}

impl TryFrom<String> for Location {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}

/// A set of places inside one system: an exact path, or every path that begins with what stands before the final `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    pub system: Ref,
    /// The path, or the prefix when `wildcard`.
    pub path: String,
    pub wildcard: bool,
}

impl Pattern {
    /// Reads `system:path`, `system:prefix*` or `system:*`.
    ///
    /// # Errors
    /// Not a location, a field was named, or a `*` stands anywhere but last.
    pub fn parse_in(namespace: &Name, text: &str) -> Result<Self, NameError> {
        let location = Location::parse_in(namespace, text)?;
        let (path, wildcard) = match location.path.strip_suffix('*') {
            Some(prefix) => (prefix.to_owned(), true),
            None => (location.path, false),
        };
        if path.contains('*') || location.field.is_some() {
            return Err(NameError::Location(shorten(text)));
        }
        Ok(Self { system: location.system, path, wildcard })
    }

    /// True when the location lies in the set.
    #[must_use]
    pub fn matches(&self, location: &Location) -> bool {
        self.system == location.system
            && if self.wildcard { location.path.starts_with(&self.path) } else { location.path == self.path }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}{}", self.system, self.path, if self.wildcard { "*" } else { "" })
    }
}

impl TryFrom<String> for Pattern {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse_in(&Name::default_namespace(), &text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// One effect that Remint intends: stamped before it is tried, carried to the target where it can hold a label.
    OperationId
);
text_id!(
    /// One version of a credential at its issuer, in the connector's own words. Names exactly one: a later version of
    /// the same login has another id, so that a late effect can never hit it.
    VersionId
);
text_id!(
    /// One reset, for ever.
    ResetId
);

/// Keeps an error message short, whatever was put in.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 80 { text.to_owned() } else { text.chars().take(77).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_locations_read_back_as_written() {
        for text in ["Credential/pg-admin", "Workload/team-a/web"] {
            assert_eq!(text.parse::<Ref>().unwrap().to_string(), text);
        }
        let location: Location = "vault-prod:ci/db#password".parse().unwrap();
        assert_eq!(location.to_string(), "System/vault-prod:ci/db#password");
        assert_eq!(location.to_string().parse::<Location>().unwrap(), location);
    }

    #[test]
    fn patterns_match_by_prefix() {
        let space = Name::default_namespace();
        let pattern = Pattern::parse_in(&space, "vault:ci/*").unwrap();
        assert!(pattern.matches(&"vault:ci/db#password".parse().unwrap()));
        assert!(!pattern.matches(&"vault:cd/db".parse().unwrap()));
        assert!(Pattern::parse_in(&space, "vault:*/db").is_err());
    }

    #[test]
    fn names_are_dns_labels() {
        assert!(Name::new("a-b.c1").is_ok());
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", &"x".repeat(64)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }
}

//! The shape of requests and answers: `POST /VERB` with a JSON body, credentials in `Authorization: Basic`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use remint_contract::{Material, SecretValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Who calls, in the caller's words; what the issuer shows as the source of a use.
pub(crate) const SOURCE: &str = "x-source";
/// The moment after which an irreversible request must not be done any more.
pub(crate) const DEADLINE: &str = "x-deadline";
/// The source that the connector gives.
pub(crate) const REMINT: &str = "remint";
/// The code of an answer that denies a credential as an authentication.
pub(crate) const AUTHENTICATION_DENIED: &str = "authentication-denied";

/// A secret in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) SecretValue);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.expose_str().ok_or_else(|| serde::ser::Error::custom("the value is not text"))?;
        serializer.serialize_str(text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(SecretValue::from(String::deserialize(deserializer)?)))
    }
}

/// The header value that presents a credential.
pub(crate) fn authorization(material: &Material) -> SecretValue {
    let mut login = material.username.clone().unwrap_or_default().into_bytes();
    login.push(b':');
    login.extend_from_slice(material.secret.expose());
    SecretValue::from(format!("Basic {}", BASE64_STANDARD.encode(login)))
}

/// The credential that a header value presents: `Basic` or `Bearer`.
pub(crate) fn presented(header: &str) -> Option<Material> {
    if let Some(token) = header.strip_prefix("Bearer ") {
        return Some(Material::of(SecretValue::from(token)));
    }
    let login = BASE64_STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let colon = login.iter().position(|&byte| byte == b':')?;
    let username = String::from_utf8(login[..colon].to_vec()).ok()?;
    let secret = SecretValue::new(login[colon + 1..].to_vec());
    Some(Material { username: (!username.is_empty()).then_some(username), secret })
}

/// Any answer that is not a success.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Nothing {}

/// `mint`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Mint {
    pub(crate) target: String,
    /// Overwrite the one value instead of making a second.
    #[serde(default)]
    pub(crate) in_place: bool,
    #[serde(default)]
    pub(crate) proposed: Option<Secret>,
    #[serde(default)]
    pub(crate) operation: Option<String>,
}

/// The answer to `mint` and `find`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MintedVersion {
    pub(crate) version: String,
    pub(crate) username: Option<String>,
    /// Missing where the issuer shows it only once.
    pub(crate) secret: Option<Secret>,
}

/// `disable`, `enable`, `revoke`, `sessions`, `end-sessions`, `rights`, `state`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OfVersion {
    pub(crate) version: String,
}

/// `find`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Find {
    pub(crate) operation: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) found: Option<MintedVersion>,
}

/// The answer to `use`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Used {
    pub(crate) version: String,
    pub(crate) target: String,
    pub(crate) principal: String,
    /// Targets that the bearer may mint here; an intruder asks for these.
    #[serde(default)]
    pub(crate) mints: Vec<String>,
}

/// The answer to `session`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OpenedSession {
    pub(crate) id: String,
    pub(crate) token: Secret,
}

/// The answer to `sessions` and `end-sessions`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sessions {
    pub(crate) sessions: Vec<String>,
}

/// `lease`: a value of the generation in use, for whoever asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OfTarget {
    pub(crate) target: String,
}

/// The answer to `lease`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Leased {
    pub(crate) version: String,
    pub(crate) token: Secret,
}

/// `revoked`: is this certificate on the list?
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OfSerial {
    pub(crate) serial: String,
}

/// The answer to `revoked`; `None` for a serial that was never issued.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OnList {
    pub(crate) listed: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rights {
    pub(crate) principal: String,
    pub(crate) scopes: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) state: VersionState,
}

/// What a version is at its issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum VersionState {
    Live,
    Disabled,
    Revoked,
}

/// `list`: everything alive, disabled versions included.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) versions: Vec<ListedVersion>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListedVersion {
    pub(crate) version: String,
    pub(crate) target: String,
    pub(crate) label: String,
    pub(crate) operation: Option<String>,
    pub(crate) created: Timestamp,
}

/// `uses`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UsesSince {
    pub(crate) version: String,
    pub(crate) since: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Uses {
    pub(crate) uses: Vec<UseSeen>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UseSeen {
    pub(crate) at: Timestamp,
    pub(crate) source: String,
}

/// `check`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) path: Option<String>,
}

/// `write`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) path: String,
    pub(crate) fields: BTreeMap<String, Secret>,
    pub(crate) expect: Option<String>,
    pub(crate) operation: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WrittenVersion {
    pub(crate) version: String,
}

/// `read`, `versions`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AtPath {
    pub(crate) path: String,
    /// An old version instead of the current one; only `read` looks at it.
    #[serde(default)]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fields {
    pub(crate) version: String,
    pub(crate) fields: BTreeMap<String, Secret>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) versions: Vec<String>,
}

/// `promote`, `destroy-version`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VersionAt {
    pub(crate) path: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) operation: Option<String>,
}

/// The answer to `paths`: every path that the bearer may read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Paths {
    pub(crate) paths: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) done: bool,
}

/// `reload`, `status`, `work`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OfWorkload {
    pub(crate) workload: String,
}

/// The answer to `status`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) holds: Vec<HeldFingerprint>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeldFingerprint {
    pub(crate) path: String,
    pub(crate) fingerprint: String,
}

/// The answer to `work`: the places whose value was not accepted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Worked {
    pub(crate) failed: Vec<String>,
}

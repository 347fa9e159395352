//! What an issuer says of somebody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The claims of a token that Remint looks at.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    #[serde(deserialize_with = "one_or_more")]
    pub aud: BTreeSet<String>,
    /// To whom it was given, where that is said.
    #[serde(default)]
    pub azp: Option<String>,
    pub(super) exp: i64,
    #[serde(default)]
    pub(super) nbf: Option<i64>,
    #[serde(default)]
    pub(super) iat: Option<i64>,
    #[serde(default)]
    pub(super) auth_time: Option<i64>,
    #[serde(default)]
    pub acr: Option<String>,
    #[serde(default)]
    pub amr: BTreeSet<String>,
    #[serde(default)]
    pub nonce: Option<String>,
    #[serde(default)]
    cnf: Option<Confirmation>,
    /// SHA-256 of the certificate that it is bound to, in hex; filled when it is read.
    #[serde(skip)]
    pub bound_to: Option<String>,
    /// The key that it was checked with, as its issuer published it; filled when it is checked.
    #[serde(skip)]
    pub signed_by: Option<Arc<Value>>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
struct Confirmation {
    #[serde(default, rename = "x5t#S256")]
    certificate: Option<String>,
}

impl Claims {
    /// The name that the table of persons knows it by: of this subject at this issuer.
    #[must_use]
    pub fn principal(&self) -> String {
        format!("oidc:{}|{}", self.iss, self.sub)
    }

    /// When the person last proved who he is.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.auth_time?).ok()
    }

    /// Until when it is good.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.exp).ok()
    }

    /// When it was made.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.iat?).ok()
    }

    /// The words of a claim that is a flat list of them; whatever is in it that is no word is none.
    #[must_use]
    pub fn words(&self, claim: &str) -> BTreeSet<&str> {
        self.others.get(claim).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Turns what was written in one way into what is compared here.
    pub(super) fn filled(mut self) -> Option<Self> {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let bound = self.cnf.take().and_then(|cnf| cnf.certificate);
        self.bound_to = match bound {
            // What cannot be read is bound to something that nobody has.
            Some(text) => Some(remint_evidence_format::hex::encode(&URL_SAFE_NO_PAD.decode(text).ok()?)),
            None => None,
        };
        Some(self)
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        More(BTreeSet<String>),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::One(one) => BTreeSet::from([one]),
        Either::More(more) => more,
    })
}

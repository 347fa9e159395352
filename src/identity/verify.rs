//! Is a token good? A pure question: its text, the issuer's keys, what it has to say, and the time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::Value;

use crate::identity::{Claims, Keys};

/// What a token has to say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub issuer: &'a str,
    /// For whom it has to be.
    pub audience: &'a str,
    /// The nonce that it has to carry: what was signed by it.
    pub nonce: Option<&'a str>,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    #[error("it is no signed token")]
    Garbled,
    #[error("it is signed in a way that its key is not for")]
    Algorithm,
    #[error("it names a key that the issuer does not publish")]
    Key,
    #[error("its signature is not the issuer's")]
    Signature,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for somebody else")]
    Audience,
    #[error("it has expired; log in again: remint login")]
    Expired,
    #[error("it is not valid yet, or made later than now")]
    Early,
    #[error("it does not carry what was to be signed, or was made to sign something and opens nothing")]
    Nonce,
    #[error("it is bound to a client certificate that this connection has not shown")]
    Bound,
}

impl Untrusted {
    /// One word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Garbled => "garbled",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Issuer => "wrong-issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::Early => "early",
            Self::Nonce => "nonce",
            Self::Bound => "bound",
        }
    }
}

/// Checks a token. The header chooses which key is meant, by its name, and nothing else.
///
/// # Errors
/// It is not good, and why.
pub fn verify(token: &str, keys: &Keys, expected: Expected<'_>, now: Timestamp) -> Result<Claims, Untrusted> {
    let header: serde_json::Map<String, Value> = part(token, 0).ok_or(Untrusted::Garbled)?;
    let word = |name: &str| header.get(name).and_then(Value::as_str);
    // `none` and every other word that is no algorithm of signatures ends here.
    let algorithm: Algorithm = word("alg").and_then(|alg| alg.parse().ok()).ok_or(Untrusted::Algorithm)?;
    if header.contains_key("crit") || header.contains_key("b64") {
        // What has to be understood, and is not.
        return Err(Untrusted::Garbled);
    }
    let named = keys.named(word("kid"));
    if named.is_empty() {
        return Err(Untrusted::Key);
    }
    let key = named.iter().find(|key| key.algorithm == algorithm).ok_or(Untrusted::Algorithm)?;
    let mut validation = Validation::new(key.algorithm);
    // Everything else is looked at below, against our own clock.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &validation).map_err(|error| match error.kind() {
        ErrorKind::InvalidAlgorithm => Untrusted::Algorithm,
        ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) | ErrorKind::InvalidToken => Untrusted::Garbled,
        _ => Untrusted::Signature,
    })?;
    let mut claims = claims.claims.filled().ok_or(Untrusted::Garbled)?;
    claims.signed_by = Some(Arc::clone(&key.jwk));
    hold(&claims, expected, now)?;
    Ok(claims)
}

/// What the claims have to be.
fn hold(claims: &Claims, expected: Expected<'_>, now: Timestamp) -> Result<(), Untrusted> {
    if claims.iss != expected.issuer {
        return Err(Untrusted::Issuer);
    }
    if claims.sub.is_empty() || claims.sub.len() > 255 || claims.sub.chars().any(char::is_control) {
        return Err(Untrusted::Garbled);
    }
    let handed = claims.azp.as_deref().is_none_or(|azp| azp == expected.audience);
    if !claims.aud.contains(expected.audience) || claims.aud.len() > 1 && !handed {
        return Err(Untrusted::Audience);
    }
    let (now, leeway) = (now.as_second(), i64::try_from(LEEWAY.as_secs()).unwrap_or_default());
    if claims.exp <= now {
        return Err(Untrusted::Expired);
    }
    let ahead = |time: Option<i64>| time.is_some_and(|time| time > now.saturating_add(leeway));
    if ahead(claims.nbf) || ahead(claims.iat) {
        return Err(Untrusted::Early);
    }
    if expected.nonce.is_some_and(|nonce| claims.nonce.as_deref() != Some(nonce)) {
        return Err(Untrusted::Nonce);
    }
    Ok(())
}

/// Which issuer a token says it is of: nobody has checked that.
pub(super) fn issuer_of(token: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Said {
        iss: String,
    }
    let said: Said = part(token, 1)?;
    Some(said.iss)
}

/// One of the parts of a token.
fn part<T: serde::de::DeserializeOwned>(token: &str, index: usize) -> Option<T> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(index)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// How far another machine's clock may be ahead of ours.
const LEEWAY: Duration = Duration::from_secs(60);

/// What a token says, whoever signed it: for whoever fetched it from its issuer and only looks at it.
#[must_use]
pub fn read_claims(token: &str) -> Option<Claims> {
    part::<Claims>(token, 1)?.filled()
}

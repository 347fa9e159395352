//! A local token: its text, which is shown once, and what is kept of it.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use remint_contract::SecretValue;
use remint_core::digest::Digest;
use remint_core::gate::Action;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What is kept of a token: never its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    pub id: String,
    /// Whose it is: `token:NAME` is the principal.
    pub name: String,
    /// Of its secret half, which has 190 bits: nobody finds that by trying.
    pub(super) hash: Digest,
    /// All that it is for.
    pub scope: BTreeSet<Action>,
    pub made: Timestamp,
    pub by: String,
    pub expires: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// The text of a token: `rmt_ID_SECRET`.
pub struct TokenText {
    pub(super) id: String,
    pub(super) secret: SecretValue,
}

impl TokenRecord {
    /// The name that policies and the table of persons know it by.
    #[must_use]
    pub fn principal(&self) -> String {
        format!("token:{}", self.name)
    }

    /// True while it opens anything.
    #[must_use]
    pub fn lives(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.made <= now && now < self.expires
    }
}

impl TokenText {
    /// Reads the text of a token; `None` where it has not the form of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let fits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_alphanumeric());
        (fits(id, 2 * ID) && fits(secret, SECRET))
            .then(|| Self { id: id.to_owned(), secret: SecretValue::new(secret.as_bytes().to_vec()) })
    }

    /// All of it, for whoever it is made for.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let secret = self.secret.expose_str().unwrap_or_default();
        Zeroizing::new(format!("{PREFIX}{}_{secret}", self.id))
    }

    pub(super) fn hash(&self) -> Digest {
        Digest::of(self.secret.expose_str().unwrap_or_default().as_bytes())
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenText").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What every token begins with, so that scanners find one that was left lying about.
const PREFIX: &str = "rmt_";
/// Bytes of an id.
pub(super) const ID: usize = 6;
/// Letters of a secret.
pub(super) const SECRET: usize = 32;
/// What its letters are.
pub(super) const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

//! What a prober is asked: the text of a signed note, two lines: the format, and one JSON object.

use jiff::Timestamp;
use remint_contract::{Material, Target};
use remint_evidence_format::FormatError;
use remint_evidence_format::note::{self, Note, SigningKey, VerifierKey};
use remint_evidence_format::tree::{Hash, sha256};
use serde::{Deserialize, Serialize};

use super::key::{ProberKey, PublicProber};
use super::seal;

/// One value at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The name of the prober that is asked.
    pub to: String,
    pub reset: String,
    pub credential: String,
    pub system: String,
    /// The kind of the connector, and the system's settings for it; neither holds a secret.
    pub connector: String,
    pub settings: serde_json::Value,
    pub target: Target,
    /// Which of the target's endpoints, and what it is called.
    pub endpoint: usize,
    pub endpoint_name: String,
    pub version: String,
    pub at: Timestamp,
    /// Never asked before.
    pub nonce: String,
    /// The value, for this prober and this question only.
    #[serde(default)]
    pub(super) sealed: String,
}

/// Why a question cannot be asked or is not answered.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    #[error("the value could not be sealed for the prober")]
    Seal,
    #[error("the question could not be signed")]
    Sign(#[source] FormatError),
    #[error("it is not a question that a trusted log signed")]
    Untrusted(#[source] FormatError),
    #[error("it is not a question of this version")]
    NotUnderstood,
}

impl Question {
    /// Seals the value and signs the question; gives what is sent.
    ///
    /// # Errors
    /// The machine cannot.
    pub fn sign(self, value: &Material, to: &PublicProber, key: &SigningKey) -> Result<String, QuestionError> {
        note::sign(&self.text(value, to)?, key).map_err(QuestionError::Sign)
    }

    /// Seals the value; gives the text that the log's key has to sign.
    ///
    /// # Errors
    /// The machine cannot.
    pub fn text(mut self, value: &Material, to: &PublicProber) -> Result<String, QuestionError> {
        self.sealed = seal::seal(to, &self.bound(), value).ok_or(QuestionError::Seal)?;
        let json = serde_json::to_string(&self).map_err(|_| QuestionError::NotUnderstood)?;
        Ok(format!("{FORMAT}\n{json}\n"))
    }

    /// Reads a question that one of these keys signed.
    ///
    /// # Errors
    /// None of them did, or it is of another version.
    pub fn open(signed: &str, trusted: &[VerifierKey]) -> Result<Self, QuestionError> {
        let note = Note::parse(signed.as_bytes()).map_err(QuestionError::Untrusted)?;
        let mut last = FormatError::Unsigned { name: "a trusted log".to_owned() };
        let mut signed_by_any = false;
        for key in trusted {
            match note.verify(key) {
                Ok(()) => signed_by_any = true,
                Err(error) => last = error,
            }
        }
        if !signed_by_any {
            return Err(QuestionError::Untrusted(last));
        }
        let json = note.text.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix('\n'));
        serde_json::from_str(json.ok_or(QuestionError::NotUnderstood)?).map_err(|_| QuestionError::NotUnderstood)
    }

    /// The hash that the answer names.
    #[must_use]
    pub fn hash(signed: &str) -> Hash {
        sha256(signed.as_bytes())
    }

    /// A question of no reset and one endpoint, to which no value belongs yet.
    pub fn of(
        to: &str,
        credential: &str,
        connector: &str,
        settings: serde_json::Value,
        target: Target,
        nonce: &str,
        at: Timestamp,
    ) -> Self {
        let none = || "none".to_owned();
        Self {
            to: to.to_owned(),
            reset: none(),
            credential: credential.to_owned(),
            system: none(),
            connector: connector.to_owned(),
            settings,
            target,
            endpoint: 0,
            endpoint_name: none(),
            version: none(),
            at,
            nonce: nonce.to_owned(),
            sealed: String::new(),
        }
    }

    /// The value in it, for the prober that it was sealed for.
    pub fn value_for(&self, key: &ProberKey) -> Option<Material> {
        seal::open(key, &self.bound(), &self.sealed)
    }

    /// What the sealed value is bound to.
    fn bound(&self) -> String {
        format!("{}\n{}\n{}\n{}\n{}", self.to, self.reset, self.credential, self.endpoint, self.nonce)
    }
}

const FORMAT: &str = "remint.dev/probe/v1";

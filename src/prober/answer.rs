//! Looking: the one thing that a prober does.

use std::time::Duration;

use remint_contract::{Call, Clock, ErrorKind, HostRules, Kinds, OperationId, Verb, Verdict};
use remint_evidence_format::FormatError;
use remint_evidence_format::note::VerifierKey;
use remint_evidence_format::observation::{self, Observation};

use super::key::ProberKey;
use super::question::{Question, QuestionError};

/// Why a prober does not look.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Question(#[from] QuestionError),
    #[error("the question is for the prober {0}")]
    ForAnother(String),
    #[error("the question is {0} s old, or ahead; compare the clocks of the two hosts")]
    Stale(i64),
    #[error("the value in it was not sealed for this prober and this question")]
    Sealed,
    #[error("this prober has no connector of kind {0}, or it cannot try a value without changing something")]
    Connector(String),
    #[error("what it saw could not be signed")]
    Sign(#[source] FormatError),
}

/// Tries the value of a signed question, and signs what the target answered.
///
/// # Errors
/// The question is not one to be answered. What the target says, also nothing, is an answer.
pub async fn answer(
    key: &ProberKey,
    trusted: &[VerifierKey],
    kinds: &dyn Kinds,
    rules: &HostRules,
    clock: &dyn Clock,
    signed: &str,
) -> Result<String, Refused> {
    let question = Question::open(signed, trusted)?;
    let now = clock.now();
    if question.to != key.signing().verifier().name() {
        return Err(Refused::ForAnother(question.to));
    }
    let age = now.duration_since(question.at);
    if age.unsigned_abs() > FRESH {
        return Err(Refused::Stale(age.as_secs()));
    }
    let value = question.value_for(key).ok_or(Refused::Sealed)?;
    let unknown = || Refused::Connector(question.connector.clone());
    let kind = kinds.kind(&question.connector).ok_or_else(unknown)?;
    let connector = kind.open(&question.settings, rules).map_err(|_| unknown())?;
    if !connector.describe().verbs.contains(&Verb::Probe) {
        return Err(unknown());
    }
    let call = Call { operation: OperationId("prober".to_owned()), deadline: now + PATIENCE, actor: None };
    let tried =
        tokio::time::timeout(PATIENCE, connector.probe(&call, &question.target, &value, question.endpoint)).await;
    let verdict = match tried {
        Ok(Ok(Verdict::Accepted)) => observation::Verdict::Accepted,
        Ok(Ok(Verdict::Denied)) => observation::Verdict::Denied,
        // What cannot be reached from here proves nothing.
        Ok(Ok(Verdict::Unclear(_)) | Err(_)) | Err(_) => observation::Verdict::Unclear,
    };
    if let Ok(Err(error)) = &tried
        && error.kind == ErrorKind::Unsupported
    {
        return Err(unknown());
    }
    let saw = Observation {
        value: key.fingerprint(&question.credential, &value),
        reset: question.reset,
        credential: question.credential,
        system: question.system,
        endpoint: question.endpoint_name,
        version: question.version,
        verdict,
        at: clock.now().to_string(),
        request: Question::hash(signed),
    };
    saw.sign(key.signing()).map_err(Refused::Sign)
}

/// A question that is older is somebody else's to replay.
const FRESH: Duration = Duration::from_mins(10);
/// How long a target may take.
const PATIENCE: Duration = Duration::from_secs(20);

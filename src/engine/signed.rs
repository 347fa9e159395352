//! What a signature takes and leaves behind, whatever it is given to: a reset's plan, an exception, or what is approved in
//! advance.

use jiff::Timestamp;
use remint_contract::{ConfirmGrade, ProofGrade, Ref};
use remint_core::approval::{Candidate, Case, Executor, Lack, Met, Obligations, Person, Signature};
use remint_core::estate::{Estate, Tier};
use remint_evidence_format::approval::{APPROVAL_SHA256, SIGNER_SHA256};
use remint_evidence_format::tree::sha256;
use serde_json::{Value, json};

use crate::engine::EngineError;
use crate::engine::record::{kind, put};
use crate::store::{Change, Rule, StoreError};

/// How often a change is tried again when others came first: a thousand who sign at once all find their turn.
const TRIES: usize = 10_000;

/// Does it again for as long as others change the same record.
pub(super) async fn in_turn<T, F>(mut once: impl FnMut() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    for _ in 0..TRIES {
        match once().await {
            Err(EngineError::Store(StoreError::Stale { .. })) => tokio::task::yield_now().await,
            done => return done,
        }
    }
    once().await
}

/// Keeps what a person signed with a key of his own; the hashes of the note and of the key.
pub(super) fn keep(signature: &Signature, of: &str, change: &mut Change) -> Result<Option<[String; 2]>, StoreError> {
    let Some(signed) = &signature.signed else { return Ok(None) };
    let [note, key] = [&signed.note, &signed.key].map(|text| sha256(text.as_bytes()).to_string());
    change.puts.push(put(kind::APPROVAL, note.clone(), of, signed, Rule::Upsert)?);
    Ok(Some([note, key]))
}

/// Adds to an entry who signed, how that is known, and the hashes of what was kept.
pub(super) fn tell(body: &mut Value, signature: &Signature, kept: Option<&[String; 2]>) {
    body["person"] = json!(signature.by.person().map(ToString::to_string));
    body["grade"] = json!(signature.strength.grade);
    if let Some([note, key]) = kept {
        body[APPROVAL_SHA256] = json!(note);
        body[SIGNER_SHA256] = json!(key);
    }
}

/// Whether a case has what a credential takes, where nothing of it is replaced yet: grades and canary are a plan's.
pub(super) fn judge(case: &Case, credential: &Ref, estate: &Estate, now: Timestamp) -> Result<Met, Lack> {
    let needs = Obligations::of(estate, credential);
    let tier = if needs.privileged { Tier::Privileged } else { Tier::Standard };
    let (least_confirm, least_proof) = (ConfirmGrade::IssuerSeen, ProofGrade::Refused);
    let candidate = Candidate { credential, tier, least_confirm, least_proof, canary: None, itself: None };
    case.standing(&candidate, &needs, &Executor::Remint, now)
}

/// Those whose signatures count, in words; where no person has to, whoever signed last.
pub(super) fn granted_by(persons: &[Person], last: &Signature) -> String {
    if persons.is_empty() {
        return last.by.to_string();
    }
    persons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

//! A person's yes that anybody can check: his provider's ID token, whose nonce is the plan's digest.

use axum::http::StatusCode;
use remint_contract::{ResetId, SecretValue};
use remint_core::approval::Strength;
use remint_core::digest::Digest;
use serde_json::json;

use crate::engine::EngineError;
use crate::engine::record::{entry, put};
use crate::govern::Passed;
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;
use crate::store::{Change, Rule};

/// How strongly somebody signed. The token and the key that it was checked with are kept beside the tree, and the entry
/// has their hash: whoever has them can check the signature when the provider has other keys.
pub(super) async fn strength(
    api: &Api,
    passed: &Passed,
    id: &ResetId,
    digest: Digest,
    token: &SecretValue,
) -> Result<Strength, Problem> {
    let text = token.expose_str().ok_or_else(|| Problem::invalid("idToken: it is no token"))?;
    let refused = |detail: String| Problem::new(StatusCode::FORBIDDEN, "signature", detail);
    let signed = api.guard.identities().signed(text, &digest).await;
    let claims = signed.map_err(|error| refused(format!("the ID token does not sign this plan: {error}")))?;
    let party = api.app.gate.party(&claims.principal()).await?;
    let person = party.as_ref().and_then(|party| party.person());
    if person.is_none() || person != passed.person().as_ref() {
        return Err(refused(format!("the ID token is of {}, and {} asks", claims.principal(), passed.by)));
    }
    let engine = &api.app.engine;
    let now = engine.context.clock.now();
    let proof = json!({ "token": text, "key": claims.signed_by.as_deref(), "plan": digest });
    let hash = Digest::of(&serde_json::to_vec(&proof).unwrap_or_default());
    let mut change = Change::default();
    change.puts.push(put(KIND, hash.to_string(), &id.0, &proof, Rule::Upsert).map_err(EngineError::Store)?);
    let body = json!({
        "plan": digest.to_string(), "by": passed.by, "person": person.map(ToString::to_string),
        "issuer": claims.iss, "proof": hash.to_string(),
    });
    change.entries.push(entry("approval.proven", now, Some(id), None, &body));
    engine.store.commit(change).await.map_err(EngineError::Store)?;
    Ok(Strength { auth_time: claims.auth_time(), grade: "id-token".to_owned() })
}

/// The records of what was shown.
const KIND: &str = "approval-proof";

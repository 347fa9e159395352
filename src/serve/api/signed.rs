//! A person's yes that anybody can check: his provider's ID token, whose nonce is the plan's digest.

use axum::http::StatusCode;
use remint_contract::{ResetId, SecretValue};
use remint_core::approval::{Additions, Signature, Strength};
use remint_core::digest::Digest;
use serde::Deserialize;
use serde_json::json;

use crate::engine::EngineError;
use crate::engine::record::{entry, put};
use crate::govern::{About, Passed};
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;
use crate::store::{Change, Rule};

/// What comes with a yes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Yes {
    /// Of what was looked at; nothing else is approved.
    #[serde(default)]
    pub(super) plan: Option<Digest>,
    /// What the person's provider signed: an ID token whose nonce is that digest.
    #[serde(default, deserialize_with = "secret")]
    id_token: Option<SecretValue>,
    /// What the person signed with a key of his own.
    #[serde(default)]
    note: Option<String>,
    /// What may be added to a plan without asking again: a number and tiers, like `3:standard`. A note has its own.
    #[serde(default)]
    additions: Option<String>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SecretValue>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretValue::from))
}

/// A person's yes to what waits of a reset, as strong as he made it; `None` where nobody governs.
pub(super) async fn of_reset(
    api: &Api,
    passed: &Passed,
    id: &ResetId,
    file: &str,
    yes: &Yes,
) -> Result<Option<Signature>, Problem> {
    if passed.signature(api.app.engine.context.clock.now()).is_none() {
        return Ok(None);
    }
    // What was not looked at is not signed.
    let Some(digest) = yes.plan else {
        return Err(Problem::invalid("plan: name the digest that you looked at; GET /v1/resets/{id} shows it"));
    };
    let what = format!("reset {id}");
    let mut signature = of_any(api, passed, &About { what: &what, digest, file }, yes).await?;
    if let Some(token) = &yes.id_token {
        if yes.note.is_some() || yes.additions.is_some() {
            let detail = "idToken: it signs the plan and nothing else; leave note and additions away";
            return Err(Problem::invalid(detail));
        }
        signature.strength = strength(api, passed, id, digest, token).await?;
    }
    Ok(Some(signature))
}

/// The same, to a record that is no reset.
pub(super) async fn of_record(api: &Api, passed: &Passed, about: &About<'_>, yes: &Yes) -> Result<Signature, Problem> {
    if yes.id_token.is_some() || yes.additions.is_some() {
        return Err(Problem::invalid("idToken and additions are for plans; this is signed with a key: note"));
    }
    match yes.plan {
        None => Err(Problem::invalid("plan: name the digest of what you looked at")),
        Some(digest) if digest != about.digest => {
            let detail = format!("{digest} was looked at, and {} waits of {}", about.digest, about.what);
            Err(Problem::new(StatusCode::CONFLICT, "other-plan", detail))
        }
        Some(_) => of_any(api, passed, about, yes).await,
    }
}

async fn of_any(api: &Api, passed: &Passed, about: &About<'_>, yes: &Yes) -> Result<Signature, Problem> {
    if let Some(note) = &yes.note {
        if yes.additions.is_some() {
            return Err(Problem::invalid("additions: a note has its own, where its signer meant some"));
        }
        return Ok(api.app.gate.vouch(passed, note, about).await?);
    }
    let additions: Option<Additions> = yes
        .additions
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error: <Additions as std::str::FromStr>::Err| Problem::invalid(format!("additions: {error}")))?;
    let now = api.app.engine.context.clock.now();
    let alone = || Problem::invalid("this state has one operator, who signs nothing");
    Ok(Signature { additions, ..passed.signature(now).ok_or_else(alone)? })
}

/// How strongly somebody signed. The token and the key that it was checked with are kept beside the tree, and the entry
/// has their hash: whoever has them can check the signature when the provider has other keys.
async fn strength(
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

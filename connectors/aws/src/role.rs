//! Sessions of an assumed role: how one credential reaches several accounts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use jiff::Timestamp;
use remint_contract::{Clock as _, Error, Material, SystemClock, Verb};

use crate::client::Client;
use crate::config::Role;
use crate::error::Failure;

/// Who acts, by the key's id and the value's fingerprint.
type Actor = (Option<String>, String);

/// One is begun at a time; the others wait for it.
type Place = Arc<tokio::sync::Mutex<Option<Credentials>>>;

#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Actor, Place>>);

impl Sessions {
    /// The session that this actor has, or a new one where its end is near.
    pub(crate) async fn of(
        &self,
        client: &Client,
        actor: &Material,
        own: Credentials,
        role: &Role,
        verb: Verb,
    ) -> Result<Credentials, Error> {
        let place = {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.entry((actor.username.clone(), actor.fingerprint())).or_default())
        };
        let mut session = place.lock().await;
        let soon = SystemTime::from(SystemClock.now()) + LEFT;
        if let Some(kept) = session.as_ref().filter(|kept| kept.expiry().is_some_and(|end| end > soon)) {
            return Ok(kept.clone());
        }
        *session = None;
        let begun = begin(client, own, role, verb).await?;
        Ok(session.insert(begun).clone())
    }
}

async fn begin(client: &Client, own: Credentials, role: &Role, verb: Verb) -> Result<Credentials, Error> {
    // Whatever the call is for: to assume a role again changes nothing.
    let failed = |failure: Failure| Error { verb, ..failure.error(Verb::Check, "the role") }.with("role", &role.arn);
    let sts = aws_sdk_sts::Client::new(&client.bearing(own, &client.settings.region));
    let answer = sts
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(NAME)
        .set_external_id(role.external_id.clone())
        .duration_seconds(SHORTEST)
        .send()
        .await
        .map_err(|failure| failed(Failure::of(&failure)))?;
    let granted = answer.credentials.ok_or_else(|| failed(Failure::Lost))?;
    let end = Timestamp::new(granted.expiration.secs(), 0).map_err(|_| failed(Failure::Lost))?;
    Ok(Credentials::new(
        granted.access_key_id,
        granted.secret_access_key,
        Some(granted.session_token),
        Some(end.into()),
        "remint",
    ))
}

/// Stands in the account's own records of who did what.
const NAME: &str = "remint";
/// Seconds: the shortest life that a session may have.
const SHORTEST: i32 = 900;
/// A session with less left is not used any more.
const LEFT: Duration = Duration::from_mins(2);

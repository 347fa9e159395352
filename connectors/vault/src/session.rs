//! How the credential that Remint acts with becomes a token: by a login, kept across calls and renewed while it is used.
//!
//! Flow: the first call logs in; a later one renews when half of the token's life is over, and logs in anew when that
//! does not help. A token that is the credential itself is renewed likewise, where the server lets it be.
//! Assumption: something is called at least once in half of the token's life; else a token that no login can replace ends.

use std::time::Duration;

use remint_contract::{Error, ErrorKind, Material, SecretValue, Verb};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;

use crate::client::Client;
use crate::config::Login;
use crate::request::{Effect, Request};

pub(crate) struct Session {
    /// What a login gave; none where the credential itself is the token, which is not kept beyond a call.
    granted: Option<SecretValue>,
    /// Since when, and for how long from then on; `None` for one that does not end.
    since: Instant,
    life: Option<Duration>,
    renewable: bool,
}

/// What the server says of a token that it made or renewed.
#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "secret")]
    client_token: SecretValue,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Deserialize)]
struct Looked {
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    AppRole { role_id: &'a str, secret_id: &'a str },
    Kubernetes { role: &'a str, jwt: &'a str },
    Cert { name: &'a str },
}

impl Session {
    /// The token to act with: the one of the session, renewed or replaced where it is time.
    pub(crate) async fn token(
        session: &mut Option<Self>,
        client: &Client,
        actor: &Material,
        verb: Verb,
    ) -> Result<SecretValue, Error> {
        if let Some(open) = session.as_mut()
            && (!open.is_due() || (open.renewable && open.renew(client, actor, verb).await))
        {
            return Ok(open.bearer(actor).clone());
        }
        // A token that could not be renewed is good until it ends, and nothing can replace it.
        let opened = match client.settings.login {
            Login::Token => Self::given(client, actor, verb).await?,
            _ => Self::log_in(client, actor, verb).await?,
        };
        Ok(session.insert(opened).bearer(actor).clone())
    }

    pub(crate) fn is(&self, token: &SecretValue) -> bool {
        self.granted.as_ref() == Some(token)
    }

    fn bearer<'a>(&'a self, actor: &'a Material) -> &'a SecretValue {
        self.granted.as_ref().unwrap_or(&actor.secret)
    }

    fn is_due(&self) -> bool {
        self.life.is_some_and(|life| self.since.elapsed() >= life / 2)
    }

    /// The credential itself. What is not known of it is left alone.
    async fn given(client: &Client, actor: &Material, verb: Verb) -> Result<Self, Error> {
        let request = Request::get(verb, "auth/token/lookup-self")?;
        let answer = client.send(&client.settings.address, Some(&actor.secret), &request).await?;
        let looked =
            if answer.is_success() { answer.data::<Looked>("the token")? } else { Looked { ttl: 0, renewable: false } };
        Ok(Self::new(None, looked.ttl, looked.renewable))
    }

    async fn log_in(client: &Client, actor: &Material, verb: Verb) -> Result<Self, Error> {
        let what = "Remint's own login";
        let invalid = |message| Error::new(ErrorKind::Invalid, verb, message);
        let secret = || actor.secret.expose_str().ok_or_else(|| invalid("the credential in `auth` is not text"));
        let path = client.settings.login.path().ok_or_else(|| invalid("a token needs no login"))?;
        let shown = match &client.settings.login {
            Login::AppRole { .. } => {
                let role_id = actor.username.as_deref();
                let role_id =
                    role_id.ok_or_else(|| invalid("the credential in `auth` has no user name: the role id"))?;
                Shown::AppRole { role_id, secret_id: secret()? }
            }
            Login::Kubernetes { role, .. } => Shown::Kubernetes { role, jwt: secret()? },
            Login::Cert { role, .. } => Shown::Cert { name: role.as_deref().unwrap_or_default() },
            Login::Token => return Err(invalid("a token needs no login")),
        };
        let request = Request::post(verb, Effect::Reads, &path, &shown)?;
        let answer = match &client.settings.login {
            Login::Cert { .. } => client.send_showing(actor, &request).await?,
            _ => client.send(&client.settings.address, None, &request).await?,
        };
        if matches!(answer.status, 400 | 401 | 403) {
            return Err(Error::new(ErrorKind::Denied, verb, "Remint's own login was refused")
                .with("status", answer.status.to_string()));
        }
        let granted: Granted = answer.auth(what)?;
        Ok(Self::new(Some(granted.client_token), granted.lease_duration, granted.renewable))
    }

    /// False when the token is as it was.
    async fn renew(&mut self, client: &Client, actor: &Material, verb: Verb) -> bool {
        let Ok(request) = Request::post(verb, Effect::Reads, "auth/token/renew-self", &serde_json::json!({})) else {
            return false;
        };
        let Ok(answer) = client.send(&client.settings.address, Some(self.bearer(actor)), &request).await else {
            return false;
        };
        let Ok(granted) = answer.auth::<Granted>("the renewal") else { return false };
        let renewed = Self::new(self.granted.clone(), granted.lease_duration, granted.renewable);
        // At the end of what renewals may reach, one adds nothing.
        let left = self.life.map(|life| life.saturating_sub(self.since.elapsed()));
        let longer = renewed.life.is_none_or(|life| left.is_none_or(|left| life > left));
        *self = renewed;
        longer
    }

    fn new(granted: Option<SecretValue>, seconds: u64, renewable: bool) -> Self {
        let life = (seconds > 0).then(|| Duration::from_secs(seconds));
        Self { granted, since: Instant::now(), life, renewable }
    }
}

/// A text that goes from the answer into the type that hides it.
pub(crate) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretValue, D::Error> {
    String::deserialize(deserializer).map(SecretValue::from)
}

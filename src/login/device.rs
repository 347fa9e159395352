//! A login without a browser on this machine: the person opens an address wherever he has one, and types a code there.
//!
//! Flow: [`DeviceLogin::begin`] asks the provider for a code; [`DeviceLogin::finish`] asks again and again whether it was
//! typed, as seldom as the provider wants, until it was, was refused, or is too old.
//!
//! Guarantees: what comes back belongs to what was asked for, by the device code, which nobody else has. There is no nonce:
//! what signs a plan is asked for in a browser of this machine.

use std::time::Duration;

use remint_contract::SecretValue;
use serde::Deserialize;

use super::{Answer, LARGEST, LONGEST, LoggedIn, LoginError, form, read_claims};
use crate::answer;
use crate::context::Context;
use crate::identity::{discover, safe};

/// A login that waits for its person.
pub struct DeviceLogin {
    /// What he opens, wherever he has a browser.
    pub url: String,
    /// What he types there.
    pub code: String,
    /// The same address with the code in it, where the provider has one.
    pub whole: Option<String>,
    issuer: String,
    client: String,
    http: reqwest::Client,
    endpoint: String,
    device: SecretValue,
    every: Duration,
    lasts: Duration,
}

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default = "often")]
    interval: u64,
}

/// Seconds between two questions, where the provider says nothing.
const fn often() -> u64 {
    5
}

impl DeviceLogin {
    /// Finds the provider, and asks it for a code.
    ///
    /// # Errors
    /// The provider cannot be asked, or has no codes for devices.
    pub async fn begin(issuer: &str, client: &str) -> Result<Self, LoginError> {
        safe(issuer)?;
        let http = super::http()?;
        let found = discover(&http, issuer).await?;
        let begins = found.device_authorization_endpoint.ok_or(LoginError::NoDevices)?;
        let endpoint = found.token_endpoint.ok_or(LoginError::Nowhere)?;
        safe(&begins)?;
        safe(&endpoint)?;
        let words = [("client_id", client), ("scope", "openid groups")];
        let text = post(&http, &begins, &words).await?;
        let begun: Begun = serde_json::from_str(&text).map_err(|_| refused(&text))?;
        safe(&begun.verification_uri)?;
        Ok(Self {
            url: begun.verification_uri,
            code: begun.user_code,
            whole: begun.verification_uri_complete.filter(|whole| safe(whole).is_ok()),
            issuer: issuer.to_owned(),
            client: client.to_owned(),
            http,
            endpoint,
            device: SecretValue::new(begun.device_code.into_bytes()),
            every: Duration::from_secs(begun.interval.clamp(1, 60)),
            lasts: Duration::from_secs(begun.expires_in.min(LONGEST_WAIT)),
        })
    }

    /// Waits for the person, and fetches his token.
    ///
    /// # Errors
    /// Nobody typed the code in time, the provider refused, or what came is not what was asked for.
    pub async fn finish(mut self, context: &Context) -> Result<LoggedIn, LoginError> {
        let end = context.clock.now() + self.lasts;
        while context.clock.now() < end {
            context.clock.sleep(self.every).await;
            let words = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                ("device_code", self.device.expose_str().unwrap_or_default()),
                ("client_id", &self.client),
            ];
            let text = post(&self.http, &self.endpoint, &words).await?;
            let answer: Answer = serde_json::from_str(&text).map_err(|_| LoginError::Other("its token"))?;
            match answer.error.as_deref() {
                Some("authorization_pending") => {}
                Some("slow_down") => self.every += Duration::from_secs(often()),
                Some(error) => {
                    return Err(LoginError::Refused(answer.error_description.unwrap_or_else(|| error.to_owned())));
                }
                None => {
                    let token = answer.id_token.ok_or(LoginError::Other("no ID token"))?;
                    let claims = read_claims(&token).ok_or(LoginError::Other("its token"))?;
                    if claims.iss != self.issuer {
                        return Err(LoginError::Other("another provider"));
                    }
                    return Ok(LoggedIn { token: SecretValue::new(token.into_bytes()), claims });
                }
            }
        }
        Err(LoginError::Untyped)
    }
}

async fn post(http: &reqwest::Client, endpoint: &str, words: &[(&str, &str)]) -> Result<String, LoginError> {
    let request = http.post(endpoint).header("content-type", "application/x-www-form-urlencoded").timeout(LONGEST);
    let answered = request.body(form(words)?).send().await;
    let answered = answered.map_err(|error| LoginError::Unreachable(error.without_url()))?;
    answer::text(answered, LARGEST).await.map_err(|_| LoginError::Other("its answer"))
}

fn refused(text: &str) -> LoginError {
    let told: Option<Answer> = serde_json::from_str(text).ok();
    let why = told.and_then(|told| told.error_description.or(told.error));
    why.map_or(LoginError::Other("its code"), LoginError::Refused)
}

/// Whatever a provider says, a code is no longer good than this, in seconds.
const LONGEST_WAIT: u64 = 1800;

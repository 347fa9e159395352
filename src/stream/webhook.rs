//! Events to somebody's address: one POST each, CloudEvents in structured mode, with the headers of Standard Webhooks.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::StatusCode;

use super::sign::Secret;
use super::{Event, Sink, Undelivered};

/// An address that takes events.
pub struct Webhook {
    url: String,
    secret: Secret,
    client: reqwest::Client,
}

impl Webhook {
    /// # Errors
    /// The machine cannot make a client.
    pub fn new(url: &str, secret: Secret) -> Result<Self, reqwest::Error> {
        // A redirect would carry what was meant for one to another.
        let client =
            reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { url: url.to_owned(), secret, client })
    }
}

#[async_trait]
impl Sink for Webhook {
    async fn send(&self, event: &Event, now: Timestamp) -> Result<(), Undelivered> {
        let second = now.as_second();
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", second.to_string())
            .header("webhook-signature", self.secret.sign(&event.id, second, &event.body))
            .body(event.body.clone());
        // The address may hold a secret of its own; it is not repeated.
        let answer = request.send().await.map_err(|error| Undelivered::Later(error.without_url().to_string()))?;
        let status = answer.status();
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Err(Undelivered::Later(format!("it said {status}")))
            }
            status if status.is_client_error() => Err(Undelivered::Never(format!("it said {status}"))),
            status => Err(Undelivered::Later(format!("it said {status}"))),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(15);

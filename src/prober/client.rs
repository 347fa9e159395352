//! The way to a prober: one request, one answer, checked before anybody believes it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use remint_contract::Material;
use remint_evidence_format::observation::Observation;

use super::key::PublicProber;
use super::question::Question;
use crate::answer::{self, Unread};
use crate::engine::observe::{Observer, Seen, Sight};
use crate::evidence::signer::{Signer, note};

/// A prober somewhere else.
pub struct Remote {
    url: String,
    public: PublicProber,
    /// What questions are signed with: the key of the log.
    key: Arc<dyn Signer>,
    client: reqwest::Client,
    demanded: bool,
    controls: bool,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.url)
            .field("name", &self.public.verifier.name())
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// A prober at an address; `demanded`: nothing counts as proven without it.
    ///
    /// # Errors
    /// The machine cannot make a client.
    pub fn new(url: &str, public: PublicProber, key: Arc<dyn Signer>, demanded: bool) -> Result<Self, reqwest::Error> {
        let client =
            reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self {
            url: format!("{}/v1/probe", url.trim_end_matches('/')),
            public,
            key,
            client,
            demanded,
            controls: false,
        })
    }

    /// Shows it new values, too: its host sees them alive.
    #[must_use]
    pub fn controlling(self, controls: bool) -> Self {
        Self { controls, ..self }
    }

    async fn post(&self, question: &str) -> Result<String, String> {
        // An address may hold a secret; it is not repeated.
        let sent = self.client.post(&self.url).body(question.to_owned()).send().await;
        let answer = sent.map_err(|error| error.without_url().to_string())?;
        let status = answer.status();
        let text = answer::text(answer, LARGEST).await.map_err(|unread| match unread {
            Unread::Lost(error) => error.without_url().to_string(),
            Unread::Large => "it answered with more than an observation".to_owned(),
            Unread::NoText => "it answered with what is no text".to_owned(),
        })?;
        if status.is_success() { Ok(text) } else { Err(format!("it said {status}: {}", text.trim_end())) }
    }
}

#[async_trait]
impl Observer for Remote {
    fn name(&self) -> &str {
        self.public.verifier.name()
    }

    fn demanded(&self) -> bool {
        self.demanded
    }

    fn controls(&self) -> bool {
        self.controls
    }

    async fn observe(&self, sight: &Sight, value: &Material) -> Result<Seen, String> {
        let question = Question {
            to: self.name().to_owned(),
            reset: sight.reset.clone(),
            credential: sight.credential.clone(),
            system: sight.system.clone(),
            connector: sight.connector.clone(),
            settings: sight.settings.clone(),
            target: sight.target.clone(),
            endpoint: sight.endpoint,
            endpoint_name: sight.endpoint_name.clone(),
            version: sight.version.clone(),
            at: sight.at,
            nonce: sight.nonce.clone(),
            sealed: String::new(),
        };
        let text = question.text(value, &self.public).map_err(|error| error.to_string())?;
        let signed = note(&text, &self.key).await.map_err(|error| error.to_string())?;
        let note = self.post(&signed).await?;
        let saw = Observation::open(&note, &self.public.verifier).map_err(|error| error.to_string())?;
        let asked = saw.request == Question::hash(&signed)
            && saw.reset == sight.reset
            && saw.credential == sight.credential
            && saw.endpoint == sight.endpoint_name
            && saw.version == sight.version;
        if asked { Ok(Seen { verdict: saw.verdict, note }) } else { Err("it answered another question".to_owned()) }
    }
}

/// Longer than a prober waits for a target.
const PATIENCE: Duration = Duration::from_secs(25);
const LARGEST: usize = 64 * 1024;

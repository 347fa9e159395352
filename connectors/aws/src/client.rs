//! The way to AWS: as whom, in which region, through which connection.
//!
//! Guarantees: no credential, region, endpoint or proxy is taken from the environment, a profile or the machine's own
//! role; nothing is tried again; no redirect is followed; a new credential never rides on a session of an old one.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls;
use remint_contract::{Call, Error, ErrorKind, HostRules, Material, Verb};
use reqwest::redirect::Policy;

use crate::config::Settings;
use crate::role::Sessions;

pub(crate) struct Client {
    pub(crate) settings: Settings,
    base: SdkConfig,
    pub(crate) http: reqwest::Client,
    sessions: Sessions,
}

impl Client {
    pub(crate) fn open(settings: Settings, rules: &HostRules) -> Result<Self, Error> {
        let connect = rules.connect_timeout.unwrap_or(CONNECT);
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .user_agent("remint")
            .connect_timeout(connect)
            .build()
            .map_err(|failure| {
                let message = "no connection can be set up on this machine";
                Error::new(ErrorKind::Invalid, Verb::Check, message).because(failure)
            })?;
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        let mut base = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().tls_provider(provider).build_https())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(connect).build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .region(Region::new(settings.region.clone()));
        if let Some(endpoint) = &settings.endpoint {
            base = base.endpoint_url(endpoint);
        }
        Ok(Self { settings, base: base.build(), http, sessions: Sessions::default() })
    }

    /// As Remint, in the system's region: its own credential, or the role that it assumes with it.
    pub(crate) async fn acting(&self, call: &Call, verb: Verb) -> Result<SdkConfig, Error> {
        Ok(self.bearing(self.credentials(call, verb).await?, &self.settings.region))
    }

    /// As the bearer of these credentials.
    pub(crate) fn bearing(&self, credentials: Credentials, region: &str) -> SdkConfig {
        let provider = SharedCredentialsProvider::new(credentials);
        self.base.to_builder().credentials_provider(provider).region(Region::new(region.to_owned())).build()
    }

    pub(crate) async fn credentials(&self, call: &Call, verb: Verb) -> Result<Credentials, Error> {
        let actor = call
            .actor
            .as_deref()
            .ok_or_else(|| Error::new(ErrorKind::Invalid, verb, "the system has no `auth`; name a credential"))?;
        let Some(own) = credentials(actor) else {
            let message =
                "the credential in `auth` is no access key: its user name is the key's id, its secret the key";
            return Err(Error::new(ErrorKind::Invalid, verb, message));
        };
        match &self.settings.role {
            None => Ok(own),
            Some(role) => self.sessions.of(self, actor, own, role, verb).await,
        }
    }
}

/// An access key as the SDK has it. None for what could never be one.
pub(crate) fn credentials(material: &Material) -> Option<Credentials> {
    let (id, secret) = (material.username.as_deref()?, material.secret.expose_str()?);
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_id && !secret.is_empty()).then(|| Credentials::new(id, secret, None, None, "remint"))
}

const CONNECT: Duration = Duration::from_secs(10);

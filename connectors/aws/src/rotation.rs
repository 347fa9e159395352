//! Secrets that a rotation function of their own changes: it is triggered, and waited for.
//!
//! The target is the secret. A version is the secret's own version id, made from the operation: the same trigger twice is
//! one rotation. The function makes the value, sets it where it is used and tests it; its last act is to take the label
//! `AWSCURRENT`, and until then nothing is minted. What is still at work when the call ends is unclear, and asked again.
//!
//! Assumption: the function changes the one password of one user. One with two users in turn leaves the one before
//! alive until the turn after, and this is not told here.
//! AWS tries no value for anybody: that an old one is dead is its own word, by which version is current.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client as SecretsManager;
use remint_contract::{
    Call, Capabilities, Clock as _, Connector, Error, ErrorKind, Intent, IssuerCapabilities, Live, MadeBy, Material,
    MintRequest, Minted, ProbeCost, Recovered, SecretValue, Slots, Strategy, SystemClock, Target, Verb, Verified,
    VersionId,
};

use crate::client::Client;
use crate::config::{Format, Settings};
use crate::error::Failure;
use crate::fields;
use crate::secrets::{CURRENT, Found, Labels, PENDING, Which, get, labels, not_of_the_form, version_id};

pub(crate) struct Rotation(pub(crate) Client);

/// Between two looks at a function that works.
const LOOK: Duration = Duration::from_millis(500);
/// So long before its end a call says what it knows.
const SPARE: Duration = Duration::from_secs(3);

pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    Capabilities {
        verbs: [Verb::Check, Verb::Mint, Verb::Verify, Verb::Revoke, Verb::Enumerate, Verb::Recover].into(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::One,
            made_by: MadeBy::Issuer,
            // Nobody can be asked.
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: [Strategy::InPlace].into(),
            endpoints: vec![settings.secrets_manager()],
            verifies_at: None,
            reversible_disable: false,
            dies_with_issuer: false,
            calls: vec![(Strategy::InPlace, crate::calls::ROTATION_IN_PLACE)],
        }),
        store: None,
        consumer: None,
    }
}

/// What became of a version that was asked for.
enum Became {
    /// It is what readers see.
    Current,
    /// The function is at it, or failed.
    Pending,
    /// Another one is current since.
    Earlier,
    Nothing,
}

fn became(labels: &Labels, id: &str) -> Became {
    if labels.bearer(CURRENT) == Some(id) {
        Became::Current
    } else if labels.bearer(PENDING) == Some(id) {
        Became::Pending
    } else if labels.0.contains_key(id) {
        Became::Earlier
    } else {
        Became::Nothing
    }
}

#[async_trait]
impl Connector for Rotation {
    fn describe(&self) -> Capabilities {
        capabilities(&self.0.settings)
    }

    async fn check(&self, call: &Call, _path: Option<&str>) -> Result<(), Error> {
        let verb = Verb::Check;
        let listed = self.acting(call, verb).await?.list_secrets().max_results(1).send().await;
        listed.map(drop).map_err(|failure| Failure::of(&failure).error(verb, "the secrets"))
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let (secret, id) = (request.target.name.as_str(), version_id(&call.operation));
        let secrets = self.acting(call, verb).await?;
        self.turn(&secrets, call, verb, secret, &id).await?;
        // The password is another one already: only `recover` may say what it is now.
        let found = get(&secrets, verb, secret, Which::Id(&id)).await.map_err(begun)?;
        let lost = || {
            let message = "the function changed the value, and it could not be read";
            Error::new(ErrorKind::Unclear, verb, message).with("secret", secret)
        };
        self.minted(verb, secret, &found.ok_or_else(lost)?).map_err(begun)
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        let secret = target.name.as_str();
        let secrets = self.acting(call, verb).await?;
        let found = get(&secrets, verb, secret, Which::Label(CURRENT)).await?;
        let found = found.ok_or_else(|| missing(verb, secret))?;
        let current = self.minted(verb, secret, &found)?;
        if current.material != *material {
            let message = "this is not the value that the rotation function set last";
            return Err(Error::new(ErrorKind::Denied, verb, message).with("secret", secret));
        }
        let principal = current.material.username.unwrap_or_else(|| secret.to_owned());
        Ok(Verified { version: current.version, principal, expires: None })
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let verb = Verb::Revoke;
        let secret = target.name.as_str();
        let secrets = self.acting(call, verb).await?;
        if labels(&secrets, verb, secret).await?.bearer(CURRENT) != Some(version.0.as_str()) {
            return Ok(());
        }
        // Nothing stops a value: another one, which nobody has asked for, does the same.
        self.turn(&secrets, call, verb, secret, &version_id(&call.operation)).await
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let verb = Verb::Enumerate;
        let secrets = self.acting(call, verb).await?;
        let mut living = Vec::new();
        for target in targets {
            let labels = match labels(&secrets, verb, &target.name).await {
                Err(failure) if failure.kind == ErrorKind::Missing => continue,
                labels => labels?,
            };
            let Some(current) = labels.bearer(CURRENT) else { continue };
            living.push(Live {
                version: VersionId(current.to_owned()),
                target: Some(target.name.clone()),
                label: format!("the current version of {}", target.name),
                operation: None,
                created: None,
            });
        }
        Ok(living)
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let verb = Verb::Recover;
        let secret = intent.target.name.as_str();
        let secrets = self.acting(call, verb).await?;
        let labels = labels(&secrets, verb, secret).await?;
        let id = version_id(&intent.operation);
        match (intent.verb, &intent.version) {
            (Verb::Mint, _) => Ok(match became(&labels, &id) {
                Became::Current => {
                    let found = get(&secrets, verb, secret, Which::Id(&id)).await?;
                    let found = found.ok_or_else(|| missing(verb, secret))?;
                    Recovered::Done(Some(self.minted(verb, secret, &found)?))
                }
                Became::Pending => return Err(at_work(ErrorKind::Unreachable, verb, secret)),
                // Nobody can have it any more.
                Became::Earlier | Became::Nothing => Recovered::NotDone,
            }),
            (Verb::Revoke, Some(version)) => {
                let lives = labels.bearer(CURRENT) == Some(version.0.as_str());
                Ok(if lives { Recovered::NotDone } else { Recovered::Done(None) })
            }
            _ => Ok(Recovered::NotDone),
        }
    }
}

impl Rotation {
    async fn acting(&self, call: &Call, verb: Verb) -> Result<SecretsManager, Error> {
        self.0.acting(call, verb).await.map(|config| SecretsManager::new(&config))
    }

    /// Has the function make this version, and waits until readers see it.
    async fn turn(
        &self,
        secrets: &SecretsManager,
        call: &Call,
        verb: Verb,
        secret: &str,
        id: &str,
    ) -> Result<(), Error> {
        let before = labels(secrets, verb, secret).await?;
        let begins = match became(&before, id) {
            Became::Current => return Ok(()),
            Became::Pending => false,
            Became::Earlier => {
                let message = "another version is current since; ask for a new one";
                return Err(Error::new(ErrorKind::Conflict, verb, message).with("secret", secret));
            }
            Became::Nothing => true,
        };
        if begins {
            if let Some(other) = before.bearer(PENDING).filter(|other| before.bearer(CURRENT) != Some(other)) {
                let message = "another rotation of this secret has not ended; let it end, or look at its function";
                return Err(Error::new(ErrorKind::Conflict, verb, message)
                    .with("secret", secret)
                    .with("version", other));
            }
            let turned = secrets.rotate_secret().secret_id(secret).client_request_token(id).send().await;
            turned.map_err(|failure| {
                let failure = Failure::of(&failure);
                if failure.is("InvalidRequestException") {
                    let message = "the secret has no rotation function, or does not let it begin; set one up first";
                    return Error::new(ErrorKind::Invalid, verb, message).with("secret", secret);
                }
                failure.error(verb, "the rotation").with("secret", secret)
            })?;
        }
        loop {
            if let Became::Current = became(&labels(secrets, verb, secret).await.map_err(begun)?, id) {
                return Ok(());
            }
            if SystemClock.now() + SPARE + LOOK >= call.deadline {
                return Err(at_work(ErrorKind::Unclear, verb, secret));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn minted(&self, verb: Verb, secret: &str, found: &Found) -> Result<Minted, Error> {
        let format = self.0.settings.format;
        let mut read = fields::read(format, &found.text).ok_or_else(|| not_of_the_form(verb, secret))?;
        let value = if format == Format::Text { remint_contract::WHOLE } else { "password" };
        let value: SecretValue = read.remove(value).ok_or_else(|| not_of_the_form(verb, secret))?;
        let username = read.remove("username").and_then(|name| name.expose_str().map(str::to_owned));
        Ok(Minted { version: VersionId(found.id.clone()), material: Material { username, secret: value } })
    }
}

fn missing(verb: Verb, secret: &str) -> Error {
    Error::new(ErrorKind::Missing, verb, "the secret holds no value, or is not there").with("secret", secret)
}

/// A failure of what was asked after the function was set to work: whatever it is, the value may be another one.
fn begun(failure: Error) -> Error {
    Error { kind: ErrorKind::Unclear, ..failure }
}

fn at_work(kind: ErrorKind, verb: Verb, secret: &str) -> Error {
    let message = "the rotation function is at work still, or failed; its own log says which";
    Error::new(kind, verb, message).with("secret", secret)
}

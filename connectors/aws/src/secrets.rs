//! Secrets Manager as a store: a write stages a version under `AWSPENDING`, promoting moves `AWSCURRENT` to it.
//!
//! A write reads what readers see, lays its fields over it, and puts it as a version of its own whose id is made from the
//! operation: the same write twice is one version. A version's name here is `id@base`, where `base` is the version that
//! it was made from: `AWSCURRENT` is only ever taken from that one, so whoever wrote in between wins, and a late
//! promotion changes nothing. Everything is read by label or id: a read without either may be behind.
//!
//! A secret is never made here: its key, policy and replicas are its owner's to choose.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client as SecretsManager;
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, OperationId, ReadBack, SecretValue, StoreCapabilities, Verb,
    WriteRequest, Written,
};
use zeroize::Zeroizing;

use crate::client::Client;
use crate::error::Failure;
use crate::fields::{self, Fields};

pub(crate) struct Secrets(pub(crate) Client);

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";
/// Bytes, by AWS's own limit.
const LARGEST: usize = 65_536;
/// What the ids of versions begin with that Remint made.
const OURS: &str = "remint-";

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        verbs: [Verb::Check, Verb::Write, Verb::Read, Verb::Promote, Verb::Versions, Verb::DestroyVersion].into(),
        issuer: None,
        store: Some(StoreCapabilities { compare_and_set: true, staged: true, versioned: true, own_login: false }),
        consumer: None,
    }
}

/// The labels of every version that has one.
pub(crate) struct Labels(pub(crate) BTreeMap<String, Vec<String>>);

impl Labels {
    pub(crate) fn bearer(&self, label: &str) -> Option<&str> {
        self.0.iter().find(|(_, labels)| labels.iter().any(|known| known == label)).map(|(id, _)| id.as_str())
    }
}

/// One version's text.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) text: Zeroizing<String>,
}

#[async_trait]
impl Connector for Secrets {
    fn describe(&self) -> Capabilities {
        capabilities()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        let verb = Verb::Check;
        let secrets = self.acting(call, verb).await?;
        let Some(path) = path else {
            let listed = secrets.list_secrets().max_results(1).send().await;
            return listed.map(drop).map_err(|failure| Failure::of(&failure).error(verb, "the secrets"));
        };
        labels(&secrets, verb, path).await?;
        self.current(&secrets, verb, path).await.map(drop)
    }

    fn fits(&self, path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        fields::fits(self.0.settings.format, path, fields, LARGEST)
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let verb = Verb::Write;
        let (path, format) = (request.path.as_str(), self.0.settings.format);
        self.fits(path, &request.fields)?;
        let secrets = self.acting(call, verb).await?;
        let labels = labels(&secrets, verb, path).await?;
        let current = self.current(&secrets, verb, path).await?;
        let base = current.as_ref().map(|found| found.id.as_str()).unwrap_or_default();
        if let Some(found) = &current
            && fields::holds(&self.fields(verb, path, found)?, &request.fields)
        {
            return Ok(Written { version: named(base, base) });
        }
        if request.expect.as_ref().is_some_and(|expected| expected != base) {
            return Err(conflict(verb, path));
        }
        let id = version_id(&call.operation);
        let written = Written { version: named(&id, base) };
        match labels.bearer(PENDING) {
            Some(pending) if pending == id => {
                let staged = get(&secrets, verb, path, Which::Id(&id)).await?;
                let same = staged.map(|found| self.fields(verb, path, &found)).transpose()?;
                let same = same.is_some_and(|fields| fields::holds(&fields, &request.fields));
                return if same { Ok(written) } else { Err(conflict(verb, path)) };
            }
            Some(pending) if pending != base && !pending.starts_with(OURS) => {
                let message = "a version that Remint did not make is being staged; let its rotation end, or take its \
                               label AWSPENDING away";
                return Err(Error::new(ErrorKind::Conflict, verb, message).with("path", path).with("version", pending));
            }
            _ => {}
        }
        let there = current.as_ref().map(|found| found.text.as_str());
        let text = fields::write(format, there, &request.fields).ok_or_else(|| not_of_the_form(verb, path))?;
        secrets
            .put_secret_value()
            .secret_id(path)
            .client_request_token(&id)
            .secret_string(text.as_str())
            .version_stages(PENDING)
            .send()
            .await
            .map_err(|failure| Failure::of(&failure).error(verb, "the secret").with("path", path))?;
        Ok(written)
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        let verb = Verb::Read;
        let secrets = self.acting(call, verb).await?;
        let found = self.current(&secrets, verb, path).await?;
        let found = found.ok_or_else(|| {
            Error::new(ErrorKind::Missing, verb, "the secret holds no value, or is not there").with("path", path)
        })?;
        let fields = self.fields(verb, path, &found)?;
        Ok(ReadBack { version: found.id, fields })
    }

    async fn promote(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let verb = Verb::Promote;
        let (id, base) = version.split_once('@').unwrap_or((version, ""));
        let secrets = self.acting(call, verb).await?;
        let labels = labels(&secrets, verb, path).await?;
        let current = labels.bearer(CURRENT).unwrap_or_default();
        let failed = |failure: Failure| failure.error(verb, "the label").with("path", path).with("version", version);
        if current != id {
            if current != base {
                return Err(conflict(verb, path));
            }
            let moved = secrets.update_secret_version_stage().secret_id(path).version_stage(CURRENT);
            let moved = moved.set_remove_from_version_id(Some(base.to_owned()).filter(|base| !base.is_empty()));
            let moved = moved.move_to_version_id(id).send().await;
            moved.map_err(|failure| failed(Failure::of(&failure)))?;
        }
        // A rotation function, and whoever comes next, takes the label for work that is not done.
        if labels.bearer(PENDING) == Some(id) {
            let taken = secrets.update_secret_version_stage().secret_id(path).version_stage(PENDING);
            let taken = taken.remove_from_version_id(id).send().await;
            taken.map_err(|failure| failed(Failure::of(&failure)))?;
        }
        Ok(())
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        let verb = Verb::Versions;
        let labels = labels(&self.acting(call, verb).await?, verb, path).await?;
        let current = labels.bearer(CURRENT).map(str::to_owned);
        let others = labels.0.into_keys().filter(|id| Some(id) != current.as_ref()).collect::<Vec<_>>();
        Ok(current.iter().cloned().chain(others).collect())
    }

    async fn destroy_version(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let verb = Verb::DestroyVersion;
        let id = version.split_once('@').map_or(version, |(id, _)| id);
        let secrets = self.acting(call, verb).await?;
        let mut labels = labels(&secrets, verb, path).await?;
        if labels.bearer(CURRENT) == Some(id) {
            let message = "this is the version that readers see; write another one first";
            return Err(Error::new(ErrorKind::Conflict, verb, message).with("path", path).with("version", version));
        }
        let held = labels.0.remove(id).unwrap_or_default();
        let ours = |label: &String| label == PREVIOUS || (label == PENDING && id.starts_with(OURS));
        if let Some(label) = held.iter().find(|label| !ours(label)) {
            let message = "somebody else keeps this version by a label of his own";
            return Err(Error::new(ErrorKind::Conflict, verb, message).with("path", path).with("label", label));
        }
        for label in held {
            let taken = secrets.update_secret_version_stage().secret_id(path).version_stage(label);
            let taken = taken.remove_from_version_id(id).send().await;
            taken.map_err(|failure| {
                Failure::of(&failure).error(verb, "the label").with("path", path).with("version", version)
            })?;
        }
        Ok(())
    }
}

impl Secrets {
    async fn acting(&self, call: &Call, verb: Verb) -> Result<SecretsManager, Error> {
        self.0.acting(call, verb).await.map(|config| SecretsManager::new(&config))
    }

    /// What readers see. None where the secret has no value, or is not there.
    async fn current(&self, secrets: &SecretsManager, verb: Verb, path: &str) -> Result<Option<Found>, Error> {
        get(secrets, verb, path, Which::Label(CURRENT)).await
    }

    fn fields(&self, verb: Verb, path: &str, found: &Found) -> Result<Fields, Error> {
        fields::read(self.0.settings.format, &found.text).ok_or_else(|| not_of_the_form(verb, path))
    }
}

pub(crate) enum Which<'a> {
    Label(&'a str),
    Id(&'a str),
}

pub(crate) async fn get(
    secrets: &SecretsManager,
    verb: Verb,
    path: &str,
    which: Which<'_>,
) -> Result<Option<Found>, Error> {
    let asked = secrets.get_secret_value().secret_id(path);
    let asked = match which {
        Which::Label(label) => asked.version_stage(label),
        Which::Id(id) => asked.version_id(id),
    };
    let answer = match asked.send().await {
        Ok(answer) => answer,
        Err(failure) => {
            let failure = Failure::of(&failure);
            if failure.is("ResourceNotFoundException") {
                return Ok(None);
            }
            return Err(looked(verb, &failure, "the secret", path));
        }
    };
    match (answer.version_id, answer.secret_string) {
        (Some(id), Some(text)) => Ok(Some(Found { id, text: Zeroizing::new(text) })),
        _ => Err(Error::new(ErrorKind::Invalid, verb, "the secret is binary; only text can be written here")
            .with("path", path)),
    }
}

/// Which version bears which label. Missing where there is no such secret, or it is about to be deleted.
pub(crate) async fn labels(secrets: &SecretsManager, verb: Verb, path: &str) -> Result<Labels, Error> {
    let answer = secrets.describe_secret().secret_id(path).send().await;
    let answer = answer.map_err(|failure| looked(verb, &Failure::of(&failure), "the secret", path))?;
    if answer.deleted_date.is_some() {
        let message = "the secret is about to be deleted; restore it first";
        return Err(Error::new(ErrorKind::Missing, verb, message).with("path", path));
    }
    Ok(Labels(answer.version_ids_to_stages.unwrap_or_default().into_iter().filter(|(_, of)| !of.is_empty()).collect()))
}

/// Looking leaves nothing open, whatever it is for.
fn looked(verb: Verb, failure: &Failure, what: &str, path: &str) -> Error {
    Error { verb, ..failure.error(Verb::Read, what) }.with("path", path)
}

/// A version's id may be chosen: the same operation always chooses the same.
pub(crate) fn version_id(operation: &OperationId) -> String {
    use std::fmt::Write as _;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, operation.0.as_bytes());
    digest.as_ref().iter().take(16).fold(OURS.to_owned(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

fn named(id: &str, base: &str) -> String {
    format!("{id}@{base}")
}

fn conflict(verb: Verb, path: &str) -> Error {
    Error::new(ErrorKind::Conflict, verb, "another version is current by now").with("path", path)
}

pub(crate) fn not_of_the_form(verb: Verb, path: &str) -> Error {
    let message = "what lies there is no JSON object of fields; set `format: text` where it is one value";
    Error::new(ErrorKind::Invalid, verb, message).with("path", path)
}

//! Transit: a key's versions, and what is encrypted under them.
//!
//! The target is the key. A version is `key@number`; its value is a ciphertext that the server made under it, for the key
//! itself never leaves: trying a version is decrypting that. A version is stopped by the least one that still decrypts,
//! so only the oldest that still does can be stopped, and the newest never; it is ended for good by trimming it away.
//!
//! What is encrypted lies elsewhere. `issuedBy.data` names paths of a KV version 2 mount whose fields hold ciphertexts;
//! those are counted, and encrypted anew under the newest version, each with check-and-set. What lies anywhere else is
//! not seen, so the key's owner says where everything is.

mod data;
mod key;

use std::time::Duration;

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, Connector, Derived, Ended, Error, ErrorKind, Intent, IssuerCapabilities, Live, MadeBy,
    Material, MintRequest, Minted, ProbeCost, Recovered, SecretValue, SettingProblem, Slots, Strategy, Target, Verb,
    Verdict, Verified, VersionId,
};
use serde::Deserialize;
use vaultrs::api::transit::requests::{ListKeysRequest, RotateKeyRequest};

use crate::answer::unproven;
use crate::client::Client;
use crate::config::Settings;
use crate::mount;
use crate::request::{Effect, Request};
use crate::session::secret;
use data::Data;
use key::{Key, Limits};

pub(crate) struct Transit(pub(crate) Client);

/// What is encrypted to try a version, in base64: the product's name.
const PROOF: &str = "cmVtaW50";

/// The words with which the server refuses a version that was stopped or trimmed, and nothing else.
const TOO_OLD: [&str; 2] = [
    "ciphertext or signature version is disallowed by policy (too old)",
    "cannot be less than minimum available version",
];

pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    Capabilities {
        verbs: [
            Verb::Check,
            Verb::Mint,
            Verb::Verify,
            Verb::Promote,
            Verb::Disable,
            Verb::Enable,
            Verb::Revoke,
            Verb::ListDerived,
            Verb::EndDerived,
            Verb::Probe,
            Verb::Enumerate,
            Verb::Recover,
        ]
        .into(),
        issuer: Some(IssuerCapabilities {
            slots: Slots::Many,
            made_by: MadeBy::Issuer,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: [Strategy::Overlap].into(),
            endpoints: settings.endpoints.clone(),
            // It also encrypts, which the probe does not.
            verifies_at: None,
            reversible_disable: true,
            dies_with_issuer: false,
            calls: vec![(Strategy::Overlap, crate::calls::TRANSIT_OVERLAP)],
        }),
        store: None,
        consumer: None,
    }
}

/// Every problem of `issuedBy.data`.
pub(crate) fn check_target(target: &Target) -> Vec<SettingProblem> {
    Data::read(target)
        .err()
        .map_or_else(Vec::new, |message| vec![SettingProblem { path: vec!["data".into()], message }])
}

#[derive(Deserialize)]
struct Encrypted {
    #[serde(deserialize_with = "secret")]
    ciphertext: SecretValue,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: String,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

enum Tried {
    Accepted,
    Refused,
    Unclear(Error),
}

#[async_trait]
impl Connector for Transit {
    fn describe(&self) -> Capabilities {
        capabilities(&self.0.settings)
    }

    async fn check(&self, call: &Call, _path: Option<&str>) -> Result<(), Error> {
        mount::check(&self.0, call).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let name = &request.target.name;
        let before = self.key(call, verb, name).await?;
        before.encrypts(verb, name)?;
        self.rotate(call, verb, name).await?;
        // There is another version already: only `recover` may say which.
        self.newest(call, verb, name).await.map_err(|failure| {
            let message = "the key was rotated, and its newest version could not be read";
            Error::new(ErrorKind::Unclear, verb, message).with("key", name).because(failure)
        })
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        let name = &target.name;
        let refused = || Error::new(ErrorKind::Denied, verb, "the key does not decrypt it").with("key", name);
        let number = key::number_of(&material.secret).ok_or_else(refused)?;
        match self.try_at(call, verb, &self.0.settings.address, name, material).await? {
            Tried::Accepted => {}
            Tried::Refused => return Err(refused()),
            Tried::Unclear(failure) => return Err(unproven(failure).with("key", name)),
        }
        Ok(Verified { version: key::version(name, number), principal: name.clone(), expires: None })
    }

    async fn promote(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let verb = Verb::Promote;
        let number = key::number(verb, path, version)?;
        let key = self.key(call, verb, path).await?;
        // From here on nothing is encrypted under an older one; a late word for an older one changes nothing.
        if key.min_encryption_version >= number || number > key.latest_version {
            return Ok(());
        }
        self.configure(call, verb, path, Limits { decrypt: key.min_decryption_version, encrypt: number }).await
    }

    async fn disable(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        self.stop(call, Verb::Disable, target, version).await.map(drop)
    }

    async fn enable(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let verb = Verb::Enable;
        let name = &target.name;
        let number = key::number(verb, name, &version.0)?;
        let key = self.key(call, verb, name).await?;
        if number < key.least_available() {
            return Err(
                Error::new(ErrorKind::Missing, verb, "the version was trimmed away").with("version", &version.0)
            );
        }
        if number >= key.min_decryption_version {
            return Ok(());
        }
        if number + 1 != key.min_decryption_version {
            let message = "newer versions than this one are stopped; enable those first";
            return Err(Error::new(ErrorKind::Conflict, verb, message).with("version", &version.0));
        }
        self.configure(call, verb, name, Limits { decrypt: number, encrypt: key.min_encryption_version }).await
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let verb = Verb::Revoke;
        let Some(number) = self.stop(call, verb, target, version).await? else { return Ok(()) };
        let path = format!("{}/keys/{}/trim", self.0.settings.mount, target.name);
        let body = serde_json::json!({ "min_available_version": number + 1 });
        let answer = self.0.act(call, &Request::post(verb, Effect::Changes, &path, &body)?).await?;
        answer.done("the trimming").map_err(|failure| failure.with("version", &version.0))
    }

    async fn list_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Derived>, Error> {
        data::list(self, call, target, version).await
    }

    async fn end_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Ended>, Error> {
        data::rewrap(self, call, target, version).await
    }

    async fn probe(
        &self,
        call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        let verb = Verb::Probe;
        let address = self.0.settings.endpoints.get(endpoint).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "there is no such endpoint").with("endpoint", endpoint.to_string())
        })?;
        Ok(match self.try_at(call, verb, address, &target.name, material).await? {
            Tried::Accepted => Verdict::Accepted,
            Tried::Refused => Verdict::Denied,
            Tried::Unclear(failure) => Verdict::Unclear(format!("{address}: {failure}")),
        })
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let verb = Verb::Enumerate;
        let request = ListKeysRequest { mount: self.0.settings.mount.clone() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        let mut living = Vec::new();
        for name in answer.found::<Keys>("the keys")?.map_or_else(Vec::new, |found| found.keys) {
            let target = targets.iter().find(|target| target.name == name).map(|target| target.name.clone());
            let key = self.key(call, verb, &name).await?;
            living.extend((key.min_decryption_version..=key.latest_version).map(|number| Live {
                version: key::version(&name, number),
                target: target.clone(),
                label: format!("key {name}, version {number}"),
                operation: None,
                created: key.created(number),
            }));
        }
        Ok(living)
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let verb = Verb::Recover;
        let name = &intent.target.name;
        let key = self.key(call, verb, name).await?;
        if intent.verb == Verb::Mint {
            // Without the old version it cannot be said: another rotation is always right.
            let old = intent.mint.as_ref().and_then(|request| request.old.as_ref());
            let old = old.map(|old| key::number(verb, name, &old.0)).transpose()?;
            return Ok(match old {
                Some(old) if key.latest_version > old => Recovered::Done(Some(self.newest(call, verb, name).await?)),
                _ => Recovered::NotDone,
            });
        }
        let Some(version) = &intent.version else {
            return Err(Error::new(ErrorKind::Invalid, verb, "the intent names no version"));
        };
        let number = key::number(verb, name, &version.0)?;
        let done = match intent.verb {
            Verb::Disable => key.min_decryption_version > number,
            Verb::Enable => key.min_decryption_version <= number,
            Verb::Revoke => key.least_available() > number,
            Verb::Promote => key.min_encryption_version >= number,
            _ => false,
        };
        Ok(if done { Recovered::Done(None) } else { Recovered::NotDone })
    }
}

impl Transit {
    /// Stops a version, which must be the oldest that decrypts. `None` when there is nothing left of it to end.
    async fn stop(&self, call: &Call, verb: Verb, target: &Target, version: &VersionId) -> Result<Option<u64>, Error> {
        let name = &target.name;
        let number = key::number(verb, name, &version.0)?;
        let key = self.key(call, verb, name).await?;
        if number < key.least_available() || number > key.latest_version {
            return Ok(None);
        }
        let conflict = |message| Err(Error::new(ErrorKind::Conflict, verb, message).with("version", &version.0));
        if number > key.min_decryption_version {
            return conflict("older versions of the key still decrypt and would stop with it; end those first");
        }
        // Some version has to encrypt: the server lets the newest go only when there is a newer one.
        if number == key.latest_version {
            self.rotate(call, verb, name).await?;
        }
        let limits = Limits { decrypt: number + 1, encrypt: key.min_encryption_version.max(number + 1) };
        if key.min_decryption_version < limits.decrypt || key.min_encryption_version < limits.encrypt {
            let decrypt = limits.decrypt.max(key.min_decryption_version);
            self.configure(call, verb, name, Limits { decrypt, ..limits }).await?;
        }
        // Trimming takes every version up to this one: one that is only stopped may be wanted again.
        if verb == Verb::Revoke && number > key.least_available() {
            return conflict("older versions of the key are stopped and not ended; end those first");
        }
        Ok(Some(number))
    }

    async fn rotate(&self, call: &Call, verb: Verb, name: &str) -> Result<(), Error> {
        let rotate = RotateKeyRequest { mount: self.0.settings.mount.clone(), name: name.to_owned() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Changes, &rotate)?).await?;
        answer.done("the rotation").map_err(|failure| failure.with("key", name))
    }

    /// Decrypts what was made to try the version.
    async fn try_at(
        &self,
        call: &Call,
        verb: Verb,
        address: &str,
        name: &str,
        material: &Material,
    ) -> Result<Tried, Error> {
        // What is no ciphertext was never a version's.
        let (Some(_), Some(ciphertext)) = (key::number_of(&material.secret), material.secret.expose_str()) else {
            return Ok(Tried::Refused);
        };
        let path = format!("{}/decrypt/{name}", self.0.settings.mount);
        let body = serde_json::json!({ "ciphertext": ciphertext });
        let request = Request::post(verb, Effect::Reads, &path, &body)?;
        let answer = match self.0.act_at(call, address, &request).await {
            Ok(answer) => answer,
            Err(failure) => return Ok(Tried::Unclear(failure)),
        };
        if answer.status == 400 && TOO_OLD.iter().any(|reason| answer.says(reason)) {
            return Ok(Tried::Refused);
        }
        Ok(match answer.data::<Decrypted>("the try") {
            Ok(decrypted) if decrypted.plaintext == PROOF => Tried::Accepted,
            Ok(_) => Tried::Refused,
            Err(failure) => Tried::Unclear(failure),
        })
    }

    /// The newest version, and something encrypted under it.
    async fn newest(&self, call: &Call, verb: Verb, name: &str) -> Result<Minted, Error> {
        let number = self.key(call, verb, name).await?.latest_version;
        let path = format!("{}/encrypt/{name}", self.0.settings.mount);
        let body = serde_json::json!({ "plaintext": PROOF, "key_version": number });
        let answer = self.0.act(call, &Request::post(verb, Effect::Reads, &path, &body)?).await?;
        let encrypted: Encrypted = answer.data("the ciphertext").map_err(|failure| failure.with("key", name))?;
        Ok(Minted { version: key::version(name, number), material: Material::of(encrypted.ciphertext) })
    }

    async fn key(&self, call: &Call, verb: Verb, name: &str) -> Result<Key, Error> {
        key::read(&self.0, call, verb, name).await
    }

    async fn configure(&self, call: &Call, verb: Verb, name: &str, limits: Limits) -> Result<(), Error> {
        key::configure(&self.0, call, verb, name, limits).await
    }
}

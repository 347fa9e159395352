//! What is encrypted under a key: fields of a KV version 2 mount, found by the version that a ciphertext names, and
//! encrypted anew under the newest.

use remint_contract::{Call, Derived, DerivedOutcome, Ended, Error, ErrorKind, SecretValue, Target, Verb, VersionId};
use serde::{Deserialize, Serialize};

use super::Transit;
use super::key::{number, number_of};
use crate::fields::Field;
use crate::kv2;
use crate::request::{Effect, Request};
use crate::session::secret;

/// `issuedBy.data`: where ciphertexts of the key lie.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    mount: String,
    paths: Vec<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    ciphertext: &'a str,
}

#[derive(Deserialize)]
struct Rewrapped {
    #[serde(deserialize_with = "secret")]
    ciphertext: SecretValue,
}

impl Data {
    /// Nothing where nothing is said.
    pub(super) fn read(target: &Target) -> Result<Self, String> {
        let Some(data) = target.settings.get("data") else { return Ok(Self::default()) };
        let data = Self::deserialize(data).map_err(|problem| problem.to_string())?;
        let good = |path: &str| crate::config::read_path(path).is_ok();
        if good(&data.mount) && data.paths.iter().all(|path| good(path)) {
            Ok(data)
        } else {
            Err("write {mount: secret, paths: [team/app]}".to_owned())
        }
    }
}

/// Each field that is encrypted under the version.
pub(super) async fn list(
    transit: &Transit,
    call: &Call,
    target: &Target,
    version: &VersionId,
) -> Result<Vec<Derived>, Error> {
    let verb = Verb::ListDerived;
    let number = number(verb, &target.name, &version.0)?;
    let data = read(verb, target)?;
    let mut found = Vec::new();
    for path in &data.paths {
        let there = kv2::current(&transit.0, call, verb, &data.mount, path).await?;
        found.extend(under(there.fields.iter().flatten(), number).map(|(name, _)| derived(&data, path, name)));
    }
    Ok(found)
}

/// Encrypts each of them anew, a path at a time. Who wrote to a path in between wins, and the call is made again.
pub(super) async fn rewrap(
    transit: &Transit,
    call: &Call,
    target: &Target,
    version: &VersionId,
) -> Result<Vec<Ended>, Error> {
    let verb = Verb::EndDerived;
    let number = number(verb, &target.name, &version.0)?;
    let data = read(verb, target)?;
    let mut ended = Vec::new();
    for path in &data.paths {
        let there = kv2::current(&transit.0, call, verb, &data.mount, path).await?;
        let Some(mut fields) = there.fields else { continue };
        let old: Vec<(String, SecretValue)> =
            under(fields.iter(), number).map(|(name, value)| (name.clone(), value.clone())).collect();
        if old.is_empty() {
            continue;
        }
        for (name, value) in &old {
            fields.insert(name.clone(), Field::Text(anew(transit, call, &target.name, value).await?));
        }
        kv2::put(&transit.0, call, verb, &data.mount, path, there.version, &fields).await?;
        ended.extend(
            old.iter().map(|(name, _)| Ended { derived: derived(&data, path, name), outcome: DerivedOutcome::Ended }),
        );
    }
    Ok(ended)
}

/// The server decrypts and encrypts; the plaintext stays there.
async fn anew(transit: &Transit, call: &Call, name: &str, ciphertext: &SecretValue) -> Result<SecretValue, Error> {
    let verb = Verb::EndDerived;
    let path = format!("{}/rewrap/{name}", transit.0.settings.mount);
    let shown = Shown { ciphertext: ciphertext.expose_str().unwrap_or_default() };
    let answer = transit.0.act(call, &Request::post(verb, Effect::Reads, &path, &shown)?).await?;
    let made: Rewrapped = answer.data("the ciphertext").map_err(|failure| failure.with("key", name))?;
    Ok(made.ciphertext)
}

fn read(verb: Verb, target: &Target) -> Result<Data, Error> {
    Data::read(target).map_err(|message| Error::new(ErrorKind::Invalid, verb, message).with("key", &target.name))
}

fn under<'a>(
    fields: impl Iterator<Item = (&'a String, &'a Field)>,
    number: u64,
) -> impl Iterator<Item = (&'a String, &'a SecretValue)> {
    fields.filter_map(move |(name, field)| match field {
        Field::Text(text) if number_of(text) == Some(number) => Some((name, text)),
        _ => None,
    })
}

fn derived(data: &Data, path: &str, field: &str) -> Derived {
    Derived { id: format!("{}:{path}#{field}", data.mount), what: "ciphertext".to_owned(), expires: None }
}

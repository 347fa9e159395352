//! Replacing the account's own key (RFC 8555, section 7.3.5).
//!
//! The new key is kept in a file (0600) before it is sent: when the answer is lost, the server is asked whether it opens the
//! account. The file stays until the old key is known to be dead.

use std::fs;
use std::io;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use remint_certificate::{pem, replace};
use remint_contract::{Call, Error, ErrorKind, Material, Minted, SecretValue, Verb, VersionId};
use serde_json::json;

use crate::account::{open, version};
use crate::config::Settings;
use crate::error::file;
use crate::http::Http;
use crate::jws::{Signer, Way, jwk, pair, signed};

const VERB: Verb = Verb::Mint;
const WHAT: &str = "replacing the account's key";

/// Makes a key and gives the account to it; from then on the old one opens nothing.
pub(crate) async fn replace_key(
    http: &Http,
    settings: &Settings,
    call: &Call,
    old: &Material,
    account: &str,
) -> Result<Minted, Error> {
    let crypto = || Error::new(ErrorKind::Invalid, VERB, "no key can be made");
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let text = pem("PRIVATE KEY", made.map_err(|_| crypto())?.as_ref());
    let new = Material::of(SecretValue::from(text));
    keep(settings, &call.operation.0, &new).map_err(|failure| file(VERB, "keeping the new key", failure))?;
    let (old_key, new_key) = (pair(old).ok_or_else(crypto)?, pair(&new).ok_or_else(crypto)?);

    let way = Way::to(http, &settings.directory, VERB, WHAT).await?;
    let change = way.url("keyChange")?;
    let inner = json!({"account": account, "oldKey": jwk(&old_key)});
    let inner =
        signed(&new_key, &json!({"alg": "ES256", "jwk": jwk(&new_key), "url": change}), &inner).ok_or_else(crypto)?;
    way.post(&old_key, Signer::Account(account), &change, &inner).await?;
    Ok(Minted { version: VersionId(version(&new)), material: new })
}

/// The new key of an operation, when it opens the account.
pub(crate) async fn kept(http: &Http, settings: &Settings, operation: &str) -> Result<Option<Minted>, Error> {
    let verb = Verb::Recover;
    let material = match fs::read(settings.folder.join(KEPT)) {
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(None),
        kept => {
            let kept = SecretValue::new(kept.map_err(|failure| file(verb, "reading the new key", failure))?);
            let text = kept.expose_str().unwrap_or_default();
            match text.split_once('\n').filter(|(whose, _)| *whose == operation) {
                Some((_, key)) => Material::of(SecretValue::from(key)),
                None => return Ok(None),
            }
        }
    };
    match open(http, settings, &material, false, verb).await {
        Ok(_) => Ok(Some(Minted { version: VersionId(version(&material)), material })),
        Err(failure) if failure.kind == ErrorKind::Denied => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The new key is in use: it need not be kept.
pub(crate) fn forget(settings: &Settings) -> io::Result<()> {
    match fs::remove_file(settings.folder.join(KEPT)) {
        Err(failure) if failure.kind() != io::ErrorKind::NotFound => Err(failure),
        _ => Ok(()),
    }
}

fn keep(settings: &Settings, operation: &str, new: &Material) -> io::Result<()> {
    let kept = SecretValue::new([operation.as_bytes(), b"\n", new.secret.expose()].concat());
    replace(&settings.folder.join(KEPT), kept.expose(), 0o600)
}

const KEPT: &str = "account.new";

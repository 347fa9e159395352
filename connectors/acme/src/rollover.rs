//! Replacing the account's own key (RFC 8555, section 7.3.5).
//!
//! The new key is kept in a file (0600) before it is sent: when the answer is lost, the server is asked whether it opens the
//! account. The file stays until the old key is known to be dead.

use std::fs;
use std::io;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::Problem;
use remint_certificate::{pem, replace};
use remint_contract::{Call, Error, ErrorKind, Material, Minted, SecretValue, Verb, VersionId};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::account::{open, version};
use crate::config::Settings;
use crate::error::{class, file, of_lost};
use crate::http::Http;

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

    let directory: Value = read(&ask(http, http::Method::GET, &settings.directory, Vec::new()).await?);
    let url = |name: &str| {
        let found = directory[name].as_str().map(str::to_owned);
        found.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, VERB, "the server's directory lacks an address").with("name", name)
        })
    };
    let change = url("keyChange")?;
    let inner = json!({"account": account, "oldKey": jwk(&old_key)});
    let inner =
        signed(&new_key, &json!({"alg": "ES256", "jwk": jwk(&new_key), "url": change}), &inner).ok_or_else(crypto)?;
    let mut nonce = nonce(&ask(http, http::Method::HEAD, &url("newNonce")?, Vec::new()).await?);
    for _ in 0..NONCES {
        let header = json!({"alg": "ES256", "kid": account, "nonce": nonce, "url": change});
        let body = signed(&old_key, &header, &inner).ok_or_else(crypto)?;
        let answer = ask(http, http::Method::POST, &change, body.to_string().into_bytes()).await?;
        if answer.status().is_success() {
            return Ok(Minted { version: VersionId(version(&new)), material: new });
        }
        nonce = self::nonce(&answer);
        let problem: Problem = serde_json::from_slice(answer.body())
            .map_err(|failure| Error::new(ErrorKind::Unclear, VERB, "the answer is not understood").because(failure))?;
        if crate::error::name(&problem) != "badNonce" {
            return Err(class(VERB, WHAT, problem.into()));
        }
    }
    Err(Error::new(ErrorKind::Unreachable, VERB, "the server takes none of its own nonces"))
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

async fn ask(
    http: &Http,
    method: http::Method,
    url: &str,
    body: Vec<u8>,
) -> Result<http::Response<bytes::Bytes>, Error> {
    let request = http::Request::builder().method(method).uri(url).header("content-type", "application/jose+json");
    let request = request
        .body(body)
        .map_err(|failure| Error::new(ErrorKind::Invalid, VERB, "an address cannot be read").because(failure))?;
    http.send(request).await.map_err(|lost| of_lost(VERB, WHAT, lost))
}

fn read(answer: &http::Response<bytes::Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

fn nonce(answer: &http::Response<bytes::Bytes>) -> String {
    answer.headers().get("replay-nonce").and_then(|nonce| nonce.to_str().ok()).unwrap_or_default().to_owned()
}

fn pair(material: &Material) -> Option<EcdsaKeyPair> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(material.secret.expose()).ok()?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).ok()
}

/// The public half: an uncompressed point is a byte and two numbers of 32.
fn jwk(key: &EcdsaKeyPair) -> Value {
    let point = key.public_key().as_ref();
    let half = |from: usize| BASE64_URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
    json!({"crv": "P-256", "kty": "EC", "x": half(1), "y": half(33)})
}

/// A flattened JWS.
fn signed(key: &EcdsaKeyPair, header: &Value, payload: &Value) -> Option<Value> {
    let protected = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload.to_string());
    let signature = key.sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes()).ok()?;
    Some(json!({"protected": protected, "payload": payload, "signature": BASE64_URL_SAFE_NO_PAD.encode(signature)}))
}

const KEPT: &str = "account.new";
const NONCES: usize = 4;

//! Requests that are signed here, where the protocol's client has no word for them: a key that takes the place of another, and
//! an account that is bound to one elsewhere.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::Problem;
use remint_contract::{Error, ErrorKind, Material, Verb};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::error::{class, name, of_lost};
use crate::http::Http;

/// What a server refuses of its own nonces is tried so often.
const NONCES: usize = 4;

/// The way to a server, for one piece of work.
pub(crate) struct Way<'a> {
    http: &'a Http,
    verb: Verb,
    what: &'static str,
    directory: Value,
}

/// Who signs a request: the account of a key, or the key itself where there is no account yet.
pub(crate) enum Signer<'a> {
    Account(&'a str),
    Key,
}

impl<'a> Way<'a> {
    pub(crate) async fn to(http: &'a Http, directory: &str, verb: Verb, what: &'static str) -> Result<Self, Error> {
        let mut way = Self { http, verb, what, directory: Value::Null };
        let answer = way.ask(http::Method::GET, directory, Vec::new()).await?;
        way.directory = serde_json::from_slice(answer.body()).unwrap_or_default();
        Ok(way)
    }

    /// The address of one of the server's resources.
    pub(crate) fn url(&self, name: &str) -> Result<String, Error> {
        let found = self.directory[name].as_str().map(str::to_owned);
        found.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, self.verb, "the server's directory lacks an address").with("name", name)
        })
    }

    /// Signs a payload, and sends it until its nonce is taken.
    pub(crate) async fn post(
        &self,
        key: &EcdsaKeyPair,
        signer: Signer<'_>,
        url: &str,
        payload: &Value,
    ) -> Result<(), Error> {
        let first = self.ask(http::Method::HEAD, &self.url("newNonce")?, Vec::new()).await?;
        let mut nonce = nonce(&first);
        for _ in 0..NONCES {
            let mut header = json!({"alg": "ES256", "nonce": nonce, "url": url});
            match signer {
                Signer::Account(account) => header["kid"] = json!(account),
                Signer::Key => header["jwk"] = jwk(key),
            }
            let body = signed(key, &header, payload).ok_or_else(|| self.unmakeable())?;
            let answer = self.ask(http::Method::POST, url, body.to_string().into_bytes()).await?;
            if answer.status().is_success() {
                return Ok(());
            }
            nonce = self::nonce(&answer);
            let problem: Problem = serde_json::from_slice(answer.body()).map_err(|failure| {
                Error::new(ErrorKind::Unclear, self.verb, "the answer is not understood").because(failure)
            })?;
            if name(&problem) != "badNonce" {
                return Err(class(self.verb, self.what, problem.into()));
            }
        }
        Err(Error::new(ErrorKind::Unreachable, self.verb, "the server takes none of its own nonces"))
    }

    pub(crate) fn unmakeable(&self) -> Error {
        Error::new(ErrorKind::Invalid, self.verb, "nothing can be signed with this key")
    }

    async fn ask(&self, method: http::Method, url: &str, body: Vec<u8>) -> Result<http::Response<bytes::Bytes>, Error> {
        let request = http::Request::builder().method(method).uri(url).header("content-type", "application/jose+json");
        let request = request.body(body).map_err(|failure| {
            Error::new(ErrorKind::Invalid, self.verb, "an address cannot be read").because(failure)
        })?;
        self.http.send(request).await.map_err(|lost| of_lost(self.verb, self.what, lost))
    }
}

/// The pair of an account's key, a PKCS#8 PEM of P-256.
pub(crate) fn pair(material: &Material) -> Option<EcdsaKeyPair> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(material.secret.expose()).ok()?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).ok()
}

/// The public half: an uncompressed point is a byte and two numbers of 32.
pub(crate) fn jwk(key: &EcdsaKeyPair) -> Value {
    let point = key.public_key().as_ref();
    let half = |from: usize| BASE64_URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
    json!({"crv": "P-256", "kty": "EC", "x": half(1), "y": half(33)})
}

/// A flattened JWS.
pub(crate) fn signed(key: &EcdsaKeyPair, header: &Value, payload: &Value) -> Option<Value> {
    let (protected, payload) = parts(header, payload);
    let signature = key.sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes()).ok()?;
    Some(json!({"protected": protected, "payload": payload, "signature": BASE64_URL_SAFE_NO_PAD.encode(signature)}))
}

/// A flattened JWS under a shared key (HS256).
pub(crate) fn sealed(key: &[u8], header: &Value, payload: &Value) -> Value {
    let (protected, payload) = parts(header, payload);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), format!("{protected}.{payload}").as_bytes());
    json!({"protected": protected, "payload": payload, "signature": BASE64_URL_SAFE_NO_PAD.encode(tag)})
}

fn parts(header: &Value, payload: &Value) -> (String, String) {
    (BASE64_URL_SAFE_NO_PAD.encode(header.to_string()), BASE64_URL_SAFE_NO_PAD.encode(payload.to_string()))
}

fn nonce(answer: &http::Response<bytes::Bytes>) -> String {
    answer.headers().get("replay-nonce").and_then(|nonce| nonce.to_str().ok()).unwrap_or_default().to_owned()
}

//! The account that a key opens: looked up once for each key.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use aws_lc_rs::digest::{SHA256, digest};
use instant_acme::{Account, Key};
use remint_contract::{Call, Error, ErrorKind, Material, Verb};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::binding;
use crate::config::Settings;
use crate::error::class;
use crate::http::Http;

/// Accounts by the fingerprint of their keys.
#[derive(Default)]
pub(crate) struct Accounts(Mutex<HashMap<String, Account>>);

/// The key of a value, a PKCS#8 PEM of P-256.
pub(crate) fn key(material: &Material) -> Option<(Key, PrivatePkcs8KeyDer<'static>)> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(material.secret.expose()).ok()?;
    Some((Key::from_pkcs8_der(der.clone_key()).ok()?, der))
}

/// What names a version of the key: a digest of the key itself says nothing of it.
pub(crate) fn version(material: &Material) -> String {
    use std::fmt::Write as _;
    digest(&SHA256, material.secret.expose()).as_ref().iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Accounts {
    /// The account of the actor of a call.
    pub(crate) async fn of(&self, http: &Http, settings: &Settings, call: &Call, verb: Verb) -> Result<Account, Error> {
        let actor = call.actor.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, verb, "the system has no `auth`; name the credential of the account's key")
        })?;
        let fingerprint = actor.fingerprint();
        if let Some(account) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&fingerprint) {
            return Ok(account.clone());
        }
        let account = open(http, settings, actor, settings.agreed, verb).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(fingerprint, account.clone());
        Ok(account)
    }

    /// A key that was replaced opens nothing any more.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Asks the server for the account of a key; makes one where that was agreed to.
pub(crate) async fn open(
    http: &Http,
    settings: &Settings,
    material: &Material,
    make: bool,
    verb: Verb,
) -> Result<Account, Error> {
    let Some(external) = settings.external.as_ref().filter(|_| make) else {
        return look(http, settings, material, make, verb).await;
    };
    // What the account is bound by may be good for one use only: it is shown where there is no account yet.
    match look(http, settings, material, false, verb).await {
        Err(failure) if failure.kind == ErrorKind::Denied => {
            // The protocol's client binds only keys that it makes itself.
            binding::make(http, settings, external, material, verb).await?;
            look(http, settings, material, false, verb).await
        }
        found => found,
    }
}

async fn look(http: &Http, settings: &Settings, material: &Material, make: bool, verb: Verb) -> Result<Account, Error> {
    let (key, der) = key(material)
        .ok_or_else(|| Error::new(ErrorKind::Denied, verb, "the account's key is none: write a PKCS#8 PEM of P-256"))?;
    let builder = Account::builder_with_http(Box::new(http.clone()));
    let pair = (key, PrivateKeyDer::Pkcs8(der));
    let found = if make {
        builder.create_from_key(pair, settings.directory.clone()).await
    } else {
        builder.from_key(pair, settings.directory.clone()).await
    };
    found.map(|(account, _)| account).map_err(|failure| class(verb, "looking for the account", failure))
}

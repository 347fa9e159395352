//! An account that is bound to one elsewhere (RFC 8555, section 7.3.4): some authorities make none without.
//!
//! The authority gives a key identifier and a MAC key. Both are asked for once, when the account is made; the MAC key lies in
//! a file that only its owner may read, and is in no document.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use remint_contract::{Error, ErrorKind, Material, SecretValue, Verb};
use serde_json::json;

use crate::config::{External, Settings};
use crate::error::file;
use crate::http::Http;
use crate::jws::{Signer, Way, jwk, pair, sealed};

/// Makes the account of a key, bound to the account elsewhere. One that is there stays as it is.
pub(crate) async fn make(
    http: &Http,
    settings: &Settings,
    external: &External,
    material: &Material,
    verb: Verb,
) -> Result<(), Error> {
    let way = Way::to(http, &settings.directory, verb, "making the account").await?;
    let url = way.url("newAccount")?;
    let key = pair(material).ok_or_else(|| way.unmakeable())?;
    let mac = mac_key(&external.key_file, verb)?;
    let header = json!({"alg": "HS256", "kid": external.key_id, "url": url});
    let binding = sealed(mac.expose(), &header, &jwk(&key));
    let payload = json!({"termsOfServiceAgreed": true, "externalAccountBinding": binding});
    way.post(&key, Signer::Key, &url, &payload).await
}

fn mac_key(path: &Path, verb: Verb) -> Result<SecretValue, Error> {
    let failed = |failure| file(verb, "reading the key of the account elsewhere", failure);
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    let place = || path.display().to_string();
    if mode & 0o077 != 0 {
        let message = "others may read the key of the account elsewhere; `chmod 600` the file";
        return Err(Error::new(ErrorKind::Invalid, verb, message).with("file", place()));
    }
    let text = SecretValue::new(std::fs::read(path).map_err(failed)?);
    let text = text.expose_str().unwrap_or_default().trim().trim_end_matches('=');
    BASE64_URL_SAFE_NO_PAD.decode(text).map(SecretValue::new).map_err(|_| {
        let message = "the key of the account elsewhere is no base64url; write it as the authority gave it";
        Error::new(ErrorKind::Invalid, verb, message).with("file", place())
    })
}

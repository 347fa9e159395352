//! Signatures of events, as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`, written `v1,base64`.

use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What both sides know.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read the secret of a stream in {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} must hold `whsec_` and the base64 of 24 bytes or more")]
    Format(PathBuf),
}

impl Secret {
    /// Reads `whsec_…` from a file.
    ///
    /// # Errors
    /// It cannot be read, or it is not that.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let failed = |source| SecretError::Read { path: path.to_owned(), source };
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
        Self::parse(&text).ok_or_else(|| SecretError::Format(path.to_owned()))
    }

    /// The same from its text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim().strip_prefix("whsec_")?).ok()?);
        (bytes.len() >= 24).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The signature of an event sent at that second.
    #[must_use]
    pub fn sign(&self, id: &str, second: i64, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{id}.{second}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    /// The example of the specification of Standard Webhooks.
    #[test]
    fn a_signature_is_the_one_that_standard_webhooks_has() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(Secret::parse("whsec_c2hvcnQ=").is_none(), "too short");
        assert!(Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
    }
}

//! A prober's key: one seed, from which the signing key, the key that values are sealed for and the key of its
//! fingerprints follow.
//!
//! The file holds the signing key of a note (`PRIVATE+KEY+…`), one line, readable by its owner only. What others need of it
//! is one word: the verifier key, a comma, and the base64 of the X25519 public key.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_contract::Material;
use remint_evidence_format::note::{SigningKey, VerifierKey};
use remint_evidence_format::{FormatError, hex};
use zeroize::Zeroizing;

use crate::escrow::{NoRandomness, Randomness};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum ProberKeyError {
    #[error("could not {verb} the prober's key {path}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is not the key of a prober; make one with: remint prober init")]
    Format(PathBuf),
    #[error(
        "{0} can be read by others than its owner; chmod 600 it, and make a new key if others could read it before"
    )]
    Open(PathBuf),
    #[error("no key of that name can be made")]
    Name(#[source] FormatError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error("this machine cannot derive the prober's keys")]
    Derive,
}

/// What only the prober has.
pub struct ProberKey {
    signing: SigningKey,
    exchange: PrivateKey,
    fingerprints: hmac::Key,
}

/// What whoever asks it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicProber {
    pub verifier: VerifierKey,
    pub(super) exchange: [u8; 32],
}

impl ProberKey {
    /// Makes a key file.
    ///
    /// # Errors
    /// The file is there, or the name is none that a note's key can have.
    pub fn create(path: &Path, name: &str, random: &dyn Randomness) -> Result<Self, ProberKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(&mut *seed)?;
        let signing = SigningKey::from_seed(name, seed).map_err(ProberKeyError::Name)?;
        let text = signing.to_text();
        let failed = |source| ProberKeyError::Io { verb: "make", path: path.to_owned(), source };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Self::of(&text, signing)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// It is not there, not a key, or others can read it.
    pub fn load(path: &Path) -> Result<Self, ProberKeyError> {
        use std::os::unix::fs::PermissionsExt as _;
        let failed = |source| ProberKeyError::Io { verb: "read", path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(ProberKeyError::Open(path.to_owned()));
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
        let text = text.trim_end();
        let signing = SigningKey::parse(text).map_err(|_| ProberKeyError::Format(path.to_owned()))?;
        Self::of(text, signing)
    }

    /// Everything follows from the text of the signing key, which has the seed in it.
    fn of(text: &str, signing: SigningKey) -> Result<Self, ProberKeyError> {
        let exchange = derive(text.as_bytes(), b"exchange")?;
        let fingerprints = derive(text.as_bytes(), b"fingerprint")?;
        Ok(Self {
            signing,
            exchange: PrivateKey::from_private_key(&X25519, &*exchange).map_err(|_| ProberKeyError::Derive)?,
            fingerprints: hmac::Key::new(hmac::HMAC_SHA256, &*fingerprints),
        })
    }

    /// What others need.
    ///
    /// # Errors
    /// The machine cannot compute it.
    pub fn public(&self) -> Result<PublicProber, ProberKeyError> {
        let key = self.exchange.compute_public_key().map_err(|_| ProberKeyError::Derive)?;
        let exchange = key.as_ref().try_into().map_err(|_| ProberKeyError::Derive)?;
        Ok(PublicProber { verifier: self.signing.verifier().clone(), exchange })
    }

    pub(super) const fn signing(&self) -> &SigningKey {
        &self.signing
    }

    pub(super) const fn exchange(&self) -> &PrivateKey {
        &self.exchange
    }

    /// The same for the same value of the same credential, and nobody else can make it.
    pub(super) fn fingerprint(&self, credential: &str, value: &Material) -> String {
        let mut context = hmac::Context::with_key(&self.fingerprints);
        for part in [credential.as_bytes(), value.username.as_deref().unwrap_or_default().as_bytes()] {
            // Each with its length, so that no two pairs run together.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.update(value.secret.expose());
        hex::encode(&context.sign().as_ref()[..16])
    }
}

impl std::fmt::Display for PublicProber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{}", self.verifier, STANDARD.encode(self.exchange))
    }
}

/// A text that names no prober.
#[derive(Debug, thiserror::Error)]
#[error("it must be the one word that `remint prober init` printed")]
pub struct NotAProber;

impl FromStr for PublicProber {
    type Err = NotAProber;

    fn from_str(text: &str) -> Result<Self, NotAProber> {
        let (verifier, exchange) = text.trim().rsplit_once(',').ok_or(NotAProber)?;
        let verifier = VerifierKey::parse(verifier).map_err(|_| NotAProber)?;
        let exchange = STANDARD.decode(exchange).map_err(|_| NotAProber)?;
        Ok(Self { verifier, exchange: exchange.try_into().map_err(|_| NotAProber)? })
    }
}

fn derive(seed: &[u8], what: &[u8]) -> Result<Zeroizing<[u8; 32]>, ProberKeyError> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"remint.dev/prober/v1")
        .extract(seed)
        .expand(&[what], hkdf::HKDF_SHA256)
        .and_then(|key| key.fill(&mut *out))
        .map_err(|_| ProberKeyError::Derive)?;
    Ok(out)
}

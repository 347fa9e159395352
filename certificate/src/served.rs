//! Which certificate a TLS endpoint serves.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use remint_contract::{ConfirmGrade, Expected, Observation, Seen};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::ledger::Record;

/// Why nothing is known of what is served.
#[derive(Debug, thiserror::Error)]
pub enum Unserved {
    #[error("`{0}` is no address; write host:port")]
    Address(String),
    #[error("nobody answers at {address}")]
    Unreachable { address: String, source: std::io::Error },
    #[error("{address} shows no certificate whose key it holds")]
    Nothing { address: String, source: std::io::Error },
    #[error("TLS cannot be used here")]
    Tls(#[source] rustls::Error),
}

/// The leaf that an address serves (`host:port`), shown by whoever holds its key. Who signed it is not looked at: the
/// caller compares it with what was issued.
///
/// # Errors
/// Nobody answers, or not with a certificate.
pub async fn served(address: &str) -> Result<CertificateDer<'static>, Unserved> {
    let name = name(address).ok_or_else(|| Unserved::Address(address.to_owned()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let looks = Arc::new(Looks { algorithms: provider.signature_verification_algorithms, seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Unserved::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&looks) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let failed = |source| Unserved::Unreachable { address: address.to_owned(), source };
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    // One that wants a certificate of ours has shown its own by then.
    match (looks.shown(), shaken) {
        (Some(leaf), _) => Ok(leaf),
        (None, shaken) => {
            let source = shaken.err().unwrap_or_else(|| std::io::ErrorKind::InvalidData.into());
            Err(Unserved::Nothing { address: address.to_owned(), source })
        }
    }
}

/// Which of the values a served certificate belongs to, by what was issued.
#[must_use]
pub fn observe(record: Option<&Record>, leaf: &CertificateDer<'_>, expected: &Expected) -> Observation {
    let same = |record: &&Record| crate::certificate::der(&record.chain).is_some_and(|issued| issued == *leaf);
    let fingerprint = record.filter(same).and_then(|record| record.fingerprint.as_ref());
    let seen = match fingerprint {
        Some(fingerprint) if *fingerprint == expected.new => Seen::New,
        Some(fingerprint) if Some(fingerprint) == expected.old.as_ref() => Seen::Old,
        _ => Seen::Other,
    };
    Observation { seen, grade: ConfirmGrade::Served }
}

/// The host of `host:port`, as it is asked for.
pub(crate) fn name(address: &str) -> Option<ServerName<'static>> {
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).ok()
}

/// Takes any certificate, and remembers the one whose key signed the handshake.
struct Looks {
    algorithms: WebPkiSupportedAlgorithms,
    /// The leaf, and whether its key was shown to be held.
    seen: Mutex<Option<(CertificateDer<'static>, bool)>>,
}

impl Looks {
    fn shown(&self) -> Option<CertificateDer<'static>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().filter(|(_, held)| *held).map(|(leaf, _)| leaf.clone())
    }

    fn held(
        &self,
        valid: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if valid.is_ok()
            && let Some((_, held)) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            *held = true;
        }
        valid
    }
}

impl fmt::Debug for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looks").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Looks {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((leaf.clone().into_owned(), false));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.held(verify_tls12_signature(message, leaf, signature, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.held(verify_tls13_signature(message, leaf, signature, &self.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

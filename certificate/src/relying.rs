//! What a relying party says of a certificate: a TLS endpoint that asks its clients for one.

use std::sync::Arc;

use remint_contract::Verdict;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, ClientConfig, Error, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::served::name;

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relying {
    /// `host:port`.
    pub address: String,
    /// Whom to trust for its own certificate, as PEM.
    pub roots: String,
}

/// Shows a certificate and its key (PEM), and says what became of it.
///
/// `Denied` only by the alerts that speak of the certificate itself. That it was accepted is known when the server finished
/// its side of the handshake: in TLS 1.3 by its first ticket or word, before that its client's certificate was looked at.
pub async fn judge(relying: &Relying, chain: &str, key: &[u8]) -> Verdict {
    let address = &relying.address;
    let unclear = |why: &dyn std::fmt::Display| Verdict::Unclear(format!("{address}: {why}"));
    let Some(host) = name(address) else { return unclear(&"no address; write host:port") };
    let config = match config(&relying.roots, chain, key) {
        Ok(config) => config,
        Err(why) => return unclear(&why),
    };
    let stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(failure) => return unclear(&failure),
    };
    let mut stream = match TlsConnector::from(Arc::new(config)).connect(host, stream).await {
        Ok(stream) => stream,
        Err(failure) => return refusal(&failure).unwrap_or_else(|| unclear(&failure)),
    };
    if stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_2) {
        return Verdict::Accepted;
    }
    // Whoever waits for a word gets one; an alert that is on its way is read either way.
    let _ = stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n").await;
    let _ = stream.flush().await;
    let read = stream.read(&mut [0; 1]).await;
    match read {
        Err(failure) if refusal(&failure).is_some() => Verdict::Denied,
        _ if stream.get_ref().1.tls13_tickets_received() > 0 => Verdict::Accepted,
        Ok(1..) => Verdict::Accepted,
        Ok(_) => unclear(&"it ended the connection without a word"),
        Err(failure) => unclear(&failure),
    }
}

fn config(roots: &str, chain: &str, key: &[u8]) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root?)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider)).build()?;
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key)?)?;
    // What an earlier handshake left must not stand for the certificate.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// `Denied`, when the server said so of the certificate.
fn refusal(failure: &std::io::Error) -> Option<Verdict> {
    let cause = failure.get_ref()?.downcast_ref::<Error>()?;
    let Error::AlertReceived(alert) = cause else { return None };
    let refused = matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
    );
    refused.then_some(Verdict::Denied)
}

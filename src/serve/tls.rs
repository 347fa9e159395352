//! TLS: what the door shows, whose client certificates it takes, and how either is replaced while it is open.
//!
//! Flow: the files are read when the door opens, and again when one of them changes; connections that are open keep what
//! they began with, new ones get what was read last.
//!
//! Guarantees: files that cannot be used replace nothing, and the log says so. A client may come without a certificate: the
//! request then says who it is, or is refused.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use remint_contract::{Clock, SecretValue};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};

use crate::causes::causes;
use crate::context::Context;
use crate::serve::Stopping;

/// The files.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The server's certificate and those between it and its root, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Who signs client certificates, in PEM; without it no certificate says who anybody is.
    pub clients: Option<PathBuf>,
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("everybody on this machine may read the private key {0}; run: chmod o= {0}")]
    Open(PathBuf),
    #[error("{path} holds no {what} in PEM")]
    Pem { path: PathBuf, what: &'static str },
    #[error("{certificate} and {key} cannot be used together")]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("the certificate that was made here cannot be shown")]
    Made,
    #[error("the certificates in {path} cannot sign clients': {why}")]
    Clients { path: PathBuf, why: String },
}

/// What is shown now.
pub(super) struct Live {
    /// None where it was made here.
    files: Option<Certificates>,
    clock: Arc<dyn Clock>,
    now: RwLock<(Stamps, Arc<ServerConfig>)>,
}

/// How the files looked when they were read.
type Stamps = Vec<Option<(u64, i64, i64, u64)>>;

impl Live {
    pub(super) fn open(files: Certificates, context: &Context) -> Result<Self, TlsError> {
        let clock = Arc::clone(&context.clock);
        let stamps = stamps(&files);
        let config = Arc::new(config(&files, &clock)?);
        Ok(Self { files: Some(files), clock, now: RwLock::new((stamps, config)) })
    }

    /// Of a certificate and its key in PEM, which lie in no file.
    pub(super) fn made(certificate: &str, key: &SecretValue, context: &Context) -> Result<Self, TlsError> {
        let clock = Arc::clone(&context.clock);
        let config = Arc::new(own(certificate, key, &clock)?);
        Ok(Self { files: None, clock, now: RwLock::new((Stamps::new(), config)) })
    }

    /// From the next connection on.
    pub(super) fn show(&self, certificate: &str, key: &SecretValue) -> Result<(), TlsError> {
        let config = own(certificate, key, &self.clock)?;
        self.now.write().unwrap_or_else(PoisonError::into_inner).1 = Arc::new(config);
        Ok(())
    }

    /// For the next connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Reads the files again where one changed; true when others are shown from now on.
    fn look(&self) -> Result<bool, TlsError> {
        let Some(files) = &self.files else { return Ok(false) };
        let found = stamps(files);
        if found == self.now.read().unwrap_or_else(PoisonError::into_inner).0 {
            return Ok(false);
        }
        let config = config(files, &self.clock);
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        // Files that cannot be used are not tried again before they change.
        now.0 = found;
        now.1 = Arc::new(config?);
        Ok(true)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Looks at the files every so often.
pub(super) async fn follow(live: &[Arc<Live>], every: Duration, context: &Context, stopping: Stopping) {
    let mut stopped = std::pin::pin!(stopping.stopped());
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = context.clock.sleep(every) => {}
        }
        for one in live {
            match one.look() {
                Ok(false) => {}
                Ok(true) => tracing::info!(files = ?one.files, "another certificate is shown"),
                Err(error) => tracing::error!(error = causes(&error), "the certificate before is shown on"),
            }
        }
    }
}

/// As [`config`], of what lies in no file.
fn own(certificate: &str, key: &SecretValue, clock: &Arc<dyn Clock>) -> Result<ServerConfig, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes()).filter_map(Result::ok).collect();
    let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| TlsError::Made)?;
    let builder =
        ServerConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), Arc::new(Time(Arc::clone(clock))));
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| TlsError::Made)?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(|_| TlsError::Made)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn config(files: &Certificates, clock: &Arc<dyn Clock>) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = private(&files.key)?;
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let time = Arc::new(Time(Arc::clone(clock)));
    let pair = |source| TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), source };
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), time);
    let builder = builder.with_safe_default_protocol_versions().map_err(pair)?;
    let builder = match &files.clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let failed = |why: String| TlsError::Clients { path: path.clone(), why };
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.allow_unauthenticated().build().map_err(|error| failed(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    let none = || TlsError::Pem { path: path.to_owned(), what: "certificate" };
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

fn private(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o007 != 0 {
        return Err(TlsError::Open(path.to_owned()));
    }
    let text = zeroize::Zeroizing::new(fs::read(path).map_err(failed)?);
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::Pem { path: path.to_owned(), what: "private key" })
}

fn stamps(files: &Certificates) -> Stamps {
    let paths = [Some(&files.certificate), Some(&files.key), files.clients.as_ref()];
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
    };
    paths.into_iter().flatten().map(stamp).collect()
}

/// The context's clock, as TLS asks for the time.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

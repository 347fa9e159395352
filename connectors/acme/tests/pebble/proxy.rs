//! A way to the server that counts requests, and at word loses an answer, throttles, or spoils a nonce.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair};
use remint_conformance::gate::{Gate, Passage, Passing};
use remint_conformance::proxy::{Asked, throttled};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What happens to the next request whose path holds this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is done, and its answer does not arrive.
    Lost(String),
    /// It is one too many.
    Throttled(String),
}

#[derive(Default)]
struct State {
    requests: AtomicU64,
    paths: Mutex<BTreeSet<String>>,
    trouble: Mutex<Option<Trouble>>,
}

pub(crate) struct Proxy {
    /// The server's directory, by this way.
    pub(crate) directory: String,
    /// Whom to trust on it.
    pub(crate) roots: PathBuf,
    pub(crate) gate: Gate,
    state: Arc<State>,
    _folder: tempfile::TempDir,
}

impl Proxy {
    pub(crate) async fn to(directory: &str, upstream_roots: &Path) -> Self {
        let upstream = directory.trim_start_matches("https://").split('/').next().unwrap().to_owned();
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let roots = folder.path().join("proxy.pem");
        std::fs::write(&roots, made.pem()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let serves = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let own = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let serves = serves.unwrap().with_no_client_auth().with_single_cert(vec![made.der().clone()], own).unwrap();
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_file(upstream_roots).unwrap()).unwrap();
        let asks = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let asks = TlsConnector::from(Arc::new(asks.with_root_certificates(trusted).with_no_client_auth()));
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let accepts = TlsAcceptor::from(Arc::new(serves));
        let gate = Gate::open(move |client, passing| {
            let (state, upstream) = (Arc::clone(&shared), upstream.clone());
            let (accepts, asks) = (accepts.clone(), asks.clone());
            async move {
                let client = accepts.accept(client).await?;
                let name = ServerName::try_from("localhost").unwrap();
                let server = asks.connect(name, TcpStream::connect(&upstream).await?).await?;
                serve(client, server, &state, &passing).await
            }
        })
        .await;
        let (_, port) = gate.address.rsplit_once(':').unwrap();
        Self { directory: format!("https://localhost:{port}/dir"), roots, gate, state, _folder: folder }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// How many different things were asked for since the last time that this was asked.
    pub(crate) fn asked(&self) -> usize {
        std::mem::take(&mut *self.state.paths.lock().unwrap()).len()
    }

    pub(crate) fn arm(&self, trouble: Option<Trouble>) {
        *self.state.trouble.lock().unwrap() = trouble;
    }
}

async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    server: impl AsyncRead + AsyncWrite + Unpin,
    state: &State,
    passing: &Passing,
) -> std::io::Result<()> {
    let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
    let passage = passing.next().await;
    if passage == Passage::Never {
        return Ok(());
    }
    state.requests.fetch_add(1, Ordering::SeqCst);
    let path = asked.path();
    state.paths.lock().unwrap().insert(path.to_owned());
    let trouble = {
        let mut armed = state.trouble.lock().unwrap();
        let meant = armed.as_ref().is_some_and(|trouble| match trouble {
            Trouble::Lost(part) | Trouble::Throttled(part) => path.contains(part.as_str()),
        });
        if meant { armed.take() } else { None }
    };
    if let Some(Trouble::Throttled(_)) = trouble {
        client.write_all(&throttled()).await?;
        return client.shutdown().await;
    }
    let answer = asked.forward(server).await?;
    if matches!(passage, Passage::Unanswered | Passage::Last) {
        passing.shut().await;
    }
    if passage == Passage::Unanswered {
        return Ok(());
    }
    let done = answer.starts_with(b"HTTP/1.1 2");
    if trouble.is_some() && done {
        return Ok(());
    }
    if trouble.is_some() {
        // Refused, mostly for a nonce that the server spoils at random: nothing was done whose answer could be lost.
        *state.trouble.lock().unwrap() = trouble;
    }
    client.write_all(&answer).await?;
    client.shutdown().await
}

//! A TLS server that serves a certificate, and where told so wants one that is trusted and on no list.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remint_contract::Material;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Whom a server believes: roots as PEM, lists as DER.
pub(crate) struct Belief {
    pub(crate) roots: String,
    pub(crate) lists: Vec<Vec<u8>>,
}

/// What it believes at the moment of a connection.
pub(crate) type Believes = Box<dyn Fn() -> Belief + Send + Sync>;

pub(crate) struct Server {
    pub(crate) address: String,
    handshakes: Arc<AtomicU64>,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Serves this pair; with a belief it wants its clients' certificates.
    pub(crate) async fn start(pair: &Material, believes: Option<Believes>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let pair = pair.clone();
        let handshakes = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&handshakes);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let config = config(&pair, believes.as_ref().map(|believes| believes()));
                tokio::spawn(async move {
                    // A refused client is what some of these are for.
                    let Ok(mut stream) = TlsAcceptor::from(config).accept(client).await else { return };
                    let _ = stream.read(&mut [0; 64]).await;
                    let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, handshakes, serving }
    }

    pub(crate) fn handshakes(&self) -> u64 {
        self.handshakes.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn config(pair: &Material, belief: Option<Belief>) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match belief {
        None => builder.with_no_client_auth(),
        Some(belief) => {
            let mut roots = RootCertStore::empty();
            for root in CertificateDer::pem_slice_iter(belief.roots.as_bytes()) {
                roots.add(root.unwrap()).unwrap();
            }
            let lists = belief.lists.into_iter().map(CertificateRevocationListDer::from);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).with_crls(lists);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain =
        CertificateDer::pem_slice_iter(pair.username.as_ref().unwrap().as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.secret.expose()).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

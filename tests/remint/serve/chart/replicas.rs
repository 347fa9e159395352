//! Two replicas over one PostgreSQL, of which one goes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::super::Place;
use super::super::entrances::Authority;
use super::pod::{Running, here};
use super::rig::until;
use super::{Installed, OPERATOR, rights};
use crate::store::postgres::Databases;

/// TLS before a server that has none, as PostgreSQL begins it; who begins without gets no answer.
struct Front {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Front {
    async fn open(authority: &Authority, behind: String) -> Self {
        let (chain, key) = authority.signs("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
        let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, acceptor.clone(), behind.clone()));
            }
        });
        Self { address, serving }
    }
}

/// `SSLRequest` of PostgreSQL's protocol: its length, and the number that stands for it.
const BEGIN: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

async fn pass(mut stream: TcpStream, acceptor: TlsAcceptor, behind: String) -> io::Result<()> {
    let mut first = [0; 8];
    stream.read_exact(&mut first).await?;
    if first != BEGIN {
        return Ok(());
    }
    stream.write_all(b"S").await?;
    let mut stream = acceptor.accept(stream).await?;
    let mut behind = TcpStream::connect(behind).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut behind).await.map(drop)
}

impl Installed {
    /// The daemon shows, under the name of its Service, what the API server was told to believe.
    async fn believes(&self, daemon: &Running) {
        let configuration = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/remint-webhooks";
        let name = "remint-webhooks.remint.svc";
        until("each shows a certificate that is believed", async || {
            let bundle = self.get(configuration).await["webhooks"][0]["clientConfig"]["caBundle"].clone();
            let bundle = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bundle.as_str()?).ok()?;
            let authorities = reqwest::Certificate::from_pem_bundle(&bundle).ok()?;
            let client = reqwest::Client::builder().no_proxy().tls_certs_only(authorities);
            let client = client.resolve(name, SocketAddr::from((here(), daemon.port))).build().unwrap();
            let answer = client.get(format!("https://{name}:{}/readyz", daemon.port)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    async fn leader(&self) -> Value {
        let lease = "/apis/coordination.k8s.io/v1/namespaces/remint/leases/remint";
        self.get(lease).await["spec"]["holderIdentity"].clone()
    }

    /// A reset of one credential that nobody looked at yet, to its end.
    async fn one_more(&self, name: &str, credential: &str) {
        let reset = Self::act("Reset", name, json!({"from": [format!("Credential/{credential}")], "reason": "INC-4"}));
        self.apply(&reset).await;
        let asked = self.stands(&reset, "/status/phase", "Requested").await;
        let yes = Self::act("Approval", name, json!({"reset": name, "plan": asked["status"]["plan"]}));
        self.apply(&yes).await;
        self.rotated(&asked, credential).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_with_postgres_two_replicas_do_everything_once_and_one_goes_on_alone() {
    let Some(databases) = Databases::find("installed with postgres two replicas").await else { return };
    let written = databases.written().await;
    let database = written.split('?').next().unwrap().rsplit('/').next().unwrap();
    let (user, password) = (databases.server.user.clone(), databases.server.password.clone());
    let authority = Authority::new();
    let front = Front::open(&authority, databases.server.address.clone()).await;
    // The server is left to other tests.
    drop(databases.server);
    let secret = json!({"kind": "Secret", "metadata": {"name": "remint-db"},
        "stringData": {"password": password, "ca.crt": authority.pem()}});
    let values = [
        "replicas=2".to_owned(),
        format!("store.postgres.host={}", front.address),
        format!("store.postgres.database={database}"),
        format!("store.postgres.user={user}"),
        "store.postgres.existingSecret=remint-db".to_owned(),
        "store.postgres.ca=ca.crt".to_owned(),
    ];
    let mut arguments = OPERATOR.to_vec();
    arguments.extend(values.iter().flat_map(|value| ["--set", value]));
    let installed = Installed::over(Place::bare(3).await, &[secret], &arguments).await;
    let (server, pods) = (&installed.server, &installed.pods);
    let log = rights::Audit::of(&installed, &["default"]).await;

    // Both begin in the same moment over an empty database.
    let set = installed.get("/apis/apps/v1/namespaces/remint/deployments/remint").await;
    assert_eq!(set["spec"]["replicas"], 2);
    let (one, two) = (pods.pod(server).await, pods.pod(server).await);
    let (first, second) = tokio::join!(pods.init(server, &one), pods.init(server, &two));
    for made in [&first, &second] {
        assert!(made.status.success(), "{made:?}");
    }
    let news = [&first, &second].map(|made| String::from_utf8_lossy(&made.stderr).contains("A new state"));
    assert!(news[0] != news[1], "one of them made it: {first:?} {second:?}");
    let (one, two) = tokio::join!(pods.run(server, &one), pods.run(server, &two));
    for daemon in [&one, &two] {
        installed.believes(daemon).await;
    }
    installed.uses(&log).await;
    let before = installed.leader().await;
    let (leader, other) = if one.leads() { (one, two) } else { (two, one) };
    assert!(leader.leads() && !other.leads(), "one leads: {}", pods.log());

    // It goes without letting the Lease go, and what comes next is done all the same.
    leader.kill(server).await;
    let killed = std::time::Instant::now();
    until("the other leads", async || other.leads().then_some(())).await;
    println!("MEASURED the other leads {} s after the kill", killed.elapsed().as_secs());
    assert_ne!(installed.leader().await, before);
    installed.one_more("inc-4", "app2").await;

    // Another comes in its place, and the one that is left is drained.
    let third = pods.daemon(server).await;
    installed.believes(&third).await;
    other.stop().await;
    until("the third leads", async || third.leads().then_some(())).await;
    installed.one_more("inc-5", "app2").await;
    third.stop().await;
    log.nothing_was_refused();
    rights::nothing_else_is_allowed(&installed).await;
}

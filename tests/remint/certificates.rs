//! An authority of ours and a leaf that it signed, replaced by one reset: watched by clients of the leaf and by a server that
//! relies on it, which trusts what stands in a bundle.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use remint::context::Context;
use remint::engine::record::ResetStatus;
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::registry::Registry;
use remint::store::sqlite::SqliteStore;
use remint_contract::{
    Call, Clock as _, ConnectorKind as _, HostRules, MintRequest, OperationId, ProofGrade, Strategy, SystemClock,
    Target, VersionId,
};
use remint_core::estate::{Estate, SourceFile, load};
use remint_core::machine::State;
use remint_core::plan::{Node, Request, plan};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const PATIENCE: Duration = Duration::from_mins(1);

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn roots(pem: &str) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        store.add(root.unwrap()).unwrap();
    }
    store
}

/// What the folder says at this moment: the leaf to serve, and whom to let in.
fn serves(folder: &Path, relies: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let (pair, builder) = if relies {
        let lists = folder.join("lists").read_dir().unwrap().map(|entry| entry.unwrap().path());
        let lists = lists.filter(|path| path.extension().is_some_and(|kind| kind == "crl"));
        let lists: Vec<_> =
            lists.map(|path| CertificateRevocationListDer::from(std::fs::read(path).unwrap())).collect();
        // Whom nobody else trusts either: an empty bundle lets nobody in, and is no reason to stop.
        let own = std::fs::read_to_string(folder.join("relying.pem")).unwrap();
        let bundle = read(&folder.join("apps/bundle.json"));
        let trusted = roots(&format!("{}\n{own}", bundle["roots"].as_str().unwrap_or_default()));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider).with_crls(lists);
        ("relying.json", builder.with_client_cert_verifier(verifier.build().unwrap()))
    } else {
        ("apps/web.json", builder.with_no_client_auth())
    };
    let pair = read(&folder.join(pair));
    let chain =
        CertificateDer::pem_slice_iter(pair["chain"].as_str().unwrap().as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(pair["key"].as_str().unwrap().as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

/// A server of TLS, at an address: of the leaf that lies in the folder, or one that relies on what the folder says.
pub(crate) async fn serve(folder: PathBuf, relies: bool) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let config = serves(&folder, relies);
            tokio::spawn(async move { drop(TlsAcceptor::from(config).accept(client).await) });
        }
    });
    address
}

/// Clients of the leaf, who trust the bundle: how many times they came, and what kept them out.
async fn clients(folder: PathBuf, address: String, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut came, mut kept_out) = (0, Vec::new());
    while !stop.load(Ordering::SeqCst) {
        let trusted = roots(read(&folder.join("apps/bundle.json"))["roots"].as_str().unwrap());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(trusted).with_no_client_auth();
        let stream = TcpStream::connect(&address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
            Ok(_) => came += 1,
            Err(failure) => kept_out.push(failure.to_string()),
        }
    }
    (came, kept_out)
}

fn documents(folder: &Path, settings: &Value, web: &str) -> String {
    let apps = folder.join("apps");
    format!(
        r#"apiVersion: remint.dev/v1alpha1
kind: System
metadata: {{name: ca}}
spec: {{pki: {settings}}}
---
apiVersion: remint.dev/v1alpha1
kind: System
metadata: {{name: apps}}
spec: {{file: {{root: "{}"}}}}
---
apiVersion: remint.dev/v1alpha1
kind: Identity
metadata: {{name: web}}
spec: {{class: workload, tier: privileged, owners: {{business: b, policy: p, execution: e}}}}
---
apiVersion: remint.dev/v1alpha1
kind: Credential
metadata: {{name: authority}}
spec:
  type: certificate-authority
  identity: web
  issuedBy: {{system: ca, target: internal, commonName: Internal}}
  deliveredTo: [{{at: "apps:authority.json", fields: {{certificate: "{{username}}", proof: "{{secret}}"}}}}]
  trustedBy: ["apps:bundle.json#roots"]
  rotation: {{strategy: dual-trust}}
---
apiVersion: remint.dev/v1alpha1
kind: Credential
metadata: {{name: leaf}}
spec:
  type: certificate
  identity: web
  issuedBy: {{system: ca, target: web, by: authority, diesWithIssuer: true, authority: internal, commonName: web.internal, altNames: ["127.0.0.1"], uses: [server, client], ttl: 1d}}
  deliveredTo: [{{at: "apps:web.json", fields: {{chain: "{{username}}", key: "{{secret}}"}}}}]
  consumedBy: [web]
  rotation: {{strategy: reissue}}
---
apiVersion: remint.dev/v1alpha1
kind: Workload
metadata: {{name: web}}
spec:
  reload: none
  confirm: {{how: served, address: "{web}", within: 30s}}
"#,
        apps.display()
    )
}

/// An authority with a leaf, and a leaf of the relying party's own.
async fn found(folder: &Path) -> VersionId {
    for name in ["apps", "state", "keys", "authorities/internal", "authorities/other", "lists"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let settings = json!({"folder": folder.join("authorities"), "publish": folder.join("lists")});
    let connector = remint_pki::kind().open(&settings, &HostRules::default()).unwrap();
    let mint = async |name: &str, settings: Value| {
        let deadline = SystemClock.now() + PATIENCE;
        let call = Call { operation: OperationId(format!("first-{name}")), deadline, actor: None };
        let target = Target { name: name.to_owned(), settings };
        let request =
            MintRequest { target, strategy: Strategy::Reissue, old: None, old_username: None, proposed: None };
        connector.mint(&call, &request).await.unwrap()
    };
    let text = |secret: &remint_contract::SecretValue| secret.expose_str().unwrap().to_owned();
    let write = |name: &str, value: Value| std::fs::write(folder.join(name), value.to_string()).unwrap();
    let leaf = |authority: &str| json!({"authority": authority, "commonName": "web.internal", "altNames": ["127.0.0.1"], "uses": ["server", "client"]});
    let own = mint("internal", json!({"commonName": "Internal"})).await.material;
    let certificate = own.username.clone().unwrap();
    write("apps/authority.json", json!({"certificate": certificate, "proof": text(&own.secret)}));
    write("apps/bundle.json", json!({"roots": format!("{certificate}\n")}));
    let first = mint("web", leaf("internal")).await;
    write("apps/web.json", json!({"chain": first.material.username, "key": text(&first.material.secret)}));
    let other = mint("other", json!({"commonName": "Other"})).await.material;
    let relying = mint("relying", leaf("other")).await.material;
    write("relying.json", json!({"chain": relying.username, "key": text(&relying.secret)}));
    std::fs::write(folder.join("relying.pem"), other.username.unwrap()).unwrap();
    // Only its certificate is needed from here on.
    std::fs::remove_dir_all(folder.join("authorities/other")).unwrap();
    first.version
}

fn engine(folder: &Path) -> Engine {
    let (state, key) = (folder.join("state"), folder.join("keys/kek"));
    Kek::create(&key, &state, false, &SystemRandomness).unwrap();
    let escrow = Arc::new(Escrow::new(Kek::load(&key, &state, false).unwrap(), Box::new(SystemRandomness)));
    let store = Arc::new(SqliteStore::open(&state).unwrap());
    let settings =
        EngineSettings { poll: Duration::from_millis(25), reproofs: vec![Duration::ZERO], ..EngineSettings::default() };
    Engine::new(store, escrow, Arc::new(Registry::new()), HostRules::default(), Context::system(), settings)
}

async fn asked(engine: &Engine, estate: &Estate) -> remint_contract::ResetId {
    let from = estate.credentials.keys().cloned().map(Node::Doc).collect();
    let now = engine.context.clock.now();
    let plan = plan(estate, &Request::new(from), &*engine.kinds, now)
        .unwrap_or_else(|refusals| panic!("{}", refusals.iter().map(ToString::to_string).collect::<String>()));
    let id = engine.context.reset().unwrap();
    let asked = Asked {
        id: id.clone(),
        plan,
        estate: estate.clone(),
        reason: "INC-1".to_owned(),
        by: "tester".to_owned(),
        at: now,
    };
    engine.request(asked).await.unwrap();
    engine.approve(&id, "tester").await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_and_its_leaf_are_replaced_while_clients_come_and_the_old_ones_are_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = found(folder).await;
    let (web, relying) = (serve(folder.to_owned(), false).await, serve(folder.to_owned(), true).await);
    let relying = json!([{"address": relying, "roots": folder.join("relying.pem")}]);
    let settings =
        json!({"folder": folder.join("authorities"), "publish": folder.join("lists"), "relyingParties": relying});
    let files = [SourceFile { name: "estate.yaml".to_owned(), bytes: documents(folder, &settings, &web).into_bytes() }];
    let estate = load(&files, &Registry::new()).map_err(|problems| panic!("{problems}")).unwrap().estate;
    let stop = Arc::new(AtomicBool::new(false));
    let coming = tokio::spawn(clients(folder.to_owned(), web, Arc::clone(&stop)));

    let engine = engine(folder);
    let id = asked(&engine, &estate).await;
    let reset = tokio::time::timeout(PATIENCE, engine.run(&id)).await.unwrap().unwrap();

    stop.store(true, Ordering::SeqCst);
    let (came, kept_out) = coming.await.unwrap();
    let records = engine.rotations(&id).await.unwrap();
    let states: Vec<String> = records.iter().map(|one| format!("{} {}", one.credential, one.rotation.state)).collect();
    assert_eq!(reset.status, ResetStatus::Provisional, "{states:?}");
    for record in &records {
        assert!(matches!(record.rotation.state, State::Settled { .. }), "{states:?}");
        assert_eq!(record.rotation.facts.proof, Some(ProofGrade::Refused), "{}", record.credential);
    }
    assert!(came > 0 && kept_out.is_empty(), "{came} came, {kept_out:?}");
    let bundle = read(&folder.join("apps/bundle.json"))["roots"].as_str().unwrap().to_owned();
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 1, "only the new one is trusted");
    assert!(bundle.contains(read(&folder.join("apps/authority.json"))["certificate"].as_str().unwrap()));
    let served = read(&folder.join("apps/web.json"))["chain"].as_str().unwrap().to_owned();
    assert!(served.contains(bundle.trim()), "the new authority signed what is served");
    assert!(records.iter().any(|one| one.rotation.facts.old.as_ref().and_then(|old| old.id.as_ref()) == Some(&first)));
    let (reset, outcome) = engine.reprove(&id).await.unwrap();
    assert!(outcome.alive.is_empty() && outcome.unclear.is_empty(), "{:?} {:?}", outcome.alive, outcome.unclear);
    assert_eq!(reset.status, ResetStatus::Complete);
}

//! Role × action × entrance, through the real doors: the Unix socket, a loopback address, and TLS with a local token, a
//! provider's token and a client certificate.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use remint::serve::{Certificates, Listen, Options};
use remint_core::gate::Action;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use super::client::Client;
use super::{Place, TOKEN, until};
use crate::identity::provider::{Provider, Signer};

/// An authority, and what it signs.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Certificate and key in PEM.
    pub(super) fn signs(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }
}

pub(super) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// A client's side of TLS that trusts an authority.
fn trusting(authority: &Authority, identity: Option<&(String, String)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    }
}

fn fingerprint(certificate: &str) -> String {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    remint_evidence_format::hex::encode(digest(&SHA256, &der).as_ref())
}

/// What asks for an action over HTTP, and the action.
fn asked() -> Vec<(Action, &'static str, &'static str, Value)> {
    let why = json!({ "reason": "x" });
    vec![
        (Action::Read, "GET", "/v1/resets", Value::Null),
        (
            Action::Request,
            "POST",
            "/v1/resets",
            json!({ "requestId": "new", "from": ["Credential/app0"], "reason": "x" }),
        ),
        (Action::Approve, "POST", "/v1/resets/inc-1/approve", json!({})),
        (Action::Approve, "POST", "/v1/resets/inc-1/withdraw", why.clone()),
        (Action::Execute, "POST", "/v1/resets/inc-1/pause", why.clone()),
        (Action::Execute, "POST", "/v1/resets/inc-1/execute", json!({})),
        (Action::Rollback, "POST", "/v1/resets/inc-1/rollback", why.clone()),
        (Action::Escalate, "POST", "/v1/resets/inc-1/escalate", why.clone()),
        (Action::Clean, "POST", "/v1/nodes/clean", json!({ "reset": "inc-1", "node": "Workload/w9", "reason": "x" })),
        (
            Action::ChangeEstate,
            "POST",
            "/v1/estate/activate",
            json!({ "digest": format!("sha256:{}", "0".repeat(64)) }),
        ),
        (Action::GrantAccess, "POST", "/v1/tokens", json!({ "name": "x", "scope": ["read"], "seconds": 600 })),
        (Action::Read, "GET", "/v1/windows", Value::Null),
        (Action::Read, "GET", "/v1/exceptions", Value::Null),
        (Action::Read, "GET", "/v1/policy/explain?action=approve", Value::Null),
        (Action::Read, "GET", "/v1/resets/inc-1/entries", Value::Null),
        // Looking ahead is open to whoever may look.
        (Action::Read, "POST", "/v1/plans", json!({ "from": ["Credential/app0"] })),
        (Action::Export, "GET", "/v1/resets/inc-1/bundle", Value::Null),
        (
            Action::BreakGlass,
            "POST",
            "/v1/resets",
            json!({ "requestId": "broken", "from": ["Credential/app0"], "reason": "x", "breakGlass": true }),
        ),
        (Action::Approve, "POST", "/v1/resets/inc-1/review", why),
        (Action::Skip, "POST", "/v1/exceptions/end", json!({ "credential": "Credential/app0", "reason": "x" })),
        (
            Action::Skip,
            "POST",
            "/v1/exceptions",
            json!({ "credential": "Credential/app0", "owner": "x", "until": "2000-01-01T00:00:00Z", "reason": "x" }),
        ),
        (
            Action::Request,
            "POST",
            "/v1/windows/approve",
            json!({ "window": "RotationWindow/none", "until": "2000-01-01T00:00:00Z" }),
        ),
        (Action::ChangePolicy, "POST", "/v1/policy/stage", json!({ "policies": {}, "persons": "" })),
        (Action::Restore, "POST", "/v1/nothing/of/the/table", json!({})),
    ]
}

#[tokio::test]
async fn every_role_may_at_every_door_what_its_groups_say_and_nothing_else() {
    let (authority, signer) = (Authority::new(), Signer::new("one"));
    let provider = Provider::start(&[&signer]).await;
    let issuer = &provider.issuer;
    let (boss, nobody) = (
        authority.signs("boss", ExtendedKeyUsagePurpose::ClientAuth),
        authority.signs("nobody", ExtendedKeyUsagePurpose::ClientAuth),
    );
    let stranger = Authority::new().signs("boss", ExtendedKeyUsagePurpose::ClientAuth);
    let me = rustix::process::getuid().as_raw();
    let persons = format!(
        "persons:\n  boss: {{principals: ['unix:{me}', 'mtls:{}', 'oidc:{issuer}|boss'], groups: [all]}}\n  \
         rita: {{principals: ['oidc:{issuer}|rita', 'token:rita'], groups: [request]}}\n  \
         abel: {{principals: ['oidc:{issuer}|abel', 'token:abel']}}\n\
         services:\n  door: {{principals: ['token:loopback'], groups: [execute], owners: [boss]}}\n",
        fingerprint(&boss.0)
    );
    let place = Place::governed(1, &persons).await;
    let groups = "groups: {approvers: approve}";
    let text = format!("issuers:\n  - {{issuer: '{issuer}', audience: remint, {groups}}}\n");
    write(&place.rig.folder.path().join("remint.yaml"), &text);
    let [certificate, key, clients, token] =
        ["server.pem", "server.key", "clients.pem", "token"].map(|name| place.keys.path().join(name));
    let shown = authority.signs("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    write(&certificate, &shown.0);
    write(&key, &shown.1);
    write(&clients, &authority.pem());
    write(&token, TOKEN);
    let any = "127.0.0.1:0".parse().unwrap();
    let files = Certificates { certificate: certificate.clone(), key: key.clone(), clients: Some(clients) };
    let (loopback, tls) = (Listen::loopback(any, &token).unwrap(), Listen::tls(any, files).unwrap());
    let (plain, secure) = (loopback.address().unwrap(), tls.address().unwrap());
    let options = Options {
        listen: vec![Listen::Socket(place.socket()), loopback, tls],
        ..place.options(Listen::Socket(place.socket()))
    };
    let app = place.decided().await;
    let daemon = Place::serving_app(app, options, Client::socket(place.socket())).await;

    let now = jiff::Timestamp::now().as_second();
    let says = |person: &str, groups: Value| {
        let claims = json!({
            "iss": issuer, "sub": person, "aud": "remint", "exp": now + 3600, "iat": now, "auth_time": now, "groups": groups,
        });
        format!("Bearer {}", signer.sign(&claims))
    };
    let made = |name: &'static str, scope: Value| {
        let body = json!({ "name": name, "scope": scope, "seconds": 3600 });
        let client = daemon.client.clone();
        async move {
            let made = client.post("/v1/tokens", &body).await;
            (made.status, format!("Bearer {}", made.body["token"].as_str().unwrap_or_default()))
        }
    };
    // The boss makes none for rita, who is somebody else; what nobody is he makes.
    assert_eq!(made("rita", json!(["request"])).await.0, 403);
    let (status, other) = made("other", json!(["read", "request"])).await;
    assert_eq!(status, 201);
    let rita = Client::tcp(plain).with("authorization", &says("rita", json!([])));
    rita.post("/v1/tokens", &json!({ "name": "rita", "scope": ["read"], "seconds": 600 }))
        .await
        .is_problem(403, "denied");

    let ask = json!({ "requestId": "inc-1", "from": ["Credential/app0"], "reason": "x" });
    assert_eq!(rita.post("/v1/resets", &ask).await.status, 202);
    let over = |identity: Option<&(String, String)>| Client::tls(secure, trusting(&authority, identity));
    let bearer = |token: &str| over(None).with("authorization", token);
    let all: Vec<Action> = Action::ALL.to_vec();
    let some = |actions: &[Action]| actions.to_vec();
    let none = Vec::new();
    // Who, at which door, with which words, and what he may.
    let roles: Vec<(&str, Client, Vec<Action>)> = vec![
        ("boss, socket", daemon.client.clone(), all.clone()),
        (
            "the door's token, loopback",
            Client::tcp(plain).with("authorization", &format!("Bearer {TOKEN}")),
            some(&[Action::Read, Action::Execute]),
        ),
        ("boss, certificate", over(Some(&boss)), all.clone()),
        ("boss, provider", bearer(&says("boss", json!([]))), all),
        ("rita, provider, tls", bearer(&says("rita", json!([]))), some(&[Action::Read, Action::Request])),
        ("rita, provider, loopback", rita.clone(), some(&[Action::Read, Action::Request])),
        (
            "abel, provider, a group there",
            bearer(&says("abel", json!(["approvers"]))),
            some(&[Action::Read, Action::Approve]),
        ),
        ("abel, provider, a group in a group", bearer(&says("abel", json!(["/all/approvers"]))), some(&[Action::Read])),
        ("unmapped, provider, a group there", bearer(&says("eve", json!(["approvers", "all"]))), none.clone()),
        ("unmapped, local token", bearer(&other), none.clone()),
        ("unmapped, certificate", over(Some(&nobody)), none),
    ];
    for (role, client, may) in &roles {
        for (action, method, path, body) in asked() {
            // Acts of those who may are looked at elsewhere; here they shall change nothing that others are asked about.
            let acts = [Action::Request, Action::GrantAccess, Action::Execute, Action::BreakGlass];
            if may.contains(&action) && acts.contains(&action) {
                continue;
            }
            let answer = if method == "GET" { client.get(path).await } else { client.post(path, &body).await };
            let denied = answer.status == 403 && answer.body["type"] == "urn:remint:problem:denied";
            assert_eq!(denied, !may.contains(&action), "{role}: {action} {path}: {answer:?}");
            if denied {
                assert!(answer.body["detail"].as_str().unwrap().contains("may not"), "{role}: {answer:?}");
            }
            assert!(answer.headers.contains_key("x-request-id"));
        }
    }
    // Nobody at all, at every door but the socket.
    for client in [Client::tcp(plain), over(None), bearer("Bearer x.y.z"), bearer("Basic eDp5")] {
        client.get("/v1/resets").await.is_problem(401, "token");
        assert_eq!(client.get("/livez").await.status, 200);
    }
    // A certificate of another authority is none; a bad token is not made good by a good certificate.
    assert!(Client::tls(secure, trusting(&authority, Some(&stranger))).try_get("/v1/resets").await.is_none());
    let both = over(Some(&boss)).with("authorization", "Bearer x.y.z");
    both.get("/v1/resets").await.is_problem(401, "token");

    // Another certificate is shown as soon as it lies there; what cannot be used replaces nothing.
    let next = Authority::new();
    let shown = next.signs("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    write(&certificate, "no certificate");
    for _ in 0..20 {
        assert_eq!(over(Some(&boss)).get("/v1/resets").await.status, 200);
    }
    write(&key, &shown.1);
    write(&certificate, &shown.0);
    until("the new certificate is shown", async || {
        let client = Client::tls(secure, trusting(&next, Some(&boss)));
        client.try_get("/livez").await
    })
    .await;
    assert!(over(Some(&boss)).try_get("/livez").await.is_none(), "the one before is trusted no more");
    daemon.stop().await;

    // What was decided at the doors is written down, with the request and the entrance.
    let app = place.open().await;
    let entries = app.engine.store.sequenced(0, usize::MAX).await.unwrap();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries.iter().map(|stored| remint_evidence_format::entry::parse(&stored.bytes).unwrap()) {
        if entry.kind == "access.decided" {
            let body = entry.body().unwrap();
            assert!(body["request"].as_str().is_some_and(|id| id.len() >= 8), "{body:?}");
            *seen.entry(body["entrance"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert!(["api", "loopback", "socket"].iter().all(|entrance| seen.contains_key(*entrance)), "{seen:?}");
}

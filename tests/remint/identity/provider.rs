//! An issuer that the tests have in hand: it serves its documents on loopback, and signs whatever it is asked to.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// A key of an issuer.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
}

impl Signer {
    /// On the curve P-256.
    pub(crate) fn new(id: &str) -> Self {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &aws_lc_rs::rand::SystemRandom::new());
        let key = EncodingKey::from_ec_der(pkcs8.unwrap().as_ref());
        Self { id: id.to_owned(), algorithm: Algorithm::ES256, key }
    }

    /// As it is published.
    pub(crate) fn public(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// An issuer on loopback.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    shown: Arc<Shown>,
}

struct Shown {
    document: Mutex<Value>,
    keys: Mutex<Vec<Value>>,
    /// How often the keys were asked for.
    asked: AtomicUsize,
}

impl Provider {
    pub(crate) async fn start(signers: &[&Signer]) -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let document = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") });
        let keys = signers.iter().map(|signer| signer.public()).collect();
        let shown =
            Arc::new(Shown { document: Mutex::new(document), keys: Mutex::new(keys), asked: AtomicUsize::new(0) });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document_of))
            .route("/keys", get(keys_of))
            .with_state(Arc::clone(&shown));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, shown }
    }

    /// Publishes these keys from now on.
    pub(crate) fn publish(&self, keys: Vec<Value>) {
        *self.shown.keys.lock().unwrap() = keys;
    }

    /// Says this of itself from now on.
    pub(crate) fn say(&self, name: &str, word: &str) {
        self.shown.document.lock().unwrap()[name] = json!(word);
    }

    pub(crate) fn asked(&self) -> usize {
        self.shown.asked.load(Ordering::Relaxed)
    }
}

async fn document_of(State(shown): State<Arc<Shown>>) -> Json<Value> {
    Json(shown.document.lock().unwrap().clone())
}

async fn keys_of(State(shown): State<Arc<Shown>>) -> Json<Value> {
    shown.asked.fetch_add(1, Ordering::Relaxed);
    Json(json!({ "keys": *shown.keys.lock().unwrap() }))
}

//! A small server that keeps values as GitLab's variables and GitHub's Actions secrets are documented to be kept. It is
//! neither of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use crypto_box::aead::OsRng;
use serde_json::{Value, json};

/// Its only administrator.
pub(crate) const ADMIN: &str = "shelf-admin-marker-4711";

#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) address: String,
    world: Arc<Mutex<World>>,
}

pub(crate) struct World {
    /// What readers find, by path.
    pub(crate) kept: BTreeMap<String, String>,
    /// Every request: address, headers but the credential, body.
    pub(crate) asked: Vec<String>,
    key: SecretKey,
}

/// The only project, and the only repository.
pub(crate) const HOME: &str = "octo/home";

impl Shelf {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let world = World { kept: BTreeMap::new(), asked: Vec::new(), key: SecretKey::generate(&mut OsRng) };
        let shelf = Self { address, world: Arc::new(Mutex::new(world)) };
        let router = Router::new().fallback(answer).with_state(shelf.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        shelf
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

impl World {
    fn gitlab(&mut self, method: &str, path: &[&str], body: &Value) -> (u16, Value) {
        match (method, path) {
            ("GET", ["personal_access_tokens", "self"]) => (200, json!({"id": 1, "active": true})),
            (_, ["projects", project, ..]) if *project != HOME.replace('/', "%2F") => (404, json!({})),
            ("GET", ["projects", _]) => (200, json!({"id": 7, "path_with_namespace": HOME})),
            ("POST", ["projects", _, "variables"]) => {
                let key = body["key"].as_str().unwrap();
                if self.kept.contains_key(key) || !body["masked"].as_bool().unwrap_or_default() {
                    return (400, json!({"message": {"key": ["has already been taken"]}}));
                }
                self.keep(key, body)
            }
            (_, ["projects", _, "variables", key]) if !self.kept.contains_key(*key) => (404, json!({})),
            ("GET", ["projects", _, "variables", key]) => (200, json!({"key": key, "value": self.kept[*key]})),
            ("PUT", ["projects", _, "variables", key]) => self.keep(key, body),
            _ => (405, Value::Null),
        }
    }

    fn keep(&mut self, key: &str, body: &Value) -> (u16, Value) {
        let value = body["value"].as_str().unwrap();
        // A variable that is not raw is expanded; a masked one has no space.
        if body["raw"] != json!(true) || value.contains(' ') {
            return (400, json!({"message": {"value": ["is invalid"]}}));
        }
        self.kept.insert(key.to_owned(), value.to_owned());
        (200, json!({"key": key, "value": value}))
    }

    fn github(&mut self, method: &str, path: &[&str], body: &Value) -> (u16, Value) {
        match (method, path) {
            ("GET", ["rate_limit"]) => (200, json!({"rate": {}})),
            (_, ["repos", owner, name, ..]) if format!("{owner}/{name}") != HOME => (404, json!({})),
            ("GET", ["repos", _, _, "actions", "secrets", "public-key"]) => {
                (200, json!({"key_id": "4711", "key": STANDARD.encode(self.key.public_key().as_bytes())}))
            }
            ("GET", ["repos", _, _, "actions", "secrets", name]) if self.kept.contains_key(*name) => {
                (200, json!({"name": name, "updated_at": "2026-11-21T10:00:00Z"}))
            }
            ("PUT", ["repos", _, _, "actions", "secrets", name]) => {
                let sealed = STANDARD.decode(body["encrypted_value"].as_str().unwrap()).unwrap();
                if body["key_id"] != json!("4711") {
                    return (422, json!({}));
                }
                let there = self.kept.contains_key(*name);
                let value = String::from_utf8(self.key.unseal(&sealed).unwrap()).unwrap();
                self.kept.insert((*name).to_owned(), value);
                (if there { 204 } else { 201 }, Value::Null)
            }
            ("GET", ["repos", ..]) => (404, json!({})),
            _ => (405, Value::Null),
        }
    }
}

async fn answer(State(shelf): State<Shelf>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let headers = &parts.headers;
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let bearer = format!("{}{}", header("private-token"), header("authorization").trim_start_matches("Bearer "));
    let text = String::from_utf8(body.to_vec()).unwrap();
    let mut world = shelf.world();
    world.asked.push(format!("{} {} {} {text}", parts.method, parts.uri, header("x-github-api-version")));
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    let method = parts.method.as_str();
    let (status, answer) = if bearer != ADMIN {
        (401, json!({}))
    } else if let Some(path) = parts.uri.path().strip_prefix("/api/v4/") {
        world.gitlab(method, &path.split('/').collect::<Vec<_>>(), &body)
    } else {
        world.github(method, &parts.uri.path()[1..].split('/').collect::<Vec<_>>(), &body)
    };
    let body = if answer.is_null() { Body::empty() } else { Body::from(answer.to_string()) };
    Response::builder().status(StatusCode::from_u16(status).unwrap()).body(body).unwrap()
}

//! A small server that answers as GitLab's documentation says, for one recipe. It is not GitLab.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

/// Its only administrator.
pub(crate) const ADMIN: &str = "admin-marker-4711";
/// Tokens on one page, so that every list has several.
const PAGE: usize = 2;

#[derive(Clone)]
pub(crate) struct Vendor {
    pub(crate) address: String,
    state: Arc<Mutex<World>>,
}

#[derive(Default)]
pub(crate) struct World {
    /// Project, and its tokens by id.
    pub(crate) projects: BTreeMap<u64, BTreeMap<u64, Token>>,
    /// Every address that was asked for.
    pub(crate) asked: Vec<String>,
    pub(crate) fault: Option<Fault>,
    /// The next list's link to its next page.
    pub(crate) link: Option<String>,
    /// Where it says that it is, when that is not its own address.
    pub(crate) public: Option<String>,
    made: u64,
}

#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) name: String,
    value: String,
    scopes: Value,
    level: Value,
    expires: Value,
    active: bool,
    /// Listed no more, and still accepted.
    lagging: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    LyingDelete,
    LaggingDelete,
    LostPost,
    Throttle,
    Redirect,
    Forbid,
}

impl Vendor {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let vendor = Self { address, state: Arc::default() };
        let router = Router::new().fallback(answer).with_state(vendor.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        vendor
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.state.lock().unwrap()
    }
}

impl World {
    pub(crate) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    pub(crate) fn project(&mut self) -> u64 {
        let number = self.next();
        self.projects.insert(number, BTreeMap::new());
        number
    }

    pub(crate) fn make(&mut self, project: u64, name: &str, scopes: Value, level: Value, expires: Value) -> Value {
        let id = self.next();
        let value = format!("glpat-made-marker-{id:08}");
        let name = name.to_owned();
        let token = Token { name, value: value.clone(), scopes, level, expires, active: true, lagging: false };
        let mut shown = token.shown(id);
        shown["token"] = json!(value);
        self.projects.get_mut(&project).unwrap().insert(id, token);
        shown
    }

    /// Every change is seen everywhere from now on.
    pub(crate) fn settle(&mut self) {
        self.fault = None;
        for token in self.projects.values_mut().flat_map(BTreeMap::values_mut) {
            token.lagging = false;
        }
    }

    fn bearer(&self, value: &str) -> Option<(u64, u64, &Token)> {
        let tokens = self
            .projects
            .iter()
            .flat_map(|(project, tokens)| tokens.iter().map(move |(id, token)| (*project, *id, token)));
        tokens.into_iter().find(|(_, _, token)| token.value == value && (token.active || token.lagging))
    }

    fn answer(&mut self, method: &str, path: &str, query: &str, value: &str, body: &Value) -> (StatusCode, Value) {
        let error = |status: u16| (StatusCode::from_u16(status).unwrap(), json!({"message": "no"}));
        let bearer = self.bearer(value).map(|(project, id, token)| (project, token.shown(id)));
        let admin = value == ADMIN;
        if bearer.is_none() && !admin {
            return error(401);
        }
        let segments: Vec<_> = path.trim_start_matches("/api/v4/").split('/').collect();
        if segments == ["personal_access_tokens", "self"] {
            let shown = bearer.map_or_else(|| json!({"id": 1, "active": true}), |(_, shown)| shown);
            return (StatusCode::OK, shown);
        }
        let project: u64 = segments.get(1).and_then(|text| text.parse().ok()).unwrap_or_default();
        if segments[0] != "projects" || !self.projects.contains_key(&project) {
            return error(404);
        }
        if !admin && bearer.as_ref().is_none_or(|(own, _)| *own != project) {
            return error(404);
        }
        let id: u64 = segments.get(3).and_then(|text| text.parse().ok()).unwrap_or_default();
        match (method, segments.len()) {
            ("GET", 2) => (StatusCode::OK, json!({"id": project})),
            _ if !admin => error(403),
            ("GET", 3) => {
                let page: usize = query.split("page=").last().and_then(|text| text.parse().ok()).unwrap_or(1);
                let page = if query.contains("&page=") { page } else { 1 };
                let live: Vec<_> = self.projects[&project].iter().filter(|(_, token)| token.active).collect();
                let more = live.len() > page * PAGE;
                let next = || format!("http://{{address}}{path}?state=active&per_page=100&page={}", page + 1);
                self.link = self.link.take().or_else(|| more.then(next));
                let shown = live.into_iter().skip((page - 1) * PAGE).take(PAGE).map(|(id, token)| token.shown(*id));
                (StatusCode::OK, shown.collect())
            }
            ("POST", 3) => {
                let part = |key: &str| body[key].clone();
                let name = part("name").as_str().unwrap().to_owned();
                let made = self.make(project, &name, part("scopes"), part("access_level"), part("expires_at"));
                (StatusCode::CREATED, made)
            }
            ("GET", 4) => match self.projects[&project].get(&id) {
                Some(token) => (StatusCode::OK, token.shown(id)),
                None => error(404),
            },
            ("DELETE", 4) => {
                let fault = self.fault.take();
                match self.projects.get_mut(&project).unwrap().get_mut(&id) {
                    Some(token) if fault != Some(Fault::LyingDelete) => {
                        token.active = false;
                        token.lagging = fault == Some(Fault::LaggingDelete);
                        (StatusCode::NO_CONTENT, Value::Null)
                    }
                    Some(_) => (StatusCode::NO_CONTENT, Value::Null),
                    None => error(404),
                }
            }
            _ => error(405),
        }
    }
}

impl Token {
    fn shown(&self, id: u64) -> Value {
        json!({"id": id, "name": self.name, "scopes": self.scopes, "access_level": self.level, "user_id": 1000 + id,
            "expires_at": self.expires, "active": self.active || self.lagging, "revoked": !self.active,
            "created_at": "2026-11-21T10:00:00.000Z", "last_used_at": "2026-11-21T11:00:00.000Z"})
    }
}

async fn answer(State(vendor): State<Vendor>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let value = parts.headers.get("private-token").map(|value| value.to_str().unwrap()).unwrap_or_default();
    let (method, path, query) = (parts.method.as_str(), parts.uri.path(), parts.uri.query().unwrap_or_default());
    let mut world = vendor.world();
    world.asked.push(parts.uri.to_string());
    let plain = |status: u16| Response::builder().status(status);
    match world.fault {
        Some(Fault::Throttle) => return plain(429).header("retry-after", "7").body(Body::empty()).unwrap(),
        Some(Fault::Redirect) => {
            let there = format!("http://{}/elsewhere", vendor.address);
            return plain(302).header("location", there).body(Body::empty()).unwrap();
        }
        Some(Fault::Forbid) => return plain(403).body(Body::from(format!("no rights for {value}"))).unwrap(),
        _ => {}
    }
    let lost = world.fault == Some(Fault::LostPost) && method == "POST";
    let (status, answer) = world.answer(method, path, query, value, &body);
    if lost {
        world.fault = None;
        return plain(504).body(Body::empty()).unwrap();
    }
    let mut response = Response::builder().status(status);
    if let Some(link) = world.link.take() {
        response = response.header(
            "link",
            format!("<{}>; rel=\"next\"", link.replace("{address}", world.public.as_ref().unwrap_or(&vendor.address))),
        );
    }
    let body = if answer.is_null() { Body::empty() } else { Body::from(answer.to_string()) };
    response.body(body).unwrap()
}

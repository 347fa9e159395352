//! Who may come in, and the bounds of every request.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use crate::serve::api::Api;
use crate::serve::api::guard::Admitted;
use crate::serve::api::once;
use crate::serve::api::problem::{PROBLEM, Problem};
use crate::serve::connection::Source;

/// Whoever comes through a door that does not say who.
const UNKNOWN: &str = "unknown";

/// In requests and answers; in log lines it is `id` of the span `request`.
const REQUEST_ID: &str = "x-request-id";

/// The longest request.
const LONGEST: Duration = Duration::from_secs(30);

/// Every request passes here, those that lead nowhere too.
pub(super) async fn pass(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let id = id(&api, request.headers());
    let span = tracing::info_span!("request", id);
    let answered = async {
        let source = request.extensions().get::<Source>();
        if let Some(source) = source
            && let Some(wait) = api.rates.refusals(source, api.app.engine.context.clock.now())
        {
            return busy(wait);
        }
        let mut caller = match api.guard.admit(source, request.uri(), request.headers()).await {
            Ok(Admitted::Caller(caller)) => caller,
            Ok(Admitted::Anybody) => return next.run(request).await,
            Err(refused) => {
                let now = api.app.engine.context.clock.now();
                if let Some(source) = source {
                    api.rates.refused(source, now);
                }
                let source = source.map_or_else(|| UNKNOWN.to_owned(), ToString::to_string);
                api.refusals.note(&source, refused.word(), now);
                return refused.problem().into_response();
            }
        };
        caller.request = id.clone();
        if let Some(wait) = api.rates.asks(&caller, api.app.engine.context.clock.now()) {
            return busy(wait);
        }
        match api.may(&caller, &method, &path).await {
            Ok(Some(passed)) => {
                if let Some(what) = read(&method, &path) {
                    api.reads.note(&passed.by, what);
                }
                request.extensions_mut().insert(passed);
            }
            Ok(None) => {}
            Err(problem) => return problem.into_response(),
        }
        once::run(&api, &caller, request, next).await
    };
    let answered = tokio::time::timeout(LONGEST, answered.instrument(span.clone())).await;
    let mut response = answered.unwrap_or_else(|_| {
        let detail = "no answer in 30 s; what was begun may have been done: look before you ask again";
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail).into_response()
    });
    let status = response.status();
    tracing::debug!(parent: &span, %method, path, status = status.as_u16(), "answered");
    let failed = status.is_client_error() || status.is_server_error();
    if failed && response.headers().get(header::CONTENT_TYPE) != Some(&PROBLEM) {
        let allow = response.headers().get(header::ALLOW).cloned();
        response = Problem::plain(status).into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Too many questions.
fn busy(wait: Duration) -> Response {
    let detail = "too many requests; wait as long as Retry-After says";
    let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", detail).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    response
}

/// The request's id: the client's own where it has the form of one, else a new one.
fn id(api: &Api, headers: &HeaderMap) -> String {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let said = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let said = said.filter(|id| (8..=64).contains(&id.len()) && id.bytes().all(fit)).map(ToOwned::to_owned);
    said.unwrap_or_else(|| api.app.engine.context.hex(8).unwrap_or_default())
}

/// The noun that somebody reads: which one of them is not counted.
fn read<'p>(method: &Method, path: &'p str) -> Option<&'p str> {
    let noun = path.strip_prefix("/v1/").filter(|_| *method == Method::GET)?.split('/').next()?;
    NOUNS.iter().copied().find(|known| *known == noun)
}

/// What can be read: an address that leads nowhere is no name for a record.
const NOUNS: [&str; 13] = [
    "estate",
    "events",
    "exceptions",
    "findings",
    "log",
    "parked",
    "policy",
    "reads",
    "records",
    "resets",
    "tasks",
    "tokens",
    "windows",
];

//! Who may come in, and the bounds of every request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::serve::api::Api;
use crate::serve::api::problem::{PROBLEM, Problem};
use crate::serve::connection::Source;
use crate::serve::token::Token;

/// Whoever comes through a door that does not say who.
const UNKNOWN: &str = "unknown";

/// The longest request.
const LONGEST: Duration = Duration::from_secs(30);

/// What a door asks of who comes in.
#[derive(Debug)]
pub(in crate::serve) enum Guard {
    /// The file system already said who may.
    Socket,
    /// Any local process, and any page in a local browser, can connect: only the token says who may.
    Loopback(Token),
}

impl Guard {
    fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        let Self::Loopback(token) = self else { return Ok(()) };
        // A page of another site can have its name point here; its requests then carry that name.
        if !here(uri, headers) {
            return Err(Refused::Host);
        }
        if matches!(uri.path(), "/livez" | "/readyz") {
            return Ok(());
        }
        if headers.get(header::AUTHORIZATION).is_some_and(|sent| token.opens(sent.as_bytes())) {
            return Ok(());
        }
        Err(Refused::Token)
    }
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy)]
enum Refused {
    Host,
    Token,
}

impl Refused {
    const fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Token => "token",
        }
    }

    fn problem(self) -> Problem {
        let (status, detail) = match self {
            Self::Host => (StatusCode::MISDIRECTED_REQUEST, "the Host header must name this loopback address"),
            Self::Token => (
                StatusCode::UNAUTHORIZED,
                "send the daemon's token: Authorization: Bearer …, as the file named by --token-file holds it",
            ),
        };
        Problem::new(status, self.word(), detail)
    }
}

/// True when a request is addressed to a loopback name, in every place where it names a host.
fn here(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.to_str().is_ok_and(|host| loopback(without_port(host)));
    host && uri.host().is_none_or(loopback)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Every request passes here, those that lead nowhere too.
pub(super) async fn pass(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match api.guard.admit(request.uri(), request.headers()) {
        Err(refused) => {
            let source = request.extensions().get::<Source>().map_or_else(|| UNKNOWN.to_owned(), ToString::to_string);
            api.refusals.note(&source, refused.word(), api.app.engine.context.clock.now());
            refused.problem().into_response()
        }
        Ok(()) => {
            let answered = async {
                let source = request.extensions().get::<Source>();
                let passed = match api.may(source, &method, &path).await {
                    Ok(passed) => passed,
                    Err(problem) => return problem.into_response(),
                };
                if let Some(passed) = passed {
                    if let Some(what) = read(&method, &path) {
                        api.reads.note(&passed.by, what);
                    }
                    request.extensions_mut().insert(passed);
                }
                next.run(request).await
            };
            tokio::time::timeout(LONGEST, answered).await.unwrap_or_else(|_| {
                let detail = "no answer in 30 s; what was begun may have been done: look before you ask again";
                Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail).into_response()
            })
        }
    };
    let status = response.status();
    tracing::debug!(%method, path, status = status.as_u16(), "answered");
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
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The noun that somebody reads: which one of them is not counted.
fn read<'p>(method: &Method, path: &'p str) -> Option<&'p str> {
    let noun = path.strip_prefix("/v1/").filter(|_| *method == Method::GET)?.split('/').next()?;
    NOUNS.iter().copied().find(|known| *known == noun)
}

/// What can be read: an address that leads nowhere is no name for a record.
const NOUNS: [&str; 6] = ["estate", "findings", "log", "reads", "resets", "tasks"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_taken_for_this_host() {
        let named = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
            here(&Uri::from_static("/v1/estate"), &headers)
        };
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8443", "[::1]:1", "[::1]", "127.9.9.9"] {
            assert!(named(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "[::2]:1", "1"]
        {
            assert!(!named(host), "{host}");
        }
    }

    #[test]
    fn no_host_two_hosts_and_another_host_in_the_address_are_refused() {
        let mut headers = HeaderMap::new();
        assert!(!here(&Uri::from_static("/"), &headers));
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(!here(&Uri::from_static("http://evil.example/"), &headers));
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(!here(&Uri::from_static("/"), &headers));
    }
}

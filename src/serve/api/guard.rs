//! Who comes in: what each door asks of whoever knocks.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, Uri, header};
use remint_core::gate::{Caller, Entrance};

use crate::identity::{Credentials, Identities, Unknown};
use crate::serve::api::problem::Problem;
use crate::serve::causes;
use crate::serve::connection::Source;
use crate::serve::token::Token;

/// What is asked at the doors.
pub(in crate::serve) struct Guard {
    /// What opens the loopback door to the operator.
    token: Option<Token>,
    identities: Identities,
}

/// Somebody who was let in, or something that anybody may ask.
pub(super) enum Admitted {
    Caller(Caller),
    Anybody,
}

impl Guard {
    pub(in crate::serve) fn new(identities: Identities) -> Self {
        Self { token: None, identities }
    }

    /// Takes the token of the loopback door; false when there is one already.
    pub(in crate::serve) fn take(&mut self, token: Token) -> bool {
        self.token.replace(token).is_none()
    }

    pub(super) const fn identities(&self) -> &Identities {
        &self.identities
    }

    pub(super) async fn admit(
        &self,
        source: Option<&Source>,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Admitted, Refused> {
        let healthy = matches!(uri.path(), "/livez" | "/readyz" | "/v1/login");
        let authorization = headers.get(header::AUTHORIZATION).map(axum::http::HeaderValue::as_bytes);
        match source {
            // The file system already said who may.
            Some(Source::Socket(user)) => Ok(Admitted::Caller(match user {
                Some(user) => Caller::plain(format!("unix:{user}"), Entrance::Socket),
                None => Caller::plain("nobody:unknown", Entrance::Socket),
            })),
            // Any local process, and any page in a local browser, can connect.
            Some(Source::Address(address)) => {
                // A page of another site can have its name point here; its requests then carry that name.
                if !here(uri, headers) {
                    return Err(Refused::Host);
                }
                if healthy {
                    return Ok(Admitted::Anybody);
                }
                let from = address.to_string();
                if authorization.is_some_and(|sent| self.token.as_ref().is_some_and(|token| token.opens(sent))) {
                    let caller = Caller::plain("token:loopback", Entrance::Loopback);
                    return Ok(Admitted::Caller(Caller { source: from, ..caller }));
                }
                let shown = Credentials { authorization, certificate: None };
                Ok(Admitted::Caller(self.identities.who(shown, Entrance::Loopback, &from).await?))
            }
            Some(Source::Network { address, certificate }) => {
                if healthy {
                    return Ok(Admitted::Anybody);
                }
                let shown = Credentials { authorization, certificate: certificate.as_deref() };
                let caller = self.identities.who(shown, Entrance::Api, &address.to_string()).await?;
                Ok(Admitted::Caller(caller))
            }
            None => Err(Refused::Unknown(Unknown::Nothing)),
        }
    }
}

/// Why somebody is not let in.
#[derive(Debug)]
pub(super) enum Refused {
    Host,
    Unknown(Unknown),
}

impl From<Unknown> for Refused {
    fn from(unknown: Unknown) -> Self {
        Self::Unknown(unknown)
    }
}

impl Refused {
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Unknown(unknown) => unknown.word(),
        }
    }

    pub(super) fn problem(&self) -> Problem {
        let (status, detail) = match self {
            Self::Host => {
                (StatusCode::MISDIRECTED_REQUEST, "the Host header must name this loopback address".to_owned())
            }
            Self::Unknown(error @ (Unknown::Issuer { .. } | Unknown::Store(_))) => {
                tracing::error!(error = causes(error), "nobody can say who this is");
                (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            Self::Unknown(error) => (StatusCode::UNAUTHORIZED, error.to_string()),
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

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

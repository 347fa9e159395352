//! The settings of a `sql` system: where the server is and how the connection is protected. Reading makes no call.

use std::path::PathBuf;

use remint_contract::SettingProblem;
use serde::Deserialize;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    #[serde(default)]
    endpoints: Vec<String>,
    #[serde(default)]
    tls: Tls,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    mode: Option<Mode>,
    ca: Option<Authority>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authority {
    file: PathBuf,
}

/// One address where the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Settings that were read and found good.
pub(crate) struct Settings {
    primary: Endpoint,
    database: String,
    pub(crate) endpoints: Vec<Endpoint>,
    mode: Option<Mode>,
    ca: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn read(settings: &serde_json::Value) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(settings).map_err(|problem| vec![wrong(&[], problem.to_string())])?;
        let mut problems = Vec::new();
        let (primary, database) = match read_url(&written.url) {
            Ok(read) => read,
            Err(message) => return Err(vec![wrong(&["url"], message)]),
        };
        let mut endpoints = Vec::new();
        for (index, text) in written.endpoints.iter().enumerate() {
            match read_endpoint(text) {
                Some(endpoint) => endpoints.push(endpoint),
                None => problems.push(wrong(&["endpoints", &index.to_string()], "write host:port")),
            }
        }
        if endpoints.is_empty() {
            endpoints.push(primary.clone());
        }
        if problems.is_empty() {
            Ok(Self { primary, database, endpoints, mode: written.tls.mode, ca: written.tls.ca.map(|ca| ca.file) })
        } else {
            Err(problems)
        }
    }

    /// How to log in at the server's own address.
    pub(crate) fn primary(&self) -> PgConnectOptions {
        self.at(&self.primary)
    }

    /// Which of the endpoints the server's own address is, when it is one of them.
    pub(crate) fn primary_endpoint(&self) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| *endpoint == self.primary)
    }

    /// How to log in at one endpoint. Statements are not logged: they carry verifiers.
    pub(crate) fn at(&self, endpoint: &Endpoint) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&endpoint.host)
            .port(endpoint.port)
            .database(&self.database)
            .application_name("remint")
            .ssl_mode(match self.mode {
                Some(Mode::Disable) => PgSslMode::Disable,
                Some(Mode::Prefer) => PgSslMode::Prefer,
                Some(Mode::Require) => PgSslMode::Require,
                Some(Mode::VerifyCa) => PgSslMode::VerifyCa,
                None if is_loopback(&endpoint.host) => PgSslMode::Prefer,
                Some(Mode::VerifyFull) | None => PgSslMode::VerifyFull,
            })
            .disable_statement_logging();
        match &self.ca {
            Some(file) => options.ssl_root_cert(file),
            None => options,
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn wrong(path: &[&str], message: impl Into<String>) -> SettingProblem {
    SettingProblem { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
}

/// The messages never repeat the URL: it may hold what should not be there.
fn read_url(url: &str) -> Result<(Endpoint, String), &'static str> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .ok_or("write postgres://host:port/database; only PostgreSQL is supported")?;
    if rest.contains('@') {
        return Err("no user and no password may stand in the URL; name the credential in `auth`");
    }
    if rest.contains(['?', '#', '%']) {
        return Err("no parameters may stand in the URL; write postgres://host:port/database");
    }
    let (address, database) = rest.split_once('/').unwrap_or((rest, ""));
    let endpoint = read_endpoint(address).or_else(|| read_endpoint(&format!("{address}:5432")));
    let database = if database.is_empty() { "postgres" } else { database };
    Ok((endpoint.ok_or("the host or the port cannot be read")?, database.to_owned()))
}

fn read_endpoint(text: &str) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return None;
    }
    let host = bare.unwrap_or(host);
    let good = !host.is_empty() && !host.contains(['/', '@', ' ', '[', ']']);
    if good { Some(Endpoint { host: host.to_owned(), port: port.parse().ok()? }) } else { None }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_endpoints_default_to_the_urls_own() {
        let settings = Settings::read(&json!({"url": "postgres://db.internal/app"})).ok().unwrap();
        assert_eq!(settings.endpoints, [Endpoint { host: "db.internal".into(), port: 5432 }]);
    }

    #[test]
    fn the_servers_own_address_is_known_among_the_endpoints() {
        let among = |endpoints: serde_json::Value| {
            let settings = Settings::read(&json!({"url": "postgres://db:5432/app", "endpoints": endpoints}));
            settings.ok().unwrap().primary_endpoint()
        };
        assert_eq!(among(json!([])), Some(0));
        assert_eq!(among(json!(["replica:5432", "db:5432"])), Some(1));
        assert_eq!(among(json!(["db:6432", "replica:5432"])), None);
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        let problems = Settings::read(&json!({"url": "postgres://boss:marker-4711@db/app"})).err().unwrap();
        assert_eq!(problems[0].path, ["url"]);
        assert!(!problems[0].message.contains("marker"));
    }

    #[test]
    fn every_bad_endpoint_is_named() {
        let settings = json!({"url": "postgres://db/app", "endpoints": ["a:1", "b", "::1:5", "[::1]:5"]});
        let problems = Settings::read(&settings).err().unwrap();
        assert_eq!(problems.iter().map(|problem| problem.path[1].as_str()).collect::<Vec<_>>(), ["1", "2"]);
    }
}

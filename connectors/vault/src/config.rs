//! The settings of a `vault` system: where the server is, which engine at which mount, how Remint logs in. Reading makes
//! no call.

use std::path::PathBuf;
use std::time::Duration;

use remint_contract::SettingProblem;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    address: String,
    namespace: Option<String>,
    engine: Engine,
    mount: Option<String>,
    #[serde(default)]
    login: Login,
    #[serde(default)]
    endpoints: Vec<String>,
    ca: Option<Authority>,
    #[serde(rename = "databaseCa")]
    database_ca: Option<Authority>,
    wrap: Option<String>,
    leases: Option<Leases>,
}

/// How leases of other roles are listed and ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Leases {
    /// One by one, by name.
    #[default]
    Each,
    /// All of a role together: who gets one meanwhile loses it, too.
    Prefix,
    /// The same, and the server forgets them without the database: for one that is not there any more.
    Force,
}

/// What is asked of the mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    Kv1,
    Kv2,
    AppRole,
    Token,
    Database,
    Transit,
    Pki,
}

/// How the credential in `auth` becomes a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Login {
    /// It is one.
    #[default]
    Token,
    /// The user name is the role id, the secret the secret id.
    AppRole {
        #[serde(default)]
        mount: Option<String>,
    },
    /// The secret is a service account's token.
    Kubernetes {
        #[serde(default)]
        mount: Option<String>,
        role: String,
    },
    /// The secret is a key and its certificate, both as PEM.
    Cert {
        #[serde(default)]
        mount: Option<String>,
        #[serde(default)]
        role: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authority {
    file: PathBuf,
}

/// Settings that were read and found good.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `https://host:port`, without a slash at its end.
    pub(crate) address: String,
    pub(crate) namespace: Option<String>,
    pub(crate) engine: Engine,
    /// As it stands in paths: `secret`, `auth/approle`.
    pub(crate) mount: String,
    pub(crate) login: Login,
    /// Where values are tried: the server's nodes, or none where they are tried at databases.
    pub(crate) endpoints: Vec<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) databases: Vec<Endpoint>,
    pub(crate) database_ca: Option<PathBuf>,
    /// What is written lies wrapped, for so long.
    pub(crate) wrap: Option<Duration>,
    pub(crate) leases: Leases,
}

/// One address of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
}

impl Endpoint {
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "postgres://{open}{}{close}:{}/{}", self.host, self.port, self.database)
    }
}

impl Settings {
    pub(crate) fn read(settings: &serde_json::Value) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(settings).map_err(|problem| vec![wrong(&[], problem.to_string())])?;
        let mut problems = Vec::new();
        let mut check = |path: &[&str], found: Result<String, &'static str>| {
            found.unwrap_or_else(|message| {
                problems.push(wrong(path, message));
                String::new()
            })
        };
        let address = check(&["address"], read_address(&written.address));
        let (mut endpoints, mut databases) = (Vec::new(), Vec::new());
        for (index, text) in written.endpoints.iter().enumerate() {
            let place = ["endpoints", &index.to_string()];
            if written.engine != Engine::Database {
                endpoints.push(check(&place, read_address(text)));
                continue;
            }
            match read_database(text) {
                Ok(endpoint) => databases.push(endpoint),
                Err(message) => drop(check(&place, Err(message))),
            }
        }
        if written.engine == Engine::Database && written.endpoints.is_empty() {
            let message = "name every address where the passwords are taken: postgres://host:port/database";
            check(&["endpoints"], Err(message));
        }
        let mount = written.mount.unwrap_or_else(|| written.engine.mount().to_owned());
        let mount = check(&["mount"], read_path(&mount).map(|mount| written.engine.place(mount)));
        let namespace =
            written.namespace.map(|namespace| check(&["namespace"], read_path(&namespace).map(str::to_owned)));
        if let Some(mount) = written.login.mount() {
            check(&["login", "mount"], read_path(mount).map(str::to_owned));
        }
        let wrap = written.wrap.as_deref().map(|text| (text, span(text)));
        match wrap {
            Some((_, None)) => drop(check(&["wrap"], Err("write how long a wrapped value can be fetched: 10m, 2h"))),
            Some(_) if written.engine != Engine::Kv2 => {
                drop(check(&["wrap"], Err("only what lies in kv2 is wrapped; take `wrap` out")));
            }
            _ => {}
        }
        if written.leases.is_some() && written.engine != Engine::Database {
            check(&["leases"], Err("only roles of a database give out leases here; take `leases` out"));
        }
        if endpoints.is_empty() && written.engine != Engine::Database {
            endpoints.push(address.clone());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            address,
            namespace,
            engine: written.engine,
            mount,
            login: written.login,
            endpoints,
            ca: written.ca.map(|ca| ca.file),
            databases,
            database_ca: written.database_ca.map(|ca| ca.file),
            wrap: wrap.and_then(|(_, span)| span),
            leases: written.leases.unwrap_or_default(),
        })
    }

    /// Which of the endpoints the server's own address is, when it is one of them.
    pub(crate) fn primary_endpoint(&self) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| *endpoint == self.address)
    }
}

impl Engine {
    /// Where the server puts it unless told otherwise.
    const fn mount(self) -> &'static str {
        match self {
            Self::Kv1 | Self::Kv2 => "secret",
            Self::AppRole => "approle",
            Self::Token => "token",
            Self::Database => "database",
            Self::Transit => "transit",
            Self::Pki => "pki",
        }
    }

    /// The mount as it stands in paths.
    fn place(self, mount: &str) -> String {
        match self {
            Self::Kv1 | Self::Kv2 | Self::Database | Self::Transit | Self::Pki => mount.to_owned(),
            Self::AppRole | Self::Token => format!("auth/{}", mount.strip_prefix("auth/").unwrap_or(mount)),
        }
    }

    /// What the server calls it, and the version of it that is meant.
    pub(crate) const fn kind(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Kv1 => ("kv", None),
            Self::Kv2 => ("kv", Some("2")),
            Self::AppRole => ("approle", None),
            Self::Token => ("token", None),
            Self::Database => ("database", None),
            Self::Transit => ("transit", None),
            Self::Pki => ("pki", None),
        }
    }
}

impl Login {
    fn mount(&self) -> Option<&str> {
        match self {
            Self::Token => None,
            Self::AppRole { mount } | Self::Kubernetes { mount, .. } | Self::Cert { mount, .. } => mount.as_deref(),
        }
    }

    /// Where it is posted to; none for a token, which needs no login.
    pub(crate) fn path(&self) -> Option<String> {
        let usual = match self {
            Self::Token => return None,
            Self::AppRole { .. } => "approle",
            Self::Kubernetes { .. } => "kubernetes",
            Self::Cert { .. } => "cert",
        };
        let mount = self.mount().map_or(usual, |mount| mount.trim_matches('/'));
        Some(format!("auth/{}/login", mount.strip_prefix("auth/").unwrap_or(mount)))
    }
}

fn wrong(path: &[&str], message: impl Into<String>) -> SettingProblem {
    SettingProblem { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
}

/// The messages never repeat the address: it may hold what should not be there.
fn read_address(text: &str) -> Result<String, &'static str> {
    let url = reqwest::Url::parse(text).map_err(|_| "write https://host:port")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no user and no password may stand in the address; name the credential in `auth`");
    }
    if url.query().is_some() || url.fragment().is_some() || !matches!(url.path(), "" | "/") {
        return Err("write https://host:port and nothing after it; the mount has a key of its own");
    }
    let host = url.host_str().ok_or("the host cannot be read")?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => {
            return Err("write https://; without TLS tokens can be read on the way (http:// only to this machine)");
        }
        _ => return Err("write https://host:port"),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn read_database(text: &str) -> Result<Endpoint, &'static str> {
    let url = reqwest::Url::parse(text).map_err(|_| "write postgres://host:port/database")?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("write postgres://host:port/database, without a user, a password or parameters");
    }
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("write postgres://host:port/database; values are tried at PostgreSQL only");
    }
    let host = url.host_str().ok_or("the host cannot be read")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let database = url.path().trim_start_matches('/');
    let database = if database.is_empty() { "postgres" } else { database };
    Ok(Endpoint { host, port: url.port().unwrap_or(5432), database: database.to_owned() })
}

/// A path inside the server: segments that mean themselves.
pub(crate) fn read_path(text: &str) -> Result<&str, &'static str> {
    let path = text.trim_matches('/');
    let plain = |segment: &str| !segment.is_empty() && segment != "." && segment != "..";
    if path.split('/').all(plain) && !path.contains(char::is_control) {
        Ok(path)
    } else {
        Err("write a path of names with single slashes between them")
    }
}

/// `30s`, `10m`, `2h`.
fn span(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        'h' => 3600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok().filter(|count| *count > 0)?;
    count.checked_mul(unit).map(Duration::from_secs)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(settings: &serde_json::Value) -> Vec<(String, String)> {
        let problems = Settings::read(settings).err().unwrap_or_default();
        problems.into_iter().map(|one| (one.path.join("."), one.message)).collect()
    }

    #[test]
    fn what_is_not_written_is_as_the_server_has_it() {
        let settings = Settings::read(&json!({"address": "https://vault:8200/", "engine": "approle"})).unwrap();
        assert_eq!((settings.address.as_str(), settings.mount.as_str()), ("https://vault:8200", "auth/approle"));
        assert_eq!(
            (settings.endpoints.as_slice(), settings.login),
            (&["https://vault:8200".to_owned()][..], Login::Token)
        );
    }

    #[test]
    fn the_login_has_its_own_mount() {
        let login = |login: serde_json::Value| {
            let settings = json!({"address": "https://vault", "engine": "kv2", "login": login});
            Settings::read(&settings).unwrap().login.path()
        };
        assert_eq!(login(json!("token")), None);
        assert_eq!(login(json!({"approle": {}})).as_deref(), Some("auth/approle/login"));
        assert_eq!(
            login(json!({"kubernetes": {"mount": "auth/cluster-a", "role": "remint"}})).as_deref(),
            Some("auth/cluster-a/login")
        );
    }

    #[test]
    fn an_address_that_says_too_much_or_goes_without_tls_is_refused_and_not_repeated() {
        for address in [
            "https://boss:marker-4711@vault",
            "https://vault/v1?token=marker-4711",
            "http://vault.internal:8200",
            "ftp://vault",
            "marker-4711",
        ] {
            let found = problems(&json!({"address": address, "engine": "kv2"}));
            assert_eq!(found.len(), 1, "{address}");
            assert_eq!(found[0].0, "address");
            assert!(!found[0].1.contains("marker"), "{found:?}");
        }
        assert!(problems(&json!({"address": "http://[::1]:8200", "engine": "kv2"})).is_empty());
    }

    #[test]
    fn values_are_wrapped_for_a_time_and_in_kv2_only() {
        let wrap = |engine: &str, wrap: &str| json!({"address": "https://vault", "engine": engine, "wrap": wrap});
        assert_eq!(Settings::read(&wrap("kv2", "10m")).unwrap().wrap, Some(Duration::from_mins(10)));
        for (engine, text) in [("kv2", "ten"), ("kv2", "0m"), ("approle", "10m")] {
            assert_eq!(problems(&wrap(engine, text)).len(), 1, "{engine} {text}");
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let found = problems(&json!({
            "address": "https://vault", "engine": "kv2", "mount": "a/../b", "namespace": "", "endpoints": ["vault-1"],
        }));
        let places: Vec<&str> = found.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["endpoints.0", "mount", "namespace"]);
    }
}

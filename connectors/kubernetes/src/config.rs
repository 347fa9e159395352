//! The settings of a `kubernetes` system: where the API server is, and what Remint does in the cluster. Reading makes no call.

use std::path::PathBuf;

use remint_contract::SettingProblem;
use serde::Deserialize;
use url::Url;

use crate::place::is_name;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    server: String,
    #[serde(default)]
    endpoints: Vec<String>,
    ca: Option<Authority>,
    namespace: Option<String>,
    #[serde(default)]
    secrets: Secrets,
    #[serde(default)]
    take_over: Vec<String>,
    #[serde(default)]
    tokens: Tokens,
    #[serde(default = "yes")]
    workloads: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authority {
    file: PathBuf,
}

/// How Secrets are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Secrets {
    /// One Secret, whose fields are replaced.
    #[default]
    Replaced,
    /// An immutable Secret per version, under a name of its own.
    Versioned,
    None,
}

/// Which ServiceAccount tokens are issued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tokens {
    #[default]
    None,
    /// From the TokenRequest API, each bound to a Secret of its own and dead with it.
    Bound,
    /// The old kind: in a Secret, without an end.
    Legacy,
}

/// Settings that were read and found good.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `https://host:port`, without a slash at its end.
    pub(crate) server: String,
    /// Where tokens are tried: every address of the API server.
    pub(crate) endpoints: Vec<String>,
    pub(crate) ca: Option<PathBuf>,
    /// Of names that say none.
    pub(crate) namespace: String,
    pub(crate) secrets: Secrets,
    /// Field managers whose fields Remint takes for its own.
    pub(crate) take_over: Vec<String>,
    pub(crate) tokens: Tokens,
    pub(crate) workloads: bool,
}

const fn yes() -> bool {
    true
}

impl Settings {
    pub(crate) fn read(settings: &serde_json::Value) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(settings).map_err(|problem| vec![wrong(&[], problem.to_string())])?;
        let mut problems = Vec::new();
        let mut address = |path: &[&str], text: &str| {
            read_address(text).unwrap_or_else(|message| {
                problems.push(wrong(path, message));
                String::new()
            })
        };
        let server = address(&["server"], &written.server);
        let mut endpoints: Vec<_> = written
            .endpoints
            .iter()
            .enumerate()
            .map(|(index, text)| address(&["endpoints", &index.to_string()], text))
            .collect();
        if endpoints.is_empty() {
            endpoints.push(server.clone());
        }
        let namespace = written.namespace.unwrap_or_else(|| "default".to_owned());
        if !is_name(&namespace) {
            problems.push(wrong(&["namespace"], "write the name of a namespace"));
        }
        if written.secrets == Secrets::None && written.tokens == Tokens::None && !written.workloads {
            problems.push(wrong(&[], "it does nothing: write `secrets`, `tokens` or `workloads`"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            server,
            endpoints,
            ca: written.ca.map(|ca| ca.file),
            namespace,
            secrets: written.secrets,
            take_over: written.take_over,
            tokens: written.tokens,
            workloads: written.workloads,
        })
    }

    /// Which of the endpoints the server's own address is, when it is one of them.
    pub(crate) fn primary_endpoint(&self) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| *endpoint == self.server)
    }
}

fn wrong(path: &[&str], message: impl Into<String>) -> SettingProblem {
    SettingProblem { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
}

/// The messages never repeat the address: it may hold what should not be there.
fn read_address(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| "write https://host:port")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no user and no password may stand in the address; name the credential in `auth`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("write https://host:port and no query");
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

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_written_is_a_store_and_a_host_of_the_default_namespace() {
        let settings = Settings::read(&json!({"server": "https://10.0.0.1:6443/"})).unwrap();
        assert_eq!(settings.server, "https://10.0.0.1:6443");
        assert_eq!(settings.endpoints, ["https://10.0.0.1:6443"]);
        assert_eq!((settings.namespace.as_str(), settings.secrets), ("default", Secrets::Replaced));
        assert_eq!((settings.tokens, settings.workloads), (Tokens::None, true));
    }

    #[test]
    fn every_problem_is_named_at_once_and_no_address_is_repeated() {
        let problems = Settings::read(&json!({
            "server": "https://boss:marker-4711@cluster", "endpoints": ["http://cluster"], "namespace": "Team A",
            "secrets": "none", "workloads": false,
        }))
        .unwrap_err();
        let places: Vec<_> = problems.iter().map(|one| one.path.join(".")).collect();
        assert_eq!(places, ["server", "endpoints.0", "namespace", ""]);
        assert!(!format!("{problems:?}").contains("marker"), "{problems:?}");
    }
}

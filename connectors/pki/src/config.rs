//! The settings of a `pki` system: where the authorities are kept, where their lists are published and read, and who relies
//! on them. Reading makes no call.

use std::path::PathBuf;
use std::time::Duration;

use remint_contract::SettingProblem;
use serde::Deserialize;

/// The settings, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// One folder for each authority.
    pub(crate) folder: PathBuf,
    /// Where lists are written for whoever serves them.
    pub(crate) publish: PathBuf,
    /// Where lists are read: the addresses that relying parties use, or the folder itself.
    pub(crate) lists: Vec<Place>,
    /// How long a list is good.
    pub(crate) list_life: Duration,
    pub(crate) relying: Vec<Relying>,
    endpoints: Vec<String>,
}

/// Where a list is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Folder(PathBuf),
    /// Ends with a slash.
    Url(String),
}

/// A TLS endpoint that asks its clients for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relying {
    pub(crate) address: String,
    /// Whom to trust for its own certificate; the authority itself when it is not said.
    pub(crate) roots: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    folder: PathBuf,
    publish: Option<PathBuf>,
    #[serde(default)]
    lists: Vec<String>,
    list_life: Option<String>,
    #[serde(default)]
    relying_parties: Vec<Relying>,
}

impl Settings {
    /// # Errors
    /// Every problem of the settings.
    pub(crate) fn read(settings: &serde_json::Value) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(settings).map_err(|problem| vec![wrong(&[], problem.to_string())])?;
        let mut problems = Vec::new();
        if !written.folder.is_absolute() {
            problems.push(wrong(&["folder"], "write the folder as an absolute path, like /var/lib/remint/pki"));
        }
        let publish = written.publish.unwrap_or_else(|| written.folder.join("lists"));
        if !publish.is_absolute() {
            problems.push(wrong(&["publish"], "write the folder as an absolute path, like /srv/www/lists"));
        }
        let mut lists = Vec::new();
        for (index, text) in written.lists.iter().enumerate() {
            match place(text) {
                Some(place) => lists.push(place),
                None => problems.push(wrong(&["lists", &index.to_string()], "write http://host/path/ or a folder")),
            }
        }
        if lists.is_empty() {
            lists.push(Place::Folder(publish.clone()));
        }
        let list_life = written.list_life.as_deref().map_or(Some(LIST_LIFE), span);
        if list_life.is_none() {
            problems.push(wrong(&["listLife"], "write a time like 12h or 7d"));
        }
        for (index, relying) in written.relying_parties.iter().enumerate() {
            if relying.address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
                problems.push(wrong(&["relyingParties", &index.to_string(), "address"], "write host:port"));
            }
        }
        let Some(list_life) = list_life.filter(|_| problems.is_empty()) else { return Err(problems) };
        let at_lists = lists.iter().map(|place| match place {
            Place::Folder(folder) => folder.display().to_string(),
            Place::Url(url) => url.clone(),
        });
        let at_relying = written.relying_parties.iter().map(|relying| format!("tls://{}", relying.address));
        let endpoints = at_lists.chain(at_relying).collect();
        let relying = written.relying_parties;
        Ok(Self { folder: written.folder, publish, lists, list_life, relying, endpoints })
    }

    /// Where a certificate is tried: first the lists, then those who rely on it.
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// The addresses that a certificate names for its list.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().filter_map(|place| match place {
            Place::Url(url) => Some(url.as_str()),
            Place::Folder(_) => None,
        })
    }
}

fn place(text: &str) -> Option<Place> {
    if text.starts_with('/') {
        return Some(Place::Folder(text.into()));
    }
    let url = reqwest::Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    let whole = url.query().is_none() && url.fragment().is_none();
    (plain && whole).then(|| Place::Url(format!("{}/", url.as_str().trim_end_matches('/'))))
}

/// `90d`, `12h`, `30m`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        'd' => 24 * 60 * 60,
        'h' => 60 * 60,
        'm' => 60,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok().filter(|count| *count > 0)?;
    count.checked_mul(unit).filter(|seconds| *seconds <= LONGEST.as_secs()).map(Duration::from_secs)
}

pub(crate) fn wrong(path: &[&str], message: impl Into<String>) -> SettingProblem {
    SettingProblem { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
}

const LIST_LIFE: Duration = Duration::from_hours(7 * 24);
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_read_where_it_is_published_unless_told_otherwise() {
        let settings = Settings::read(&json!({"folder": "/var/pki"})).unwrap();
        assert_eq!(settings.endpoints(), ["/var/pki/lists"]);
        let lists = json!(["http://lists.internal/ca"]);
        let relying = json!([{"address": "db.internal:8443"}]);
        let settings = Settings::read(&json!({"folder": "/var/pki", "lists": lists, "relyingParties": relying}));
        assert_eq!(settings.unwrap().endpoints(), ["http://lists.internal/ca/", "tls://db.internal:8443"]);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let settings = json!({
            "folder": "pki", "publish": "www", "lists": ["ftp://x"], "listLife": "7",
            "relyingParties": [{"address": "db"}],
        });
        let problems = Settings::read(&settings).unwrap_err();
        let places: Vec<String> = problems.iter().map(|one| one.path.join(".")).collect();
        assert_eq!(places, ["folder", "publish", "lists.0", "listLife", "relyingParties.0.address"]);
    }
}

//! What a workload's document says about reloading and confirming, as far as this connector reads it.

use remint_contract::{Error, ErrorKind, Verb, Workload};
use serde::Deserialize;

/// How the workload is made to read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reload {
    None,
    Signal { pid_file: String, signal: Signal },
    Http { url: String },
    Command { name: String },
}

/// The signals that programs reload on. Killing ones are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Signal {
    Hup,
    Usr1,
    Usr2,
}

/// Where the workload says which value it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confirm {
    Http { url: String },
    File { path: String },
}

#[derive(Deserialize)]
struct How {
    how: String,
    #[serde(default)]
    settings: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SignalSettings {
    pid_file: String,
    signal: Signal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpSettings {
    url: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CommandSettings {
    Name(String),
    Named { name: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmSettings {
    http: Option<HttpSettings>,
    file: Option<String>,
}

/// A workload that says nothing needs no reload.
pub(crate) fn reload(workload: &Workload) -> Result<Reload, Error> {
    let Some(how) = part(workload, "reload", Verb::Reload)? else { return Ok(Reload::None) };
    let wrong =
        |hint: &'static str| Error::new(ErrorKind::Invalid, Verb::Reload, hint).with("workload", workload.name.clone());
    match how.how.as_str() {
        "none" => Ok(Reload::None),
        "signal" => {
            let settings: SignalSettings = serde_json::from_value(how.settings).map_err(|_| {
                wrong("write reload: {signal: {pidFile: run/app.pid, signal: HUP}}, with HUP, USR1 or USR2")
            })?;
            Ok(Reload::Signal { pid_file: settings.pid_file, signal: settings.signal })
        }
        "http" => {
            let settings: HttpSettings = serde_json::from_value(how.settings)
                .map_err(|_| wrong("write reload: {http: {url: \"http://127.0.0.1:8080/reload\"}}"))?;
            Ok(Reload::Http { url: settings.url })
        }
        "command" => match serde_json::from_value(how.settings) {
            Ok(CommandSettings::Name(name) | CommandSettings::Named { name }) => Ok(Reload::Command { name }),
            Err(_) => Err(wrong("write reload: {command: name}, with a name from the daemon's configuration")),
        },
        _ => Err(wrong("a file system's workloads reload by none, signal, http or command")),
    }
}

/// `None` when the workload says no way by which this connector could see it.
pub(crate) fn confirm(workload: &Workload) -> Result<Option<Confirm>, Error> {
    let Some(how) = part(workload, "confirm", Verb::Observe)? else { return Ok(None) };
    if how.how != "self-reported" {
        return Ok(None);
    }
    let settings = serde_json::from_value(how.settings).ok();
    match settings {
        Some(ConfirmSettings { http: Some(HttpSettings { url }), file: None }) => Ok(Some(Confirm::Http { url })),
        Some(ConfirmSettings { http: None, file: Some(path) }) => Ok(Some(Confirm::File { path })),
        _ => {
            let hint =
                "write confirm: {how: self-reported, http: {url: …}} or {how: self-reported, file: run/status.json}";
            Err(Error::new(ErrorKind::Invalid, Verb::Observe, hint).with("workload", workload.name.clone()))
        }
    }
}

fn part(workload: &Workload, key: &'static str, verb: Verb) -> Result<Option<How>, Error> {
    match workload.settings.get(key) {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(part) => serde_json::from_value(part.clone()).map(Some).map_err(|_| {
            Error::new(ErrorKind::Invalid, verb, "the settings must be {how, settings}")
                .with("workload", workload.name.clone())
                .with("key", key)
        }),
    }
}

//! Whether the mount is there, is what the settings say, and lets the actor in: `check`.

use std::collections::BTreeMap;

use remint_contract::{Call, Error, ErrorKind, Verb};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::request::{Effect, Request};

#[derive(Deserialize)]
struct Mount {
    r#type: String,
    #[serde(default)]
    options: Option<BTreeMap<String, String>>,
}

/// The server shows a mount to whoever may do anything at all in it.
pub(crate) async fn check(client: &Client, call: &Call) -> Result<(), Error> {
    let verb = Verb::Check;
    let mount = &client.settings.mount;
    let request = Request::get(verb, &format!("sys/internal/ui/mounts/{mount}"))?;
    let answer = client.act(call, &request).await?;
    let found: Mount = answer.data("the mount").map_err(|failure| failure.with("mount", mount))?;
    let (kind, version) = client.settings.engine.kind();
    let has = found.options.as_ref().and_then(|options| options.get("version")).map(String::as_str);
    if found.r#type == kind && (kind != "kv" || has.unwrap_or("1") == version.unwrap_or("1")) {
        return Ok(());
    }
    let is = match has {
        Some(version) => format!("{} version {version}", found.r#type),
        None => found.r#type,
    };
    let message = "another engine is mounted there; correct `engine` or `mount`";
    Err(Error::new(ErrorKind::Invalid, verb, message).with("mount", mount).with("engine", is))
}

/// The actor may do each of these: (path, one of these capabilities).
pub(crate) async fn allows(client: &Client, call: &Call, needs: &[(String, &[&str])]) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Asked<'a> {
        paths: Vec<&'a str>,
    }
    let verb = Verb::Check;
    let asked = Asked { paths: needs.iter().map(|(path, _)| path.as_str()).collect() };
    let request = Request::post(verb, Effect::Reads, "sys/capabilities-self", &asked)?;
    let held: BTreeMap<String, serde_json::Value> = client.act(call, &request).await?.data("the rights")?;
    for (path, capabilities) in needs {
        let held: Vec<&str> = held
            .get(path)
            .and_then(|held| held.as_array())
            .into_iter()
            .flatten()
            .filter_map(|one| one.as_str())
            .collect();
        if !held.contains(&"root") && !capabilities.iter().any(|needed| held.contains(needed)) {
            let message = format!("no policy of Remint's login allows {} there", capabilities.join(" or "));
            return Err(Error::new(ErrorKind::Denied, verb, message).with("path", path));
        }
    }
    Ok(())
}

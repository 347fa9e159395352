//! The connector itself.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, Connector, ConnectorKind, Error, ErrorKind, HostRules, ReadBack, SecretValue, SettingProblem,
    Verb, WriteRequest, Written,
};

use crate::config::{Config, capabilities};
use crate::error::failed;

#[derive(Debug, Clone, Copy)]
pub(crate) struct NotesKind;

/// One folder.
#[derive(Debug)]
struct Notes {
    root: PathBuf,
}

/// The one version there is.
const CURRENT: &str = "current";

impl ConnectorKind for NotesKind {
    fn name(&self) -> &'static str {
        "notes"
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Config::read(settings).map(|_| capabilities())
    }

    fn open(&self, settings: &serde_json::Value, _rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let config = Config::read(settings).map_err(Error::settings)?;
        Ok(Arc::new(Notes { root: config.root }))
    }
}

impl Notes {
    /// Below the root, wherever a document points.
    fn place(&self, verb: Verb, path: &str) -> Result<PathBuf, Error> {
        let below = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if below && !path.is_empty() {
            return Ok(self.root.join(path));
        }
        Err(Error::new(ErrorKind::Invalid, verb, "the path leads out of the folder").with("path", path))
    }
}

#[async_trait]
impl Connector for Notes {
    fn describe(&self) -> Capabilities {
        capabilities()
    }

    async fn check(&self, _call: &Call, path: Option<&str>) -> Result<(), Error> {
        let place = match path {
            Some(path) => self.place(Verb::Check, path)?,
            None => self.root.clone(),
        };
        fs::read_dir(place).map(drop).map_err(|error| failed(Verb::Check, path.unwrap_or_default(), error))
    }

    fn fits(&self, path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        let refused = |message| Err(Error::new(ErrorKind::RefusedValue, Verb::Write, message).with("path", path));
        if fields.len() != 1 {
            return refused("one field is written at a time here: give each a destination of its own");
        }
        if fields.keys().any(|field| field.starts_with('.') || field.contains('/')) {
            return refused("a field is the name of a file, without a slash and not beginning with a dot");
        }
        Ok(())
    }

    async fn write(&self, _call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        self.fits(&request.path, &request.fields)?;
        let place = self.place(Verb::Write, &request.path)?;
        for (field, value) in &request.fields {
            put(&place, field, value).map_err(|error| failed(Verb::Write, &request.path, error))?;
        }
        Ok(Written { version: CURRENT.to_owned() })
    }

    async fn read(&self, _call: &Call, path: &str) -> Result<ReadBack, Error> {
        let place = self.place(Verb::Read, path)?;
        let fields = held(&place).map_err(|error| failed(Verb::Read, path, error))?;
        Ok(ReadBack { version: CURRENT.to_owned(), fields })
    }
}

/// Written beside and put in place whole.
fn put(place: &Path, field: &str, value: &SecretValue) -> io::Result<()> {
    let beside = place.join(format!(".{field}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(value.expose())?;
    file.sync_all()?;
    fs::rename(beside, place.join(field))
}

fn held(place: &Path) -> io::Result<BTreeMap<String, SecretValue>> {
    let mut fields = BTreeMap::new();
    for item in fs::read_dir(place)? {
        let item = item?;
        if let Some(field) = item.file_name().to_str().filter(|name| !name.starts_with('.')) {
            fields.insert(field.to_owned(), SecretValue::new(fs::read(item.path())?));
        }
    }
    Ok(fields)
}

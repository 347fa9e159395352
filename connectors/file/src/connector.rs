//! The connector itself: hands every verb to its file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, ConfirmGrade, Connector, ConnectorKind, ConsumerCapabilities, Error, ErrorKind, Expected,
    HostRules, Observation, ReadBack, SecretValue, SettingProblem, StoreCapabilities, Verb, Workload, WriteRequest,
    Written,
};

use crate::config::Config;
use crate::encode::Format;
use crate::error::of_format;
use crate::{observe, read, reload, write};

/// The kind `file`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileKind;

/// One folder.
#[derive(Debug)]
struct Folder {
    config: Arc<Config>,
    commands: BTreeMap<String, Vec<String>>,
}

impl ConnectorKind for FileKind {
    fn name(&self) -> &'static str {
        "file"
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Config::read(settings).map(|_| capabilities())
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let config = Config::read(settings).map_err(Error::settings)?;
        Ok(Arc::new(Folder { config: Arc::new(config), commands: rules.commands.clone() }))
    }
}

#[async_trait]
impl Connector for Folder {
    fn describe(&self) -> Capabilities {
        capabilities()
    }

    async fn check(&self, _call: &Call, path: Option<&str>) -> Result<(), Error> {
        let (config, path) = (Arc::clone(&self.config), path.map(str::to_owned));
        blocking(Verb::Check, move || read::check(&config, path.as_deref())).await
    }

    fn fits(&self, path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        Format::of(path).fits(fields).map_err(|problem| {
            let mut error = of_format(Verb::Write, path, &problem);
            // Asked about the value alone, before there is a file: every answer but yes means another value or place.
            error.kind = ErrorKind::RefusedValue;
            error
        })
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let (config, operation, request) = (Arc::clone(&self.config), call.operation.clone(), request.clone());
        blocking(Verb::Write, move || write::write(&config.root, &operation, &request)).await
    }

    async fn read(&self, _call: &Call, path: &str) -> Result<ReadBack, Error> {
        let (config, path) = (Arc::clone(&self.config), path.to_owned());
        blocking(Verb::Read, move || read::read(&config.root, &path)).await
    }

    async fn promote(&self, _call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let (config, path, version) = (Arc::clone(&self.config), path.to_owned(), version.to_owned());
        blocking(Verb::Promote, move || write::promote(&config, &path, &version)).await
    }

    async fn versions(&self, _call: &Call, path: &str) -> Result<Vec<String>, Error> {
        let (config, path) = (Arc::clone(&self.config), path.to_owned());
        blocking(Verb::Versions, move || write::versions(&config.root, &path)).await
    }

    async fn destroy_version(&self, _call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let (config, path, version) = (Arc::clone(&self.config), path.to_owned(), version.to_owned());
        blocking(Verb::DestroyVersion, move || write::destroy_version(&config.root, &path, &version)).await
    }

    async fn reload(&self, _call: &Call, workload: &Workload) -> Result<(), Error> {
        reload::reload(&self.config.root, &self.commands, workload).await
    }

    async fn observe(&self, _call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        observe::observe(&self.config.root, workload, expected).await
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        verbs: BTreeSet::from([
            Verb::Check,
            Verb::Write,
            Verb::Read,
            Verb::Promote,
            Verb::Versions,
            Verb::DestroyVersion,
            Verb::Reload,
            Verb::Observe,
        ]),
        issuer: None,
        store: Some(StoreCapabilities { compare_and_set: true, staged: true, versioned: false, own_login: false }),
        consumer: Some(ConsumerCapabilities { grades: BTreeSet::from([ConfirmGrade::SelfReported]) }),
    }
}

/// File systems have no asynchronous calls: each verb runs on a thread that may wait.
pub(crate) async fn blocking<T, F>(verb: Verb, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::new(ErrorKind::Unclear, verb, "the work on the file was ended early").because(error)),
    }
}

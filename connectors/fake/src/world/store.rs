//! A store: values by path, read and written with credentials of the issuers it trusts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use remint_contract::{Material, SecretValue};

use super::WorldError;
use super::issuer::Issuer;
use super::service::{Answer, Asked, Desk, Service, lock};
use crate::wire::{
    AUTHENTICATION_DENIED, AtPath, Check, Done, Fields as FieldsAnswer, Find, Nothing, Paths, Secret, VersionAt,
    Versions, Write, WrittenVersion,
};
use shelf::{Fields, No, Shelf};

pub(crate) mod shelf;

/// What a store is like.
#[derive(Debug, Clone)]
pub struct StoreSpec {
    pub name: String,
    /// Everybody who reaches it may read and write.
    pub open: bool,
    /// A write is seen only after `promote`.
    pub staged: bool,
    /// Old versions stay readable until they are destroyed.
    pub versioned: bool,
    pub latency: Duration,
    pub grants: Vec<Grant>,
}

/// Who may do what below a prefix.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The issuer's name in the world.
    pub issuer: String,
    pub target: String,
    pub prefix: String,
    pub write: bool,
}

impl StoreSpec {
    /// Staged and versioned, nobody granted anything.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            open: false,
            staged: true,
            versioned: true,
            latency: Duration::ZERO,
            grants: Vec::new(),
        }
    }

    /// Open to everybody who reaches it.
    pub const fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Lets the bearers of a target read below a prefix.
    pub fn readable(self, issuer: &str, target: &str, prefix: &str) -> Self {
        self.grant(issuer, target, prefix, false)
    }

    /// Lets the bearers of a target read and write below a prefix.
    pub fn writable(self, issuer: &str, target: &str, prefix: &str) -> Self {
        self.grant(issuer, target, prefix, true)
    }

    fn grant(mut self, issuer: &str, target: &str, prefix: &str, write: bool) -> Self {
        let (issuer, target, prefix) = (issuer.to_owned(), target.to_owned(), prefix.to_owned());
        self.grants.push(Grant { issuer, target, prefix, write });
        self
    }
}

/// A running store.
pub struct Store {
    service: Arc<Service>,
    spec: StoreSpec,
    issuers: Vec<(String, Arc<Issuer>)>,
    shelf: Mutex<Shelf>,
    /// The hosts that mount its values into their workloads read everything with this.
    mount: Material,
    /// What a host shows whoever broke into it: a token and the paths it opens. Ended when the host is rebuilt.
    footholds: Mutex<Vec<(Material, BTreeSet<String>)>>,
}

impl std::ops::Deref for Store {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Store {
    pub(crate) fn new(
        spec: StoreSpec,
        service: Arc<Service>,
        issuers: Vec<(String, Arc<Issuer>)>,
        mount: SecretValue,
    ) -> Self {
        let mount = Material::of(mount);
        Self { service, spec, issuers, shelf: Mutex::default(), mount, footholds: Mutex::default() }
    }

    /// Puts fields at a path as if they had always been there.
    ///
    /// # Errors
    /// The shelf refused; only a defect of this crate does that.
    pub fn put(&self, path: &str, fields: &[(&str, &SecretValue)]) -> Result<(), WorldError> {
        let fields = fields.iter().map(|&(field, value)| (field.to_owned(), value.clone())).collect();
        let mut shelf = lock(&self.shelf);
        let put = shelf
            .stage(path, fields, None, None)
            .and_then(|version| shelf.promote(path, &version.to_string(), self.spec.versioned, None));
        put.map_err(|no| WorldError::Seed { target: path.to_owned(), why: format!("{no:?}") })
    }

    /// What readers see in a field.
    pub fn value(&self, path: &str, field: &str) -> Option<SecretValue> {
        lock(&self.shelf).read(path, None).ok()?.1.get(field).cloned()
    }

    /// Every value that lies here, and what opens it for its hosts and whoever broke into them. For searches.
    pub fn ever(&self) -> Vec<SecretValue> {
        let footholds = lock(&self.footholds).iter().map(|(token, _)| token.secret.clone()).collect::<Vec<_>>();
        lock(&self.shelf).values().chain(footholds).chain([self.mount.secret.clone()]).collect()
    }

    pub(crate) fn mount(&self) -> &Material {
        &self.mount
    }

    /// Lets a token read these paths until [`Store::end_footholds`].
    pub(crate) fn add_foothold(&self, token: Material, paths: BTreeSet<String>) {
        lock(&self.footholds).push((token, paths));
    }

    /// The hosts that were broken into are rebuilt: what they showed is shown no more.
    pub fn end_footholds(&self) {
        lock(&self.footholds).clear();
    }

    /// Which paths the caller may read or write. `None`: the caller is nobody.
    fn rights(&self, asked: &Asked) -> Option<Access> {
        if self.spec.open {
            return Some(Access::all());
        }
        let presented = asked.presented.as_ref()?;
        if *presented == self.mount {
            return Some(Access::all());
        }
        if let Some((_, paths)) = lock(&self.footholds).iter().find(|(token, _)| token == presented) {
            return Some(Access { exact: paths.clone(), ..Access::default() });
        }
        let (issuer, target) =
            self.issuers.iter().find_map(|(name, issuer)| Some((name, issuer.target_of(presented, &asked.source)?)))?;
        let granted = self.spec.grants.iter().filter(|grant| grant.issuer == *issuer && grant.target == target);
        let prefixes = granted.map(|grant| (grant.prefix.clone(), grant.write)).collect();
        Some(Access { exact: BTreeSet::new(), prefixes })
    }

    fn respond(&self, asked: &Asked) -> Result<Answer, Answer> {
        let access = self.rights(asked).ok_or_else(|| {
            Answer::refuse(401, AUTHENTICATION_DENIED, "no issuer of this store accepts this credential")
        })?;
        match asked.verb.as_str() {
            "check" => {
                let ask: Check = asked.read()?;
                ask.path.map_or(Ok(()), |path| access.need(&path, true))?;
                Ok(Answer::ok(&Nothing {}))
            }
            "write" => self.write(asked, &access),
            "promote" | "destroy-version" => self.change(asked, &access),
            "read" | "versions" => self.read(asked, &access),
            "paths" => {
                let shelf = lock(&self.shelf);
                let paths = shelf.paths().filter(|path| access.allows(path, false)).cloned().collect();
                Ok(Answer::ok(&Paths { paths }))
            }
            "find" => {
                let ask: Find = asked.read()?;
                Ok(Answer::ok(&Done { done: lock(&self.shelf).done(&ask.operation) }))
            }
            _ => Err(Answer::refuse(405, "no-such-verb", "a store does not have this verb")),
        }
    }

    fn write(&self, asked: &Asked, access: &Access) -> Result<Answer, Answer> {
        let ask: Write = asked.read()?;
        access.need(&ask.path, true)?;
        if asked.lie {
            return Ok(Answer::ok(&WrittenVersion { version: "0".to_owned() }));
        }
        let fields: Fields = ask.fields.into_iter().map(|(field, Secret(value))| (field, value)).collect();
        let mut shelf = lock(&self.shelf);
        let version = shelf.stage(&ask.path, fields, ask.expect.as_deref(), ask.operation).map_err(|no| refuse(&no))?;
        let version = version.to_string();
        if !self.spec.staged {
            shelf.promote(&ask.path, &version, self.spec.versioned, None).map_err(|no| refuse(&no))?;
        }
        Ok(Answer::ok(&WrittenVersion { version }))
    }

    fn change(&self, asked: &Asked, access: &Access) -> Result<Answer, Answer> {
        let ask: VersionAt = asked.read()?;
        access.need(&ask.path, true)?;
        if !asked.lie {
            let mut shelf = lock(&self.shelf);
            match asked.verb.as_str() {
                "promote" => shelf.promote(&ask.path, &ask.version, self.spec.versioned, ask.operation),
                _ => shelf.destroy(&ask.path, &ask.version),
            }
            .map_err(|no| refuse(&no))?;
        }
        Ok(Answer::ok(&Nothing {}))
    }

    fn read(&self, asked: &Asked, access: &Access) -> Result<Answer, Answer> {
        let ask: AtPath = asked.read()?;
        access.need(&ask.path, false)?;
        let shelf = lock(&self.shelf);
        if asked.verb == "versions" {
            let versions = shelf.versions(&ask.path).map_err(|no| refuse(&no))?;
            return Ok(Answer::ok(&Versions { versions: versions.iter().map(u64::to_string).collect() }));
        }
        let (version, fields) = shelf.read(&ask.path, ask.version.as_deref()).map_err(|no| refuse(&no))?;
        let fields = fields.iter().map(|(field, value)| (field.clone(), Secret(value.clone()))).collect();
        Ok(Answer::ok(&FieldsAnswer { version: version.to_string(), fields }))
    }
}

#[async_trait]
impl Desk for Store {
    async fn answer(&self, asked: &Asked) -> Answer {
        self.respond(asked).unwrap_or_else(|refused| refused)
    }
}

/// What one caller may reach: prefixes (with the right to write), and single paths to read.
#[derive(Default)]
struct Access {
    prefixes: Vec<(String, bool)>,
    exact: BTreeSet<String>,
}

impl Access {
    fn all() -> Self {
        Self { prefixes: vec![(String::new(), true)], exact: BTreeSet::new() }
    }

    fn allows(&self, path: &str, write: bool) -> bool {
        self.prefixes.iter().any(|(prefix, may_write)| path.starts_with(prefix) && (*may_write || !write))
            || (!write && self.exact.contains(path))
    }

    fn need(&self, path: &str, write: bool) -> Result<(), Answer> {
        if self.allows(path, write) {
            Ok(())
        } else {
            Err(Answer::refuse(403, "forbidden", "the bearer has no right to this path"))
        }
    }
}

fn refuse(no: &No) -> Answer {
    match no {
        No::Path => Answer::refuse(404, "no-path", "there is nothing at this path"),
        No::Version => Answer::refuse(404, "no-version", "there is no such version at this path"),
        No::Changed => Answer::refuse(409, "changed", "another version is current"),
        No::Current => Answer::refuse(409, "current", "the current version cannot be destroyed"),
    }
}

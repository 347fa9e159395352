//! What an issuer knows, free of HTTP: targets, the versions of each, who minted whom, and what is accepted when.
//!
//! Every version carries its whole history, so that an endpoint that lags is the same question asked about an earlier
//! moment, and a resurrected version is a history with an entry in the future.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{MadeBy, Material, SecretValue, Slots};

use super::{IssuerSpec, TargetSpec};
use crate::wire::VersionState;

/// One version of a target's credential.
pub(crate) struct Version {
    pub(crate) target: String,
    pub(crate) material: Material,
    /// What minted it, when that was a version of this issuer.
    parent: Option<String>,
    dies_with_parent: bool,
    pub(crate) operation: Option<String>,
    pub(crate) label: String,
    pub(crate) created: Timestamp,
    pub(crate) scopes: Vec<String>,
    pub(crate) uses: Vec<(Timestamp, String)>,
    /// Since when it is what; a later entry rules.
    history: Vec<(Timestamp, VersionState)>,
}

struct Session {
    version: String,
    created: Timestamp,
    ended: Option<Timestamp>,
}

/// What is asked of [`Versions::mint`].
pub(crate) struct NewVersion<'a> {
    pub(crate) target: &'a str,
    pub(crate) in_place: bool,
    pub(crate) proposed: Option<SecretValue>,
    pub(crate) operation: Option<String>,
    pub(crate) label: &'a str,
    pub(crate) parent: Option<String>,
}

/// Why an issuer says no.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum No {
    /// No such target.
    Target,
    /// No such version.
    Version,
    /// Every slot is taken.
    Full,
    /// The operation made a version before, and its secret cannot be shown again.
    MadeBefore,
    /// Too short.
    RefusedValue,
    /// The issuer makes values itself, or it wants one and got none.
    WrongMaker,
    /// Disabling cannot be undone, or the version is gone.
    NotReversible,
}

pub(crate) struct Versions {
    pub(crate) spec: IssuerSpec,
    targets: BTreeMap<String, TargetSpec>,
    by_id: HashMap<String, Version>,
    by_fingerprint: HashMap<String, String>,
    by_target: HashMap<String, Vec<String>>,
    by_operation: HashMap<String, String>,
    children: HashMap<String, Vec<String>>,
    /// By id.
    sessions: BTreeMap<String, Session>,
    /// The fingerprint of a token → the session's id.
    tokens: HashMap<String, String>,
    next: u64,
}

impl Versions {
    pub(crate) fn new(spec: IssuerSpec) -> Self {
        let targets = spec.targets.iter().map(|target| (target.name.clone(), target.clone())).collect();
        Self {
            spec,
            targets,
            by_id: HashMap::new(),
            by_fingerprint: HashMap::new(),
            by_target: HashMap::new(),
            by_operation: HashMap::new(),
            children: HashMap::new(),
            sessions: BTreeMap::new(),
            tokens: HashMap::new(),
            next: 1,
        }
    }

    pub(crate) fn add_target(&mut self, target: TargetSpec) {
        self.targets.insert(target.name.clone(), target);
    }

    pub(crate) fn target(&self, name: &str) -> Option<&TargetSpec> {
        self.targets.get(name)
    }

    pub(crate) fn version(&self, id: &str) -> Option<&Version> {
        self.by_id.get(id)
    }

    /// The value of every version, dead ones too.
    pub(crate) fn ever(&self) -> Vec<SecretValue> {
        self.by_id.values().map(|version| version.material.secret.clone()).collect()
    }

    /// Makes a version, or finds the one that the same operation made before.
    pub(crate) fn mint(
        &mut self,
        ask: NewVersion<'_>,
        made: SecretValue,
        now: Timestamp,
    ) -> Result<(String, Material), No> {
        if let Some(found) = ask.operation.as_ref().and_then(|operation| self.find(operation)) {
            let same = ask.proposed.as_ref().is_some_and(|proposed| *proposed == found.1.secret);
            return if same || self.spec.made_by == MadeBy::Issuer { Ok(found) } else { Err(No::MadeBefore) };
        }
        let target = self.targets.get(ask.target).ok_or(No::Target)?.clone();
        let secret = match (self.spec.made_by, ask.proposed) {
            (MadeBy::Remint, Some(proposed)) if proposed.expose().len() < SHORTEST_SECRET => {
                return Err(No::RefusedValue);
            }
            (MadeBy::Remint, Some(proposed)) => proposed,
            (MadeBy::Remint, None) | (MadeBy::Issuer | MadeBy::IssuerOnce, Some(_)) => return Err(No::WrongMaker),
            (MadeBy::Issuer | MadeBy::IssuerOnce, None) => made,
        };
        let living = self.living(ask.target, now);
        if ask.in_place {
            for id in &living {
                self.revoke(id, now, None)?;
            }
        } else {
            let most = match target.slots.unwrap_or(self.spec.slots) {
                Slots::One => 1,
                Slots::Two => 2,
                Slots::Many => usize::MAX,
            };
            if living.len() >= most {
                return Err(No::Full);
            }
        }
        let id = format!("{}@{}", ask.target, self.next);
        let username = target.usernames.then(|| format!("{}-{}", ask.target, self.next));
        self.next += 1;
        let material = Material { username, secret };
        self.by_fingerprint.insert(material.fingerprint(), id.clone());
        self.by_target.entry(target.name.clone()).or_default().push(id.clone());
        if let Some(operation) = &ask.operation {
            self.by_operation.insert(operation.clone(), id.clone());
        }
        if let Some(parent) = ask.parent.as_ref().filter(|_| target.dies_with_parent) {
            self.children.entry(parent.clone()).or_default().push(id.clone());
        }
        let version = Version {
            target: target.name,
            material: material.clone(),
            parent: ask.parent,
            dies_with_parent: target.dies_with_parent,
            operation: ask.operation,
            label: ask.label.to_owned(),
            created: now,
            scopes: target.scopes,
            uses: Vec::new(),
            history: vec![(now, VersionState::Live)],
        };
        self.by_id.insert(id.clone(), version);
        Ok((id, material))
    }

    /// The version with this user name or serial.
    pub(crate) fn named(&self, username: &str) -> Option<&str> {
        let named = |(_, version): &(&String, &Version)| version.material.username.as_deref() == Some(username);
        self.by_id.iter().find(named).map(|(id, _)| id.as_str())
    }

    /// What an operation made.
    pub(crate) fn find(&self, operation: &str) -> Option<(String, Material)> {
        let id = self.by_operation.get(operation)?;
        Some((id.clone(), self.by_id.get(id)?.material.clone()))
    }

    /// The version that this value is (or that the session came from), when it is accepted as things stood at `at`.
    pub(crate) fn accepts(&self, presented: &Material, at: Timestamp) -> Option<&str> {
        let fingerprint = Material::of(presented.secret.clone()).fingerprint();
        if let Some(id) = self.by_fingerprint.get(&fingerprint) {
            let version = self.by_id.get(id)?;
            let named = version.material.username.is_none() || version.material.username == presented.username;
            return (named && self.lives(id, at)).then_some(id.as_str());
        }
        let session = self.sessions.get(self.tokens.get(&fingerprint)?)?;
        let lives = session.created <= at && session.ended.is_none_or(|ended| ended > at);
        lives.then_some(session.version.as_str())
    }

    /// True when a version and everything it dies with are live at that moment.
    pub(crate) fn lives(&self, id: &str, at: Timestamp) -> bool {
        let mut next = Some(id);
        while let Some(id) = next {
            let Some(version) = self.by_id.get(id) else { return false };
            if version.state(at) != Some(VersionState::Live) {
                return false;
            }
            next = if version.dies_with_parent { version.parent.as_deref() } else { None };
        }
        true
    }

    /// What a version is, its own word only.
    pub(crate) fn state(&self, id: &str, at: Timestamp) -> Result<VersionState, No> {
        self.by_id.get(id).and_then(|version| version.state(at)).ok_or(No::Version)
    }

    /// Every version of a target that is not revoked, oldest first.
    pub(crate) fn living(&self, target: &str, now: Timestamp) -> Vec<String> {
        let all = self.by_target.get(target).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|id| self.state(id, now) != Ok(VersionState::Revoked)).cloned().collect()
    }

    /// Every version that is not revoked.
    pub(crate) fn all_living(&self, now: Timestamp) -> Vec<String> {
        let mut names: Vec<&String> = self.by_target.keys().collect();
        names.sort();
        names.iter().flat_map(|target| self.living(target, now)).collect()
    }

    /// Disables or enables. What is so already is done.
    pub(crate) fn switch(&mut self, id: &str, to: VersionState, now: Timestamp) -> Result<(), No> {
        let reversible = self.spec.reversible_disable;
        let version = self.by_id.get_mut(id).ok_or(No::Version)?;
        match version.state(now) {
            Some(VersionState::Revoked) if to == VersionState::Disabled => Ok(()),
            Some(VersionState::Revoked) | None => Err(No::NotReversible),
            Some(_) if !reversible => Err(No::NotReversible),
            Some(_) => {
                version.history.push((now, to));
                Ok(())
            }
        }
    }

    /// Kills a version and all that dies with it, however deep; with `resurrect` it comes back after that long.
    pub(crate) fn revoke(&mut self, id: &str, now: Timestamp, resurrect: Option<Duration>) -> Result<(), No> {
        if !self.by_id.contains_key(id) {
            return Err(No::Version);
        }
        let mut open = vec![id.to_owned()];
        while let Some(id) = open.pop() {
            if let Some(version) = self.by_id.get_mut(&id)
                && version.state(now) != Some(VersionState::Revoked)
            {
                version.history.retain(|(since, _)| *since <= now);
                version.history.push((now, VersionState::Revoked));
            }
            open.extend(self.children.get(&id).into_iter().flatten().cloned());
        }
        if let (Some(after), Some(version)) = (resurrect, self.by_id.get_mut(id)) {
            version.history.push((now.saturating_add(after).unwrap_or(now), VersionState::Live));
        }
        Ok(())
    }

    /// Makes a revoked version accepted again.
    pub(crate) fn resurrect(&mut self, id: &str, now: Timestamp) -> Result<(), No> {
        let version = self.by_id.get_mut(id).ok_or(No::Version)?;
        version.history.push((now, VersionState::Live));
        Ok(())
    }

    pub(crate) fn widen(&mut self, id: &str, scope: &str) -> Result<(), No> {
        self.by_id.get_mut(id).ok_or(No::Version)?.scopes.push(scope.to_owned());
        Ok(())
    }

    /// Remembers a use: the last few of every version.
    pub(crate) fn note_use(&mut self, id: &str, source: &str, now: Timestamp) {
        if let Some(version) = self.by_id.get_mut(id) {
            version.uses.retain(|(_, other)| other != source);
            if version.uses.len() >= MOST_SOURCES {
                version.uses.remove(0);
            }
            version.uses.push((now, source.to_owned()));
        }
    }

    /// Opens a session for a version; answers its id.
    pub(crate) fn open_session(&mut self, version: &str, token: &SecretValue, now: Timestamp) -> String {
        let id = format!("session-{}", self.next);
        self.next += 1;
        self.tokens.insert(Material::of(token.clone()).fingerprint(), id.clone());
        self.sessions.insert(id.clone(), Session { version: version.to_owned(), created: now, ended: None });
        id
    }

    /// The sessions of a version that live now.
    pub(crate) fn sessions(&self, version: &str, now: Timestamp) -> Vec<String> {
        let open = self
            .sessions
            .iter()
            .filter(|(_, session)| session.version == version && session.ended.is_none_or(|ended| ended > now));
        open.map(|(id, _)| id.clone()).collect()
    }

    /// Ends the sessions of a version; answers which.
    pub(crate) fn end_sessions(&mut self, version: &str, now: Timestamp) -> Vec<String> {
        let ended = self.sessions(version, now);
        for id in &ended {
            if let Some(session) = self.sessions.get_mut(id) {
                session.ended = Some(now);
            }
        }
        ended
    }

    /// May the bearer of a version do admin verbs on a target? Without any admin target everybody may.
    pub(crate) fn may_manage(&self, bearer: Option<&str>, target: Option<&str>) -> bool {
        if !self.targets.values().any(|target| target.admin) {
            return true;
        }
        let Some(own) = bearer.and_then(|id| self.by_id.get(id)).and_then(|version| self.target(&version.target))
        else {
            return false;
        };
        own.admin || target.is_some_and(|target| own.mints.iter().any(|pattern| covers(pattern, target)))
    }

    /// The targets that the bearer may mint.
    pub(crate) fn mintable(&self, bearer: &str) -> Vec<String> {
        self.targets.keys().filter(|target| self.may_manage(Some(bearer), Some(target))).cloned().collect()
    }

    /// Who the bearer of a version speaks for.
    pub(crate) fn principal(&self, id: &str) -> String {
        let target = self.by_id.get(id).map_or("", |version| version.target.as_str());
        self.target(target).and_then(|spec| spec.principal.clone()).unwrap_or_else(|| target.to_owned())
    }
}

impl Version {
    fn state(&self, at: Timestamp) -> Option<VersionState> {
        self.history.iter().rev().find(|(since, _)| *since <= at).map(|(_, state)| *state)
    }
}

/// True when `pattern` is `name`, or ends in `*` and `name` begins with the rest.
fn covers(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

const SHORTEST_SECRET: usize = 8;
const MOST_SOURCES: usize = 64;

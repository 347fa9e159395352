//! An issuer: versions, who made them, and which live.

use std::collections::BTreeMap;
use std::time::Duration;

use remint_contract::{ErrorKind, MadeBy, Material, SecretValue, Slots, Strategy};

use super::No;
use crate::sim::connector::Issues;

mod keys;

pub(crate) use keys::Lease;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Live,
    Disabled,
    Revoked,
}

#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) target: String,
    pub(crate) material: Material,
    pub(crate) life: Life,
    parent: Option<String>,
    pub(crate) operation: Option<String>,
    /// Nobody of the estate made it.
    pub(crate) foreign: bool,
    pub(crate) wider: bool,
    sessions: u32,
    /// It came back to life and nobody has tried it since.
    pub(crate) untried: bool,
    /// When it was made.
    born: Duration,
    /// What it was before, each until when: for endpoints that are behind.
    was: Vec<(Duration, Life)>,
}

#[derive(Clone, Default)]
pub(crate) struct TargetSpec {
    /// Its bearer may do everything here.
    pub(crate) admin: bool,
    /// Targets that its bearer may mint and manage.
    pub(crate) mints: Vec<String>,
    pub(crate) dies_with_parent: bool,
}

#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) slots: Slots,
    pub(crate) made_by: MadeBy,
    pub(crate) issues: Issues,
    /// How long until its last endpoint sees a change.
    pub(crate) lag: Duration,
    /// The world's time.
    pub(crate) now: Duration,
    /// Remembers operations, so that one that is repeated makes nothing new.
    pub(crate) remembers: bool,
    /// Refuses what comes after its deadline.
    pub(crate) deadlines: bool,
    pub(crate) targets: BTreeMap<String, TargetSpec>,
    pub(crate) versions: BTreeMap<String, Version>,
    operations: BTreeMap<String, String>,
    /// Target → the version that signs or encrypts.
    primary: BTreeMap<String, String>,
    /// Thing → the version that it is encrypted under.
    things: BTreeMap<u64, String>,
    leases: Vec<Lease>,
    next: u64,
}

/// What is asked of [`Issuer::mint`].
pub(crate) struct Ask<'a> {
    pub(crate) target: &'a str,
    pub(crate) strategy: Strategy,
    pub(crate) old: Option<&'a str>,
    pub(crate) old_username: Option<&'a str>,
    pub(crate) proposed: Option<&'a SecretValue>,
    pub(crate) operation: &'a str,
    pub(crate) actor: Option<&'a Material>,
    /// The value, where the issuer makes it.
    pub(crate) made: SecretValue,
}

impl Issuer {
    pub(crate) fn new(slots: Slots, made_by: MadeBy) -> Self {
        Self {
            slots,
            made_by,
            issues: Issues::default(),
            lag: Duration::ZERO,
            now: Duration::ZERO,
            remembers: true,
            deadlines: false,
            targets: BTreeMap::new(),
            versions: BTreeMap::new(),
            operations: BTreeMap::new(),
            primary: BTreeMap::new(),
            things: BTreeMap::new(),
            leases: Vec::new(),
            next: 1,
        }
    }

    fn add(&mut self, target: &str, material: Material, parent: Option<String>, operation: Option<&str>) -> String {
        let id = format!("{target}@{}", self.next);
        self.next += 1;
        let version = Version {
            target: target.to_owned(),
            material,
            life: Life::Live,
            parent,
            operation: operation.map(str::to_owned),
            foreign: false,
            wider: false,
            sessions: 1,
            untried: false,
            born: self.now,
            was: Vec::new(),
        };
        self.versions.insert(id.clone(), version);
        id
    }

    /// A version that was always there.
    pub(crate) fn seed(&mut self, target: &str, material: Material, parent: Option<String>) -> String {
        let id = self.add(target, material, parent, None);
        if let Some(version) = self.versions.get_mut(&id) {
            // Every endpoint knows it.
            version.born = Duration::ZERO;
        }
        self.begin(target, &id);
        id
    }

    /// A version that nobody knows of appears.
    pub(crate) fn plant(&mut self, target: &str, material: Material) -> String {
        let id = self.add(target, material, None, None);
        if let Some(version) = self.versions.get_mut(&id) {
            version.foreign = true;
        }
        id
    }

    /// The version that this value is, when every endpoint accepts it.
    pub(crate) fn accepts(&self, shown: &Material) -> Option<&str> {
        let first = self.accepts_at(shown, 0)?;
        (1..self.issues.endpoints()).all(|endpoint| self.accepts_at(shown, endpoint).is_some()).then_some(first)
    }

    /// The version that this value is, when this endpoint accepts it.
    pub(crate) fn accepts_at(&self, shown: &Material, endpoint: usize) -> Option<&str> {
        let known = |version: &Version| {
            version.material.secret == shown.secret
                && (version.material.username.is_none() || version.material.username == shown.username)
        };
        let at = self.seen_at(endpoint);
        let found = self.versions.iter().find(|(id, version)| known(version) && self.lives_at(id, at));
        found.map(|(id, _)| id.as_str()).or_else(|| self.leased(&shown.secret, at))
    }

    /// What an endpoint knows of: the last one is behind.
    fn seen_at(&self, endpoint: usize) -> Duration {
        let behind = endpoint + 1 == self.issues.endpoints();
        self.now.saturating_sub(if behind { self.lag } else { Duration::ZERO })
    }

    pub(crate) fn lives(&self, id: &str) -> bool {
        self.lives_at(id, self.now)
    }

    fn lives_at(&self, id: &str, at: Duration) -> bool {
        let mut next = Some(id.to_owned());
        while let Some(id) = next {
            let Some(version) = self.versions.get(&id).filter(|version| version.life_at(at) == Some(Life::Live)) else {
                return false;
            };
            let dies = self.targets.get(&version.target).is_some_and(|target| target.dies_with_parent);
            next = version.parent.clone().filter(|_| dies);
        }
        true
    }

    /// Every version of a target that is not revoked, with all that it dies with.
    pub(crate) fn living(&self, target: &str) -> Vec<&str> {
        let all = self.versions.iter().filter(|(id, version)| version.target == target && self.listed(id));
        all.map(|(id, _)| id.as_str()).collect()
    }

    /// Not revoked, nor dead with what minted it.
    pub(crate) fn listed(&self, id: &str) -> bool {
        let mut next = Some(id.to_owned());
        while let Some(id) = next {
            let Some(version) = self.versions.get(&id).filter(|version| version.life != Life::Revoked) else {
                return false;
            };
            let dies = self.targets.get(&version.target).is_some_and(|target| target.dies_with_parent);
            next = version.parent.clone().filter(|_| dies);
        }
        true
    }

    /// Lets through who may manage a target; the version that he showed.
    pub(crate) fn allow(&self, actor: Option<&Material>, target: Option<&str>) -> Result<Option<String>, No> {
        let shown = actor.and_then(|actor| self.accepts(actor)).map(str::to_owned);
        if !self.targets.values().any(|target| target.admin || !target.mints.is_empty()) {
            return Ok(shown);
        }
        let own = shown.as_ref().and_then(|id| self.targets.get(&self.versions[id].target));
        let may = own.is_some_and(|own| {
            own.admin
                || target.is_none()
                || target.is_some_and(|target| own.mints.iter().any(|minted| minted == target))
        });
        if may { Ok(shown) } else { Err((ErrorKind::Denied, "the actor is not accepted, or has no right to this")) }
    }

    pub(crate) fn mint(&mut self, ask: Ask<'_>) -> Result<(String, Material), No> {
        let actor = self.allow(ask.actor, Some(ask.target))?;
        if ask.strategy == Strategy::Ephemeral && ask.old.is_none() {
            return self.lease(ask.target, ask.made, Some(ask.operation));
        }
        if let Some(id) = self.operations.get(ask.operation).filter(|_| self.remembers) {
            let made = self.versions[id].material.clone();
            let same = ask.proposed.is_some_and(|proposed| *proposed == made.secret);
            return if same || self.made_by == MadeBy::Issuer {
                Ok((id.clone(), made))
            } else {
                Err((ErrorKind::Conflict, "this operation made a version whose secret is not shown again"))
            };
        }
        let secret = match (self.made_by, ask.proposed) {
            (MadeBy::Remint, Some(proposed)) => proposed.clone(),
            (MadeBy::Issuer | MadeBy::IssuerOnce, None) => ask.made,
            _ => return Err((ErrorKind::Invalid, "a value must be proposed exactly where Remint makes it")),
        };
        // The half that verifiers know.
        let mut username = (self.issues == Issues::Bundled).then(|| format!("pub-{}-{}", ask.target, self.next));
        let living: Vec<String> = self.living(ask.target).into_iter().map(str::to_owned).collect();
        match ask.strategy {
            Strategy::InPlace => self.replace(&living),
            Strategy::Alternate => {
                let (a, b) = (format!("{}-a", ask.target), format!("{}-b", ask.target));
                let known = ask.old.and_then(|old| self.versions.get(old)?.material.username.clone());
                let used = ask.old_username.map(str::to_owned).or(known);
                let used = used.ok_or((ErrorKind::Invalid, "which role is in use was not said"))?;
                let other = if used == a { b } else { a };
                let of_role = |id: &String| self.versions[id].material.username.as_ref() == Some(&other);
                let role: Vec<String> = living.into_iter().filter(of_role).collect();
                // The same password once more changes nothing.
                if let Some(id) = role.iter().find(|id| self.versions[*id].material.secret == secret) {
                    return Ok((id.clone(), self.versions[id].material.clone()));
                }
                self.replace(&role);
                username = Some(other);
            }
            _ => {
                let most = match self.slots {
                    Slots::One => 1,
                    Slots::Two => 2,
                    Slots::Many => usize::MAX,
                };
                if living.len() >= most {
                    return Err((ErrorKind::Full, "every slot is taken"));
                }
            }
        }
        let material = Material { username, secret };
        let id = self.add(ask.target, material.clone(), actor, Some(ask.operation));
        if self.remembers {
            self.operations.insert(ask.operation.to_owned(), id.clone());
        }
        Ok((id, material))
    }

    fn replace(&mut self, ids: &[String]) {
        for id in ids {
            if let Some(version) = self.versions.get_mut(id) {
                version.turn(Life::Revoked, self.now);
            }
        }
    }

    /// What an operation made; without a memory, what accepts the value that it proposed.
    pub(crate) fn find(&self, operation: &str, proposed: Option<&SecretValue>) -> Option<(String, Material)> {
        if let Some(lease) = self.leases.iter().find(|lease| lease.operation.as_deref() == Some(operation)) {
            return Some((lease.version.clone(), Material::of(lease.token.clone())));
        }
        if self.remembers {
            let id = self.operations.get(operation)?;
            return Some((id.clone(), self.versions[id].material.clone()));
        }
        let made = |version: &Version| proposed.is_some_and(|proposed| version.material.secret == *proposed);
        let found = self.versions.iter().find(|(id, version)| made(version) && self.lives(id));
        found.map(|(id, version)| (id.clone(), version.material.clone()))
    }

    pub(crate) fn switch(&mut self, actor: Option<&Material>, id: &str, to: Life) -> Result<(), No> {
        let target = self.versions.get(id).map(|version| version.target.clone());
        self.allow(actor, target.as_deref())?;
        let version = self.versions.get_mut(id).ok_or((ErrorKind::Missing, "there is no such version"))?;
        match (version.life, to) {
            (Life::Revoked, Life::Live) => Err((ErrorKind::Conflict, "it is revoked")),
            (Life::Revoked, _) => Ok(()),
            _ => {
                version.turn(to, self.now);
                Ok(())
            }
        }
    }

    /// How many sessions, leases or things a version has; `end` ends them, or encrypts a part of the things anew.
    pub(crate) fn sessions(&mut self, actor: Option<&Material>, id: &str, end: bool) -> Result<u32, No> {
        let target = self.versions.get(id).map(|version| version.target.clone());
        self.allow(actor, target.as_deref())?;
        match self.issues {
            Issues::Encryption => return self.under(id, end),
            Issues::Leases => return self.lent(id, end),
            Issues::Logins | Issues::Signing | Issues::Bundled => {}
        }
        let version = self.versions.get_mut(id).ok_or((ErrorKind::Missing, "there is no such version"))?;
        let open = version.sessions;
        if end {
            version.sessions = 0;
        }
        Ok(open)
    }
}

impl Version {
    /// Changes its life, and remembers what it was.
    pub(crate) fn turn(&mut self, to: Life, now: Duration) {
        if self.life != to {
            self.was.push((now, self.life));
            self.life = to;
        }
    }

    /// What it was then; nothing before it was made.
    fn life_at(&self, at: Duration) -> Option<Life> {
        if at < self.born {
            return None;
        }
        Some(self.was.iter().find(|(until, _)| at < *until).map_or(self.life, |(_, was)| *was))
    }
}

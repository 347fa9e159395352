//! An issuer: makes, lists, disables and kills versions of its targets' credentials, and accepts or denies them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rand::rngs::StdRng;
use remint_contract::{MadeBy, Material, SecretValue, Slots, VersionId};

use super::service::{Answer, Asked, Desk, Service, lock};
use super::{WorldError, random_secret};
use crate::wire::{
    AUTHENTICATION_DENIED, Find, Found, Listed, ListedVersion, Mint, MintedVersion, Nothing, OfVersion, OpenedSession,
    Rights, Secret, Sessions, State, UseSeen, Used, Uses, UsesSince, VersionState,
};
use versions::{NewVersion, No, Versions};

mod keys;
pub(crate) mod versions;

/// What an issuer is like.
#[derive(Debug, Clone)]
pub struct IssuerSpec {
    pub name: String,
    pub slots: Slots,
    pub made_by: MadeBy,
    /// False: a `disable` is answered 409.
    pub reversible_disable: bool,
    /// How many addresses accept its credentials.
    pub endpoints: usize,
    /// What every call takes.
    pub latency: Duration,
    /// True: an irreversible request after its deadline is answered 412 and not done.
    pub deadlines: bool,
    /// With no admin target among them everybody may do everything.
    pub targets: Vec<TargetSpec>,
}

impl IssuerSpec {
    /// One endpoint, many slots, values made by the issuer and shown again, no latency.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            slots: Slots::Many,
            made_by: MadeBy::Issuer,
            reversible_disable: true,
            endpoints: 1,
            latency: Duration::ZERO,
            deadlines: false,
            targets: Vec::new(),
        }
    }

    /// Adds a target.
    pub fn with(mut self, target: TargetSpec) -> Self {
        self.targets.push(target);
        self
    }
}

/// A named credential at an issuer.
#[derive(Debug, Clone, Default)]
pub struct TargetSpec {
    pub name: String,
    /// Who its bearer speaks for; its own name when `None`.
    pub principal: Option<String>,
    /// Its bearer may do everything at this issuer.
    pub admin: bool,
    /// Targets (or prefixes with `*`) that its bearer may mint and manage.
    pub mints: Vec<String>,
    /// A version dies with the version that minted it.
    pub dies_with_parent: bool,
    /// Every version has a user name of its own.
    pub usernames: bool,
    pub scopes: Vec<String>,
    /// Instead of the issuer's.
    pub slots: Option<Slots>,
}

impl TargetSpec {
    /// A target that may nothing but be accepted.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A target whose bearer may do everything at the issuer.
    pub fn admin(name: &str) -> Self {
        Self { admin: true, ..Self::new(name) }
    }

    /// Lets its bearer mint these targets.
    pub fn minting(mut self, targets: &[&str]) -> Self {
        self.mints.extend(targets.iter().map(|&target| target.to_owned()));
        self
    }

    /// Makes its versions die with what minted them.
    pub const fn dying_with_parent(mut self) -> Self {
        self.dies_with_parent = true;
        self
    }
}

/// A version that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveVersion {
    pub version: VersionId,
    pub label: String,
    pub operation: Option<String>,
    pub disabled: bool,
}

/// A running issuer.
pub struct Issuer {
    service: Arc<Service>,
    versions: Mutex<Versions>,
    lag: Mutex<HashMap<usize, Duration>>,
    rng: Mutex<StdRng>,
    /// Every value that it drew, used or not.
    drawn: Mutex<Vec<SecretValue>>,
    keys: Mutex<keys::Keys>,
}

impl std::ops::Deref for Issuer {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Issuer {
    pub(crate) fn new(spec: IssuerSpec, service: Arc<Service>, rng: StdRng) -> Self {
        Self {
            service,
            versions: Mutex::new(Versions::new(spec)),
            lag: Mutex::default(),
            rng: Mutex::new(rng),
            drawn: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// Adds a target while it runs.
    pub fn add_target(&self, target: TargetSpec) {
        lock(&self.versions).add_target(target);
    }

    /// Makes a version as if it had always been there.
    ///
    /// # Errors
    /// No such target, or no free slot.
    pub fn seed(&self, target: &str) -> Result<(VersionId, Material), WorldError> {
        self.plant(target, "seed", None)
    }

    /// Makes a version as if `parent` had minted it.
    ///
    /// # Errors
    /// No such target, or no free slot.
    pub fn seed_under(&self, target: &str, parent: &VersionId) -> Result<(VersionId, Material), WorldError> {
        self.plant(target, "seed", Some(parent.0.clone()))
    }

    /// Makes a version with a label of its own: a key that nobody knows of appears.
    ///
    /// # Errors
    /// No such target, or no free slot.
    pub fn plant(
        &self,
        target: &str,
        label: &str,
        parent: Option<String>,
    ) -> Result<(VersionId, Material), WorldError> {
        let secret = self.make();
        let mut versions = lock(&self.versions);
        let (proposed, made) = match versions.spec.made_by {
            MadeBy::Remint => (Some(secret.clone()), secret),
            MadeBy::Issuer | MadeBy::IssuerOnce => (None, secret),
        };
        let ask = NewVersion { target, in_place: false, proposed, operation: None, label, parent };
        let (id, material) = versions
            .mint(ask, made, self.service.now())
            .map_err(|no| WorldError::Seed { target: target.to_owned(), why: format!("{no:?}") })?;
        Ok((VersionId(id), material))
    }

    /// Every version of a target that is not revoked, oldest first.
    pub fn live_versions(&self, target: &str) -> Vec<LiveVersion> {
        let (versions, now) = (lock(&self.versions), self.service.now());
        let living = versions.living(target, now);
        living
            .into_iter()
            .filter_map(|id| {
                let version = versions.version(&id)?;
                Some(LiveVersion {
                    label: version.label.clone(),
                    operation: version.operation.clone(),
                    disabled: versions.state(&id, now) == Ok(VersionState::Disabled),
                    version: VersionId(id),
                })
            })
            .collect()
    }

    /// Is this value accepted now, at the first endpoint?
    pub fn accepts(&self, material: &Material) -> bool {
        let versions = lock(&self.versions);
        versions.accepts(material, self.service.now()).is_some_and(|id| self.trusted(&versions, id))
    }

    /// The target that this value speaks for, when it is accepted.
    pub(crate) fn target_of(&self, material: &Material, source: &str) -> Option<String> {
        let now = self.service.now();
        let mut versions = lock(&self.versions);
        let id = versions.accepts(material, now)?.to_owned();
        versions.note_use(&id, source, now);
        versions.version(&id).map(|version| version.target.clone())
    }

    /// Makes one endpoint see everything this much later.
    pub fn lag(&self, endpoint: usize, by: Duration) {
        lock(&self.lag).insert(endpoint, by);
    }

    /// Kills a version behind everybody's back; an unknown one is dead already.
    pub fn kill(&self, version: &VersionId) {
        let now = self.service.now();
        let _ = lock(&self.versions).revoke(&version.0, now, None);
    }

    /// Makes a revoked version accepted again.
    ///
    /// # Errors
    /// No such version.
    pub fn resurrect(&self, version: &VersionId) -> Result<(), WorldError> {
        let now = self.service.now();
        lock(&self.versions).resurrect(&version.0, now).map_err(|_| WorldError::NoVersion(version.clone()))
    }

    /// Gives a version a scope more than its target has.
    ///
    /// # Errors
    /// No such version.
    pub fn widen(&self, version: &VersionId, scope: &str) -> Result<(), WorldError> {
        lock(&self.versions).widen(&version.0, scope).map_err(|_| WorldError::NoVersion(version.clone()))
    }

    /// Opens a session with a version, as a consumer would.
    ///
    /// # Errors
    /// No such version.
    pub fn open_session(&self, version: &VersionId) -> Result<Material, WorldError> {
        let token = self.make();
        let mut versions = lock(&self.versions);
        if versions.version(&version.0).is_none() {
            return Err(WorldError::NoVersion(version.clone()));
        }
        versions.open_session(&version.0, &token, self.service.now());
        Ok(Material::of(token))
    }

    /// Every value that it ever drew or took: of dead versions and of sessions, too. For searches.
    pub fn ever(&self) -> Vec<SecretValue> {
        let taken = lock(&self.versions).ever();
        lock(&self.drawn).iter().cloned().chain(taken).collect()
    }

    fn make(&self) -> SecretValue {
        let value = random_secret(&mut lock(&self.rng));
        lock(&self.drawn).push(value.clone());
        value
    }

    /// What the endpoint knows of.
    fn seen_at(&self, asked: &Asked) -> Timestamp {
        let lag = lock(&self.lag).get(&asked.endpoint).copied().unwrap_or_default();
        asked.now.saturating_sub(lag).unwrap_or(asked.now)
    }

    fn use_value(&self, asked: &Asked) -> Result<Answer, Answer> {
        let at = self.seen_at(asked);
        let mut versions = lock(&self.versions);
        let id = bearer(&versions, asked, at).filter(|id| self.trusted(&versions, id)).ok_or_else(denied)?;
        versions.note_use(&id, &asked.source, asked.now);
        let target = versions.version(&id).map(|version| version.target.clone()).unwrap_or_default();
        let privileged = versions.target(&target).is_some_and(|own| own.admin || !own.mints.is_empty());
        Ok(Answer::ok(&Used {
            principal: versions.principal(&id),
            mints: if privileged { versions.mintable(&id) } else { Vec::new() },
            target,
            version: id,
        }))
    }

    /// Whoever shows a value may have it killed.
    fn revoke_value(&self, asked: &Asked) -> Result<Answer, Answer> {
        let mut versions = lock(&self.versions);
        let id = bearer(&versions, asked, asked.now).ok_or_else(denied)?;
        if !asked.lie {
            versions.revoke(&id, asked.now, asked.resurrect).map_err(|no| refusal(&no))?;
        }
        Ok(Answer::ok(&Nothing {}))
    }

    fn session(&self, asked: &Asked) -> Result<Answer, Answer> {
        let token = self.make();
        let mut versions = lock(&self.versions);
        let id = bearer(&versions, asked, asked.now).ok_or_else(denied)?;
        let session = versions.open_session(&id, &token, asked.now);
        Ok(Answer::ok(&OpenedSession { id: session, token: Secret(token) }))
    }

    fn mint(&self, asked: &Asked) -> Result<Answer, Answer> {
        let ask: Mint = asked.read()?;
        let made = self.make();
        let mut versions = lock(&self.versions);
        let parent = allow(&versions, asked, Some(&ask.target))?;
        if asked.lie {
            let version = format!("{}@0", ask.target);
            return Ok(Answer::ok(&MintedVersion { version, username: None, secret: Some(Secret(made)) }));
        }
        let new = NewVersion {
            target: &ask.target,
            in_place: ask.in_place,
            proposed: ask.proposed.map(|Secret(value)| value),
            operation: ask.operation,
            label: &asked.source,
            parent,
        };
        let (version, material) = versions.mint(new, made, asked.now).map_err(|no| refusal(&no))?;
        Ok(Answer::ok(&MintedVersion { version, username: material.username, secret: Some(Secret(material.secret)) }))
    }

    fn find(&self, asked: &Asked) -> Result<Answer, Answer> {
        let ask: Find = asked.read()?;
        let versions = lock(&self.versions);
        let found = versions.find(&ask.operation);
        let target = found.as_ref().and_then(|(id, _)| versions.version(id)).map(|version| version.target.clone());
        // A minter of one target may ask for what he made; an operation nobody made is told to whoever is accepted.
        match &target {
            Some(target) => allow(&versions, asked, Some(target))?,
            None if versions.may_manage(None, None) => None,
            None => Some(bearer(&versions, asked, asked.now).ok_or_else(denied)?),
        };
        let shows = versions.spec.made_by != MadeBy::IssuerOnce;
        Ok(Answer::ok(&Found {
            found: found.map(|(version, material)| MintedVersion {
                version,
                username: material.username,
                secret: shows.then_some(Secret(material.secret)),
            }),
        }))
    }

    fn change(&self, asked: &Asked) -> Result<Answer, Answer> {
        let OfVersion { version } = asked.read()?;
        let mut versions = lock(&self.versions);
        allow_version(&versions, asked, &version)?;
        let late = versions.spec.deadlines && asked.deadline.is_some_and(|deadline| deadline < asked.now);
        if late {
            return Err(Answer::refuse(412, "too-late", "the request came after its deadline; nothing was done"));
        }
        if !asked.lie {
            match asked.verb.as_str() {
                "disable" => versions.switch(&version, VersionState::Disabled, asked.now),
                "enable" => versions.switch(&version, VersionState::Live, asked.now),
                _ => versions.revoke(&version, asked.now, asked.resurrect),
            }
            .map_err(|no| refusal(&no))?;
            lock(&self.keys).stranded(&versions, asked.now);
        }
        Ok(Answer::ok(&Nothing {}))
    }

    fn look(&self, asked: &Asked) -> Result<Answer, Answer> {
        let OfVersion { version } = asked.read()?;
        let mut versions = lock(&self.versions);
        allow_version(&versions, asked, &version)?;
        Ok(match asked.verb.as_str() {
            "sessions" => Answer::ok(&Sessions { sessions: versions.sessions(&version, asked.now) }),
            "end-sessions" if asked.lie => Answer::ok(&Sessions { sessions: versions.sessions(&version, asked.now) }),
            "end-sessions" => Answer::ok(&Sessions { sessions: versions.end_sessions(&version, asked.now) }),
            "rights" => {
                let scopes = versions.version(&version).map(|version| version.scopes.clone()).unwrap_or_default();
                Answer::ok(&Rights { principal: versions.principal(&version), scopes })
            }
            _ => Answer::ok(&State { state: versions.state(&version, asked.now).map_err(|no| refusal(&no))? }),
        })
    }

    fn list(&self, asked: &Asked) -> Result<Answer, Answer> {
        let versions = lock(&self.versions);
        allow(&versions, asked, None)?;
        let living = versions.all_living(asked.now);
        let listed = living.into_iter().filter_map(|id| {
            let version = versions.version(&id)?;
            Some(ListedVersion {
                target: version.target.clone(),
                label: format!("{} by {}", version.target, version.label),
                operation: version.operation.clone(),
                created: version.created,
                version: id,
            })
        });
        Ok(Answer::ok(&Listed { versions: listed.collect() }))
    }

    fn uses(&self, asked: &Asked) -> Result<Answer, Answer> {
        let ask: UsesSince = asked.read()?;
        let versions = lock(&self.versions);
        allow_version(&versions, asked, &ask.version)?;
        let all = versions.version(&ask.version).map_or(&[][..], |version| version.uses.as_slice());
        let uses = all.iter().rev().filter(|(at, _)| *at >= ask.since);
        Ok(Answer::ok(&Uses { uses: uses.map(|(at, source)| UseSeen { at: *at, source: source.clone() }).collect() }))
    }

    fn check(&self, asked: &Asked) -> Result<Answer, Answer> {
        let versions = lock(&self.versions);
        if versions.may_manage(None, None) {
            return Ok(Answer::ok(&Nothing {}));
        }
        let id = bearer(&versions, asked, asked.now).ok_or_else(denied)?;
        if versions.mintable(&id).is_empty() { Err(forbidden()) } else { Ok(Answer::ok(&Nothing {})) }
    }
}

#[async_trait]
impl Desk for Issuer {
    async fn answer(&self, asked: &Asked) -> Answer {
        let answer = match asked.verb.as_str() {
            "use" => self.use_value(asked),
            "session" => self.session(asked),
            "revoke-value" => self.revoke_value(asked),
            "mint" => self.mint(asked),
            "find" => self.find(asked),
            "disable" | "enable" | "revoke" => self.change(asked),
            "sessions" | "end-sessions" | "rights" | "state" => self.look(asked),
            "list" => self.list(asked),
            "uses" => self.uses(asked),
            "lease" => self.lease(asked),
            "revoked" => self.revoked(asked),
            "promote" => self.activate(asked),
            "wrapped" | "rewrap" => self.data(asked),
            "check" => self.check(asked),
            _ => Err(Answer::refuse(405, "no-such-verb", "an issuer does not have this verb")),
        };
        answer.unwrap_or_else(|refused| refused)
    }
}

/// The version that the caller presented, when it is accepted.
fn bearer(versions: &Versions, asked: &Asked, at: Timestamp) -> Option<String> {
    asked.presented.as_ref().and_then(|presented| versions.accepts(presented, at)).map(str::to_owned)
}

/// Lets through who may manage `target`; answers the version that the caller presented.
fn allow(versions: &Versions, asked: &Asked, target: Option<&str>) -> Result<Option<String>, Answer> {
    let id = bearer(versions, asked, asked.now);
    if versions.may_manage(id.as_deref(), target) {
        return Ok(id);
    }
    Err(if id.is_none() { denied() } else { forbidden() })
}

fn allow_version(versions: &Versions, asked: &Asked, version: &str) -> Result<(), Answer> {
    let target = versions.version(version).map(|version| version.target.as_str());
    allow(versions, asked, target)?;
    if target.is_some() { Ok(()) } else { Err(refusal(&No::Version)) }
}

fn denied() -> Answer {
    Answer::refuse(401, AUTHENTICATION_DENIED, "this credential is not accepted")
}

fn forbidden() -> Answer {
    Answer::refuse(403, "forbidden", "the bearer has no right to this")
}

fn refusal(no: &No) -> Answer {
    match no {
        No::Target => Answer::refuse(404, "no-target", "there is no such target"),
        No::Version => Answer::refuse(404, "no-version", "there is no such version"),
        No::Full => Answer::refuse(409, "full", "every slot is taken"),
        No::MadeBefore => Answer::refuse(409, "made-before", "this operation made a version whose secret is not shown"),
        No::RefusedValue => Answer::refuse(422, "refused-value", "the value is too short"),
        No::WrongMaker => Answer::refuse(400, "wrong-maker", "a value must be proposed exactly where Remint makes it"),
        No::NotReversible => Answer::refuse(409, "not-reversible", "this version cannot be switched"),
    }
}

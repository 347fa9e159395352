//! What the steps of one running reset share: the plan, the estate it was made from, the values in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use remint_contract::{
    CredentialId, Error, ErrorKind, Location, Material, OperationId, Ref, SecretValue, Verb, VersionId,
};
use remint_core::estate::{Credential, Destination, Estate, System, Tier};
use remint_core::machine::Version;
use remint_core::plan::{Member, Node};
use tokio::sync::broadcast;

use crate::context::Context;
use crate::engine::host::{Ask, Held, Host};
use crate::engine::lease::Lease;
use crate::engine::listing::{Listing, Shared};
use crate::engine::permits::Permits;
use crate::engine::record::{IntentRecord, Reset, kind};
use crate::engine::{EngineError, EngineSettings, Progress};
use crate::escrow::Escrow;
use crate::store::{Change, Fence, Key, Store, StoreError};

/// One running reset.
pub struct Run {
    pub reset: Mutex<Reset>,
    pub members: Vec<Member>,
    pub estate: Arc<Estate>,
    pub host: Arc<Host>,
    pub store: Arc<dyn Store>,
    pub escrow: Arc<Escrow>,
    pub context: Context,
    pub settings: EngineSettings,
    pub fence: Fence,
    /// Who watches.
    progress: broadcast::Sender<Progress>,
    /// What [`Run::fence`] is of: looked at before every effect.
    pub lease: Arc<Lease>,
    pub id: remint_contract::ResetId,
    /// The owner rows of the credentials that this reset owns, by their revisions: who moved one on owns it now.
    pub owned: Mutex<HashMap<CredentialId, u64>>,
    /// Intents that were not closed when the run began, or whose answer was lost since.
    pub intents: Mutex<HashMap<CredentialId, Vec<IntentRecord>>>,
    /// Values opened in this run, by the id they are sealed under.
    values: Mutex<HashMap<String, SecretValue>>,
    /// The new versions of members, for what is minted with them.
    pub news: Mutex<HashMap<CredentialId, Version>>,
    /// Members whose old versions are dead: proven, and swept.
    pub swept: Mutex<BTreeSet<usize>>,
    /// Staged writes, by member and place; what is not here is staged again.
    pub staged: Mutex<HashMap<(usize, Location), String>>,
    /// Systems whose rights were looked at in this run.
    checked: Mutex<BTreeSet<Ref>>,
    places: Mutex<HashMap<Location, Arc<tokio::sync::Mutex<()>>>>,
    listings: Mutex<HashMap<Ref, Arc<Shared>>>,
    /// Leave to restart workloads, by member: from reload until they are confirmed.
    restarting: Mutex<HashMap<usize, Vec<Held>>>,
    /// Somebody wants every member back between two steps.
    pub yields: AtomicBool,
    /// Documents of stores that hold more than one member.
    shared: HashSet<Location>,
    /// What each member takes before its first effect; `None`: nobody governs this state.
    pub permits: Option<Permits>,
    /// When it was last looked at whose turn it is: a turn that came since is nobody's yet.
    looked: Mutex<Option<jiff::Timestamp>>,
}

/// Documents in which more than one of these members lies.
fn shared(members: &[Member]) -> HashSet<Location> {
    let mut first: HashMap<Location, usize> = HashMap::new();
    let mut shared = HashSet::new();
    for (index, member) in members.iter().enumerate() {
        for place in member.places() {
            let document = place.at.whole();
            if *first.entry(document.clone()).or_insert(index) != index {
                shared.insert(document);
            }
        }
    }
    shared
}

impl Run {
    #[expect(clippy::too_many_arguments, reason = "made in one place, from the engine's own parts")]
    pub fn new(
        reset: Reset,
        estate: Arc<Estate>,
        host: Arc<Host>,
        store: Arc<dyn Store>,
        escrow: Arc<Escrow>,
        context: Context,
        settings: EngineSettings,
        lease: Arc<Lease>,
    ) -> Self {
        Self {
            shared: shared(&reset.plan.members),
            members: reset.plan.members.clone(),
            id: reset.id.clone(),
            reset: Mutex::new(reset),
            estate,
            host,
            store,
            escrow,
            context,
            settings,
            fence: lease.fence.clone(),
            progress: lease.watchers(),
            lease,
            owned: Mutex::default(),
            intents: Mutex::default(),
            values: Mutex::default(),
            news: Mutex::default(),
            swept: Mutex::default(),
            staged: Mutex::default(),
            checked: Mutex::default(),
            places: Mutex::default(),
            listings: Mutex::default(),
            restarting: Mutex::default(),
            yields: AtomicBool::new(false),
            permits: None,
            looked: Mutex::default(),
        }
    }

    /// It is looked now at whose turn it is.
    pub fn look_at_turns(&self) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.context.clock.now());
    }

    /// From when on turns were not looked at; now, where they never were.
    pub fn looked_at_turns(&self) -> jiff::Timestamp {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(|| self.context.clock.now())
    }

    /// Tells whoever watches.
    pub fn tell(&self, progress: Progress) {
        // Nobody watching is not a failure.
        let _ = self.progress.send(progress);
    }

    /// Writes one change of one member: refused by the store, wherever this runs, once another reset owns the credential or
    /// the plan was revised.
    pub async fn commit_of(&self, index: usize, mut change: Change) -> Result<(), EngineError> {
        change.expects.extend(self.expected(index));
        self.commit(change).await
    }

    /// The owner row of a member, as this run knows it.
    pub fn expected(&self, index: usize) -> Option<(Key, u64)> {
        let credential = &self.members.get(index)?.credential;
        let revision = *self.owned.lock().unwrap_or_else(PoisonError::into_inner).get(credential)?;
        Some((Key { kind: kind::OWNER, id: credential.to_string() }, revision))
    }

    /// Writes one change under this run's lease.
    pub async fn commit(&self, mut change: Change) -> Result<(), EngineError> {
        change.fence = Some(self.fence.clone());
        match self.store.commit(change).await {
            Err(StoreError::Fenced(name)) if name == self.fence.lease => {
                self.lease.give_up();
                Err(StoreError::Fenced(name).into())
            }
            done => Ok(done.map(drop)?),
        }
    }

    /// The credential's document.
    pub fn document(&self, credential: &Ref) -> Result<&Credential, EngineError> {
        self.estate.credentials.get(credential).ok_or_else(|| EngineError::Gone(credential.clone()))
    }

    /// The tier of a member's identity.
    pub fn tier(&self, member: &Member) -> Tier {
        let document = self.estate.credentials.get(&member.credential);
        let identity = document.and_then(|document| self.estate.identities.get(&document.identity));
        identity.map_or(Tier::Standard, |identity| identity.tier)
    }

    /// The issuing system's document.
    pub fn system(&self, system: &Ref) -> Result<&System, EngineError> {
        self.estate.systems.get(system).ok_or_else(|| EngineError::Gone(system.clone()))
    }

    /// Keeps a value in memory under the id it is sealed under.
    pub fn remember(&self, sealed: &str, value: SecretValue) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).insert(sealed.to_owned(), value);
    }

    /// Opens a sealed value.
    pub async fn open(&self, sealed: &str) -> Result<SecretValue, EngineError> {
        if let Some(value) = self.values.lock().unwrap_or_else(PoisonError::into_inner).get(sealed) {
            return Ok(value.clone());
        }
        let stored = self.store.sealed(sealed).await?.ok_or_else(|| EngineError::Unsealed(sealed.to_owned()))?;
        let value = self.escrow.open(&stored)?;
        self.remember(sealed, value.clone());
        Ok(value)
    }

    /// A version as it is used; `None` when its value is not held.
    pub async fn material(&self, version: &Version) -> Result<Option<Material>, EngineError> {
        let Some(sealed) = &version.sealed else { return Ok(None) };
        Ok(Some(Material { username: version.username.clone(), secret: self.open(sealed).await? }))
    }

    /// What a credential is minted with: the version of its minter that lives, the new one when there is one; `None`
    /// leaves it to the system's own `auth`.
    pub async fn minter(&self, credential: &Credential) -> Result<Option<Arc<Material>>, EngineError> {
        let Some(by) = &credential.issued_by.by else { return Ok(None) };
        let new = self.news.lock().unwrap_or_else(PoisonError::into_inner).get(by).cloned();
        if let Some(new) = new
            && let Some(material) = self.material(&new).await?
        {
            return Ok(Some(Arc::new(material)));
        }
        Ok(self.host.material(by).await.map(Some)?)
    }

    /// What a credential's versions are listed, tried and killed with: the system's own `auth` where it has one, else the
    /// credential that mints them.
    pub async fn manager(&self, credential: &Credential) -> Result<Option<Arc<Material>>, EngineError> {
        if self.system(&credential.issued_by.system)?.auth.is_some() { Ok(None) } else { self.minter(credential).await }
    }

    /// True when what had to be clean for this member is: what it awaits, or, for places that were withheld, every dirty
    /// node of the plan.
    pub fn clean(&self, member: &Member) -> bool {
        let reset = self.reset.lock().unwrap_or_else(PoisonError::into_inner);
        let cleaned = |node: &Ref| reset.cleaned.contains(node);
        if member.awaits.is_empty() {
            return reset.plan.dirty.iter().all(cleaned);
        }
        member.awaits.iter().all(|node| match node {
            Node::Doc(node) => cleaned(node),
            Node::Place(place) => cleaned(&place.system),
        })
    }

    /// Where the new value may go now: withheld places once their readers are clean and swept, late ones once the old
    /// values that could read them are dead.
    pub fn places(&self, member: &Member) -> Vec<Destination> {
        let clean = self.clean(member);
        let swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let dead = |members: &[usize]| members.iter().all(|index| swept.contains(index));
        let mut places = member.destinations.clone();
        if clean && dead(&member.withheld_after) {
            places.extend(member.withheld.iter().cloned());
        }
        places.extend(member.late.iter().filter(|late| dead(&late.after)).map(|late| late.destination.clone()));
        places
    }

    /// Where the new value will go in the end, as far as nothing more has to be cleaned.
    pub fn eventual(&self, member: &Member) -> Vec<Destination> {
        let mut places = member.destinations.clone();
        if self.clean(member) {
            places.extend(member.withheld.iter().cloned());
        }
        places.extend(member.late.iter().map(|late| late.destination.clone()));
        places
    }

    /// Who must be seen on the new value now.
    pub fn consumers(&self, member: &Member) -> Vec<Ref> {
        let mut consumers = member.consumers.clone();
        if self.clean(member) {
            consumers.extend(member.dirty_consumers.iter().cloned());
        }
        consumers
    }

    /// Who must be seen to trust the new version now.
    pub fn verifiers(&self, member: &Member) -> Vec<Ref> {
        let mut verifiers = member.verifiers.clone();
        if self.clean(member) {
            verifiers.extend(member.dirty_verifiers.iter().cloned());
        }
        verifiers
    }

    /// Which version a value is, by the issuer's word; `None` when the issuer cannot say or does not accept it.
    pub async fn which(&self, credential: &Credential, value: &Material) -> Result<Option<VersionId>, Error> {
        let system = &credential.issued_by.system;
        if !self.host.connector(system)?.describe().verbs.contains(&Verb::Verify) {
            return Ok(None);
        }
        let operation = OperationId("verify".into());
        let ask = Ask { system, verb: Verb::Verify, operation: &operation, actor: None };
        let target = &credential.issued_by.target;
        let verified = self
            .host
            .call(ask, |connector, call| {
                let (target, value) = (target.clone(), value.clone());
                async move { connector.verify(&call, &target, &value).await }
            })
            .await;
        match verified {
            Ok(verified) => Ok(Some(verified.version)),
            Err(error) if error.kind == ErrorKind::Denied => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// May the actor do at this system what a rotation needs? Asked once in a run.
    pub async fn rights(&self, system: &Ref, actor: Option<Arc<Material>>) -> Result<(), Error> {
        if self.checked.lock().unwrap_or_else(PoisonError::into_inner).contains(system) {
            return Ok(());
        }
        let operation = OperationId("check".into());
        let ask = Ask { system, verb: Verb::Check, operation: &operation, actor };
        self.host.call(ask, |connector, call| async move { connector.check(&call, None).await }).await?;
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(system.clone());
        Ok(())
    }

    /// One writer at a time for a place.
    pub fn place(&self, place: &Location) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.places.lock().unwrap_or_else(PoisonError::into_inner).entry(place.whole()).or_default())
    }

    /// When all of it is to be over, where somebody said so.
    pub fn deadline(&self) -> Option<jiff::Timestamp> {
        self.reset.lock().unwrap_or_else(PoisonError::into_inner).plan.limits.deadline
    }

    /// True when another credential of the plan lies in the same document of a store.
    pub fn shared(&self, place: &Location) -> bool {
        self.shared.contains(&place.whole())
    }

    /// Waits for leave to restart a member's workloads. Systems are asked in one order, so that no two wait for each other.
    pub async fn restart_allowed(&self, index: usize) -> Result<(), EngineError> {
        if self.restarting.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&index) {
            return Ok(());
        }
        let mut systems: BTreeMap<&Ref, u32> = BTreeMap::new();
        let consumers = self.consumers(&self.members[index]);
        for consumer in consumers.iter().filter(|consumer| !crate::engine::is_remint(consumer)) {
            let Some(workload) = self.estate.workloads.get(consumer) else { continue };
            if let Some(runs_on) = workload.runs_on.as_ref().filter(|_| workload.reload.how != "none") {
                *systems.entry(&runs_on.system).or_default() += 1;
            }
        }
        let mut held = Vec::new();
        for (system, count) in systems {
            held.push(self.host.restarts(system, count).await?);
        }
        self.restarting.lock().unwrap_or_else(PoisonError::into_inner).insert(index, held);
        Ok(())
    }

    /// The member's workloads are confirmed, or waited for no more.
    pub fn restarted(&self, index: usize) {
        self.restarting.lock().unwrap_or_else(PoisonError::into_inner).remove(&index);
    }

    /// Everything alive at an issuer, from an enumeration that began after this was asked.
    pub async fn enumerate(&self, system: &Ref, actor: Option<Arc<Material>>) -> Result<Arc<Listing>, Error> {
        let shared = {
            let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(listings.entry(system.clone()).or_insert_with(|| Arc::new(Shared::of(&self.estate, system))))
        };
        shared.ask(&self.host, &*self.context.clock, system, actor).await
    }
}

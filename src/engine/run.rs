//! What the steps of one running reset share: the plan, the estate it was made from, the values in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use remint_contract::{CredentialId, Error, Live, Location, Material, OperationId, Ref, SecretValue, Target, Verb};
use remint_core::estate::{Credential, Destination, Estate, System};
use remint_core::machine::Version;
use remint_core::plan::{Late, Member, Node};

use crate::context::Context;
use crate::engine::host::{Ask, Host};
use crate::engine::record::{IntentRecord, Reset};
use crate::engine::{EngineError, EngineSettings};
use crate::escrow::Escrow;
use crate::store::{Change, Fence, Store};

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
    pub id: remint_contract::ResetId,
    /// Intents that were not closed when the run began, or whose answer was lost since.
    pub intents: Mutex<HashMap<CredentialId, Vec<IntentRecord>>>,
    /// Values opened in this run, by the id they are sealed under.
    values: Mutex<HashMap<String, SecretValue>>,
    /// The new versions of members, for what is minted with them.
    pub news: Mutex<HashMap<CredentialId, Version>>,
    /// Staged writes, by member and place; what is not here is staged again.
    pub staged: Mutex<HashMap<(usize, Location), String>>,
    /// Members of which no version but the new one is alive: their sweep has ended.
    pub dead: Mutex<BTreeSet<usize>>,
    places: Mutex<HashMap<Location, Arc<tokio::sync::Mutex<()>>>>,
    sweeps: Mutex<HashMap<Ref, Arc<Sweep>>>,
}

/// Shares one enumeration among all that asked before it began.
#[derive(Default)]
struct Sweep {
    asked: AtomicU64,
    last: tokio::sync::Mutex<(u64, Arc<Vec<Live>>)>,
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
        fence: Fence,
    ) -> Self {
        Self {
            members: reset.plan.members.clone(),
            id: reset.id.clone(),
            reset: Mutex::new(reset),
            estate,
            host,
            store,
            escrow,
            context,
            settings,
            fence,
            intents: Mutex::default(),
            values: Mutex::default(),
            news: Mutex::default(),
            staged: Mutex::default(),
            dead: Mutex::default(),
            places: Mutex::default(),
            sweeps: Mutex::default(),
        }
    }

    /// Writes one change under this run's lease.
    pub async fn commit(&self, mut change: Change) -> Result<(), EngineError> {
        change.fence = Some(self.fence.clone());
        self.store.commit(change).await?;
        Ok(())
    }

    /// The credential's document.
    pub fn document(&self, credential: &Ref) -> Result<&Credential, EngineError> {
        self.estate.credentials.get(credential).ok_or_else(|| EngineError::Gone(credential.clone()))
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

    /// What a credential is minted and killed with: the version of its minter that lives, the new one when there is one;
    /// `None` leaves it to the system's own `auth`.
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

    /// True when no dirty node of the scope is left, as far as this member is concerned: all that it waits for, and any
    /// that could read what is withheld.
    pub fn clean(&self, member: &Member) -> bool {
        let reset = self.reset.lock().unwrap_or_else(PoisonError::into_inner);
        let awaited = member.awaits.iter().filter_map(|node| match node {
            Node::Doc(reference) => Some(reference),
            // A place is as dirty as what reads it.
            Node::Place(_) => None,
        });
        reset.plan.dirty.iter().chain(awaited).all(|node| reset.cleaned.contains(node))
    }

    /// The member as things are now: withheld is what dirty nodes can still read, late is what somebody who is not dead
    /// yet can read; everything else is a destination.
    pub fn present(&self, index: usize) -> Member {
        let mut member = self.members[index].clone();
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clean(&member) {
            member.consumers.append(&mut member.dirty_consumers);
            if member.withheld_after.iter().all(|reader| dead.contains(reader)) {
                member.destinations.append(&mut member.withheld);
            }
        }
        let (due, late) = member.late.into_iter().partition(|late| late.after.iter().all(|reader| dead.contains(reader)));
        member.late = late;
        let due: Vec<Late> = due;
        member.destinations.extend(due.into_iter().map(|late| late.destination));
        member
    }

    /// Where the new value goes now.
    pub fn places(&self, index: usize) -> Vec<Destination> {
        self.present(index).destinations
    }

    /// Who must be seen on the new value now.
    pub fn consumers(&self, index: usize) -> Vec<Ref> {
        self.present(index).consumers
    }

    /// One writer at a time for a place.
    pub fn place(&self, place: &Location) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.places.lock().unwrap_or_else(PoisonError::into_inner).entry(place.whole()).or_default())
    }

    /// True when another credential of the estate lies in the same document of a store.
    pub fn shared(&self, place: &Location, credential: &Ref) -> bool {
        self.members.iter().any(|other| {
            other.credential != *credential
                && other.places().any(|there| there.at.whole() == place.whole())
        })
    }

    /// Everything alive at an issuer, from an enumeration that began after this was asked.
    pub async fn enumerate(&self, system: &Ref, actor: Option<Arc<Material>>) -> Result<Arc<Vec<Live>>, Error> {
        let sweep =
            Arc::clone(self.sweeps.lock().unwrap_or_else(PoisonError::into_inner).entry(system.clone()).or_default());
        let mine = sweep.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = sweep.last.lock().await;
        if last.0 >= mine {
            return Ok(Arc::clone(&last.1));
        }
        let begins = sweep.asked.load(Ordering::SeqCst);
        let targets = self.targets(system);
        let operation = OperationId("sweep".into());
        let ask = Ask { system, verb: Verb::Enumerate, operation: &operation, actor };
        let live = self
            .host
            .call(ask, |connector, call| {
                let targets = Arc::clone(&targets);
                async move { connector.enumerate(&call, &targets).await }
            })
            .await?;
        *last = (begins, Arc::new(live));
        Ok(Arc::clone(&last.1))
    }

    /// Every target of the estate at a system.
    fn targets(&self, system: &Ref) -> Arc<Vec<Target>> {
        let by_name: BTreeMap<&str, &Target> = self
            .estate
            .credentials
            .values()
            .filter(|credential| credential.issued_by.system == *system)
            .map(|credential| (credential.issued_by.target.name.as_str(), &credential.issued_by.target))
            .collect();
        Arc::new(by_name.into_values().cloned().collect())
    }
}

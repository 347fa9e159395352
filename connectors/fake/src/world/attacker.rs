//! An intruder who keeps at it: reads whatever a held value opens, mints whatever it may, and never forgets a value.
//!
//! Flow of one round: look at what the broken-into host shows (the foothold) → for every value held: try it at every
//! issuer, mint there what it may and what he does not hold alive already, and read every place it opens, old versions
//! too. Values found on the way are tried in the same round.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remint_contract::{Clock, Material, SecretValue};
use serde::Serialize;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinSet;

use super::caller::{Caller, Failed};
use super::service::lock;
use super::{Store, World, WorldError};
use crate::wire::{AtPath, Fields, Mint, MintedVersion, Nothing, Paths, Secret, Used, Versions};

/// What the intruder did until now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loot {
    /// Values he read that he did not hold before.
    pub read: u64,
    /// Versions he minted.
    pub minted: u64,
    /// Rounds he finished.
    pub rounds: u64,
}

/// An intruder at work. He rests when this is dropped.
pub struct Attacker {
    mind: Arc<AsyncMutex<Mind>>,
    loot: Arc<Mutex<Loot>>,
    stores: Vec<Arc<Store>>,
    clock: Arc<dyn Clock>,
    tasks: JoinSet<()>,
}

impl World {
    /// An intruder on a host that shows these places: (store, path). He knows the address of every service but those of
    /// `unknown`. He begins with [`Attacker::begin`], or goes round by round with [`Attacker::round`].
    ///
    /// # Errors
    /// A place names a store that was not started.
    pub fn attacker(&self, foothold: &[(String, String)], unknown: &BTreeSet<String>) -> Result<Attacker, WorldError> {
        let token = Material::of(self.secret());
        let mut shown: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
        for (store, path) in foothold {
            shown.entry(store).or_default().insert(path.clone());
        }
        let mut stores = Vec::new();
        for (name, paths) in shown {
            let store = super::find(&self.stores, "store", name)?;
            store.add_foothold(token.clone(), paths);
            stores.push(store);
        }
        let known = |name: &&String| !unknown.contains(*name);
        let url = |urls: Vec<String>| urls.into_iter().next();
        let loot = Arc::new(Mutex::new(Loot::default()));
        let mind = Mind {
            caller: self.caller.clone(),
            issuers: self.issuers.iter().filter(|(name, _)| known(name)).map(|(_, issuer)| issuer.urls()).collect(),
            stores: {
                let known = self.stores.iter().filter(|(name, _)| known(name));
                known.filter_map(|(_, store)| url(store.urls())).collect()
            },
            foothold: token,
            values: Vec::new(),
            known: HashSet::new(),
            loot: Arc::clone(&loot),
        };
        let mind = Arc::new(AsyncMutex::new(mind));
        Ok(Attacker { mind, loot, stores, clock: Arc::clone(&self.clock), tasks: JoinSet::new() })
    }
}

impl Attacker {
    /// Starts going round after round, with `pause` in between.
    pub fn begin(&mut self, pause: Duration) {
        let (mind, clock) = (Arc::clone(&self.mind), Arc::clone(&self.clock));
        self.tasks.spawn(async move {
            loop {
                mind.lock().await.round().await;
                clock.sleep(pause).await;
            }
        });
    }

    /// Goes round once.
    pub async fn round(&self) {
        self.mind.lock().await.round().await;
    }

    /// What he did until now.
    pub fn loot(&self) -> Loot {
        *lock(&self.loot)
    }

    /// How many values he ever held.
    pub async fn held(&self) -> usize {
        self.mind.lock().await.values.len()
    }

    /// Does he hold this value?
    pub async fn holds(&self, value: &SecretValue) -> bool {
        self.mind.lock().await.values.iter().any(|held| held.material.secret == *value)
    }

    /// Tries every value he ever held at every endpoint of every issuer he knows; answers how many are accepted.
    pub async fn alive(&self) -> usize {
        self.mind.lock().await.alive().await
    }

    /// The host is rebuilt: it shows him nothing any more. What he holds he keeps.
    pub fn end_foothold(&self) {
        for store in &self.stores {
            store.end_footholds();
        }
    }

    /// He rests. Finishes the round under way never: it may be cut short anywhere, as a real one would be.
    pub async fn stop(&mut self) -> Loot {
        self.tasks.shutdown().await;
        self.loot()
    }
}

struct Mind {
    caller: Caller,
    /// Every endpoint of every issuer.
    issuers: Vec<Vec<String>>,
    stores: Vec<String>,
    foothold: Material,
    values: Vec<Held>,
    known: HashSet<String>,
    loot: Arc<Mutex<Loot>>,
}

struct Held {
    material: Material,
    /// The issuer and target that he minted it for; `None` for a value that he read.
    minted: Option<(usize, String)>,
    alive: bool,
}

impl Mind {
    async fn round(&mut self) {
        let foothold = self.foothold.clone();
        self.read_as(&foothold).await;
        for value in 0..self.values.len() {
            if let Some((issuer, _)) = self.values[value].minted {
                let material = self.values[value].material.clone();
                self.values[value].alive = self.try_at(issuer, 0, &material).await.is_some();
            }
        }
        let mut next = 0;
        while next < self.values.len() {
            let material = self.values[next].material.clone();
            let mut alive = false;
            for issuer in 0..self.issuers.len() {
                let Some(used) = self.try_at(issuer, 0, &material).await else { continue };
                alive = true;
                self.values[next].alive = true;
                self.mint_as(issuer, &material, used.mints).await;
            }
            self.values[next].alive = alive;
            if alive {
                self.read_as(&material).await;
            }
            next += 1;
        }
        lock(&self.loot).rounds += 1;
    }

    async fn alive(&mut self) -> usize {
        let mut alive = 0;
        for value in 0..self.values.len() {
            let material = self.values[value].material.clone();
            alive += usize::from(self.is_accepted(&material).await);
        }
        alive
    }

    async fn is_accepted(&self, material: &Material) -> bool {
        for (issuer, endpoints) in self.issuers.iter().enumerate() {
            for endpoint in 0..endpoints.len() {
                if self.try_at(issuer, endpoint, material).await.is_some() {
                    return true;
                }
            }
        }
        false
    }

    async fn try_at(&self, issuer: usize, endpoint: usize, material: &Material) -> Option<Used> {
        let url = self.issuers.get(issuer)?.get(endpoint)?;
        self.caller.ask(url, "use", SOURCE, Some(material), &Nothing {}).await.ok()
    }

    /// Mints every target that he may and of which he holds nothing alive that he minted.
    async fn mint_as(&mut self, issuer: usize, material: &Material, targets: Vec<String>) {
        for target in targets {
            let made = Some((issuer, target.clone()));
            if self.values.iter().any(|held| held.alive && held.minted == made) {
                continue;
            }
            if let Some(minted) = self.mint(issuer, material, &target).await {
                lock(&self.loot).minted += 1;
                self.add(minted, made);
            }
        }
    }

    async fn mint(&self, issuer: usize, material: &Material, target: &str) -> Option<Material> {
        let url = self.issuers.get(issuer)?.first()?;
        // Where a value must be proposed he proposes one that he can tell apart: nothing here has to be hard to guess.
        let own = SecretValue::from(format!("intruder-{target}-{}", self.values.len()));
        for proposed in [None, Some(own)] {
            let ask = Mint {
                target: target.to_owned(),
                in_place: false,
                proposed: proposed.clone().map(Secret),
                operation: None,
            };
            match self.caller.ask::<MintedVersion>(url, "mint", SOURCE, Some(material), &ask).await {
                Ok(made) => {
                    let secret = made.secret.map(|Secret(value)| value).or(proposed)?;
                    return Some(Material { username: made.username, secret });
                }
                Err(Failed::Status(400)) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Reads every version at every path that a credential opens, in every store.
    async fn read_as(&mut self, shown: &Material) {
        for store in self.stores.clone() {
            let Ok(open) = self.caller.ask::<Paths>(&store, "paths", SOURCE, Some(shown), &Nothing {}).await else {
                continue;
            };
            for path in open.paths {
                let mut at = AtPath { path, version: None };
                let Some(found) = self.read::<Versions>(&store, "versions", shown, &at).await else { continue };
                for version in found.versions {
                    at.version = Some(version);
                    if let Some(found) = self.read::<Fields>(&store, "read", shown, &at).await {
                        self.learn(found);
                    }
                }
            }
        }
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        store: &str,
        verb: &str,
        shown: &Material,
        ask: &impl Serialize,
    ) -> Option<T> {
        self.caller.ask(store, verb, SOURCE, Some(shown), ask).await.ok()
    }

    fn learn(&mut self, found: Fields) {
        let username = found.fields.get("username").and_then(|Secret(name)| name.expose_str()).map(str::to_owned);
        for (field, Secret(secret)) in found.fields {
            if field != "username" && self.add(Material { username: username.clone(), secret }, None) {
                lock(&self.loot).read += 1;
            }
        }
    }

    /// Keeps a value; false when he holds it already.
    fn add(&mut self, material: Material, minted: Option<(usize, String)>) -> bool {
        let new = self.known.insert(material.fingerprint());
        if new {
            let alive = minted.is_some();
            self.values.push(Held { material, minted, alive });
        }
        new
    }
}

/// What the services see him as.
const SOURCE: &str = "attacker";

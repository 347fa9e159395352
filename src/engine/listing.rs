//! What lives at an issuer, as one enumeration gave it, looked up by target: every member of a reset asks the same list.
//!
//! Flow: [`Shared::ask`] joins an enumeration that has not begun, or begins one. After a long list the next one waits a
//! while, in proportion to its length, for more to join: a hundred thousand members that end one after the other do not
//! each pay for a hundred thousand lines.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{Clock, Error, Live, Material, OperationId, Ref, Target, Verb, VersionId};
use remint_core::estate::Estate;

use crate::engine::host::{Ask, Host};

/// How long the next enumeration waits for each line of the last one: about ten times what a line costs to take in.
const PAUSE: Duration = Duration::from_micros(40);

/// Shares one enumeration of a system among all that asked before it began.
pub(super) struct Shared {
    asked: AtomicU64,
    last: tokio::sync::Mutex<Last>,
    /// Every target of the estate at the system.
    targets: Arc<Vec<Target>>,
}

#[derive(Default)]
struct Last {
    /// Whoever asked as this one or earlier, asked before it began.
    covers: u64,
    listing: Arc<Listing>,
    ended: Option<Timestamp>,
}

impl Shared {
    pub(super) fn of(estate: &Estate, system: &Ref) -> Self {
        let issued = estate.credentials.values().map(|credential| &credential.issued_by);
        let here = issued.filter(|issued| issued.system == *system);
        let by_name: BTreeMap<&str, &Target> =
            here.map(|issued| (issued.target.name.as_str(), &issued.target)).collect();
        let targets = Arc::new(by_name.into_values().cloned().collect());
        Self { asked: AtomicU64::default(), last: tokio::sync::Mutex::default(), targets }
    }

    /// Everything alive, from an enumeration that began after this was asked.
    pub(super) async fn ask(
        &self,
        host: &Host,
        clock: &dyn Clock,
        system: &Ref,
        actor: Option<Arc<Material>>,
    ) -> Result<Arc<Listing>, Error> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if last.covers >= mine {
            return Ok(Arc::clone(&last.listing));
        }
        if let Some(ended) = last.ended {
            let pause = PAUSE * u32::try_from(last.listing.lines).unwrap_or(u32::MAX);
            // A clock that was set does not make anybody wait longer.
            let since = Duration::try_from(clock.now().duration_since(ended)).unwrap_or_default();
            clock.sleep(pause.saturating_sub(since)).await;
        }
        let covers = self.asked.load(Ordering::SeqCst);
        let operation = OperationId("sweep".into());
        let ask = Ask { system, verb: Verb::Enumerate, operation: &operation, actor };
        let live = host
            .call(ask, |connector, call| {
                let targets = Arc::clone(&self.targets);
                async move { connector.enumerate(&call, &targets).await }
            })
            .await?;
        *last = Last { covers, listing: Arc::new(Listing::new(live)), ended: Some(clock.now()) };
        Ok(Arc::clone(&last.listing))
    }
}

/// One enumeration.
#[derive(Debug, Default)]
pub struct Listing {
    by_target: HashMap<String, Vec<Live>>,
    strangers: Vec<Live>,
    versions: HashSet<VersionId>,
    lines: usize,
}

impl Listing {
    #[must_use]
    pub fn new(all: Vec<Live>) -> Self {
        let mut listing = Self { lines: all.len(), ..Self::default() };
        for live in all {
            listing.versions.insert(live.version.clone());
            match live.target.clone() {
                Some(target) => listing.by_target.entry(target).or_default().push(live),
                None => listing.strangers.push(live),
            }
        }
        listing
    }

    /// What belongs to a target.
    #[must_use]
    pub fn of(&self, target: &str) -> &[Live] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    /// What belongs to no target that was asked about.
    #[must_use]
    pub fn strangers(&self) -> &[Live] {
        &self.strangers
    }

    /// True when the issuer lists this version, whoever it belongs to.
    #[must_use]
    pub fn lists(&self, version: &VersionId) -> bool {
        self.versions.contains(version)
    }
}

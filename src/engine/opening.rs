//! Windows that open: one reset an opening, begun once for ever.
//!
//! Flow: [`Engine::open_windows`] reads what is kept of each window, asks the calendar what is due, and records in one
//! change how far the window was looked at, the opening, and the reset with its rotations. Then the reset is approved the
//! way this state approves. Carrying it on is whoever's carries resets on.
//!
//! Guarantees: an opening is a record of its own, by window and scheduled instant, which is never deleted; two replicas, a
//! restart or a clock that was set back never begin it twice. A window that is seen for the first time has missed nothing.
//!
//! Errors: the store's. A window that cannot be planned is told of and does not hold up the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use remint_contract::{Location, Ref, ResetId};
use remint_core::approval::{Obligations, Way};
use remint_core::calendar::{Due, Known, Opening, Turns, Window, turns};
use remint_core::estate::Estate;
use remint_core::machine::State;
use remint_core::plan::{Member, Occasion, Plan, Request as Wanted, plan};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::pause::untouched;
use crate::engine::record::{ResetStatus, RotationRecord, Urgency, entry, kind, put, read};
use crate::engine::reset::Request;
use crate::engine::standing::Asked;
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Rule, StoreError};

/// What is kept of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRecord {
    /// Scheduled openings up to here are settled.
    pub seen: Timestamp,
    /// The reset of the last opening in which anything was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ResetId>,
    /// Openings that nobody was there for and that were not made up for.
    #[serde(default)]
    pub missed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_missed: Option<Timestamp>,
}

/// What is kept of an opening, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OpeningRecord {
    opened_at: Timestamp,
    /// `None`: nothing was due, or no plan could be made.
    reset: Option<ResetId>,
}

/// A reset that an opening began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub window: Ref,
    pub opening: Opening,
    pub reset: ResetId,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    pub opened: Vec<Opened>,
    /// When the next opening is due; `None`: no window of the estate opens again.
    pub next: Option<Timestamp>,
}

impl Engine {
    /// One look at every window of the active estate: what is due opens.
    ///
    /// # Errors
    /// The store failed.
    pub async fn open_windows(&self) -> Result<Look, EngineError> {
        let mut look = Look::default();
        let Some(estate) = self.active_estate().await? else { return Ok(look) };
        for (name, document) in &estate.windows {
            let window = match Window::new(name.clone(), document.clone()) {
                Ok(window) => window,
                Err(error) => {
                    tracing::error!(window = %name, %error, "a window of the active estate has no schedule");
                    continue;
                }
            };
            match self.open_window(&window, &estate).await {
                Ok(one) => look.opened.extend(one),
                // Another replica looked at the same time, and what it did stands.
                Err(
                    EngineError::Store(StoreError::Stale { .. } | StoreError::Exists { .. }) | EngineError::Twice(_),
                ) => {}
                Err(error) => return Err(error),
            }
            if let Some((kept, _)) = self.window(name).await?.filter(|_| !document.manual_only) {
                look.next = look.next.into_iter().chain(window.next(kept.seen).map(|next| next.opens)).min();
            }
        }
        Ok(look)
    }

    /// What is kept of a window, with the revision of the record.
    ///
    /// # Errors
    /// The store failed.
    pub async fn window(&self, window: &Ref) -> Result<Option<(WindowRecord, u64)>, EngineError> {
        let key = Key { kind: kind::WINDOW, id: window.to_string() };
        let Some(record) = self.store.get(&key).await? else { return Ok(None) };
        let revision = record.revision;
        Ok(Some((read(record)?, revision)))
    }

    async fn open_window(&self, window: &Window, estate: &Arc<Estate>) -> Result<Option<Opened>, EngineError> {
        let now = self.context.clock.now();
        let Some((kept, revision)) = self.window(&window.name).await? else {
            let fresh = WindowRecord { seen: now, last: None, missed: 0, last_missed: None };
            let puts = vec![put(kind::WINDOW, window.name.to_string(), "", &fresh, Rule::Insert)?];
            self.store.commit(Change { puts, ..Change::default() }).await?;
            return Ok(None);
        };
        self.approve_opened(window, &kept).await?;
        let due = window.due(kept.seen, now);
        if due.seen == kept.seen {
            return Ok(None);
        }
        let mut next = WindowRecord {
            seen: due.seen,
            missed: kept.missed + due.missed,
            last_missed: due.last_missed.filter(|_| due.missed > 0).or(kept.last_missed),
            ..kept
        };
        let mut change = Change::default();
        if due.missed > 0 {
            let body = json!({ "openings": due.missed, "last": due.last_missed.map(|last| last.to_string()) });
            change.entries.push(entry("window.missed", now, None, Some(&window.name), &body));
        }
        let begun = match due.open {
            None => None,
            Some(opening) => self.add_opening(window, &opening, &due, estate, &mut change).await?,
        };
        if let Some((id, _, _)) = &begun {
            next.last = Some(id.clone());
        }
        change.puts.push(put(kind::WINDOW, window.name.to_string(), "", &next, Rule::Revision(revision))?);
        let Some((id, opening, plan)) = begun else {
            self.store.commit(change).await?;
            return Ok(None);
        };
        let reason = format!("{} opened on {}", window.name, opening.scheduled);
        let (by, estate) = (window.name.to_string(), Estate::clone(estate));
        let request = Request { id: id.clone(), plan, estate, reason, by, at: now };
        let party = self.settings.executor.is_some().then(|| Self::party_of(&window.name));
        self.request_with(request, Urgency::Scheduled, None, (party, false), change).await?;
        if let Err(error) = self.approve_window(&id, window).await {
            // Another replica found it waiting, and approved it: it is opened all the same.
            if self.reset(&id).await?.status == ResetStatus::Requested {
                return Err(error);
            }
        }
        Ok(Some(Opened { window: window.name.clone(), opening, reset: id }))
    }

    /// Adds an opening to the change. `None`: nothing is due, or no plan can be made.
    async fn add_opening(
        &self,
        window: &Window,
        opening: &Opening,
        due: &Due,
        estate: &Arc<Estate>,
        change: &mut Change,
    ) -> Result<Option<(ResetId, Opening, Plan)>, EngineError> {
        let now = self.context.clock.now();
        let (turns, planned) = self.plan_turns(window, opening, estate).await?;
        let mut body = told(opening, due.late, &turns);
        let plan = planned.unwrap_or_else(|why| {
            tracing::error!(window = %window.name, why, "a window opened, and there is no plan");
            body["refused"] = json!(why);
            None
        });
        let id = plan.as_ref().map(|_| reset_of(&window.name, opening.scheduled));
        let record = OpeningRecord { opened_at: now, reset: id.clone() };
        let name = format!("{}@{}", window.name, opening.scheduled);
        change.puts.push(put(kind::OPENING, name, &window.name.to_string(), &record, Rule::Insert)?);
        body["reset"] = json!(id.as_ref().map(ToString::to_string));
        change.entries.push(entry("window.opened", now, None, Some(&window.name), &body));
        Ok(id.zip(plan).map(|(id, plan)| (id, *opening, plan)))
    }

    /// Whose turn it is, and the plan for them. In a governed state, what takes persons has a turn only where they approved
    /// in advance what is done to it now.
    async fn plan_turns(
        &self,
        window: &Window,
        opening: &Opening,
        estate: &Arc<Estate>,
    ) -> Result<(Turns, Result<Option<Plan>, String>), EngineError> {
        let mut known = self.known().await?;
        let covers = match self.settings.executor {
            None => None,
            Some(_) => Some(self.standing_of(&window.name).await?.map(|one| one.asked.covers).unwrap_or_default()),
        };
        for credential in estate.credentials.keys().filter(|_| covers.is_some()) {
            let covered = covers.as_ref().is_some_and(|covers| covers.contains_key(credential));
            let one = known.entry(credential.clone()).or_default();
            one.covered = covered;
            one.barred = !covered && Obligations::of(estate, credential).approvals > 0;
        }
        loop {
            let turns = turns(window, opening, estate, &known);
            if turns.turns.is_empty() {
                return Ok((turns, Ok(None)));
            }
            let occasion = Occasion::new(window.name.clone(), *opening, &turns);
            let planned = self.plan_opening(occasion, estate).await;
            let other = |member: &&Member| {
                let covered = covers.as_ref().and_then(|covers| covers.get(&member.credential));
                covered.is_some_and(|covered| *covered != member.itself())
            };
            let changed: Vec<Ref> = planned
                .iter()
                .flat_map(|plan| &plan.members)
                .filter(other)
                .map(|member| member.credential.clone())
                .collect();
            if changed.is_empty() {
                return Ok((turns, planned.map(Some)));
            }
            for credential in changed {
                let one = known.entry(credential).or_default();
                // Each round bars one more at least.
                if one.barred {
                    return Ok((turns, Err("what was approved in advance is not what would be done".to_owned())));
                }
                (one.covered, one.barred) = (true, true);
            }
        }
    }

    pub(super) async fn plan_opening(&self, occasion: Occasion, estate: &Arc<Estate>) -> Result<Plan, String> {
        let mut wanted = Wanted::scheduled(occasion);
        wanted.known_destinations = self.known_destinations().await.map_err(|error| error.to_string())?;
        wanted.exceptions = self.excepted().await.map_err(|error| error.to_string())?.into_keys().collect();
        let made = plan(estate, &wanted, &*self.kinds, self.context.clock.now());
        made.map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    /// A process that ended between the request and the approval left a reset that nobody would approve.
    async fn approve_opened(&self, window: &Window, kept: &WindowRecord) -> Result<(), EngineError> {
        let Some(id) = &kept.last else { return Ok(()) };
        let reset = self.reset(id).await?;
        let by = window.name.to_string();
        if reset.status != ResetStatus::Requested || reset.requested_by != by {
            return Ok(());
        }
        let over =
            reset.plan.occasion.as_ref().is_some_and(|occasion| occasion.opening.closes <= self.context.clock.now());
        let done = if over {
            self.reject(id, &by, "the window closed").await.map(drop)
        } else {
            self.approve_window(id, window).await
        };
        match done {
            Ok(()) | Err(EngineError::Refused(_) | EngineError::Expired { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Approves the way this state approves: the window itself where nobody governs, else what persons approved in advance.
    async fn approve_window(&self, id: &ResetId, window: &Window) -> Result<(), EngineError> {
        let by = window.name.to_string();
        if self.settings.executor.is_none() {
            return self.approve(id, &by).await.map(drop);
        }
        match self.standing_of(&window.name).await? {
            Some(standing) => {
                let Asked { id: name, until, covers, .. } = standing.asked;
                self.start_by_way(id, Way::Standing { id: name, until, covers }, &by).await.map(drop)
            }
            // What takes nobody starts; what takes somebody had no turn.
            None => self.begin(id).await.map(drop),
        }
    }

    /// Where each credential lay when it last settled.
    ///
    /// # Errors
    /// The store failed.
    pub async fn known_destinations(&self) -> Result<BTreeMap<Ref, BTreeSet<Location>>, EngineError> {
        let mut known = BTreeMap::new();
        for reset in self.resets().await? {
            for record in self.rotations(&reset.id).await? {
                if matches!(record.rotation.state, State::Settled { .. }) {
                    let member = &reset.plan.members[record.index];
                    let places = member.destinations.iter().map(|place| place.at.clone()).collect();
                    known.insert(record.credential, places);
                }
            }
        }
        Ok(known)
    }

    /// What earlier rotations say of each credential.
    ///
    /// # Errors
    /// The store failed.
    pub async fn known(&self) -> Result<BTreeMap<Ref, Known>, EngineError> {
        let resets = self.resets().await?;
        let ids: BTreeSet<&ResetId> = resets.iter().map(|reset| &reset.id).collect();
        let mut all: BTreeMap<Ref, Known> = BTreeMap::new();
        for reset in &resets {
            if reset.status == ResetStatus::Rejected {
                continue;
            }
            for RotationRecord { credential, rotation, since, .. } in self.rotations(&reset.id).await? {
                let known = all.entry(credential.clone()).or_default();
                match &rotation.state {
                    State::Settled { .. } => known.settled = known.settled.max(Some(since)),
                    // A window was over before its turn came, and the next opening has not begun.
                    State::Superseded { by } if !ids.contains(by) || is_window(by) => {
                        let Some(occasion) = &reset.plan.occasion else { continue };
                        let from = occasion.carried.get(&credential).copied().unwrap_or(occasion.opening.scheduled);
                        known.carried = Some(known.carried.map_or(from, |known| known.min(from)));
                    }
                    State::Superseded { .. } => {}
                    _ if reset.status == ResetStatus::Aborted && untouched(&rotation) => {}
                    _ => known.busy = true,
                }
            }
        }
        for known in all.values_mut() {
            known.carried = known.carried.filter(|carried| known.settled.is_none_or(|settled| settled < *carried));
        }
        Ok(all)
    }
}

/// The reset of an opening: the same for every replica.
#[must_use]
pub(crate) fn reset_of(window: &Ref, scheduled: Timestamp) -> ResetId {
    let at = scheduled.strftime("%Y%m%dT%H%M%SZ");
    let space = if window.namespace == remint_contract::Name::default_namespace() {
        String::new()
    } else {
        format!("{}.", window.namespace)
    };
    ResetId(format!("{PREFIX}{space}{}-{at}", window.name))
}

fn is_window(id: &ResetId) -> bool {
    id.0.starts_with(PREFIX)
}

/// What an entry says of an opening.
fn told(opening: &Opening, late: bool, turns: &Turns) -> serde_json::Value {
    let carried =
        turns.turns.iter().filter_map(|turn| Some(format!("{} since {}", turn.due.credential, turn.due.carried?)));
    let left = turns
        .left
        .iter()
        .map(|(due, left)| format!("{}: {}", due.credential, json!(left).as_str().unwrap_or_default()));
    json!({
        "scheduled": opening.scheduled.to_string(),
        "opens": opening.opens.to_string(),
        "closes": opening.closes.to_string(),
        "late": late,
        "credentials": turns.turns.len(),
        "carried": carried.collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
    })
}

const PREFIX: &str = "window-";

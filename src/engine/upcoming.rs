//! What rotation windows come to: when each opens next, and what is due then.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::calendar::{Known, Left, Opening, Window, WindowError, turns};
use remint_core::estate::Estate;
use serde::{Deserialize, Serialize};

use crate::engine::opening::WindowRecord;
use crate::engine::{Engine, EngineError};

/// One window, from now on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upcoming {
    pub window: Ref,
    /// The one that is open, or the next; `None`: it never opens again.
    pub opening: Option<Opening>,
    /// What the clock shows there.
    pub opens_there: Option<String>,
    /// It is open now.
    pub open: bool,
    pub manual_only: bool,
    /// How long it is open.
    pub seconds: u64,
    pub due: usize,
    /// Due, and without a turn: each with why.
    pub left: BTreeMap<String, Left>,
    pub carried: BTreeMap<String, Timestamp>,
    /// Of what is due and has an age.
    pub oldest_seconds: Option<u64>,
    /// Due, and nobody knows how old.
    pub unknown: usize,
    pub missed: u64,
    pub last_missed: Option<Timestamp>,
}

impl Engine {
    /// Every window of the active estate, by when it opens.
    ///
    /// # Errors
    /// The store failed, or a window has no schedule.
    pub async fn upcoming(&self) -> Result<Vec<Upcoming>, EngineError> {
        let estate = self.active_estate().await?.unwrap_or_default();
        let (known, now) = (self.known().await?, self.context.clock.now());
        let mut all = Vec::new();
        for name in estate.windows.keys() {
            let kept = self.window(name).await?.map(|(kept, _)| kept);
            let one = upcoming(name, &estate, &known, kept.as_ref(), now);
            all.extend(one.map_err(|error| EngineError::Refused(format!("{name} has no schedule: {error}")))?);
        }
        all.sort_by_key(|one| one.opening.map_or(Timestamp::MAX, |opening| opening.opens));
        Ok(all)
    }
}

fn upcoming(
    name: &Ref,
    estate: &Estate,
    known: &BTreeMap<Ref, Known>,
    kept: Option<&WindowRecord>,
    now: Timestamp,
) -> Result<Option<Upcoming>, WindowError> {
    let Some(document) = estate.windows.get(name) else { return Ok(None) };
    let window = Window::new(name.clone(), document.clone())?;
    // One that is open is the next one as long as it is.
    let (mut at, mut current) = (now - document.duration - document.jitter.unwrap_or_default(), None);
    while let Some(opening) = window.next(at).filter(|opening| opening.opens <= now) {
        current = (now < opening.closes).then_some(opening);
        at = opening.scheduled;
    }
    let opening = current.or_else(|| window.next(now));
    let turns = opening.map(|opening| turns(&window, &opening, estate, known)).unwrap_or_default();
    let dues = || turns.turns.iter().map(|turn| &turn.due).chain(turns.left.iter().map(|(due, _)| due));
    Ok(Some(Upcoming {
        window: name.clone(),
        opens_there: opening.map(|opening| window.zone().at(opening.opens).to_string()),
        opening,
        open: current.is_some(),
        manual_only: document.manual_only,
        seconds: document.duration.as_secs(),
        due: dues().count(),
        left: turns.left.iter().map(|(due, left)| (due.credential.to_string(), *left)).collect(),
        carried: dues().filter_map(|due| Some((due.credential.to_string(), due.carried?))).collect(),
        oldest_seconds: dues().filter_map(|due| due.age).max().map(|age| age.as_secs()),
        unknown: dues().filter(|due| due.age.is_none()).count(),
        missed: kept.map_or(0, |kept| kept.missed),
        last_missed: kept.and_then(|kept| kept.last_missed),
    }))
}

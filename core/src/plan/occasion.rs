//! What a plan is made for where nobody has anything: an opening of a window, in which exactly what is due is replaced.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use remint_contract::Ref;
use serde::{Deserialize, Serialize};

use crate::calendar::{Opening, Turns};
use crate::plan::{Node, Request};

/// An opening, and whose turn is when in it. Outside the plan's digest, as every time is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occasion {
    pub window: Ref,
    pub opening: Opening,
    /// When each credential may begin; one that is not here may at once.
    pub turns: BTreeMap<Ref, Timestamp>,
    /// What earlier openings had no time for, each with the first of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub carried: BTreeMap<Ref, Timestamp>,
}

impl Occasion {
    /// The occasion of these turns.
    #[must_use]
    pub fn new(window: Ref, opening: Opening, turns: &Turns) -> Self {
        let carried = turns.turns.iter().filter_map(|turn| Some((turn.due.credential.clone(), turn.due.carried?)));
        Self {
            window,
            opening,
            carried: carried.collect(),
            turns: turns.turns.iter().map(|turn| (turn.due.credential.clone(), turn.begins)).collect(),
        }
    }

    /// True when a credential may begin now.
    #[must_use]
    pub fn is_turn(&self, credential: &Ref, now: Timestamp) -> bool {
        now < self.opening.closes && self.turns.get(credential).is_none_or(|turn| *turn <= now)
    }

    /// The next time at which something changes: a turn, or the end.
    #[must_use]
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let turns = self.turns.values().copied().chain([self.opening.closes]);
        turns.filter(|turn| *turn > now).min()
    }

    /// For a person: the hours, and what was carried over, with how long ago it was due.
    #[must_use]
    pub(super) fn spoken(&self) -> String {
        let Opening { opens, closes, .. } = self.opening;
        let mut text = format!("WINDOW  {} is open from {opens} until {closes}.\n", self.window);
        for (credential, since) in &self.carried {
            let hours = opens.duration_since(*since).as_hours();
            let ago = if hours < 48 { format!("{hours} h") } else { format!("{} d", hours / 24) };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "CARRIED OVER  {credential} was due {ago} before this opening, on {since}.");
        }
        text.push('\n');
        text
    }
}

impl Request {
    /// Replaces exactly these, each at its turn: nobody has anything, so nothing is followed and nothing is dirty.
    #[must_use]
    pub fn scheduled(occasion: Occasion) -> Self {
        let from = occasion.turns.keys().cloned().map(Node::Doc).collect();
        // Turns are what waves are for: each credential is the canary of those after it.
        let canary = occasion.turns.len().max(1);
        Self { incident: false, canary, occasion: Some(occasion), ..Self::new(from) }
    }
}

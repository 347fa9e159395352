//! Which failed requests fall into an announced outage.
//!
//! Announced is what the plan says by name: the members of a cut, and what is contained. A member's outage begins when
//! its old version is disabled and ends when its consumers are confirmed on the new one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::estate::Estate;
use remint_core::machine::State;
use remint_core::plan::Plan;
use remint_core::step::{Path, Step};
use remint_fake::world::Failure;

use crate::engine::Progress;

/// The announced outages of a reset, by credential.
#[derive(Debug)]
pub struct Outages {
    /// Members whose plan announces an outage.
    announced: BTreeMap<usize, Ref>,
    spans: BTreeMap<Ref, Span>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Outages {
    pub fn new(plan: &Plan) -> Self {
        let announced = plan.members.iter().enumerate().filter(|(_, member)| member.path != Path::Rolling);
        Self {
            announced: announced.map(|(index, member)| (index, member.credential.clone())).collect(),
            spans: BTreeMap::new(),
        }
    }

    /// Takes in what happened.
    pub fn take(&mut self, event: &Progress) {
        let Progress::Moved { index, state, at, .. } = event else { return };
        let Some(credential) = self.announced.get(index) else { return };
        match state {
            State::Doing { step: Step::Disable } => {
                self.spans.entry(credential.clone()).or_insert(Span { from: *at, until: None });
            }
            // The step after confirm: everybody was seen on the new version by then.
            State::Waiting { step: Step::Revoke } | State::Doing { step: Step::Revoke } | State::Settled { .. } => {
                if let Some(span) = self.spans.get_mut(credential) {
                    span.until.get_or_insert(*at);
                }
            }
            _ => {}
        }
    }

    /// True when every place that failed belongs to an announced outage of that time.
    pub fn announced(&self, failure: &Failure, estate: &Estate) -> bool {
        !failure.places.is_empty()
            && failure.places.iter().all(|place| {
                estate
                    .credentials
                    .iter()
                    .filter(|(_, credential)| {
                        credential
                            .delivered_to
                            .iter()
                            .any(|at| format!("{}:{}", at.at.system.name, at.at.path) == *place)
                    })
                    .any(|(reference, _)| {
                        self.spans.get(reference).is_some_and(|span| {
                            failure.ended >= span.from && span.until.is_none_or(|until| failure.began <= until)
                        })
                    })
            })
    }
}

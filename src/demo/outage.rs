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
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use crate::engine::Progress;

/// The announced outages of a reset, by credential.
#[derive(Debug)]
pub(super) struct Outages {
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
    pub(super) fn new(plan: &Plan) -> Self {
        let announced = plan.members.iter().enumerate().filter(|(_, member)| member.path != Path::Rolling);
        Self {
            announced: announced.map(|(index, member)| (index, member.credential.clone())).collect(),
            spans: BTreeMap::new(),
        }
    }

    /// Takes in what happened.
    pub(super) fn take(&mut self, event: &Progress) {
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
    pub(super) fn announced(&self, failure: &Failure, estate: &Estate) -> bool {
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

/// Takes in what happens while it happens: the engine keeps only the last few thousand events for who does not listen.
pub(super) struct Watching {
    enough: oneshot::Sender<()>,
    task: JoinHandle<Outages>,
}

impl Watching {
    pub(super) fn begin(mut events: Receiver<Progress>, mut outages: Outages) -> Self {
        let (enough, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                // What was sent before the end is taken in before the end is seen.
                let event = tokio::select! {
                    biased;
                    event = events.recv() => event,
                    _ = &mut ended => return outages,
                };
                match event {
                    Ok(event) => outages.take(&event),
                    // An outage that was missed counts as a failure: the demo never looks better than it was.
                    Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "the demo's clock of outages fell behind"),
                    Err(RecvError::Closed) => return outages,
                }
            }
        });
        Self { enough, task }
    }

    /// The outages until now.
    ///
    /// # Errors
    /// The task was ended from outside.
    pub(super) async fn end(self) -> Result<Outages, JoinError> {
        let _ = self.enough.send(());
        self.task.await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use remint_contract::{Ref, ResetId};
    use remint_core::machine::State;
    use remint_core::step::Step;
    use tokio::sync::broadcast;

    use super::{Outages, Watching};
    use crate::engine::Progress;

    #[tokio::test]
    async fn an_outage_that_began_long_before_the_last_kept_event_is_known() {
        let credential = Ref::credential("c").unwrap();
        let outages = Outages { announced: BTreeMap::from([(0, credential.clone())]), spans: BTreeMap::new() };
        let (events, receiver) = broadcast::channel(4);
        let watching = Watching::begin(receiver, outages);
        let moved = |step| Progress::Moved {
            reset: ResetId("r".into()),
            index: 0,
            credential: credential.clone(),
            state: State::Doing { step },
            at: Timestamp::UNIX_EPOCH,
        };
        for step in [Step::Disable].into_iter().chain([Step::Prove; 20]) {
            events.send(moved(step)).unwrap();
            tokio::task::yield_now().await;
        }
        let outages = watching.end().await.unwrap();
        assert!(outages.spans.contains_key(&credential), "{outages:?}");
    }
}

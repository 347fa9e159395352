//! A governed state behind the daemon's doors: persons, groups, and one in this process who decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use remint::app::App;
use remint::context::Context;
use remint::govern::Charter;
use remint_core::approval::Party;
use remint_core::gate::{Action, Caller, Decider, Decision, Resource};

use super::Place;
use crate::rig::OnlyFake;

/// Whoever is in the group of that name may do it; looking is open to every person.
pub(super) struct ByGroup;

impl Decider for ByGroup {
    fn decide(
        &self,
        _caller: &Caller,
        party: &Party,
        groups: &BTreeSet<String>,
        action: Action,
        _resource: &Resource,
        _now: Timestamp,
    ) -> Decision {
        let known = !matches!(party, Party::Unmapped { .. });
        if known && (action.only_looks() || groups.contains(action.word()) || groups.contains("all")) {
            return Decision::allowed("a group of that name");
        }
        Decision::denied(format!("nobody put {party} into the group {action}"))
    }
}

impl Place {
    /// A state that these persons share.
    pub(super) async fn governed(count: usize, persons: &str) -> Self {
        let place = Self::bare(count).await;
        let charter = Charter {
            policies: BTreeMap::from([("all.cedar".to_owned(), "permit (principal, action, resource);".to_owned())]),
            persons: persons.to_owned(),
        };
        let kinds = Arc::new(OnlyFake::default());
        App::found(&place.places(), None, &Context::system(), kinds, &charter, "unix:0").await.unwrap();
        place
    }

    /// The state, with the one who decides. Its documents are active on the word of the ceremony.
    pub(super) async fn decided(&self) -> App {
        let mut app = self.open().await;
        app.gate = app.gate.decided_by(Arc::new(ByGroup));
        if app.engine.active_estate().await.unwrap().is_none() {
            let paths = [self.estate.path().to_owned()];
            let loaded = remint::app::load_paths(&paths, &OnlyFake::default()).unwrap();
            app.activate(loaded.estate, "the ceremony").await.unwrap();
        }
        app
    }
}

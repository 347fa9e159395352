//! What a document refers to: everything that must be there for it to mean something.

use remint_contract::Ref;

use super::model::{Credential, Estate, Grant, System, UnlockWhat, Workload};

impl System {
    pub(super) fn refers(&self) -> impl Iterator<Item = &Ref> {
        self.auth.iter()
    }
}

impl Credential {
    pub(super) fn refers(&self) -> impl Iterator<Item = &Ref> {
        let unlocked = self.unlocks.iter().map(|unlock| match &unlock.what {
            UnlockWhat::Places(pattern) => &pattern.system,
            UnlockWhat::Node(node) => node,
        });
        [&self.identity, &self.issued_by.system]
            .into_iter()
            .chain(&self.issued_by.by)
            .chain(&self.consumed_by)
            .chain(&self.verified_by)
            .chain(self.delivered_to.iter().map(|place| &place.at.system))
            .chain(self.trusted_by.iter().map(|place| &place.system))
            .chain(unlocked)
    }
}

impl Workload {
    pub(super) fn refers(&self) -> impl Iterator<Item = &Ref> {
        self.runs_on.iter().map(|host| &host.system).chain(self.reads.iter().map(|pattern| &pattern.system))
    }
}

impl Grant {
    pub(super) fn refers(&self) -> impl Iterator<Item = &Ref> {
        self.to.iter()
    }
}

impl Estate {
    /// Every document.
    pub(super) fn names(&self) -> impl Iterator<Item = &Ref> {
        let first = self.systems.keys().chain(self.identities.keys()).chain(self.credentials.keys());
        let second = self.workloads.keys().chain(self.windows.keys()).chain(self.grants.keys());
        first.chain(second).chain(self.approvals.keys())
    }

    /// Every reference: from which document, to which.
    pub(super) fn references(&self) -> impl Iterator<Item = (&Ref, &Ref)> {
        let systems = self.systems.iter().flat_map(|(from, one)| one.refers().map(move |to| (from, to)));
        let credentials = self.credentials.iter().flat_map(|(from, one)| one.refers().map(move |to| (from, to)));
        let workloads = self.workloads.iter().flat_map(|(from, one)| one.refers().map(move |to| (from, to)));
        let grants = self.grants.iter().flat_map(|(from, one)| one.refers().map(move |to| (from, to)));
        systems.chain(credentials).chain(workloads).chain(grants)
    }
}

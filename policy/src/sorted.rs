//! Policies by what their heads say: which action, and of whom. A question is put to the few that can have a say.

use std::collections::HashMap;

use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, PrincipalConstraint};
use remint_core::gate::Action;

use crate::schema::action as action_uid;

/// Of whom a policy speaks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Whom {
    /// Anybody, as far as its head says.
    Anybody,
    /// One principal, or the members of one group.
    Of(EntityUid),
}

/// The policies, in as many sets as there are pairs of an action and somebody.
#[derive(Debug, Default)]
pub(crate) struct Sorted(HashMap<Action, HashMap<Whom, PolicySet>>);

impl Sorted {
    /// Sorts a set; `None` when a policy does not go into a set of its own, which Cedar gives no reason for.
    pub(crate) fn of(policies: &PolicySet) -> Option<Self> {
        let mut sorted = Self::default();
        for policy in policies.policies() {
            let whom = match policy.principal_constraint() {
                PrincipalConstraint::Eq(one) => Whom::Of(one),
                PrincipalConstraint::In(group) | PrincipalConstraint::IsIn(_, group) => Whom::Of(group),
                PrincipalConstraint::Any | PrincipalConstraint::Is(_) => Whom::Anybody,
            };
            for action in Action::ALL.into_iter().filter(|action| speaks_of(policy, *action)) {
                sorted.0.entry(action).or_default().entry(whom.clone()).or_default().add(policy.clone()).ok()?;
            }
        }
        Some(sorted)
    }

    /// The sets that can have a say about one of these doing this.
    pub(crate) fn about<'s>(
        &'s self,
        action: Action,
        who: impl Iterator<Item = &'s EntityUid> + 's,
    ) -> impl Iterator<Item = &'s PolicySet> + 's {
        let sets = self.0.get(&action);
        let whom = std::iter::once(Whom::Anybody).chain(who.cloned().map(Whom::Of));
        whom.filter_map(move |whom| sets?.get(&whom))
    }
}

fn speaks_of(policy: &Policy, action: Action) -> bool {
    let Some(uid) = action_uid(action) else { return true };
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(one) => one == uid,
        ActionConstraint::In(some) => some.contains(&uid),
    }
}

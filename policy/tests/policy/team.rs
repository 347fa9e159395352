//! The team, its charter, and one question.

use std::collections::BTreeSet;

use jiff::Timestamp;
use remint_core::approval::Person;
use remint_core::estate::Tier;
use remint_core::gate::{Action, Caller, Decider as _, Decision, Entrance, Resource, Scope, Table};
use remint_policy::Policies;

pub(crate) const TEAM: &str = include_str!("team.cedar");

pub(crate) const PERSONS: &str = r#"
persons:
  rita: {principals: ["unix:1"], groups: [responders]}
  abel: {principals: ["unix:2"], groups: [approvers]}
  olga: {principals: ["unix:3"], groups: [owners, approvers]}
  nils: {principals: ["unix:4"]}
services:
  pipeline: {principals: ["token:ci"], groups: [ci], owners: [rita]}
"#;

/// Role and principal.
pub(crate) const ROLES: [(&str, &str); 6] = [
    ("responder", "unix:1"),
    ("approver", "unix:2"),
    ("owner", "unix:3"),
    ("person in no group", "unix:4"),
    ("pipeline", "token:ci"),
    ("unmapped", "oidc:https://id.example|somebody"),
];

pub(crate) fn policies() -> Policies {
    Policies::parse([("team.cedar", TEAM)]).unwrap()
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A caller who proved who he is a minute ago, with two factors, where the entrance can know that.
pub(crate) fn caller(principal: &str, entrance: Entrance) -> Caller {
    let mut caller = Caller::plain(principal, entrance);
    if entrance == Entrance::Api {
        caller.amr = BTreeSet::from(["pwd".to_owned(), "mfa".to_owned()]);
        caller.auth_time = Timestamp::from_second(now().as_second() - 60).ok();
    }
    caller
}

pub(crate) fn reset(tier: Tier, requester: Option<&str>) -> Resource {
    Resource::Reset(Scope {
        id: "r-1".into(),
        tiers: BTreeSet::from([tier]),
        namespaces: BTreeSet::from(["default".to_owned()]),
        requester: requester.map(|name| Person(name.to_owned())),
        ..Scope::default()
    })
}

/// What an action is done to, where it is done to one kind of thing.
pub(crate) fn thing(action: Action) -> Resource {
    match action {
        Action::Read | Action::Validate | Action::Reach | Action::Plan | Action::ChangeEstate => Resource::Estate,
        Action::Clean => Resource::Node("Workload/web".into()),
        Action::Export => Resource::Log,
        Action::Restore => Resource::Store,
        Action::RotateKeys => Resource::Keys,
        Action::ChangePolicy => Resource::Policy,
        Action::Request
        | Action::Approve
        | Action::Execute
        | Action::Escalate
        | Action::Rollback
        | Action::SweepDecide
        | Action::Skip
        | Action::Attest
        | Action::Destroy
        | Action::GrantAccess
        | Action::BreakGlass => reset(Tier::Standard, None),
    }
}

pub(crate) fn decide(policies: &Policies, caller: &Caller, action: Action, resource: &Resource) -> Decision {
    let table = Table::parse(PERSONS).unwrap();
    let party = table.party(&caller.principal);
    let groups = table.groups(&party);
    let decision = policies.decide(caller, &party, &groups, action, resource, now());
    let by_all = policies.decide_by_all(caller, &party, &groups, action, resource, now());
    assert_eq!(decision, by_all, "sorting changed an answer");
    decision
}

//! Decisions, each with the policy that made it.

use remint_core::estate::Tier;
use remint_core::gate::{Action, Entrance, Resource};

use super::team::{caller, decide, policies, reset, thing};

fn ids(decision: &remint_core::gate::Decision) -> Vec<&str> {
    decision.why.iter().map(|why| why.policy.as_str()).collect()
}

#[test]
fn what_no_policy_permits_is_denied() {
    let decision = decide(&policies(), &caller("unix:4", Entrance::Cli), Action::Approve, &reset(Tier::Standard, None));
    assert!(!decision.allowed);
    assert_eq!(ids(&decision), ["none"]);
    assert_eq!(decision.why[0].words, "no policy permits approve");
}

#[test]
fn nobody_approves_what_he_asked_for() {
    let approve = |requester| {
        let caller = caller("unix:2", Entrance::Cli);
        decide(&policies(), &caller, Action::Approve, &reset(Tier::Privileged, requester))
    };
    let other = approve(Some("rita"));
    assert!(other.allowed);
    assert_eq!(ids(&other), ["approvers-approve"]);
    assert_eq!(other.why[0].words, "approvers approve what others asked for");
    assert!(!approve(Some("abel")).allowed);
}

#[test]
fn one_forbid_outweighs_every_permit() {
    let through = |entrance| decide(&policies(), &caller("unix:3", entrance), Action::RotateKeys, &Resource::Keys);
    assert!(through(Entrance::Cli).allowed);
    let socket = through(Entrance::Socket);
    assert!(!socket.allowed);
    assert_eq!(ids(&socket), ["keys-by-hand"]);
}

#[test]
fn an_authentication_without_a_second_factor_or_of_long_ago_acts_on_nothing_over_the_network() {
    let policies = policies();
    let asks = |caller| decide(&policies, &caller, Action::Request, &reset(Tier::Standard, None)).allowed;
    let fresh = caller("unix:1", Entrance::Api);
    assert!(asks(fresh.clone()));
    assert!(!asks(remint_core::gate::Caller { amr: ["pwd".to_owned()].into(), ..fresh.clone() }));
    assert!(!asks(remint_core::gate::Caller { auth_time: None, ..fresh.clone() }));
    let ahead = jiff::Timestamp::from_second(super::team::now().as_second() + 60).ok();
    assert!(!asks(remint_core::gate::Caller { auth_time: ahead, ..fresh }));
}

#[test]
fn a_pipeline_asks_for_what_is_not_privileged_and_for_nothing_else() {
    let policies = policies();
    let asks =
        |tier| decide(&policies, &caller("token:ci", Entrance::Loopback), Action::Request, &reset(tier, None)).allowed;
    assert!(asks(Tier::Standard) && !asks(Tier::Privileged));
}

#[test]
fn an_action_that_is_not_done_to_such_a_thing_is_denied() {
    let decision = decide(&policies(), &caller("unix:3", Entrance::Cli), Action::RotateKeys, &Resource::Estate);
    assert!(!decision.allowed);
    assert_eq!(decision.why[0].words, "rotate-keys is nothing that is done to the estate");
}

#[test]
fn every_action_of_the_core_is_an_action_of_the_schema() {
    let all = remint_policy::Policies::parse([("all.cedar", "@id(\"all\") permit (principal, action, resource);")]);
    let all = all.unwrap();
    for action in Action::ALL {
        let decision = decide(&all, &caller("unix:3", Entrance::Cli), action, &thing(action));
        assert!(decision.allowed, "{action}: {decision}");
    }
}

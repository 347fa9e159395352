//! A thousand policies: sorted they answer as all of them do, for everybody.

use std::fmt::Write as _;

use remint_core::estate::Tier;
use remint_core::gate::{Action, Entrance};
use remint_policy::Policies;

use super::team::{ROLES, TEAM, caller, decide, reset, thing};

#[test]
fn a_thousand_policies_answer_sorted_as_they_do_together() {
    let mut text = TEAM.to_owned();
    for number in 0..1000 {
        let (group, action) = (number % 50, Action::ALL[number % 4 + 4].word());
        let _ = write!(
            text,
            "@id(\"p{number}\") permit (principal in Remint::Group::\"g{group}\", action == Remint::Action::\"{action}\", resource);\n",
        );
    }
    let policies = Policies::parse([("many.cedar", text.as_str())]).unwrap();
    assert!(policies.len() > 1000);
    for (_, principal) in ROLES {
        for action in Action::ALL {
            decide(&policies, &caller(principal, Entrance::Socket), action, &thing(action));
        }
        decide(&policies, &caller(principal, Entrance::Window), Action::Request, &reset(Tier::Privileged, None));
    }
}

//! Nothing reached is silently left out.

use std::collections::BTreeSet;

use jiff::Timestamp;
use remint_contract::{Kind, Ref, Strategy};
use remint_core::plan::{Node, plan};

use super::small::{empty, intruder, leaked, planned};
use crate::world::{Dice, TestKinds, cred, random};

#[test]
fn every_reached_credential_is_exactly_one_of_member_task_and_exception() {
    for seed in 0..500 {
        let mut dice = Dice::new(seed);
        let mut estate = random(&mut dice);
        for credential in estate.credentials.values_mut().filter(|_| dice.chance(20)) {
            credential.rotation.strategy = Strategy::Manual;
        }
        let mut request = intruder();
        request.exceptions.insert(cred("c1"));
        let Ok(plan) = plan(&estate, &request, &TestKinds, Timestamp::UNIX_EPOCH) else { continue };
        let reached: BTreeSet<Ref> = plan
            .reached
            .iter()
            .filter_map(|reached| match &reached.node {
                Node::Doc(reference) if reference.kind == Kind::Credential => Some(reference.clone()),
                _ => None,
            })
            .collect();
        let members = plan.members.iter().map(|member| member.credential.clone());
        let listed: Vec<Ref> =
            members.chain(plan.tasks.iter().map(|task| task.node.clone())).chain(plan.exceptions.clone()).collect();
        assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), reached, "seed {seed}");
        assert_eq!(listed.len(), reached.len(), "seed {seed}: listed twice");
    }
}

#[test]
fn a_task_says_what_to_do_by_hand() {
    let mut make = empty();
    make.credential("key", "i0", &["s0:key"], &[]).rotation.strategy = Strategy::Manual;
    let plan = planned(&make, &leaked());
    assert_eq!(plan.tasks[0].node, cred("key"));
    assert_eq!(plan.tasks[0].why, "its strategy is manual: replace it at System/i0 and attest it");
}

//! The digest changes exactly when what was approved changes.

use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{ConfirmGrade, ProofGrade, Strategy};
use remint_core::plan::{Plan, Precedence, Row, plan};
use remint_core::step::{Path, Step};

use super::small::{empty, index, leaked, planned, reads};
use crate::world::{Make, TestKinds};

fn estate() -> Make {
    let mut make = empty();
    make.credential("a", "i0", &["s0:a"], &["w0"]);
    make.credential("b", "i0", &["s0:b"], &["w1"]);
    make.credential("c", "i0", &["s1:c"], &[]);
    make
}

fn cyclic() -> Make {
    let mut make = estate();
    reads(&mut make, "a", "s0:b");
    reads(&mut make, "b", "s0:a");
    make
}

/// The members whose leaves an edit changes.
fn changed(edit: impl Fn(&mut Plan)) -> Vec<usize> {
    let before = planned(&cyclic(), &leaked());
    let mut after = before.clone();
    edit(&mut after);
    let changed: Vec<usize> =
        (0..before.members.len()).filter(|&member| before.leaf(member) != after.leaf(member)).collect();
    assert_eq!(changed.is_empty(), after.recompute() == before.digest, "the root follows the leaves");
    changed
}

#[test]
fn an_untouched_plan_has_the_digest_that_it_says() {
    let plan = planned(&cyclic(), &leaked());
    assert_eq!(plan.recompute(), plan.digest);
}

#[test]
fn whatever_a_person_approves_is_in_the_leaf_of_its_member_and_in_no_other() {
    let c = 2;
    let other = planned(&cyclic(), &leaked()).members[0].destinations[0].clone();
    assert_eq!(changed(|plan| plan.members[c].destinations.push(other.clone())), [c], "destination");
    assert_eq!(changed(|plan| plan.members[c].withheld.push(other.clone())), [c], "withheld destination");
    assert_eq!(changed(|plan| plan.members[c].endpoints.push("another".into())), [c], "endpoint");
    assert_eq!(changed(|plan| plan.members[c].strategy = Strategy::Alternate), [c], "strategy");
    assert_eq!(changed(|plan| plan.members[c].path = Path::Contain), [c], "mode");
    assert_eq!(changed(|plan| plan.members[c].least_confirm = ConfirmGrade::Attested), [c], "confirm grade");
    assert_eq!(changed(|plan| plan.members[c].least_proof = ProofGrade::Attested), [c], "proof grade");
    assert_eq!(changed(|plan| plan.members[c].withheld_after.push(0)), [c], "what a withheld place waits for");
    let edge = Precedence { before: (0, Step::Sweep), after: (c, Step::Deliver), row: Row::Read };
    assert_eq!(changed(|plan| plan.precedences.push(edge)), [c], "precedence");
}

#[test]
fn a_cut_binds_the_names_of_all_its_members_into_each_of_their_leaves() {
    assert_eq!(changed(|plan| plan.cuts[0].members.push(2)), [0, 1]);
    assert_eq!(changed(|plan| plan.cuts[0].members.truncate(1)), [0, 1]);
}

#[test]
fn forecasts_are_in_no_leaf() {
    assert!(changed(|plan| plan.eta += Duration::from_secs(1)).is_empty());
    assert!(changed(|plan| plan.waves.reverse()).is_empty());
    assert!(changed(|plan| plan.reached.clear()).is_empty());
    assert!(changed(|plan| plan.new_destinations.clear()).is_empty());
    assert!(changed(|plan| plan.cuts[0].outage += Duration::from_secs(1)).is_empty());
}

#[test]
fn the_hour_of_planning_and_the_order_of_documents_change_nothing() {
    let first = planned(&estate(), &leaked());
    let later = plan(&estate().0, &leaked(), &TestKinds, Timestamp::MAX).unwrap();
    assert_eq!(first, later);
    let mut turned = empty();
    turned.credential("c", "i0", &["s1:c"], &[]);
    turned.credential("b", "i0", &["s0:b"], &["w1"]);
    turned.credential("a", "i0", &["s0:a"], &["w0"]);
    assert_eq!(planned(&turned, &leaked()).digest, first.digest);
}

#[test]
fn drift_in_one_document_changes_its_own_leaf_and_leaves_the_others() {
    let before = planned(&estate(), &leaked());
    let mut make = estate();
    let moved = make.credential("b", "i0", &[], &[]);
    moved.delivered_to[0].at = "s1:b".parse().unwrap();
    // A neighbour that comes in between moves the indexes, and no leaf.
    make.credential("aa", "i0", &["s1:aa"], &[]);
    let after = planned(&make, &leaked());
    let same = |name: &str| before.leaf(index(&before, name)) == after.leaf(index(&after, name));
    assert!(same("a") && same("c"));
    assert!(!same("b"));
    assert_ne!(before.digest, after.digest);
}

#[test]
fn the_limits_are_approved_too() {
    let mut request = leaked();
    let before = planned(&estate(), &request);
    request.failure_budget = 2;
    let after = planned(&estate(), &request);
    assert_eq!(after.limits.failure_budget, 2);
    assert_ne!(before.digest, after.digest);
    assert_eq!(before.leaf(0), after.leaf(0));
}
